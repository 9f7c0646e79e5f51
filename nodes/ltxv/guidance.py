"""Guiders of LTX-Video 0.9.x, and its pipeline configurations."""

from __future__ import annotations

import re

import torch
from comfy_api.latest import io

from ...ltx.ltxv import presets as ltxv_presets
from ...ltx.ltxv.guidance import LOOKUPS, GuidanceSchedule
from ...ltx.ltxv.guider import LTXVGuider
from ...ltx.ltxv.sampler import sample_ltxv
from ...ltx.ltxv.stg import MODES
from ...ltx.schedules import shifted_sigmas
from ...samplers.fitting import FittingSampler
from ...utils.latents import video_part
from ...utils.numbers import parse_numbers, whole_numbers
from ..node import Node

MODE_TOOLTIP = (
    "what the perturbed pass does in its blocks. attention values: attention returns its values (the pipelines' mode); "
    "attention skip: it returns its input; transformer block: the block is skipped; residual: changes nothing, as in "
    "the official network"
)


def parse_block_lists(text: str) -> list[tuple[int, ...]]:
    """'[11, 25], [28], []' -> [(11, 25), (28,), ()]; brackets around the whole are accepted."""
    lists = re.findall(r"\[([^\[\]]*)\]", text)
    rest = re.sub(r"\[[^\[\]]*\]", "", text)
    if not lists or rest.strip(" ,[]"):
        raise ValueError(f"blocks is '{text}'; write one list for each sigma, e.g. [11, 25], [28], []")
    return [whole_numbers(item, "blocks", "[11, 25], [28]") for item in lists]


def constant_schedule(cfg: float, stg: float, rescale: float, blocks: tuple[int, ...], cfg_star: bool):
    """The same scales at every step; STG without a block to perturb is refused."""
    if stg > 0 and not blocks:
        raise ValueError(f"stg is {stg:g} and blocks is empty: name a block to perturb, or set stg to 0")
    return GuidanceSchedule.constant(cfg, stg, rescale, blocks, cfg_star)


MODEL = io.Model.Input("model", tooltip="LTX-Video 0.9.x (2B or 13B)")
POSITIVE = io.Conditioning.Input("positive", tooltip="prompt, with its frame rate (LTXVConditioning)")
NEGATIVE = io.Conditioning.Input("negative", tooltip="what to avoid; only computed at steps whose cfg is above 1")
GUIDER = io.Guider.Output(display_name="guider", tooltip="for SamplerCustomAdvanced")
CFG_STAR = io.Boolean.Input(
    "cfg_star_rescale",
    default=False,
    advanced=True,
    tooltip="scale the negative pass by its projection on the positive one before CFG; on in the 13B dev pipeline",
)
MODE = io.Combo.Input("mode", options=list(MODES), default=MODES[0], advanced=True, tooltip=MODE_TOOLTIP)


class STGGuider(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerSTGGuider",
            display_name="STG Guider",
            category="Oner/guiders",
            description="CFG and spatio-temporal guidance for LTX-Video 0.9.x with the reference's numbers. All passes "
            "of a step run as one batch.",
            search_aliases=["STGGuider", "spatiotemporal guidance", "skip layer", "perturbed", "LTXVApplySTG"],
            inputs=[
                MODEL,
                POSITIVE,
                NEGATIVE,
                io.Float.Input(
                    "cfg",
                    default=3.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="strength of the prompt against the negative one; at 1 or below CFG is off",
                ),
                io.Float.Input(
                    "stg",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="strength against the perturbed pass; 0 = off",
                ),
                io.Float.Input(
                    "rescale",
                    default=0.7,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="how far the result is brought back to the contrast of the positive pass; 0 and 1 = off; "
                    "acts only where stg is above 0",
                ),
                io.String.Input(
                    "blocks", default="19", tooltip="transformer blocks to perturb, e.g. 14, 19; 2B: 0..27, 13B: 0..47"
                ),
                MODE,
                CFG_STAR,
            ],
            outputs=[GUIDER],
        )

    @classmethod
    def execute(cls, model, positive, negative, cfg, stg, rescale, blocks, mode=MODES[0], cfg_star_rescale=False):
        schedule = constant_schedule(cfg, stg, rescale, whole_numbers(blocks, "blocks", "14, 19"), cfg_star_rescale)
        return io.NodeOutput(LTXVGuider(model, positive, negative, schedule, mode))


