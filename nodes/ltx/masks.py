"""What of an LTX-2 latent is generated: frozen modalities and time windows."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2 import conditioning
from ...ltx.ltx2.checks import need_audio, need_no_guides, need_window
from ...ltx.ltx2.state import read_state, write_state
from ..node import Node
from .conditioning import read_conditioned

CATEGORY = "Oner/conditioning"
VIDEO, AUDIO, BOTH = "video", "audio", "video and audio"


def number(name: str, default: float, low: float, high: float, tip: str) -> io.Float.Input:
    return io.Float.Input(name, default=default, min=low, max=high, step=0.01, tooltip=tip)


class LTXFreeze(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXFreeze",
            display_name="LTX Freeze",
            category=CATEGORY,
            description="Keep the video or the audio of a latent as it is, and generate the other to fit: audio to "
            "video, sound for a video.",
            search_aliases=["audio to video", "video to audio", "a2v", "keep audio", "noise mask", "foley"],
            inputs=[
                io.Latent.Input("latent", tooltip="audio-video latent"),
                io.Combo.Input(
                    "keep", options=[AUDIO, VIDEO], tooltip="the part that is given; the other is generated"
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="latent to sample")],
        )

    @classmethod
    def execute(cls, latent, keep):
        state = read_state(latent)
        need_audio(state, "LTX Freeze")
        state = conditioning.freeze_audio(state) if keep == AUDIO else conditioning.freeze_video(state)
        return io.NodeOutput(write_state(latent, state))


class LTXTimeWindow(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXTimeWindow",
            display_name="LTX Time Window",
            category=CATEGORY,
            description="Generate only a time window of a clip anew and keep the rest. A latent frame belongs to the "
            "window when it overlaps it. Chained windows add up; what was given before stays given.",
            search_aliases=[
                "retake",
                "temporal region mask",
                "inpaint time",
                "LTXVSetAudioVideoMaskByTime",
                "replace part",
            ],
            inputs=[
                io.Latent.Input("latent", tooltip="encoded clip, video or audio-video"),
                number("start_seconds", 0.0, 0.0, 100000.0, "start in seconds"),
                number("end_seconds", 1.0, 0.0, 100000.0, "end in seconds"),
                number("fps", 24.0, 1.0, 1000.0, "frames a second of the clip"),
                io.Combo.Input(
                    "generate",
                    options=[BOTH, VIDEO, AUDIO],
                    tooltip="what is generated in the window; the other one is kept throughout. Without audio: video",
                ),
                io.Conditioning.Input(
                    "positive",
                    optional=True,
                    tooltip="prompt: shows guides that core's LTXVAddGuide appended, which come after this node",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="latent to sample")],
        )

    @classmethod
    def execute(cls, latent, start_seconds, end_seconds, fps, generate, positive=None):
        state = read_state(latent) if positive is None else read_conditioned(latent, [positive])
        need_no_guides(state, "LTX Time Window")
        need_window(state, start_seconds, end_seconds, fps)
        if generate == AUDIO:
            need_audio(state, "generating audio in a window")
            state = conditioning.keep_video(state)
        else:
            state = conditioning.window_video(state, start_seconds, end_seconds, fps)
        if state.audio is not None:
            if generate == VIDEO:
                state = conditioning.keep_audio(state)
            else:
                state = conditioning.window_audio(state, start_seconds, end_seconds)
        if not any(bool((part.mask > 0).any()) for part in state.parts):
            raise ValueError(
                f"nothing of {start_seconds:g} to {end_seconds:g} s would be generated: the latent's mask keeps all of "
                "it. Put the window before what keeps it, or leave one of them out"
            )
        return io.NodeOutput(write_state(latent, state))
