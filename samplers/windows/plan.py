"""The plan of a long video: which frames each window makes, which it is given, and what changes from one to the next.

F pixel frames. A window samples `frames` = overlap + out + trim + discard of them, a number of its model's grid.
Source: the window plans that WanGP makes, by their rows. Differs on purpose: a last window that would add
less than a step is balanced with the one before it, and what is before a new shot is no overlap of what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .plan_text import PlanPrompt, in_frames, nearest

MOST_WINDOWS = 10_000
RAISED = "so that less is thrown away"


@dataclass(frozen=True)
class Grid:
    """The numbers of frames a model can make: frame_offset + k * step, from `minimum` on; overlaps likewise."""

    minimum: int
    step: int
    frame_offset: int = 1
    overlap_offset: int = 1

    def up(self, frames: int) -> int:
        """The smallest number of frames of the grid from `frames` on."""
        frames = max(frames, self.minimum)
        return frames + (self.frame_offset - frames) % self.step

    def down(self, frames: int) -> int:
        """The largest number of frames of the grid up to `frames`, but none below the minimum."""
        return max(self.up(self.minimum), frames - (frames - self.frame_offset) % self.step)

    def nearest_overlap(self, frames: int) -> int:
        """The overlap nearest to `frames`, half up; only 0 stays 0."""
        least = self.overlap_offset or self.step
        steps = (2 * (frames - least) + self.step) // (2 * self.step)
        return least + max(0, steps) * self.step if frames else 0

    def overlap_within(self, frames: int) -> int:
        """The largest overlap of at most `frames`."""
        least = self.overlap_offset or self.step
        return frames - (frames - least) % self.step if frames >= least else 0


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
    shots_before: int = 0  # of a part of a film: the shots before it, whose frames its rows count too
    whole: int = 0  # of a part of a film: frames of all of it

    @property
    def total(self) -> int:
        """Frames of the film, or of this part of it, without the given ones."""
        return sum(row.out for row in self.rows)

    @property
    def film(self) -> int:
        """Frames of the whole film."""
        return self.whole or self.total

    def shots(self) -> list[tuple[Row, ...]]:
        """The windows of each shot: those that hang together."""
        shots: list[list[Row]] = []
        for row in self.rows:
            if row.new_shot or not shots:
                shots.append([])
            shots[-1].append(row)
        return [tuple(rows) for rows in shots]

    def shot(self, number: int) -> WindowPlan:
        """One shot alone, from 1: what it makes is what the film has there. Raises ValueError if there are fewer."""
        shots = self.shots()
        if not 1 <= number <= len(shots):
            raise ValueError(f"shot is {number}, and the film has {len(shots)}: give 1 to {len(shots)}, or 0 for all")
        rows, prefix = shots[number - 1], self.prefix if number == 1 else 0
        return replace(self, rows=rows, prefix=prefix, shots_before=number - 1, whole=self.film)


@dataclass
class Draft:
    """A window while its length is being found; `before` frames of its shot exist before it."""

    owner: int  # index of its prompt
    start: int
    out: int
    overlap: int
    before: int
    clean: bool  # it begins without memory, though something is before it


@dataclass
class Planner:
    """Lays windows one after another."""

    prompts: list[PlanPrompt]
    grid: Grid
    window: int
    overlap: int
    discard: int
    max_overlap: int
    prefix: int
    allow_new_shot: bool
    snap: bool
    rebalance: bool
    drafts: list[Draft] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    begin: int = 0  # of the shot, in frames of the film; below 0 with a given video

    @property
    def done(self) -> int:
        return self.drafts[-1].start + self.drafts[-1].out if self.drafts else 0

    def room(self, overlap: int) -> int:
        """Frames that a whole window adds."""
        return self.window - overlap - self.discard

    def waste(self, overlap: int, out: int) -> int:
        """Frames that a window samples and throws away, as the grid wants them."""
        given = overlap + out + self.discard
        return self.grid.up(given) - given

    def fitting(self, overlap: int, wanted: int) -> int:
        """Of the numbers of frames that a window can add without waste, minimum aside, the nearest, half up."""
        rest = (self.grid.frame_offset - overlap - self.discard) % self.grid.step
        return rest + max(0, (2 * (wanted - rest) + self.grid.step) // (2 * self.grid.step)) * self.grid.step

    def least(self, overlap: int) -> int:
        """The fewest frames that a window can add without waste."""
        return self.grid.up(overlap + self.discard + 1) - overlap - self.discard

    def open(self, owner: int, first: bool) -> Draft:
        """The next window, as long as it can be."""
        prompt, number = self.prompts[owner], owner + 1
        wish = self.overlap if prompt.overlap is None else self.grid.nearest_overlap(prompt.overlap)
        exists = bool(self.drafts) or self.prefix > 0
        clean = exists and (wish == 0 or (first and prompt.new_shot))
        if clean and not self.allow_new_shot:
            raise ValueError(
                f"prompt {number} begins without memory ({'new_shot' if prompt.new_shot else 'overlap 0'}), which "
                "allow_new_shot forbids: set an overlap, or allow it where the model makes video from text alone"
            )
        if first and prompt.overlap is not None and prompt.overlap != wish:
            self.notes.append(f"prompt {number}: overlap {prompt.overlap} is {wish} on the grid")
        if first and not exists and (prompt.new_shot or prompt.overlap):
            self.notes.append(f"prompt {number}: the film begins with it, so nothing is before it to carry or to cut")
        if clean:
            self.begin = self.done
        before = self.done - self.begin
        overlap = 0 if clean or not exists else self.grid.overlap_within(min(wish, before))
        if exists and not clean and overlap < wish:
            if not overlap:
                raise ValueError(
                    f"prompt {number} needs {self.grid.overlap_offset or self.grid.step} frames before it and there "
                    f"are {before}: make what is before it longer, or write [/new_shot]"
                )
            self.notes.append(
                f"window {len(self.drafts) + 1}: overlap {wish} is {overlap}, as its shot has {before} frames before it"
            )
        if self.room(overlap) < self.grid.step:
            raise ValueError(
                f"prompt {number}: a window of {self.window} frames less overlap {overlap} and discard_last "
                f"{self.discard} adds {self.room(overlap)}; raise window, or lower overlap or discard_last, so that "
                f"{self.grid.step} are left"
            )
        if len(self.drafts) == MOST_WINDOWS:
            raise ValueError(f"the plan has more than {MOST_WINDOWS} windows: raise window, or lower the length")
        draft = Draft(owner, self.done, self.room(overlap), overlap, before, clean)
        self.drafts.append(draft)
        return draft

    def fill(self, owner: int, end: int, across: bool = False) -> None:
        """Windows of one prompt up to the frame `end`. `across`: their last may be balanced with another prompt's."""
        first = len(self.drafts)
        draft = self.open(owner, True)
        while draft.start + draft.out < end:
            draft = self.open(owner, False)
        draft.out = end - draft.start
        self.close(draft, len(self.drafts) - 1 > (0 if across else first))

    def close(self, tail: Draft, joint: bool) -> None:
        """Settle the length of the last window, `joint` with the one before it if it is short."""
        wanted = tail.out
        if self.snap:
            tail.out = self.fitting(tail.overlap, wanted)
        if self.snap and tail.out <= 0:
            if joint and self.drafts[-2].owner == tail.owner:
                self.drafts.pop()
                return
            tail.out = self.grid.step
        if joint and self.rebalance and self.is_short(tail):
            if self.balance(self.drafts[-2], tail):
                return
            self.notes.append(
                f"window {len(self.drafts)} adds {tail.out} frames alone, as windows of {self.window} cannot share "
                "them with the one before it: a larger window can"
            )
        if self.snap and tail.overlap + tail.out + self.discard < self.grid.minimum:
            self.raise_overlap(tail)
            tail.out = max(tail.out, self.least(tail.overlap))

    def is_short(self, tail: Draft) -> bool:
        """Whether a last window adds too little: less than a step; with snap also less than it is given."""
        if not self.snap:
            return tail.out < self.grid.step
        given = tail.overlap + tail.out + self.discard
        return tail.out < max(self.grid.step, tail.overlap) or given < self.grid.minimum

    def balance(self, one: Draft, tail: Draft) -> bool:
        """Make two windows about equally long; False where the grid has no such pair."""
        total = one.out + tail.out
        pairs = [
            (a, total - a)
            for a in range(self.least(one.overlap), self.room(one.overlap) + 1, self.grid.step)
            if self.grid.step <= total - a <= self.room(tail.overlap)
            and (tail.clean or tail.overlap <= one.before + a)
            and not (self.snap and self.waste(tail.overlap, total - a))
        ]
        if not pairs:
            return False
        number, added = len(self.drafts), tail.out
        one.out, tail.out = min(pairs, key=lambda pair: abs(pair[0] + one.overlap - pair[1] - tail.overlap))
        if tail.clean:
            self.begin = one.start + one.out
        tail.start, tail.before = one.start + one.out, one.start + one.out - self.begin
        self.notes.append(
            f"windows {number - 1} and {number} add {one.out} and {tail.out} frames instead of {total - added} and "
            f"{added}"
        )
        return True

    def raise_overlap(self, draft: Draft) -> None:
        """Give a window that wastes frames up to max_overlap frames of what is before it instead."""
        if not draft.overlap or self.prompts[draft.owner].overlap is not None:
            return
        most = min(self.max_overlap, draft.before, self.window - draft.out - self.discard)
        overlaps = range(draft.overlap, most + 1, self.grid.step)
        best = min(overlaps, key=lambda overlap: self.waste(overlap, draft.out), default=draft.overlap)
        if best != draft.overlap:
            number = self.drafts.index(draft) + 1
            self.notes.append(f"window {number}: overlap {draft.overlap} is {best}, {RAISED}")
            draft.overlap = best

    def rows(self) -> tuple[Row, ...]:
        for draft in self.drafts:
            if self.waste(draft.overlap, draft.out):
                self.raise_overlap(draft)
        last = {draft.owner: draft for draft in self.drafts}  # of each prompt, which its end image belongs to
        return tuple(self.row(draft, last[draft.owner] is draft) for draft in self.drafts)

    def row(self, draft: Draft, last: bool) -> Row:
        prompt, trim = self.prompts[draft.owner], self.waste(draft.overlap, draft.out)
        return Row(
            start=draft.start,
            out=draft.out,
            overlap=draft.overlap,
            frames=draft.overlap + draft.out + trim + self.discard,
            discard=self.discard,
            trim=trim,
            prompt=prompt.text,
            new_shot=draft.clean,
            seed=prompt.seed,
            seed_is_own=prompt.seed_is_own,
            cfg=prompt.cfg,
            loras=prompt.loras,
            end=prompt.end if last else None,
            ref=prompt.ref,
        )