class STGScheduleGuider(Node):
    @classmethod
    def define_schema(cls):
        dev = ltxv_presets.DEV_FIRST

        def listed(name: str) -> str:
            return ", ".join(f"{getattr(entry, name):g}" for entry in dev.entries)

        return io.Schema(
            node_id="OnerSTGScheduleGuider",
            display_name="STG Schedule Guider",
            category="Oner/guiders",
            description="CFG and spatio-temporal guidance for LTX-Video 0.9.x with scales that follow the noise level, "
            "whatever the number of steps.",
            search_aliases=["STGGuiderAdvanced", "dynamic guidance", "sigma schedule", "CFG schedule"],
            inputs=[
                MODEL,
                POSITIVE,
                NEGATIVE,
                io.String.Input(
                    "sigmas",
                    default=", ".join(f"{sigma:g}" for sigma in dev.sigmas),
                    tooltip="noise levels from high to low (0..1), one for each entry of the lists below",
                ),
                io.String.Input("cfg", default=listed("cfg"), tooltip="CFG scale at each noise level; 1 = off"),
                io.String.Input("stg", default=listed("stg"), tooltip="STG scale at each noise level; 0 = off"),
                io.String.Input(
                    "rescale",
                    default=listed("rescale"),
                    tooltip="rescale at each noise level (0..1); with the reference lookup 1 = off, else 1 = full",
                ),
                io.String.Input(
                    "blocks",
                    default=", ".join(str(list(entry.blocks)) for entry in dev.entries),
                    tooltip="blocks to perturb at each noise level, e.g. [11, 25], [28], []",
                ),
                MODE,
                CFG_STAR,
                io.Combo.Input(
                    "lookup",
                    options=list(LOOKUPS),
                    default=LOOKUPS[0],
                    advanced=True,
                    tooltip="reference: an entry holds from its sigma upwards, velocities are combined. "
                    "pack-compatible: an entry holds below its sigma, x0 is combined, as in ComfyUI-LTXVideo",
                ),
                io.Float.Input(
                    "skip_above",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="pack-compatible only: steps above this sigma take x0 as zero; 1 = none",
                ),
            ],
            outputs=[GUIDER],
        )

    @classmethod
    def execute(
        cls,
        model,
        positive,
        negative,
        sigmas,
        cfg,
        stg,
        rescale,
        blocks,
        mode=MODES[0],
        cfg_star_rescale=False,
        lookup=LOOKUPS[0],
        skip_above=1.0,
    ):
        if skip_above < 1 and lookup == "reference":
            raise ValueError(f"skip_above is {skip_above:g}, which the reference has not: set it to 1")
        numbers = (parse_numbers(text, name) for text, name in ((cfg, "cfg"), (stg, "stg"), (rescale, "rescale")))
        schedule = GuidanceSchedule.binned(
            parse_numbers(sigmas, "sigmas"), *numbers, parse_block_lists(blocks), cfg_star_rescale, lookup, skip_above
        )
        return io.NodeOutput(LTXVGuider(model, positive, negative, schedule, mode))


class LTXVPreset(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXVPreset",
            display_name="LTXV Preset",
            category="Oner/guiders",
            description="Guider, sampler and sigmas of an LTX-Video 0.9.x pipeline, so that they belong together.",
            search_aliases=["STGAdvancedPresets", "13B dev", "13B distilled", "2B", "multi-scale", "LTX-Video 0.9.8"],
            inputs=[
                MODEL,
                POSITIVE,
                NEGATIVE,
                io.Combo.Input("preset", options=list(ltxv_presets.PRESETS), tooltip="the model that is loaded"),
                io.Combo.Input(
                    "stage",
                    options=list(ltxv_presets.STAGES),
                    tooltip="first pass: from noise, at the small size; second pass: from the upsampled latent; single "
                    "pass: all steps at one size",
                ),
                io.Combo.Input(
                    "lookup",
                    options=list(LOOKUPS),
                    default=LOOKUPS[0],
                    advanced=True,
                    tooltip="reference: as the 0.9.8 pipeline chooses guidance for a noise level; pack-compatible: as "
                    "ComfyUI-LTXVideo does, with its numbers where it has a preset for the model",
                ),
                MODE,
                io.Float.Input(
                    "image_noise",
                    default=ltxv_presets.IMAGE_NOISE_SCALE,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="noise on frames given with strength 1, times sigma squared, drawn anew at each step; more "
                    "= more motion; 0 = off; no effect without given frames",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="sets the schedule of the 2B dev models, which depends on the size; others do not use it",
                ),
            ],
            outputs=[
                GUIDER,
                io.Sampler.Output(display_name="sampler", tooltip="Euler steps with a time for each token"),
                io.Sigmas.Output(display_name="sigmas", tooltip="noise levels of the stage, ending in 0"),
            ],
        )

    @classmethod
    def execute(
        cls,
        model,
        positive,
        negative,
        preset,
        stage,
        lookup=LOOKUPS[0],
        mode=MODES[0],
        image_noise=ltxv_presets.IMAGE_NOISE_SCALE,
        latent=None,
    ):
        chosen = ltxv_presets.PRESETS[preset]
        if stage not in chosen.stages:
            raise ValueError(f"{preset} has no {stage}: choose {' or '.join(chosen.stages)}")
        run = chosen.stages[stage]
        guidance = run.guidance if lookup == "reference" else ltxv_presets.pack_guidance(run)
        guider = LTXVGuider(model, positive, negative, guidance, mode)
        options = {"image_noise_scale": image_noise, "stochastic": chosen.stochastic}
        if run.sigmas is None:
            size = {} if latent is None else {"tokens": video_part(latent["samples"]).shape[2:].numel()}
            sigmas = shifted_sigmas(run.steps, **size)
        else:
            sigmas = torch.tensor([*run.sigmas, 0.0])
        return io.NodeOutput(guider, FittingSampler(sample_ltxv, options), sigmas)
