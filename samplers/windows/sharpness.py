"""Sharpness of frames as the energy of their finest band, and the unsharp mask that brings it to a target.

The band is what the blur of 1 4 6 4 1 takes away. Of sRGB code values; F frames, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...utils.colour import luma

KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
MOST = 0.4  # of the band that is added or taken away
NONE = 1e-9  # energy of what has no detail


@dataclass(frozen=True)
class Detail:
    """Energies a pixel of the band x, of the band of the band y, and of both together: that of x + a y is known."""

    band: float
    both: float
    twice: float

    def energy(self, amount: float) -> float:
        """Of the band after an unsharp mask."""
        return self.band + 2 * amount * self.both + amount**2 * self.twice


def fine_band(frame: Tensor) -> Tensor:
    """[C, H, W] less its blur; borders are repeated."""
    blurred = frame
    for axis, padding in ((-1, (2, 2, 0, 0)), (-2, (0, 0, 2, 2))):
        padded = F.pad(blurred[None], padding, mode="replicate")[0]
        blurred = sum(weight * padded.narrow(axis, k, frame.shape[axis]) for k, weight in enumerate(KERNEL))
    return frame - blurred


def detail(frames: Tensor) -> Detail:
    """Of the luma of frames [F, H, W, 3]."""
    sums = torch.zeros(3, dtype=torch.float64)
    for frame in frames:
        band = fine_band(luma(frame.float())[None])
        again = fine_band(band)
        sums += torch.stack([(x * y).mean().cpu().double() for x, y in ((band, band), (band, again), (again, again))])
    return Detail(*(sums / len(frames)).tolist())


def unsharp(frames: Tensor, amount: float) -> Tensor:
    """Frames [F, H, W, 3] with `amount` of their finest band more; less of it below 0."""
    if not amount:
        return frames
    return torch.stack(
        [(frame + amount * fine_band(frame.movedim(-1, 0)).movedim(0, -1)).clamp(0, 1) for frame in frames]
    )


def amount_for(given: Detail, energy: float) -> float:
    """The amount within -0.4..0.4, to three digits, after which the band has an energy, or comes nearest to it."""
    if given.band < NONE:
        return 0.0
    low, high = -MOST, MOST
    if given.energy(low) >= energy:
        return low
    if given.energy(high) <= energy:
        return high
    for _ in range(40):  # the energy rises with the amount
        middle = (low + high) / 2
        low, high = (middle, high) if given.energy(middle) < energy else (low, middle)
    return round(low, 3)
