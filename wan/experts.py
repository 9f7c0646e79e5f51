"""Which noise level parts Wan 2.2's high- and low-noise experts, read from the model."""

from __future__ import annotations

from typing import Any

from .schedules import BOUNDARIES


def trained_boundary(model: Any) -> float:
    """0.875 for text to video and VACE, 0.900 for image to video and Fun; ValueError for other families."""
    diffusion = model.model.diffusion_model
    if not hasattr(diffusion, "patch_embedding"):
        raise ValueError(
            f"the model is a {type(model.model).__name__}, which has no trained boundary: "
            "set the threshold, or use 1 phase"
        )
    extra = diffusion.patch_embedding.weight.shape[1] - model.model.latent_format.latent_channels
    return BOUNDARIES["image to video, Fun" if extra else "text to video, VACE"]


def check_pair(high: Any, low: Any) -> None:
    """Refuse two models that cannot be experts of one pair."""
    shapes = [tuple(model.model.diffusion_model.patch_embedding.weight.shape) for model in (high, low)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"model_high takes {shapes[0][1]} channels at width {shapes[0][0]} and model_low {shapes[1][1]} at "
            f"{shapes[1][0]}: load the two experts of one pair"
        )


def fill_thresholds(model: Any, given: tuple[float, ...], phases: int) -> tuple[float, ...]:
    """The noise levels at which phases 2 and 3 begin; a 0 stands for the trained boundary."""
    return tuple(value or trained_boundary(model) for value in given[: phases - 1])
