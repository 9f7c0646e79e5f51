"""The slot table against a brute-force model that keeps whole lists and really drops frames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oner.longlive.cache import SlotTable


class ListModel:
    """What a cache holds, written as the rule reads: drop the oldest frame that is neither sink nor pinned."""

    def __init__(self, capacity, sink):
        self.capacity, self.sink, self.base, self.held, self.pinned = capacity, sink, 0, [], set()

    def add(self, frame):
        if frame in self.held:
            return
        if len(self.held) == self.capacity:
            sinks = [f for f in self.held if f < self.base + self.sink]
            self.held.remove(min(f for f in self.held if f not in sinks and f not in self.pinned))
        self.held.append(frame)

    def relative_positions(self, end):
        return {frame: order for order, frame in enumerate(sorted(f for f in self.held if f < end))}


@st.composite
def takes(draw):
    block = draw(st.integers(1, 4))
    sink = draw(st.integers(0, 5))
    pins = draw(st.integers(0, block))
    capacity = sink + pins + block + draw(st.integers(0, 9))
    events = draw(st.lists(st.sampled_from(["go", "go", "go", "redo", "pin", "clear", "new sink"]), max_size=60))
    return capacity, sink, block, pins, events


@given(takes())
@settings(max_examples=400, deadline=None)  # about 30 blocks each: over 10,000
def test_table_holds_what_the_rule_says(take):
    capacity, sink, block, pins, events = take
    table, model = SlotTable(capacity, sink), ListModel(capacity, sink)
    first = 0
    for event in ["go", *events]:
        if event == "clear":
            table.clear(first)
            model.base, model.held, model.pinned = first, [], set()
        if event == "new sink":
            kept = min(capacity, first)
            table.clear(first - kept)
            model.base, model.held, model.pinned = first - kept, list(range(first - kept, first)), set()
            table.place(first - kept, kept)
        plan = table.place(first, block)
        for frame in range(first, first + block):
            model.add(frame)
        if event == "redo":
            assert table.place(first, block) == plan
        assert table.held_frames() == sorted(model.held)
        assert [table.frame_in[slot] for slot in plan.slots] == list(plan.frames)
        assert all(frame is not None for frame in table.frame_in[: plan.held])
        assert all(frame is None for frame in table.frame_in[plan.held :])
        if not model.pinned:
            order = model.relative_positions(first + block)
            ours = {f: f + plan.sink_shift if table.is_sink(f) else f for f in order}
            start = min(ours.values())
            assert {frame: position - start for frame, position in ours.items()} == order
        if event == "pin":
            table.pin(range(first, first + pins))
            model.pinned = set(range(first, first + pins))
        first += block


def test_ten_thousand_blocks_follow_the_closed_form():
    table = SlotTable(capacity=12, sink=3)
    for block in range(10_000):
        plan = table.place(3 * block, 3)
        closed = tuple(f if f < 3 else 3 + (f - 3) % 9 for f in plan.frames)
        assert plan.slots == closed
        assert plan.sink_shift == max(0, 3 * block + 3 - 12)


def test_a_saved_table_goes_on_like_the_original():
    table = SlotTable(capacity=8, sink=2)
    for block in range(5):
        table.place(2 * block, 2)
    table.pin([6, 7])
    copy = SlotTable.from_state(table.state())
    assert [copy.place(f, 2) for f in range(10, 30, 2)] == [table.place(f, 2) for f in range(10, 30, 2)]


def test_a_block_larger_than_the_ring_is_refused():
    table = SlotTable(capacity=4, sink=3)
    table.place(0, 3)
    with pytest.raises(ValueError, match="use a larger window"):
        table.place(3, 3)
