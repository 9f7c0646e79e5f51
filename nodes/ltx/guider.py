"""The multimodal guider of LTX-2 and its parameters."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2.checks import need_audio_video_model, need_blocks, need_prompts
from ...ltx.ltx2.guidance import Binned, Guidance, constant
from ...ltx.ltx2.guider import MultimodalGuider, Switches
from ...ltx.ltx2.presets import NEGATIVE_AUDIO, PRESETS, generation_of
from ...utils.numbers import whole_numbers
from ..node import Node, own_type

AUTO = "of the model"

LTXGuidanceType = own_type("ONER_LTX_GUIDANCE", Binned, "LTX Guidance")


class LTXGuidance(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXGuidance",
            display_name="LTX Guidance",
            category="Oner/guiders",
            description="Guidance of one modality for LTX Multimodal Guider. Chain several to change it with the "
            "noise.",
            search_aliases=["STG", "spatio-temporal guidance", "modality guidance", "guider parameters", "skip step"],
            inputs=[
                io.Float.Input(
                    "cfg",
                    default=3.0,
                    min=1.0,
                    max=100.0,
                    step=0.1,
                    tooltip="prompt guidance; 1 = off; video 3, audio 7",
                ),
                io.Float.Input(
                    "stg",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="guidance away from a pass without self-attention in stg_blocks; 0 = off",
                ),
                io.String.Input(
                    "stg_blocks",
                    default="28",
                    tooltip="block numbers from 0, such as 28; LTX-2.3 and LTX-2.5 28, LTX-2 29",
                ),
                io.Float.Input(
                    "rescale",
                    default=0.7,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="how much of the positive pass's contrast is restored, 0 to 1",
                ),
                io.Float.Input(
                    "modality",
                    default=3.0,
                    min=1.0,
                    max=100.0,
                    step=0.1,
                    tooltip="guidance away from a pass where audio and video do not see each other; 1 = off",
                ),
                io.Int.Input(
                    "skip_step",
                    default=0,
                    min=0,
                    max=100,
                    advanced=True,
                    tooltip="steps without evaluation after each evaluated one; 0 = evaluate all",
                ),
                io.Float.Input(
                    "up_to_sigma",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="highest noise level, 0 to 1, at which these values hold, when several nodes are chained",
                ),
                LTXGuidanceType.Input(
                    "other_levels", optional=True, tooltip="guidance at other noise levels, from another LTX Guidance"
                ),
            ],
            outputs=[LTXGuidanceType.Output(display_name="guidance", tooltip="for LTX Multimodal Guider")],
        )

    @classmethod
    def execute(cls, cfg, stg, stg_blocks, rescale, modality, skip_step=0, up_to_sigma=1.0, other_levels=None):
        blocks = whole_numbers(stg_blocks, "stg_blocks", "14, 28")
        if stg and not blocks:
            raise ValueError(f"stg is {stg:g} but stg_blocks is empty: name a block such as 28, or set stg to 0")
        guidance = Guidance(cfg, stg, blocks, rescale, modality, skip_step)
        levels = other_levels.bins if other_levels else ()
        if any(upper == up_to_sigma for upper, _ in levels):
            raise ValueError(f"two LTX Guidance nodes hold up to sigma {up_to_sigma:g}: give each its own level")
        return io.NodeOutput(Binned((*levels, (up_to_sigma, guidance))))


def need_effect(on: Switches, video: Binned | None, audio: Binned | None) -> None:
    """Raise ValueError if connected guidance is for what the model has switched off, as LTX Audio Only does."""
    for name, levels, runs, sees in (
        ("video", video, on.video, on.video_sees),
        ("audio", audio, on.audio, on.audio_sees),
    ):
        if levels is None:
            continue
        if not runs:
            raise ValueError(f"{name} guidance is connected, but the model does not run its {name} half: disconnect it")
        scales = [guidance.modality for _, guidance in levels.bins if guidance.modality != 1]
        if scales and not sees:
            raise ValueError(
                f"modality of the {name} guidance is {scales[0]:g}, but the {name} of this model does not see the "
                "other half: set it to 1"
            )


class LTXMultimodalGuider(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXMultimodalGuider",
            display_name="LTX Multimodal Guider",
            category="Oner/guiders",
            description="Prompt, perturbed-attention and modality guidance for LTX-2, each for video and audio, with "
            "all passes of a step in one batch.",
            search_aliases=["MultimodalGuider", "STGGuider", "LTX-2 guidance", "CFGGuider", "audio video guidance"],
            inputs=[
                io.Model.Input(
                    "model", tooltip="LTX-2, LTX-2.3 or LTX-2.5, full model (distilled models need no guidance)"
                ),
                io.Conditioning.Input("positive", tooltip="positive prompt, with the frame rate set"),
                io.Conditioning.Input("negative", tooltip="negative prompt, with the frame rate set"),
                io.Combo.Input(
                    "preset", options=[AUTO, *PRESETS], tooltip="whose default guidance is used where none is connected"
                ),
                io.Combo.Input(
                    "negative_audio",
                    options=list(NEGATIVE_AUDIO),
                    advanced=True,
                    tooltip="the audio half of the negative pass; positive prompt: as the audio-to-video pipeline does",
                ),
                LTXGuidanceType.Input("video", optional=True, tooltip="guidance of the video instead of the preset's"),
                LTXGuidanceType.Input("audio", optional=True, tooltip="guidance of the audio instead of the preset's"),
            ],
            outputs=[io.Guider.Output(display_name="guider", tooltip="for SamplerCustomAdvanced")],
        )

    @classmethod
    def execute(cls, model, positive, negative, preset, negative_audio=NEGATIVE_AUDIO[0], video=None, audio=None):
        need_audio_video_model(model)
        if "sampler_cfg_function" in model.model_options:
            raise ValueError(
                "the model carries a CFG function of its own (as RescaleCFG sets), which this guider replaces: remove "
                "that node, or use CFGGuider"
            )
        need_prompts(model, positive=positive, negative=negative)
        need_effect(Switches.of(model), video, audio)
        values = PRESETS[generation_of(model.model.diffusion_model) if preset == AUTO else preset]
        video = video or constant(values.video)
        audio = audio or constant(values.audio)
        for name, levels in (("video guidance", video), ("audio guidance", audio)):
            for _, guidance in levels.bins:
                need_blocks(model, name, tuple(guidance.perturbed_blocks))
        guider = MultimodalGuider(model, video, audio, shared_audio_context=negative_audio == NEGATIVE_AUDIO[1])
        guider.set_conds(positive, negative)
        return io.NodeOutput(guider)