def make_plan(
    prompts: Sequence[PlanPrompt],
    total: int | None,
    grid: Grid,
    window: int,
    overlap: int,
    fps: float,
    discard: int = 0,
    max_overlap: int = 0,
    prefix: int = 0,
    allow_new_shot: bool = True,
    snap: bool = False,
    rebalance: bool = True,
) -> WindowPlan:
    """The windows of a film of `total` frames, None = as long as the prompts say.

    Prompts with durations or times last as long as those say, and one without any is one window. Without durations
    each prompt is one window and the last goes on to the end. `snap` moves the ends of prompts and film so that no
    window has to be trimmed. ValueError for numbers that cannot be kept.
    """
    prompts = list(prompts)
    if not prompts and total is None:
        raise ValueError("length and prompts are empty: write a length such as 12s, or prompts")
    check_sizes(total, grid, overlap, fps, discard, max_overlap, prefix)
    whole, shared = grid.down(window), grid.nearest_overlap(overlap)
    planner = Planner(
        prompts or [PlanPrompt()],
        grid,
        whole,
        shared,
        discard,
        max(grid.overlap_within(max_overlap), shared),
        prefix,
        allow_new_shot,
        snap,
        rebalance,
        begin=-prefix,
    )
    if whole != window:
        planner.notes.append(f"window {window} is {whole} on the grid")
    if shared != overlap:
        planner.notes.append(f"overlap {overlap} is {shared} on the grid")
    asked = lay_out(planner, total, fps)
    rows = planner.rows()
    made = sum(row.out for row in rows)
    if max_overlap > overlap and not any(RAISED in note for note in planner.notes):
        planner.notes.append(
            f"max_overlap {max_overlap} changed nothing: a larger overlap saves frames only in windows below the "
            f"grid's minimum of {grid.minimum}"
        )
    if total is not None and asked != total:
        planner.notes.append(
            f"the prompts' durations make {asked} frames ({asked / fps:.2f} s), length asks for {total} "
            f"({total / fps:.2f} s): the durations hold"
        )
    if made != asked:
        planner.notes.append(
            f"snapped: {made} frames ({made / fps:.2f} s) instead of {asked} ({asked / fps:.2f} s), so that nothing "
            "is sampled and thrown away"
        )
    return WindowPlan(rows, grid, fps, prefix, tuple(planner.notes))


