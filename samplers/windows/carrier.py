"""What the run of windows asks of a model family: how a window becomes a latent to sample, and that one frames again.

A carrier is made for one model, size and set of VAEs. F pixel frames of a window, T its latent frames, k those that
are held; images [F, H, W, 3] in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from ..conditionings import Conditionings
from .plan import Grid, Row

LAG = 0.06  # seconds that the sound of a window may end before its frames


@dataclass(frozen=True)
class Window:
    """One window: what it is given. Film frames count from the first of the film; those of a given video lie before.

    `held` are the `overlap` frames before it, as they went into the film; `before_latents` their latents as the window
    before sampled them. Pictures and tracks that are not given are None.
    """

    row: Row
    film: int  # frames of the whole film
    offset: int = 0  # frames from where the windows begin that hang together with it to its own first one
    carry: str = "frames"  # or latents: what of the overlap's pictures is held
    held: Tensor | None = None  # [overlap, H, W, 3]
    held_sound: dict | None = None  # AUDIO of the held frames, where they are those of a given video
    before_latents: list[Tensor] | None = None  # of each part, [1, C, k, ...]
    latents: list[Tensor] | None = None  # of each part as the stage before sampled them
    start_image: Tensor | None = None  # [n, H, W, 3], the first frames of the film
    end_image: Tensor | None = None  # [1, H, W, 3], the last frame of the window
    ref_image: Tensor | None = None  # [1, H, W, 3]
    control: Tensor | None = None  # [F, H, W, 3]
    mask: Tensor | None = None  # [F, H, W], 1 = generate
    source: Tensor | None = None  # [F, H, W, 3], what sampling below full noise starts from
    sound: dict | None = None  # AUDIO of its F frames, that the window is to keep

    @property
    def first(self) -> int:
        """The film frame it begins with; negative within a given video."""
        return self.row.start - self.row.overlap

    @property
    def last(self) -> int:
        """Its own last frame in the film, counted within the window."""
        return self.row.overlap + self.row.out - 1

    @property
    def carried(self) -> list[Tensor] | None:
        """The latents of the overlap, if its pictures are to be held as they were sampled."""
        return self.before_latents if self.carry == "latents" else None


@dataclass
class Clip:
    """A window ready to sample. `before` latent frames of its video stand in front and are no frames of the clip."""

    conditionings: Conditionings
    latent: dict  # samples and noise_mask
    held: list[int]  # latent frames at the start of each part that are given
    before: int = 0
    notes: list[str] = field(default_factory=list)


class Carrier(Protocol):
    """One family's way with windows."""

    grid: Grid
    uses: frozenset[str]  # which of start_image, end_image, ref_image, control, mask, source, sound it can use

    def clip(self, window: Window, conditionings: Conditionings) -> Clip:
        """The latent of a window and the prompts for it. Raises ValueError for what the model has no place for."""

    def parts(self, clip: Clip, sampled: Tensor) -> list[Tensor]:
        """The sampled latents of each part, video [1, C, T, h, w] first, without what is no frame of the clip."""

    def slot(self, part: int, offset: int, frame: int) -> int:
        """The latent frame of a part at which a window with that `offset` goes on after `frame` of its frames."""

    def decode(self, parts: list[Tensor], window: Window) -> tuple[Tensor, Tensor | None]:
        """Images [F, H, W, 3] in 0..1 and, of a part with sound, samples [channels, N] at `sample_rate`.

        The sound begins with the window's first frame, round(offset / fps * rate) samples after the first window's, and
        ends where it is known to: by up to LAG before the frames.
        """

    sample_rate: int  # of its sound; 0 without
