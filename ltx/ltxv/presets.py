"""Guidance and schedules of LTX-Video 0.9.x as data: the reference configurations and the peer pack's five presets.

Source: the configuration files of LTX-Video 0.9.8, and the preset table of ComfyUI-LTXVideo ("pack" below), which is
another set of numbers for the same models. Block numbers: 0..47 for 13B, 0..27 for 2B.
"""

from __future__ import annotations

from dataclasses import dataclass

from .guidance import GuidanceSchedule
from .schedules import linear_quadratic

DECODE_TIMESTEP, DECODE_NOISE_SCALE = 0.05, 0.025
IMAGE_NOISE_SCALE = 0.15
DOWNSCALE_FACTOR = 0.6666666


STAGES = FIRST, SECOND, SINGLE = "first pass", "second pass", "single pass"


@dataclass(frozen=True)
class Stage:
    """One sampling run: its noise levels without the final 0, its guidance, and the pack's preset for it.

    Without `sigmas`, the schedule is the token-dependent one with `steps` steps.
    """

    sigmas: tuple[float, ...] | None
    guidance: GuidanceSchedule
    pack: str
    tone_map: float = 0.0
    steps: int = 0


@dataclass(frozen=True)
class Preset:
    """A pipeline configuration: one stage, or the two of multi-scale. `stochastic`: step to x0 and noise again."""

    stages: dict[str, Stage]
    stochastic: bool = False


DISTILLED_FIRST = (1.0, 0.9937, 0.9875, 0.9812, 0.9750, 0.9094, 0.7250)
DISTILLED_SECOND = (0.9094, 0.7250, 0.4219)

DEV_FIRST = GuidanceSchedule.binned(
    sigmas=(1.0, 0.996, 0.9933, 0.9850, 0.9767, 0.9008, 0.6180),
    cfg=(1, 1, 6, 8, 6, 1, 1),
    stg=(0, 0, 4, 4, 4, 2, 1),
    rescale=(1, 1, 0.5, 0.5, 1, 1, 1),
    blocks=((), (11, 25, 35, 39), (22, 35, 39), (28,), (28,), (28,), (28,)),
    cfg_star=True,
)
DEV_SECOND = GuidanceSchedule.constant(1.0, 1.0, 1.0, (27,), cfg_star=True)

NEUTRAL = GuidanceSchedule.constant(1.0, 0.0, 1.0, (42,))

PRESETS: dict[str, Preset] = {
    "13B 0.9.8 dev": Preset(
        {
            FIRST: Stage(linear_quadratic(30)[:-3], DEV_FIRST, "13b Dynamic"),
            SECOND: Stage(linear_quadratic(30)[17:], DEV_SECOND, "13b Upscale"),
        }
    ),
    "13B 0.9.8 distilled": Preset(
        {
            FIRST: Stage(DISTILLED_FIRST, NEUTRAL, "13b Distilled"),
            SECOND: Stage(DISTILLED_SECOND, NEUTRAL, "13b Distilled", tone_map=0.6),
        }
    ),
    "2B 0.9.8 distilled": Preset(
        {
            FIRST: Stage(DISTILLED_FIRST, NEUTRAL, "13b Distilled"),
            SECOND: Stage(DISTILLED_SECOND, NEUTRAL, "13b Distilled"),
        }
    ),
    # The files of the older 2B models leave the schedule to the checkpoint: inferred here, the numbers are theirs.
    "2B 0.9 to 0.9.6 dev": Preset(
        {SINGLE: Stage(None, GuidanceSchedule.constant(3.0, 1.0, 0.7, (19,)), "2b", steps=40)}
    ),
    "2B 0.9.6 distilled": Preset({SINGLE: Stage(linear_quadratic(8), NEUTRAL, "13b Distilled")}, stochastic=True),
}

# The pack selects by other keys, counts rescale 1 as full, and works on x0; see guidance.py.
_PACK_SIGMAS = (1.0, 0.9933, 0.9850, 0.9767, 0.9008, 0.6180)


def _pack(cfg, stg, rescale, blocks, skip_above, sigmas=_PACK_SIGMAS) -> GuidanceSchedule:
    return GuidanceSchedule.binned(
        sigmas, cfg, stg, rescale, blocks, cfg_star=True, lookup="pack-compatible", skip_above=skip_above
    )


PACK_PRESETS: dict[str, GuidanceSchedule] = {
    "13b Dynamic": _pack(
        (1, 6, 8, 6, 1, 1),
        (0, 4, 4, 4, 2, 1),
        (1, 0.5, 0.5, 1, 1, 1),
        ((11, 25, 35, 39), (22, 35, 39), (28,), (28,), (28,), (28,)),
        0.997,
    ),
    "13b Balanced": _pack(
        (1, 6, 8, 6, 1, 1), (0, 4, 4, 4, 2, 1), (1, 0.5, 0.5, 1, 1, 1), ((12,), (12,), (5,), (5,), (28,), (29,)), 0.998
    ),
    "13b Upscale": _pack((1,) * 6, (1,) * 6, (1,) * 6, ((42,),) * 6, 0.997),
    "13b Distilled": _pack((1,), (0,), (1,), ((25,),), 0.997, sigmas=(1.0,)),
    "2b": _pack((4, 4, 4, 4, 1, 1), (2, 2, 2, 2, 1, 0), (1,) * 6, ((14,),) * 6, 0.997),
}


def pack_guidance(stage: Stage) -> GuidanceSchedule:
    """What the pack's graphs use where the pipeline uses `stage`."""
    return PACK_PRESETS[stage.pack]
