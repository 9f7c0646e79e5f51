"""Clips sampled piece by piece in the way of ComfyUI-LTXVideo's samplers, for graphs made with them.

A later piece is told the end of the one before as guide tokens at its start, and is cross-faded onto it; spatial tiles
are blended. Ramps leave out their end points, so that an overlap of 1 blends too; nothing received is written to.
Latents [B, 128, T, H, W], T latent frames, H W latent size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...samplers.conditionings import Conditionings
from ...utils.latent_statistics import match_statistics
from ...utils.latents import cross_fade
from ..latents import TEMPORAL
from .conditions import append_to_all, mix_into_frames


class Clip:
    """A latent to sample and the conditionings that know its guides."""

    def __init__(self, samples: Tensor, conditionings: Conditionings):
        self.latent: dict = {"samples": samples}
        self.conditionings = conditionings
        self.frames = samples.shape[2]

    def place(self, content: Tensor, frame: int, strength: float) -> None:
        """Give encoded images at pixel frame `frame`: the start of the clip itself, later ones as guides."""
        if frame == 0:
            self.latent = mix_into_frames(self.latent, content, strength)
        else:
            self.guide(content, frame, strength)

    def guide(self, content: Tensor, frame: int, strength: float) -> None:
        """Append guide tokens at pixel frame `frame`, before the clip where it is negative."""
        given, self.latent = append_to_all(list(self.conditionings.values()), self.latent, content, frame, strength)
        self.conditionings = dict(zip(self.conditionings, given, strict=True))

    def crop(self, samples: Tensor) -> Tensor:
        """Sampled frames without the guides."""
        return samples[:, :, : self.frames]


def in_context(
    reference: Tensor, images: Iterable[int], conditionings: Conditionings, strength: float, frames: int | None = None
) -> Clip:
    """A clip, as long as `reference` or of `frames` latents, that follows it; `images`: frames that get an image."""
    count = reference.shape[2] if frames is None else frames
    clip = Clip(torch.zeros_like(reference[:, :, :1]).repeat(1, 1, count, 1, 1), conditionings)
    skipped = 1 if 0 in images else 0  # an image has the place of the first latent
    if reference.shape[2] > skipped:
        clip.guide(reference[:, :, skipped:count], guide_frame(skipped), strength)
    return clip


def extension(
    old: Tensor,
    added: int,
    overlap: int,
    conditionings: Conditionings,
    *,
    strength: float,
    reference: Tensor | None = None,
    reference_strength: float = 1.0,
) -> Clip:
    """A clip of `overlap` + `added` latents whose start is the end of `old`; `reference` is a track of the added."""
    clip = Clip(torch.zeros_like(old[:, :, :1]).repeat(1, 1, overlap + added, 1, 1), conditionings)
    clip.guide(old[:, :, -overlap:], 0, strength)
    if reference is not None:
        clip.guide(reference, guide_frame(overlap), reference_strength)
    return clip


def add_extension(old: Tensor, sampled: Tensor, overlap: int) -> Tensor:
    """`old` going over into a sampled extension, whose first latent was made as a single frame and is left out."""
    return cross_fade(old, sampled[:, :, 1:].to(old), overlap - 1)


@dataclass(frozen=True)
class Loop:
    """What a long video is made from, piece by piece and tile by tile; strengths as in the old node.

    run(clip, seed): the sampled latent. images: for each piece, encoded images by pixel frame within it. `reference`,
    `before` and `normalizing` are latents: a track to follow, context before the start, and statistics to keep to.
    """

    run: Callable[[Clip, int], Tensor]
    conditionings: Callable[[int], Conditionings]  # of a piece
    pieces: list[tuple[int, int]]
    overlap: int
    images: list[dict[int, Tensor]]
    strength: float
    image_strength: float
    reference_strength: float
    adain: float
    reference: Tensor | None = None
    before: Tensor | None = None
    normalizing: Tensor | None = None

    def tile(self, empty: Tensor, rows: slice, columns: slice, seed: Callable[[int], int]) -> Tensor:
        """One tile of the whole length; seed(start) is that of the piece starting at a latent frame."""

        def cut(x: Tensor, start: int | None = None, end: int | None = None) -> Tensor:
            return x[:, :, start:end, rows, columns]

        first, result = None, empty
        for piece, (start, end) in enumerate(self.pieces):
            given = self.conditionings(piece)
            images = {frame: cut(content) for frame, content in self.images[piece].items()}
            if first is not None:
                track = None if self.reference is None else cut(self.reference, start + self.overlap, end)
                clip = extension(
                    result,
                    end - start - self.overlap,
                    self.overlap,
                    given,
                    strength=self.strength,
                    reference=track,
                    reference_strength=self.reference_strength,
                )
            elif self.reference is not None:
                clip = in_context(cut(self.reference, start, end), images, given, self.reference_strength)
            else:
                clip = Clip(torch.zeros_like(cut(empty, start, end)), given)
            for frame, content in images.items():
                clip.place(content, frame, self.image_strength)
            if self.before is not None:
                clip.guide(cut(self.before), guide_frame(-self.before.shape[2]), 1.0)
            sampled = self.run(clip, seed(start))
            if self.normalizing is not None:
                sampled = match_statistics(sampled, cut(self.normalizing, start, end).to(sampled), self.adain, True)
            elif first is not None:
                sampled = match_statistics(sampled, first, self.adain)
            result = sampled if first is None else add_extension(result, sampled, self.overlap)
            first = sampled if first is None else first
        return result


def guide_frame(index: int) -> int:
    """The pixel frame at which latent frame `index` begins; negative ones lie before the clip."""
    return TEMPORAL * index if index <= 0 else TEMPORAL * (index - 1) + 1


def time_pieces(frames: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """start and end of pieces of `size` latent frames, each beginning `overlap` before the end of the last."""
    pieces = [(0, min(size, frames))]
    while pieces[-1][1] < frames:
        start = pieces[-1][1] - overlap
        pieces.append((start, min(start + size, frames)))
    return pieces


def keyframe_pieces(frames: Sequence[int], length: int, pieces: int, size: int, overlap: int) -> list[list[int]]:
    """For each piece the numbers of the keyframes that belong to it: the first piece that reaches a frame has it.

    `frames` are pixel frames from 0 of a clip of `length`.
    """
    found: list[list[int]] = [[] for _ in range(pieces)]
    for number, frame in enumerate(frames):
        if not 0 <= frame < length:
            raise ValueError(f"a keyframe is at frame {frame}; the clip has frames 0 to {length - 1}")
        reach = TEMPORAL * (size - 1)  # last pixel frame of the first piece
        step = TEMPORAL * (size - overlap)
        found[min(max(0, -((reach - frame) // step)), pieces - 1)].append(number)
    return found


def tile_ranges(size: int, count: int, overlap: int) -> list[tuple[int, int]]:
    """start and end of `count` tiles that cover `size` and share `overlap`. Raises ValueError if they do not fit."""
    length = -(-(size + (count - 1) * overlap) // count)
    if count > 1 and length <= overlap:
        raise ValueError(f"{count} tiles with an overlap of {overlap} do not fit into {size} latents: use fewer tiles")
    starts = [min(i * (length - overlap), size - length) for i in range(count)]
    return [(start, start + length) for start in starts]


def blend_tiles(tiles: Iterable[tuple[Tensor, tuple[int, int], tuple[int, int]]], like: Tensor) -> Tensor:
    """Tiles with their rows and columns joined into the shape of `like`, with linear ramps where they overlap."""
    total, weight = torch.zeros_like(like), torch.zeros_like(like[:1, :1, :1])
    for tile, rows, columns in tiles:
        ramp = _ramp(rows, like.shape[3]).view(-1, 1) * _ramp(columns, like.shape[4])
        ramp = ramp.to(like)
        total[..., slice(*rows), slice(*columns)] += tile.to(like) * ramp
        weight[..., slice(*rows), slice(*columns)] += ramp
    return total / weight


def _ramp(part: tuple[int, int], size: int) -> Tensor:
    """Weights of one side of a tile: distance to its inner edges, so that shared parts go over linearly."""
    place = torch.arange(*part, dtype=torch.float32)
    before = torch.full_like(place, float("inf")) if part[0] == 0 else place - part[0] + 1
    after = torch.full_like(place, float("inf")) if part[1] == size else part[1] - place
    return torch.minimum(before, after).clamp(max=size)
