"""NOISE for LTX latents: drawn per modality from one seed, or given; it carries a start that differs from the content.

ComfyUI samplers start from sigma * noise + (1 - sigma) * samples. Where `oner_init` differs from `samples` (see
state.py), the noise makes up for it: noise + (1 - sigma) / sigma * (init - samples), for the first sigma of the run.
Without such a start the noise of a seed is that of ComfyUI's RandomNoise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...utils.core import need
from .state import need_one_batch, parts_of, start_offsets

_nested = need("comfy.nested_tensor", "NestedTensor")


class LatentNoise:
    """A NOISE object. `sigma` is the first of the schedule; it is needed only for a latent with a start of its own.

    `scales` are the noise levels of the start, one a modality, where they are not `sigma`.
    """

    def __init__(
        self,
        seed: int,
        sigma: float | None = None,
        *,
        scales: Sequence[float] | None = None,
        given: Sequence[Tensor] | None = None,
    ):
        self.seed = seed
        self.sigma = sigma
        self.scales = scales
        self.given = given

    def generate_noise(self, latent: dict) -> Tensor:
        """Noise in the layout of the latent's samples, float32 on the CPU."""
        need_one_batch(latent["samples"])
        parts = [part.cpu() for part in parts_of(latent["samples"])]
        shapes = [tuple(part.shape) for part in parts]
        noise = list(self.given or self._draw(shapes, latent.get("batch_index")))
        if [tuple(part.shape) for part in noise] != shapes:
            raise ValueError(f"noise has shapes {[tuple(part.shape) for part in noise]}, the latent {shapes}")
        offsets = start_offsets(latent)
        if offsets is not None and self.sigma == 0:
            raise ValueError("the sigmas of LTX Noise begin with 0, where there is no noise: let them begin above 0")
        if offsets is not None and self.sigma is None:
            raise ValueError(
                "the latent holds frames with a strength below 1, whose start differs from their content: "
                "connect the sigmas to LTX Noise"
            )
        for i, part in enumerate(parts):
            scale = self.sigma if self.scales is None else self.scales[i]
            if scale != self.sigma:
                # The sampler adds (1 - sigma) * samples to sigma * noise.
                noise[i] = noise[i] * (scale / self.sigma) + part * ((self.sigma - scale) / self.sigma)
            if offsets is not None:
                noise[i] = noise[i] + offsets[i].cpu() * ((1 - scale) / self.sigma)
        return noise[0] if len(noise) == 1 else _nested.NestedTensor(noise)

    def _draw(self, shapes: list[tuple[int, ...]], batch_index: Sequence[int] | None) -> list[Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        if batch_index is None:
            return [torch.randn(shape, generator=generator) for shape in shapes]
        drawn = []
        for shape in shapes:
            each = [torch.randn((1, *shape[1:]), generator=generator) for _ in range(max(batch_index) + 1)]
            drawn.append(torch.cat([each[index] for index in batch_index]))
        return drawn
