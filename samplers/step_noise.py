"""Noise of stochastic steps, drawn per modality in token layout from CPU generators: video before audio."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..utils.tokens import from_tokens, to_tokens
from .packed import pack, unpack


def standardise(noise: Tensor) -> Tensor:
    """Noise [B, N, D] with mean 0 and deviation 1 over all of it, then over each sample."""
    noise = (noise - noise.mean()) / noise.std()
    return (noise - noise.mean(dim=(1, 2), keepdim=True)) / noise.std(dim=(1, 2), keepdim=True)


class SeededNoise:
    """Each call gives the next packed noise for latents of `shapes`; filler tokens get none."""

    def __init__(
        self,
        seed: int,
        shapes: Sequence[Sequence[int]],
        fillers: Tensor | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        standard: bool = False,
    ):
        self.generator = torch.Generator().manual_seed(seed)
        self.shapes = shapes
        self.real = None if fillers is None else [~to_tokens(part)[0, :, 0].cpu() for part in unpack(fillers, shapes)]
        self.dtype = dtype
        self.standard = standard

    def __call__(self, _step: int) -> Tensor:
        return pack([self._draw(index) for index in range(len(self.shapes))])

    def _draw(self, index: int) -> Tensor:
        shape = self.shapes[index]
        tokens = to_tokens(torch.empty(shape, device="meta")).shape
        real = torch.ones(tokens[1], dtype=torch.bool) if self.real is None else self.real[index]
        noise = torch.randn(tokens[0], int(real.sum()), tokens[2], generator=self.generator, dtype=self.dtype)
        if self.standard:
            noise = standardise(noise)
        full = torch.zeros(tokens, dtype=self.dtype)
        full[:, real] = noise
        return from_tokens(full, shape)


class GivenNoise:
    """Noise that was recorded: a packed tensor a step."""

    def __init__(self, steps: Sequence[Tensor]):
        self.steps = steps

    def __call__(self, step: int) -> Tensor:
        return self.steps[step]
