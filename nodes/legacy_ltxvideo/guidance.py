"""Guiders and presets under ids of ComfyUI-LTXVideo, by that pack's rules; see shims.py."""

from __future__ import annotations

import logging

import comfy.samplers
from comfy_api.latest import io
from comfy_extras.nodes_apg import APG

from ...ltx.ltx2.block_choice import with_exact_block
from ...ltx.ltx2.checks import need_audio_video_model, need_blocks, need_prompts
from ...ltx.ltx2.guidance import Guidance, constant
from ...ltx.ltx2.guider import MultimodalGuider
from ...ltx.ltxv.guidance import GuidanceSchedule
from ...ltx.ltxv.guider import LTXVGuider
from ...ltx.ltxv.presets import PACK_PRESETS
from ...ltx.ltxv.stg import MODES
from ...utils.numbers import parse_numbers, whole_numbers
from ..ltxv.guidance import parse_block_lists
from ..node import Node, own_type
from .schemas import number, prompts, schema

log = logging.getLogger("oner")

LOOKUP = "pack-compatible"
CUSTOM = "Custom"
STGPresetType = own_type("STG_ADVANCED_PRESET", GuidanceSchedule, "STGAdvancedPresets")
ParametersType = own_type(
    "GUIDER_PARAMETERS",
    lambda value: isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()),
    "GuiderParameters",
)


def guider_inputs() -> list:
    return [io.Model.Input("model"), *prompts()]


# --- guidance of LTX-Video -------------------------------------------------------------------------------------------


class ApplySTG(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.Model.Input("model"), io.String.Input("block_indices", default="14, 19")]
        return schema("LTXVApplySTG", "the blocks of STG Guider", inputs, [io.Model.Output()])

    @classmethod
    def execute(cls, model, block_indices):
        marked = model.clone()
        options = marked.model_options["transformer_options"]
        blocks = [*options.get("skip_block_list", []), *whole_numbers(block_indices, "block_indices", "14, 19")]
        marked.model_options["transformer_options"] = {**options, "skip_block_list": blocks}
        return io.NodeOutput(marked)


class OldSTGGuider(Node):
    NODE_ID = "STGGuider"

    @classmethod
    def define_schema(cls):
        inputs = [*guider_inputs(), number("cfg", 1.0), number("stg", 1.0), number("rescale", 0.7, 0.0, 1.0)]
        return schema(cls.NODE_ID, "STG Guider", inputs, [io.Guider.Output()])

    @classmethod
    def execute(cls, model, positive, negative, cfg, stg, rescale):
        blocks = model.model_options["transformer_options"].get("skip_block_list", [])
        if stg > 0 and not blocks:
            raise ValueError(f"stg is {stg:g} and no block is named: put LTXVApplySTG before it, or set stg to 0")
        schedule = GuidanceSchedule.constant(cfg, stg, rescale, blocks, lookup=LOOKUP)
        return io.NodeOutput(LTXVGuider(model, positive, negative, schedule, MODES[0]))


class OldSTGGuiderNode(OldSTGGuider):
    NODE_ID = "STGGuiderNode"


class STGAdvancedPresets(Node):
    @classmethod
    def define_schema(cls):
        presets = io.Combo.Input("preset", options=[CUSTOM, *PACK_PRESETS], default="13b Balanced")
        return schema("STGAdvancedPresets", "LTXV Preset", [presets], [STGPresetType.Output()])

    @classmethod
    def execute(cls, preset):
        return io.NodeOutput(PACK_PRESETS.get(preset))


class STGGuiderAdvanced(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            *guider_inputs(),
            number("skip_steps_sigma_threshold", 0.998),
            io.Boolean.Input("cfg_star_rescale", default=True),
            io.String.Input("sigmas", default="1.0, 0.9933, 0.9850, 0.9767, 0.9008, 0.6180"),
            io.String.Input("cfg_values", default="8, 6, 6, 4, 3, 1"),
            io.String.Input("stg_scale_values", default="4, 4, 3, 2, 1, 0"),
            io.String.Input("stg_rescale_values", default="1, 1, 1, 1, 1, 1"),
            io.String.Input("stg_layers_indices", default="[29], [29], [29], [29], [29], [29]"),
            STGPresetType.Input("preset", optional=True),
            io.Boolean.Input("apply_apg", default=False, optional=True),
            number("apg_cfg_scale", 1.0, optional=True),
            number("eta", 1.0, -100.0, optional=True),
            number("norm_threshold", 0.0, optional=True),
        ]
        return schema("STGGuiderAdvanced", "STG Schedule Guider or LTXV Preset", inputs, [io.Guider.Output()])

    @classmethod
    def execute(
        cls,
        model,
        positive,
        negative,
        skip_steps_sigma_threshold,
        cfg_star_rescale,
        sigmas,
        cfg_values,
        stg_scale_values,
        stg_rescale_values,
        stg_layers_indices,
        preset=None,
        apply_apg=False,
        apg_cfg_scale=1.0,
        eta=1.0,
        norm_threshold=0.0,
    ):
        if apply_apg:
            raise ValueError(
                f"apply_apg is on (cfg {apg_cfg_scale:g}, eta {eta:g}, threshold {norm_threshold:g}); it never ran in "
                "ComfyUI-LTXVideo: turn it off and put ComfyUI's Adaptive Projected Guidance on the model"
            )
        schedule = preset or GuidanceSchedule.binned(
            parse_numbers(sigmas, "sigmas"),
            parse_numbers(cfg_values, "cfg_values"),
            parse_numbers(stg_scale_values, "stg_scale_values"),
            parse_numbers(stg_rescale_values, "stg_rescale_values"),
            parse_block_lists(stg_layers_indices),
            cfg_star_rescale,
            LOOKUP,
            skip_steps_sigma_threshold,
        )
        return io.NodeOutput(LTXVGuider(model, positive, negative, schedule, MODES[0]))


