"""Statistics of latents: AdaIN, normalisation to a target, and tone-map compression.

AdaIN and tone map: LTX-Video 0.9.8; statistical normalisation: the same affine map towards constants, with the spread
measured inside a central percentile band. A channel without spread keeps its mean instead of turning into NaN.
Shapes: B batch, C channels, T latent frames, H W latent rows and columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

TONE_MAP_SCALE = 0.75  # compression 1 uses this part of the range of the formula


def match_statistics(latent: Tensor, reference: Tensor, factor: float = 1.0, per_frame: bool = False) -> Tensor:
    """AdaIN: mix `latent` with its map onto mean and std of `reference`, per sample and channel.

    Both [B, C, T, H, W] with equal B and C; `factor` 0 gives the latent, 1 the mapped one. With `per_frame` every frame
    has its own statistics; a reference of one frame then serves all.
    """
    dims = _dims(latent, per_frame)
    mean, std = reference.mean(dims, keepdim=True), reference.std(dims, keepdim=True)
    return match_moments(latent, mean, std, factor, per_frame)


def match_moments(
    latent: Tensor, mean: Tensor, std: Tensor, factor: float | Tensor = 1.0, per_frame: bool = False
) -> Tensor:
    """AdaIN towards a mean and std that broadcast to `latent`; a `factor` [T, 1, 1] gives each frame its own."""
    dims = _dims(latent, per_frame)
    mapped = (latent - latent.mean(dims, keepdim=True)) / _divisor(latent, dims) * std + mean
    return torch.lerp(latent, mapped, factor)


def normalise(
    latent: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    percentile: float = 95.0,
    factor: float = 1.0,
    clip: bool = False,
) -> Tensor:
    """Map each sample and channel of [B, C, ...] to a mean and std measured within the central `percentile` percent.

    `clip` also clamps the outliers to the edges of the band; `factor` mixes original (0) and result (1).
    """
    flat = latent.flatten(2).float()  # [B, C, T*H*W]
    tail = (100.0 - percentile) / 200.0
    low, high = (torch.quantile(flat, q, dim=2, keepdim=True) for q in (tail, 1.0 - tail))
    inside = (flat >= low) & (flat <= high)
    count = inside.sum(2, keepdim=True)
    centre = (flat * inside).sum(2, keepdim=True) / count
    spread = (((flat - centre) * inside).square().sum(2, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
    scale = std / torch.where(spread > 0, spread, 1.0)
    source = flat.clamp(low, high) if clip else flat
    mapped = (source - centre) * scale + mean
    return torch.lerp(flat, mapped, factor).reshape(latent.shape).to(latent.dtype)


def compress_tones(latent: Tensor, compression: float) -> Tensor:
    """Draw large values towards zero: x * (1 - 0.8 q sigmoid(4 q (|x| - 1))) with q = 0.75 * compression in [0, 1]."""
    q = TONE_MAP_SCALE * compression
    return latent * (1.0 - 0.8 * q * torch.sigmoid(4.0 * q * (latent.abs() - 1.0)))


def _dims(latent: Tensor, per_frame: bool) -> tuple[int, ...]:
    return tuple(range(3 if per_frame else 2, latent.ndim))


def _divisor(latent: Tensor, dims: tuple[int, ...]) -> Tensor:
    std = latent.std(dims, keepdim=True)
    return torch.where(std > 0, std, 1.0)
