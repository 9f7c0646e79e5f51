"""Defaults of the LTX-2 generations: guidance, steps, image compression, sizes, in one table.

Source: ltx-pipelines constants, August 2026. "HQ" are the settings of the two-stage HQ pipeline (Res2s) of LTX-2.3.
LTX-2.5: diffusers 0.42.1, whose LTX-2 pipelines have one set of defaults for 2.3 and 2.5 and another CRF of images;
sizes of ComfyUI's template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .guidance import Guidance


@dataclass(frozen=True)
class Preset:
    """One generation. steps: of the full model; sizes: (width, height) in pixels."""

    video: Guidance
    audio: Guidance
    steps: int
    first_stage_size: tuple[int, int]
    size: tuple[int, int]
    length: int = 121
    fps: float = 24.0


def _guided(block: int) -> dict[str, Any]:
    shared: dict[str, Any] = {"stg": 1.0, "stg_blocks": (block,), "rescale": 0.7, "modality": 3.0}
    return {"video": Guidance(cfg=3.0, **shared), "audio": Guidance(cfg=7.0, **shared)}


IMAGE_CRF, IMAGE_CRF_2_5 = 33, 18  # of conditioning images, for all generations up to 2.3, and from 2.5 on

PRESETS: dict[str, Preset] = {
    "LTX-2": Preset(**_guided(29), steps=40, first_stage_size=(768, 512), size=(1536, 1024)),
    "LTX-2.3": Preset(**_guided(28), steps=30, first_stage_size=(768, 512), size=(1536, 1024)),
    "LTX-2.3 HQ": Preset(
        video=Guidance(cfg=3.0, rescale=0.45, modality=3.0),
        audio=Guidance(cfg=7.0, rescale=1.0, modality=3.0),
        steps=15,
        first_stage_size=(960, 544),
        size=(1920, 1088),
    ),
    "LTX-2.5": Preset(**_guided(28), steps=30, first_stage_size=(640, 352), size=(1280, 704)),
}

NEGATIVE_AUDIO = ("negative prompt", "positive prompt")


def generation_of(network) -> str:
    """The generation of an LTX-2 diffusion model: 2.3 modulates its text attention, 2.5 marks keyframes as well."""
    if getattr(network, "keyframes_abs_pos_embedding", None) is not None:
        return "LTX-2.5"
    return "LTX-2.3" if network.cross_attention_adaln else "LTX-2"