class APGGuider(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            *guider_inputs(),
            number("cfg_scale", 1.0),
            number("eta", 1.0, -100.0),
            number("norm_threshold", 0.0),
            number("momentum_coefficient", -0.9, -3.0, 3.0),
        ]
        return schema("APGGuider", "ComfyUI's Adaptive Projected Guidance with CFGGuider", inputs, [io.Guider.Output()])

    @classmethod
    def execute(cls, model, positive, negative, cfg_scale, eta, norm_threshold, momentum_coefficient):
        if momentum_coefficient != 0:
            log.info("APGGuider: momentum %g is not used, as in ComfyUI-LTXVideo", momentum_coefficient)
        scale = 1.0
        if cfg_scale != 1:
            # core adds cfg times the projection to the positive pass, the pack cfg - 1 times
            model, scale = APG.execute(model, eta, norm_threshold, 0.0).result[0], cfg_scale - 1
            model.disable_model_cfg1_optimization()
        guider = comfy.samplers.CFGGuider(with_exact_block(model))
        guider.set_conds(positive, negative)
        guider.set_cfg(scale)
        return io.NodeOutput(guider)


# --- guidance of LTX-2 -----------------------------------------------------------------------------------------------


class GuiderParameters(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Combo.Input("modality", options=["VIDEO", "AUDIO"]),
            number("cfg", 1.0),
            number("stg", 1.0),
            io.Boolean.Input("perturb_attn", default=True),
            number("rescale", 0.7, 0.0, 1.0),
            number("modality_scale", 0.0),
            io.Int.Input("skip_step", default=0, min=0, max=100),
            io.Boolean.Input("cross_attn", default=True),
            ParametersType.Input("parameters", optional=True),
        ]
        return schema("GuiderParameters", "LTX Guidance", inputs, [ParametersType.Output()])

    @classmethod
    def execute(cls, modality, cfg, stg, perturb_attn, rescale, modality_scale, skip_step, cross_attn, parameters=None):
        if not cross_attn:
            raise ValueError("cross_attn is off; sampling without cross-attention is not available: turn it on")
        values = {"cfg": cfg, "stg": stg if perturb_attn else 0.0, "rescale": rescale}
        values |= {"modality": modality_scale, "skip_step": skip_step}
        return io.NodeOutput({**(parameters or {}), modality: values})


class OldMultimodalGuider(Node):
    @classmethod
    def define_schema(cls):
        inputs = [*guider_inputs(), ParametersType.Input("parameters"), io.String.Input("skip_blocks", default="")]
        return schema("MultimodalGuider", "LTX Multimodal Guider", inputs, [io.Guider.Output()])

    @classmethod
    def execute(cls, model, positive, negative, parameters, skip_blocks):
        need_audio_video_model(model)
        need_prompts(model, positive=positive, negative=negative)
        blocks = whole_numbers(skip_blocks, "skip_blocks", "14, 28")
        levels = {}
        for modality in ("VIDEO", "AUDIO"):
            values = parameters.get(modality, {})
            if values.get("stg", 0) and not blocks:
                raise ValueError("skip_blocks is empty and stg is on: name a block such as 28, or set stg to 0")
            guidance = Guidance(stg_blocks=blocks, **values)
            need_blocks(model, "skip_blocks", tuple(guidance.perturbed_blocks))
            levels[modality] = constant(guidance)
        guider = MultimodalGuider(model, levels["VIDEO"], levels["AUDIO"])
        guider.set_conds(positive, negative)
        return io.NodeOutput(guider)


GUIDANCE: list[type[io.ComfyNode]] = [
    ApplySTG,
    OldSTGGuider,
    OldSTGGuiderNode,
    STGAdvancedPresets,
    STGGuiderAdvanced,
    APGGuider,
    GuiderParameters,
    OldMultimodalGuider,
]
