"""Which frame lies in which slot of the key/value cache: sink, pins and ring as one table of Python integers.

LongLive rolls its buffers (wan/modules/causal_model.py); attention does not care about the order of its keys, so here a
frame keeps its slot until another one takes it and nothing is ever moved. F frames of the block, S sink frames.
Counted in latent frames; no tensor in this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """Where the frames of one forward go and what it attends: slots [0, held), the block's own included."""

    first: int  # index of the block's first frame
    slots: tuple[int, ...]  # slot of every frame of the block, in order
    held: int  # slots in use once the block is in; always the first ones
    sink_shift: int  # frames by which relative positions move the sink's keys

    @property
    def frames(self) -> range:
        return range(self.first, self.first + len(self.slots))


@dataclass
class SlotTable:
    """The bookkeeping of a cache of `capacity` frames whose first `sink` frames since `base` stay for good."""

    capacity: int
    sink: int
    base: int = 0  # frame the take, or the last re-anchored sink, starts at
    frame_in: list[int | None] = field(default_factory=list)  # slot -> frame
    pinned: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.frame_in = self.frame_in or [None] * self.capacity

    def held_frames(self) -> list[int]:
        """The frames in the cache, oldest first."""
        return sorted(frame for frame in self.frame_in if frame is not None)

    def is_sink(self, frame: int) -> bool:
        return frame - self.base < self.sink

    def place(self, first: int, count: int) -> Plan:
        """Give every frame of a block a slot: its own if it is held, a free one, or that of the oldest evictable frame.

        Placing the same block again gives the same slots, so a block may be redone from its first step.
        """
        block = range(first, first + count)
        slot_of = {frame: slot for slot, frame in enumerate(self.frame_in) if frame is not None}
        free = [slot for slot, frame in enumerate(self.frame_in) if frame is None]
        victims = [f for f in sorted(slot_of) if f not in block and f not in self.pinned and not self.is_sink(f)]
        new = [frame for frame in block if frame not in slot_of]
        if len(new) > len(free) + len(victims):
            raise ValueError(
                f"a block of {count} frames does not fit: the window holds {self.capacity}, of which "
                f"{self.capacity - len(free) - len(victims)} are sink, pinned or in the block: use a larger window"
            )
        open_slots = free + [slot_of[frame] for frame in victims]
        for frame, slot in zip(new, open_slots, strict=False):
            self.frame_in[slot] = frame
            slot_of[frame] = slot
        held = sum(frame is not None for frame in self.frame_in)
        return Plan(first, tuple(slot_of[frame] for frame in block), held, self.sink_shift(block.stop))

    def sink_shift(self, end: int) -> int:
        """How far relative positions move the sink: dropped frames leave no gap between it and the ring."""
        held = sum(frame is not None and frame < end for frame in self.frame_in)
        return end - held - self.base

    def pin(self, frames: Iterable[int]) -> None:
        """Keep these frames until the next call; the frames pinned before may go again."""
        self.pinned = frozenset(frames)

    def clear(self, base: int) -> None:
        """Forget everything; the next frames, from `base` on, are the new sink."""
        self.frame_in = [None] * self.capacity
        self.pinned = frozenset()
        self.base = base

    def state(self) -> dict:
        """Plain data for a state file; `SlotTable(**state)` is the same table."""
        return {
            "capacity": self.capacity,
            "sink": self.sink,
            "base": self.base,
            "frame_in": list(self.frame_in),
            "pinned": sorted(self.pinned),
        }

    @classmethod
    def from_state(cls, state: dict) -> SlotTable:
        return cls(**{**state, "pinned": frozenset(state["pinned"])})
