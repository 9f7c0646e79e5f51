"""Guidance per modality: classifier-free, perturbed attention (STG) and modality isolation, with rescale.

g = c + (cfg - 1)(c - n) + stg (c - p) + (modality - 1)(c - i), then g * (r * std(c) / std(g) + 1 - r).
c, n, p, i: x0 of the positive, negative, perturbed and isolated pass. Source: ltx-core MultiModalGuider.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

POSITIVE, NEGATIVE, PERTURBED, ISOLATED = "positive", "negative", "perturbed", "isolated"


@dataclass(frozen=True)
class Guidance:
    """Guidance of one modality. Neutral as it is: only the positive pass is needed."""

    cfg: float = 1.0
    stg: float = 0.0
    stg_blocks: tuple[int, ...] = ()
    rescale: float = 0.0
    modality: float = 1.0
    skip_step: int = 0

    @property
    def passes(self) -> set[str]:
        """The passes that have an effect."""
        scales = {NEGATIVE: self.cfg - 1, PERTURBED: self.stg, ISOLATED: self.modality - 1}
        return {POSITIVE} | {name for name, scale in scales.items() if not math.isclose(scale, 0, abs_tol=1e-8)}

    @property
    def perturbed_blocks(self) -> frozenset[int]:
        return frozenset(self.stg_blocks) if PERTURBED in self.passes else frozenset()

    def skips(self, step: int) -> bool:
        """Whether the step is not evaluated: of skip_step + 1 steps only the first is."""
        return step % (self.skip_step + 1) != 0


@dataclass(frozen=True)
class Binned:
    """Guidance by noise level: pairs of an upper sigma and the guidance up to it, in any order."""

    bins: tuple[tuple[float, Guidance], ...]

    def at(self, sigma: float) -> Guidance:
        """The bin with the smallest upper sigma that is not below `sigma`, else the one with the largest."""
        fitting = [entry for entry in self.bins if entry[0] >= sigma]
        if fitting:
            return min(fitting, key=lambda entry: entry[0])[1]
        return max(self.bins, key=lambda entry: entry[0])[1]


def constant(guidance: Guidance) -> Binned:
    """The same guidance at every noise level."""
    return Binned(((1.0, guidance),))


def without_isolation(levels: Binned) -> Binned:
    """The same guidance for a modality that does not see the other one: its isolated pass would be its positive one."""
    return Binned(tuple((upper, replace(guidance, modality=1.0)) for upper, guidance in levels.bins))


def needed_passes(guidances: Sequence[Guidance], *, negative: bool = False) -> tuple[str, ...]:
    """The passes that any modality needs, positive first; `negative` asks for the negative one in any case."""
    needed = set().union(*(guidance.passes for guidance in guidances)) | ({NEGATIVE} if negative else set())
    return tuple(name for name in (POSITIVE, NEGATIVE, PERTURBED, ISOLATED) if name in needed)


def deviations(x: Tensor) -> Tensor:
    """The standard deviation of each sample of [B, ...], as [B]."""
    return torch.stack([torch.std(sample) for sample in x])


def guide(
    passes: Mapping[str, Tensor], guidance: Guidance, counted: Callable[[Tensor], Tensor] = lambda x: x
) -> Tensor:
    """The guided x0 of one modality; `counted` selects what each sample's deviations of the rescale are taken over."""
    c = passes[POSITIVE]
    guided = c
    for name, scale in ((NEGATIVE, guidance.cfg - 1), (PERTURBED, guidance.stg), (ISOLATED, guidance.modality - 1)):
        if name in guidance.passes:
            guided = guided + scale * (c - passes[name])
    if guidance.rescale:
        ratio = deviations(counted(c)) / deviations(counted(guided))
        guided = guided * (guidance.rescale * ratio + (1 - guidance.rescale)).view(-1, *[1] * (guided.ndim - 1))
    return guided
