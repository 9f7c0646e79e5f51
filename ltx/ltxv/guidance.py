"""Guidance of LTX-Video 0.9.x: which scales apply at a noise level, and how the passes are combined.

`reference` is the 0.9.8 pipeline: an entry holds from its sigma upwards, velocities are combined, rescale 1 is off.
`pack-compatible` is what ComfyUI-LTXVideo graphs were made with: an entry holds below its sigma, x0 is combined,
rescale 1 is full, and above `skip_above` x0 is zero. Shapes: B batch; x, x0 and velocities have any shape [B, ...].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LOOKUPS = ("reference", "pack-compatible")


@dataclass(frozen=True)
class GuidanceEntry:
    """Scales of one step; cfg 1, stg 0 and rescale 1 are neutral. `blocks` are perturbed for STG."""

    cfg: float = 1.0
    stg: float = 0.0
    rescale: float = 1.0
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True)
class GuidanceSchedule:
    """Entries keyed by sigma, high to low."""

    sigmas: tuple[float, ...]
    entries: tuple[GuidanceEntry, ...]
    cfg_star: bool = False  # scale the negative pass by its projection on the positive one
    lookup: str = "reference"
    skip_above: float = float("inf")  # pack-compatible only

    @classmethod
    def constant(
        cls,
        cfg: float,
        stg: float,
        rescale: float,
        blocks: Sequence[int],
        cfg_star: bool = False,
        lookup: str = "reference",
    ) -> GuidanceSchedule:
        """The same scales at every noise level."""
        return cls((1.0,), (GuidanceEntry(float(cfg), float(stg), float(rescale), tuple(blocks)),), cfg_star, lookup)

    @classmethod
    def binned(
        cls,
        sigmas: Sequence[float],
        cfg: Sequence[float],
        stg: Sequence[float],
        rescale: Sequence[float],
        blocks: Sequence[Sequence[int]],
        cfg_star: bool = False,
        lookup: str = "reference",
        skip_above: float = float("inf"),
    ) -> GuidanceSchedule:
        """Lists of equal length, one item for each sigma; raises ValueError naming the list that differs."""
        for name, values in (("cfg", cfg), ("stg", stg), ("rescale", rescale), ("blocks", blocks)):
            if len(values) != len(sigmas):
                raise ValueError(f"{name} has {len(values)} entries and sigmas has {len(sigmas)}: give one for each")
        if list(sigmas) != sorted(sigmas, reverse=True):
            raise ValueError(f"sigmas are {', '.join(map(str, sigmas))}; list them from high to low")
        rows = zip(cfg, stg, rescale, blocks, strict=True)
        entries = tuple(GuidanceEntry(float(c), float(s), float(r), tuple(b)) for c, s, r, b in rows)
        return cls(tuple(sigmas), entries, cfg_star, lookup, skip_above)

    def index(self, sigma: float) -> int:
        """The entry for a noise level; compared in fp32, where a listed 0.618 equals a sigma of 0.618."""
        *keys, sigma = torch.tensor([*self.sigmas, sigma], dtype=torch.float32).tolist()
        if self.lookup == "reference":
            return next((i for i, key in enumerate(keys) if key <= sigma), len(keys) - 1)
        above = [i for i, key in enumerate(keys) if key > sigma]
        return above[-1] if above else len(keys) - 1

    def at(self, sigma: float) -> GuidanceEntry:
        """The scales for a noise level."""
        return self.entries[self.index(sigma)]

    def perturbed_blocks(self) -> set[int]:
        """Blocks that some entry with STG perturbs."""
        return {block for entry in self.entries if entry.stg != 0 for block in entry.blocks}


def combine(
    positive: Tensor,
    negative: Tensor | None,
    perturbed: Tensor | None,
    entry: GuidanceEntry,
    cfg_star: bool,
    prompted: Tensor | None = None,
) -> Tensor:
    """Reference guidance on velocities [B, ...]; a pass that is None does not take part.

    `prompted` takes the place of the positive pass in CFG alone, for hooks that change it.
    """
    guided = positive if prompted is None else prompted
    if negative is not None:
        if cfg_star:
            negative = negative * _projection(guided, negative)
        guided = negative + entry.cfg * (guided - negative)
    if entry.stg > 0:
        if perturbed is not None:
            guided = guided + entry.stg * (positive - perturbed)
        if entry.rescale != 1:  # 1 means off here
            guided = guided * _rescale(positive, guided, entry.rescale)
    return guided


def combine_pack(
    positive: Tensor,
    negative: Tensor | None,
    perturbed: Tensor | None,
    entry: GuidanceEntry,
    cfg_star: bool,
    prompted: Tensor | None = None,
) -> Tensor:
    """Guidance as ComfyUI-LTXVideo does it, on x0 [B, ...]; of a batch each sample as if it were alone."""
    guided = positive if prompted is None else prompted
    if negative is not None:
        if cfg_star:
            negative = negative * _projection(guided, negative)
        guided = guided + (entry.cfg - 1) * (guided - negative)
    if perturbed is not None:
        guided = guided + entry.stg * (positive - perturbed)
    if entry.rescale != 0:
        ratio = entry.rescale * positive.flatten(1).std(1) / guided.flatten(1).std(1)
        guided = guided * _each(ratio + (1 - entry.rescale), guided)
    return guided


def _projection(positive: Tensor, negative: Tensor) -> Tensor:
    c, n = positive.flatten(1), negative.flatten(1)  # [B, N]
    scale = (c * n).sum(1) / (n.square().sum(1) + 1e-8)
    return _each(scale, positive)


def _rescale(positive: Tensor, guided: Tensor, amount: float) -> Tensor:
    ratio = positive.flatten(1).std(1) / guided.flatten(1).std(1)
    return _each(amount * ratio + (1 - amount), positive)


def _each(values: Tensor, like: Tensor) -> Tensor:
    """Values [B] as [B, 1, ...]."""
    return values.view(-1, *[1] * (like.ndim - 1))
