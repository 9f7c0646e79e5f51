"""Rotary tables for blocks at any distance from the start of a take.

Core builds positions in the model's dtype (comfy/ldm/wan/model.py rope_encode), so in bfloat16 frames beyond 256 share
a position. Angles here are float64 and the cosines float32. A head of d channels is split t | h | w as Wan does.
F frames, h w token rows and columns, N = F h w tokens, P = d / 2 channel pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

THETA = 10000.0


def axis_pairs(head_dim: int) -> tuple[int, int, int]:
    """Channel pairs of a head that carry time, row and column."""
    spatial = head_dim // 6
    return head_dim // 2 - 2 * spatial, spatial, spatial


def rotations(positions: Sequence[float], pairs: int) -> Tensor:
    """Rotation matrices [positions, pairs, 2, 2] float32 of one axis, from float64 angles."""
    exponents = torch.linspace(0, (2 * pairs - 2) / (2 * pairs), pairs, dtype=torch.float64)
    angles = torch.tensor(positions, dtype=torch.float64)[:, None] / THETA**exponents
    cos, sin = angles.cos(), angles.sin()
    return rearrange(torch.stack([cos, -sin, sin, cos]), "(i j) n p -> n p i j", i=2).float()


class RopeTables:
    """Rotary tables of one resolution; the spatial part stays on the device, a block adds its few temporal angles."""

    def __init__(self, head_dim: int, rows: int, columns: int, device: torch.device):
        self.time_pairs, row_pairs, column_pairs = axis_pairs(head_dim)
        row = rotations(range(rows), row_pairs)[:, None].expand(-1, columns, -1, -1, -1)
        column = rotations(range(columns), column_pairs)[None].expand(rows, -1, -1, -1, -1)
        self.spatial = rearrange(torch.cat([row, column], dim=2), "h w p i j -> (h w) p i j").to(device)
        self.device = device
        self.last: tuple[tuple[float, ...], Tensor] | None = None

    def at(self, positions: Sequence[float]) -> Tensor:
        """The table [1, N, 1, P, 2, 2] of a block whose frames stand at these temporal positions."""
        if self.last is None or self.last[0] != tuple(positions):  # all forwards of a block share one
            self.last = tuple(positions), self.make(positions)
        return self.last[1]

    def make(self, positions: Sequence[float]) -> Tensor:
        time = rotations(positions, self.time_pairs).to(self.device)  # [F, time pairs, 2, 2]
        tokens = self.spatial.shape[0]
        time = time[:, None].expand(-1, tokens, -1, -1, -1)
        spatial = self.spatial[None].expand(len(positions), -1, -1, -1, -1)
        return rearrange(torch.cat([time, spatial], dim=2), "f s p i j -> 1 (f s) 1 p i j")

    def shift(self, frames: float) -> Tensor:
        """The table [1, 1, 1, P, 2, 2] that moves keys by a number of frames and leaves their rows and columns."""
        time = rotations([frames], self.time_pairs).to(self.device)
        still = torch.eye(2, device=self.device).expand(1, self.spatial.shape[1], 2, 2)
        return torch.cat([time, still], dim=1)[None, None]
