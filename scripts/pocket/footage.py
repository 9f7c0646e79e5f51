"""Pictures and videos of the world as files that a workflow loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from harness.media import Clip

from . import ltx_ic, world


@dataclass(frozen=True)
class Footage(Clip):
    """A scene of `total` pictures, or the `length` of them from picture `at` on.

    way: seed of a way that the sentence does not tell, which lies aside and bends; without it the way is straight.
    kind: "render", or a control signal of world.py such as "depth".
    """

    width: int = 64
    height: int = 64
    sentence: str = ""
    total: int = 9
    at: int = 0
    way: int | None = None
    kind: str = "render"

    def scenes(self) -> list[world.Scene]:
        return [world.place(world.parse(self.sentence), self.total)]

    def path(self) -> torch.Tensor:
        """Where the shape is in every picture of the scene. [total, 2] in units"""
        if self.way is None:
            return world.trajectory(self.scenes(), self.total)[0]
        return ltx_ic.paths(self.scenes(), self.total, torch.Generator().manual_seed(self.way))[0]

    def pictures(self) -> torch.Tensor:
        """[length, H, W, 3] in 0..1"""
        clip = getattr(world, self.kind)(self.scenes(), self.total, self.width, path=self.path()[None])[0]
        return clip[self.at : self.at + self.length].clamp(0, 1)

    def frame(self, number: int) -> Any:
        return (self.pictures()[number] * 255).round().to(torch.uint8).numpy()


def image(sentence: str, total: int, at: int = 0, way: int | None = None) -> Footage:
    """Picture `at` of a scene."""
    return Footage(sentence=sentence, total=total, at=at, way=way)


def video(sentence: str, total: int, way: int | None = None, kind: str = "render") -> Footage:
    """A whole scene."""
    return Footage(sentence=sentence, total=total, length=total, way=way, kind=kind)
