"""Long takes whose prompt changes: schedules, and the blocks read back by the judge.

A block is 3 latent frames; block k > 0 shows the pictures 12 k - 3 to 12 k + 9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from . import world
from .judge import Verdict, judge
from .wan_causal import BLOCK
from .world import Scene

GRACE = 2  # blocks after a change in which the old prompt may still be seen


def stories(count: int, changes: int, seed: int = 5) -> list[list[Scene]]:
    """Held-in scenes of one shape on one background each, whose colour and direction differ from change to change."""
    generator = torch.Generator().manual_seed(seed)
    options = [world.Scene(*words) for words in world.combinations(held_out=False)]
    out = []
    for _ in range(count):
        story = [options[int(torch.randint(len(options), (1,), generator=generator))]]
        while len(story) <= changes:
            now = story[-1]
            pick = options[int(torch.randint(len(options), (1,), generator=generator))]
            following = replace(pick, shape=now.shape, background=now.background)
            if pick.colour != now.colour and pick.direction != now.direction and not following.held_out:
                story.append(following)
        out.append(story)
    return out


def schedule(story: list[Scene], blocks: int, mode: str = "") -> str:
    """Prompt schedule lines that change after so many blocks; mode as in "[text only]"."""
    lines = [f"{BLOCK * blocks * i}l{mode if i else ''}: {world.caption(scene)}" for i, scene in enumerate(story)]
    return "\n".join(lines)


def length(blocks: int) -> int:
    """Pictures of so many blocks."""
    return 4 * BLOCK * blocks - 3


def read_block(pictures: torch.Tensor, block: int) -> Verdict | None:
    """What the judge sees in a block of a take [F, H, W, 3]."""
    return judge(pictures[max(0, 4 * BLOCK * block - 3) : 4 * BLOCK * (block + 1) - 3])


def followed(pictures: torch.Tensor, story: list[Scene], blocks: int, what: str = "colour") -> list[bool]:
    """For each scene of the story whether it is seen GRACE blocks after its prompt began."""
    seen = [read_block(pictures, blocks * i + (GRACE if i else 0)) for i in range(len(story))]
    return [v is not None and getattr(v, what) == getattr(s, what) for v, s in zip(seen, story, strict=True)]


def share_of_blocks(pictures: torch.Tensor, blocks: range, right: Callable[[Verdict], bool]) -> float:
    """The share of blocks of a take of which the verdict is right."""
    seen = [read_block(pictures, k) for k in blocks]
    return sum(v is not None and right(v) for v in seen) / len(seen)