def lay_out(planner: Planner, total: int | None, fps: float) -> int:
    """Lay all windows; gives the frames that were asked for, before snapping."""
    prompts = planner.prompts
    lengths = lengths_of(prompts, total, fps)
    if total is not None and not any(lengths):  # no durations: windows until the end
        for owner in range(len(prompts) - 1):
            draft = planner.open(owner, True)
            if draft.start + draft.out >= total:
                raise ValueError(
                    f"prompt {owner + 2} would begin at frame {draft.start + draft.out}, where the film of {total} "
                    "frames is over: raise length, lower window, or give prompts a [/duration=5s]"
                )
        planner.fill(len(prompts) - 1, total, across=True)
        return total
    asked = 0
    for owner, length in enumerate(lengths):
        if length is None:
            asked += planner.open(owner, True).out
        else:
            asked += length
            planner.fill(owner, max(asked, planner.done + 1) if planner.snap else asked)
    return asked


def lengths_of(prompts: list[PlanPrompt], total: int | None, fps: float) -> list[int | None]:
    """Frames of each prompt, None where neither a duration nor the next start says."""
    starts = [None if prompt.start is None else start_frame(prompt.start, fps) for prompt in prompts]
    lengths: list[int | None] = []
    rest = 0.0  # of a frame, from one duration to the next, so that many of them do not drift
    for number, prompt in enumerate(prompts, 1):
        start, after = starts[number - 1], starts[number] if number < len(prompts) else None
        if start is not None and number == 1 and start:
            raise ValueError(f"the first prompt starts at frame {start}: a time line starts at 0s")
        if start is not None and after is not None:
            if prompt.duration is not None:
                raise ValueError(f"prompt {number} has a /duration and prompt {number + 1} a start: leave out one")
            if after <= start:
                raise ValueError(
                    f"prompt {number + 1} starts at frame {after}, not after prompt {number} at frame {start}: sort "
                    "the time line"
                )
            lengths.append(after - start)
        elif prompt.duration is not None:
            wanted = duration_frames(prompt.duration, total, fps, number) + rest
            frames = max(1, nearest(wanted))
            rest = wanted - frames
            lengths.append(frames)
        elif start is not None and total is not None and len(prompts) > 1:
            if total <= start:
                raise ValueError(
                    f"prompt {number} starts at frame {start}, where the film of {total} frames is over: raise length"
                )
            lengths.append(total - start)
        else:
            lengths.append(None)
    return lengths


