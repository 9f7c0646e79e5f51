"""RIFLEx: one temporal frequency slowed down so that long videos do not repeat themselves.

Source: RIFLEx (arXiv 2502.15894) as in VideoX-Fun wan_transformer3d.py:80-140 (commit 804a425), which divides by
4.886; the paper and KJNodes do not. Entry k - 1 of the temporal frequencies becomes 0.9 * 2 pi / latent frames /
divisor.
"""

from __future__ import annotations

import math

import comfy.model_management
import torch
from torch import Tensor, nn

from ..utils.core import need

rope = need("comfy.ldm.flux.math", "rope").rope

DIVISORS = {"VideoX-Fun": 4.886, "paper": 1.0}


def latent_frames_of(length: int) -> int:
    """Latent frames of 4k + 1 pixel frames; ValueError for other lengths."""
    if length % 4 != 1:
        raise ValueError(
            f"length is {length}; Wan needs 4k+1 frames: use {length // 4 * 4 + 1} or {length // 4 * 4 + 5}"
        )
    return (length - 1) // 4 + 1


def temporal_frequencies(dim: int, theta: float, latent_frames: int, k: int, divide_by: float) -> Tensor:
    """Frequencies [dim / 2] in float64, entry k - 1 replaced; k from 1."""
    if not 1 <= k <= dim // 2:
        raise ValueError(f"k is {k}; this model has temporal frequencies 1 to {dim // 2}")
    frequencies = theta ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    frequencies[k - 1] = 0.9 * 2 * math.pi / latent_frames / divide_by
    return frequencies


class RiflexEmbedder(nn.Module):
    """Takes the place of a Wan model's `rope_embedder`; holds no tensors, so it works on any device."""

    def __init__(self, embedder: nn.Module, latent_frames: int, k: int, divide_by: float):
        super().__init__()
        self.dim, self.theta, self.axes_dim = embedder.dim, embedder.theta, list(embedder.axes_dim)
        self.latent_frames, self.k, self.divide_by = latent_frames, k, divide_by
        temporal_frequencies(self.axes_dim[0], self.theta, latent_frames, k, divide_by)  # refuses a k out of range

    def forward(self, ids: Tensor) -> Tensor:
        """Rotations [B, 1, N, D / 2, 2, 2] of position ids [B, N, 3], as ComfyUI's EmbedND gives them."""
        frequencies = temporal_frequencies(self.axes_dim[0], self.theta, self.latent_frames, self.k, self.divide_by)
        device = ids.device if comfy.model_management.supports_fp64(ids.device) else torch.device("cpu")
        angle = ids[..., 0, None].to(device=device, dtype=torch.float64) * frequencies.to(device)
        cos, sin = angle.cos(), angle.sin()
        temporal = torch.stack([cos, -sin, sin, cos], dim=-1).unflatten(-1, (2, 2)).to(ids.device, torch.float32)
        spatial = [rope(ids[..., axis], self.axes_dim[axis], self.theta) for axis in (1, 2)]
        return torch.cat([temporal, *spatial], dim=-3).unsqueeze(1)
