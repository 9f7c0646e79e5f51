"""Latents of LTX audio-video graphs: the empty start, the way from one stage to the next, and what ships at the end."""

from __future__ import annotations

import comfy.model_management
import torch
from comfy.nested_tensor import NestedTensor
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_extras.nodes_lt_upsampler import LTXVLatentUpsampler

from ...ltx.checks import check_spatial_upsampler, need_video_vae
from ...ltx.latents import (
    AUDIO_BINS,
    AUDIO_CHANNELS,
    SPATIAL,
    VIDEO_CHANNELS,
    audio_latent_frames,
    check_size,
    latent_frames,
)
from ...utils.inputs import check_choice
from ...utils.latents import audio_part, clip_part, match_batches
from ..node import Node, check_inputs
from .conditioning import crop_sampled

NO_STAGE_1 = "audio_source is 'stage 1' but stage_1 is not connected: connect stage 1's output"
NO_AUDIO = "the latent of LTX Stage Output has no audio part: turn on audio in LTX Empty Latent, or decode it as video"
STAGES = {"one": 1, "two": 2}  # how much larger the finished video is than the first latent


class LTXEmptyLatent(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXEmptyLatent",
            display_name="LTX Empty Latent",
            category="Oner/latent",
            description="An empty audio-video latent for LTX-2, or a video latent for LTX-Video. The audio is as long "
            "as in the reference pipelines: 126 latents for 121 frames at 24 fps.",
            search_aliases=["empty AV latent", "EmptyLTXVLatentVideo", "LTXVEmptyLatentAudio", "audio-video latent"],
            inputs=[
                io.Int.Input(
                    "width",
                    default=768,
                    min=32,
                    max=16384,
                    step=32,
                    tooltip="pixels of the finished video, multiple of 32; of 64 with two stages",
                ),
                io.Int.Input(
                    "height",
                    default=512,
                    min=32,
                    max=16384,
                    step=32,
                    tooltip="pixels of the finished video, multiple of 32; of 64 with two stages",
                ),
                io.Int.Input("length", default=121, min=1, max=16385, step=8, tooltip="frames, 8k+1"),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=1.0,
                    max=1000.0,
                    step=0.01,
                    tooltip="frames a second; sets the audio length",
                ),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=64,
                    tooltip="videos made at once. LTX Stage Output gives them one by one, each for a file with its own "
                    "sound; where a video latent is decoded without it, they follow one another in one file",
                ),
                io.Combo.Input(
                    "stages",
                    options=list(STAGES),
                    tooltip="two: the latent has half the width and height, for LTX Stage Hand-Over to double",
                ),
                io.Boolean.Input("audio", default=True, tooltip="off: a video latent alone, as LTX-Video needs"),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent", tooltip="zeros: video [B, 128, T, H, W] and audio [B, 8, A, 16]"
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, stages, width=64, height=64, length=1):
        """The same check as in execute, before anything runs; connected values are not known yet."""
        try:
            scale = 1 if stages is None else STAGES[check_choice(stages, "stages", list(STAGES))]
            check_size(width or 64, height or 64, length or 1, multiple=SPATIAL * scale)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, width, height, length, fps, batch_size, stages, audio):
        scale = STAGES[stages]
        check_size(width, height, length, multiple=SPATIAL * scale)
        device = comfy.model_management.intermediate_device()
        rows, columns = height // scale // SPATIAL, width // scale // SPATIAL
        video = torch.zeros(batch_size, VIDEO_CHANNELS, latent_frames(length), rows, columns, device=device)
        if not audio:
            return io.NodeOutput({"samples": video})
        frames = max(1, audio_latent_frames(length, fps))  # one frame at 50 fps rounds to none, which no model takes
        sound = torch.zeros(batch_size, AUDIO_CHANNELS, frames, AUDIO_BINS, device=device)
        return io.NodeOutput({"samples": NestedTensor((video, sound))})


