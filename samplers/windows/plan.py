"""The plan of a long video: which frames each window makes, which it is given, and what changes from one to the next.

F pixel frames. A window samples `frames` = overlap + out + trim + discard of them, a number of its model's grid.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """The numbers of frames a model can make: frame_offset + k * step, from `minimum` on; overlaps likewise."""

    minimum: int
    step: int
    frame_offset: int = 1
    overlap_offset: int = 1


GRIDS = {"wan": Grid(5, 4), "vace": Grid(17, 4), "ltx": Grid(17, 8), "svi": Grid(5, 4, overlap_offset=0)}


@dataclass(frozen=True)
class Row:
    """One window. The film's frames `start` to `start + out` are its own; those before are given by what came before.

    `trim` frames after them fill the grid and `discard` frames after those are left out as blurred.
    """

    start: int
    out: int
    overlap: int
    frames: int
    discard: int = 0
    trim: int = 0
    prompt: str = ""
    new_shot: bool = False
    seed: int = 0  # what is added to the seed; with `seed_is_own` the seed itself
    seed_is_own: bool = False
    cfg: float | None = None  # None = the guider's
    loras: str | None = None  # multipliers of the model's scheduled LoRAs; None = theirs
    end: int | None = None  # which end image, from 1
    ref: int | None = None  # which reference image, from 1


@dataclass(frozen=True)
class WindowPlan:
    """All windows of a film, in order; `prefix` frames of a given video come before the first."""

    rows: tuple[Row, ...]
    grid: Grid
    fps: float
    prefix: int = 0
    notes: tuple[str, ...] = ()  # what was moved, in sentences

    @property
    def total(self) -> int:
        """Frames of the film, without the given ones."""
        return sum(row.out for row in self.rows)
