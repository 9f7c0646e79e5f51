"""Which noise level parts Wan 2.2's high- and low-noise experts, read from the model, and the phases of a run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..samplers.phase_guider import check_falling
from .checks import need_wan
from .schedules import BOUNDARIES


def trained_boundary(model: Any) -> float:
    """0.875 for text to video and VACE, 0.900 for image to video and Fun; ValueError for other families."""
    diffusion = model.model.diffusion_model
    if not hasattr(diffusion, "patch_embedding"):
        raise ValueError(
            f"the model is a {type(model.model).__name__}, which has no trained boundary: set the threshold, or use 1 "
            "phase"
        )
    extra = diffusion.patch_embedding.weight.shape[1] - model.model.latent_format.latent_channels
    return BOUNDARIES["image to video, Fun" if extra else "text to video, VACE"]


def check_pair(high: Any, low: Any) -> None:
    """Refuse two models that cannot be experts of one pair."""
    need_wan(high, "model_high")
    need_wan(low, "model_low")
    shapes = [tuple(model.model.diffusion_model.patch_embedding.weight.shape) for model in (high, low)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"model_high takes {shapes[0][1]} channels at width {shapes[0][0]} and model_low {shapes[1][1]} at "
            f"{shapes[1][0]}: load the two experts of one pair"
        )


def fill_thresholds(model: Any, given: tuple[float, ...], phases: int) -> tuple[float, ...]:
    """The noise levels at which phases 2 and 3 begin; a 0 stands for the trained boundary. ValueError if they rise."""
    levels = tuple(value or trained_boundary(model) for value in given[: phases - 1])
    check_falling(levels)
    return levels


@dataclass(frozen=True)
class ExpertPhases:
    """The phases of a run: how many, where phases 2 and 3 begin, and which one the low-noise expert begins with.

    Thresholds are noise levels, 0 to 1; 0 stands for the trained boundary of the pair, which only the model knows.
    """

    phases: int = 2
    threshold_1: float = 0.0
    threshold_2: float = 0.0
    low_from: int = 2  # from 1

    def thresholds(self, model: Any) -> tuple[float, ...]:
        """The noise levels below which phases 2 and 3 begin in a run of `model`, one fewer than phases."""
        return fill_thresholds(model, (self.threshold_1, self.threshold_2), self.phases)

    def describe(self) -> str:
        """A line for each phase: its noise levels, and the expert that runs in it."""
        if self.phases == 1:
            return "phase 1: from 1 to 0, one model"
        given = (self.threshold_1, self.threshold_2)[: self.phases - 1]
        levels = ["1", *(f"{value:g}" if value else "the trained boundary of the pair" for value in given), "0"]
        return "\n".join(
            f"phase {n}: from {start} to {end}, {'low' if n >= self.low_from else 'high'}-noise expert"
            for n, (start, end) in enumerate(pairwise(levels), 1)
        )