class LTXStageHandOver(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXStageHandOver",
            display_name="LTX Stage Hand-Over",
            category="Oner/latent",
            description="Takes a sampled stage to the start of the next: crops guides and references, drops masks, "
            "upsamples the video latent and carries the audio latent along.",
            search_aliases=["latent upsampler", "LTXVLatentUpsampler", "two stage", "crop guides", "upscale AV latent"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="prompt of the stage that was sampled, with its guides"),
                io.Latent.Input("latent", lazy=True, tooltip="sampled video or audio-video latent"),
                io.LatentUpscaleModel.Input("upscale_model", tooltip="spatial LTX latent upsampler, x2 or x1.5"),
                io.Vae.Input("vae", tooltip="video VAE, for the statistics the upsampler works in"),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="the prompt without guides"),
                io.Latent.Output(
                    display_name="latent", tooltip="start of the next stage: larger video, the same audio, no mask"
                ),
            ],
        )

    @classmethod
    def check_lazy_status(cls, upscale_model=None, vae=None, latent=None, **_):
        """Check the models before the stage that fills `latent` is sampled."""
        check_inputs(cls.define_schema().inputs, {"upscale_model": upscale_model, "vae": vae})
        need_video_vae(vae)
        check_spatial_upsampler(upscale_model)
        return ["latent"] if latent is None else []

    @classmethod
    def execute(cls, positive, latent, upscale_model, vae):
        need_video_vae(vae)
        check_spatial_upsampler(upscale_model)
        state, (positive,) = crop_sampled(latent, [positive])
        video = LTXVLatentUpsampler.execute({"samples": state.video.clean}, upscale_model, vae).result[0]["samples"]
        samples = video if state.audio is None else NestedTensor((video, state.audio.clean))
        return io.NodeOutput(positive, {"samples": samples})


class LTXStageOutput(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXStageOutput",
            display_name="LTX Stage Output",
            category="Oner/latent",
            description="Splits the last stage for decoding, with the audio of the stage you choose. The reference "
            "ships stage 2 for distilled, IC-LoRA and keyframes, stage 1 for the guided two-stage pipelines. Gives the "
            "clips of a batch one by one, so that each is saved with its own sound.",
            search_aliases=["separate AV latent", "LTXVSeparateAVLatent", "audio source", "split audio video"],
            inputs=[
                io.Latent.Input("latent", lazy=True, tooltip="sampled latent of the last stage"),
                io.Combo.Input(
                    "audio_source", options=["last stage", "stage 1"], tooltip="whose audio is decoded and saved"
                ),
                io.Latent.Input(
                    "stage_1",
                    optional=True,
                    lazy=True,
                    tooltip="sampled audio-video latent of stage 1; needed for audio_source 'stage 1'",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="video",
                    is_output_list=True,
                    tooltip="video latent [1, 128, T, H, W] without appended frames, one a clip of the batch",
                ),
                io.Latent.Output(
                    display_name="audio",
                    is_output_list=True,
                    tooltip="audio latent [1, 8, A, 16], one a clip of the batch; a video latent has none, and what is "
                    "connected here then stops",
                ),
            ],
        )

    @classmethod
    def check_lazy_status(cls, audio_source, **connected):
        """Ask for stage 1 only when its audio ships; say that it is missing before anything is sampled."""
        wanted = ["latent", "stage_1"] if audio_source == "stage 1" else ["latent"]
        if not set(wanted) <= set(connected):
            raise ValueError(NO_STAGE_1)
        return [name for name in wanted if connected[name] is None]

    @classmethod
    def execute(cls, latent, audio_source, stage_1=None):
        source = latent
        if audio_source == "stage 1":
            if stage_1 is None:
                raise ValueError(NO_STAGE_1)
            source = stage_1
        video, audio = clip_part(latent), audio_part(source["samples"])
        if audio is None:
            return io.NodeOutput([{"samples": clip} for clip in video.split(1)], ExecutionBlocker(NO_AUDIO))
        video, audio = match_batches(video, audio, ("latent", "the audio's stage"))
        return io.NodeOutput(
            [{"samples": clip} for clip in video.split(1)],
            [{"samples": clip, "type": "audio"} for clip in audio.split(1)],
        )
