"""Film grain: seeded noise on each frame, coarser in red and blue as on film."""

from __future__ import annotations

import torch
from torch import Tensor

CHANNELS = (2.0, 1.0, 3.0)  # strength of red, green and blue


def add_grain(images: Tensor, intensity: float, saturation: float, seed: int) -> Tensor:
    """Images [F, H, W, 3] with grain of deviation `intensity` in green; at `saturation` 0 all channels have green's."""
    generator = torch.Generator().manual_seed(seed)
    strengths = torch.tensor(CHANNELS)
    out = torch.empty_like(images[..., :3])
    for frame, image in enumerate(images[..., :3]):
        grain = torch.randn(image.shape, generator=generator) * strengths
        grain = torch.lerp(grain[..., 1:2].expand_as(grain), grain, saturation)
        out[frame] = (image + intensity * grain.to(image)).clamp(0, 1)
    return out