def start_frame(start: tuple[float, str], fps: float) -> int:
    if start[1] == "l" and start[0]:
        raise ValueError(
            f"a prompt starts at latent frame {start[0]:g}, which each model counts otherwise: write seconds or frames"
        )
    return nearest(in_frames(*start, fps))


def duration_frames(duration: tuple[float, str], total: int | None, fps: float, number: int) -> float:
    value, unit = duration
    if unit == "%" and total is None:
        raise ValueError(f"prompt {number} lasts {value:g}% of a length that is empty: write a length such as 12s")
    return value / 100 * (total or 0) if unit == "%" else in_frames(value, unit, fps)


def check_sizes(
    total: int | None, grid: Grid, overlap: int, fps: float, discard: int, max_overlap: int, prefix: int
) -> None:
    if total is not None and total < 1:
        raise ValueError(f"length is {total} frames: a film has at least 1")
    if not fps > 0:
        raise ValueError(f"fps is {fps:g}: it is above 0")
    if grid.step < 1 or grid.minimum < 1 or grid.frame_offset < 0 or grid.overlap_offset < 0:
        raise ValueError(f"the grid is {grid}: step and minimum are at least 1, offsets at least 0")
    if min(overlap, discard, prefix) < 0:
        raise ValueError(f"overlap is {overlap}, discard_last {discard}, prefix_frames {prefix}: none is below 0")
    if max_overlap and max_overlap < overlap:
        raise ValueError(f"max_overlap is {max_overlap} and overlap {overlap}: raise it, or set it to 0 for no more")
