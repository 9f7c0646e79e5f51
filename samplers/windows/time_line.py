"""Prompts on a time line: which text says what when, and how much of it each latent frame hears.

    a street at dusk
    [0%:50%] a red car passes
    [2s:4s] it begins to rain      [0:02:0:04] in minutes and seconds      [49:97] frames from 1, the last one included
    [5s:] the lights go on

What comes before the first marker holds throughout; where no segment is, it is all there is. The weights of segments
that touch are complementary ramps around the border, `softness` latent frames wide, which sum to 1 at every time.
Times are in frames of the film, in which frame f lasts from f to f + 1. S texts, T times.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

BRACKET = re.compile(r"\[([^\[\]\n]*)\]")
COMMAND = re.compile(r"\[\s*/[^\]\n]*\]?")
# A bracket that holds nothing but numbers and units is meant as a time.
TIMED = re.compile(
    r"(?=[^\d]*\d)(?:[-+.,:%\s\u2013\u2014\d]|(?:seconds?|secs?|s|frames?|f|latents?|l|minutes?|mins?|ms?|to)\b)+", re.I
)
NUMBER = r"\d{1,9}(?:\.\d+)?"
CLOCK = r"\d{1,9}:[0-5]\d(?:\.\d+)?"
RANGES = {  # unit -> start and end; an open end is empty
    "%": re.compile(rf"\s*({NUMBER})\s*%\s*:\s*(?:({NUMBER})\s*%)?\s*"),
    "s": re.compile(rf"\s*({NUMBER})\s*s\s*:\s*(?:({NUMBER})\s*s)?\s*", re.I),
    "clock": re.compile(rf"\s*({CLOCK})\s*:\s*({CLOCK})?\s*"),
    "frames": re.compile(r"\s*(\d{1,9})\s*:\s*(\d{1,9})?\s*"),
}
EXAMPLE = "write [25%:50%], [2s:4s], [0:02:0:04] or, in frames from 1, [49:97]; [5s:] runs to the end"


@dataclass(frozen=True)
class Segment:
    """A text and when it holds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class TimeLine:
    """The texts of a film of `length` frames; `step` pixel frames make a latent frame, after the first."""

    everywhere: str
    segments: tuple[Segment, ...]
    length: int
    fps: float
    step: int

    @property
    def has_gaps(self) -> bool:
        """Whether there is a time without any segment."""
        reached = 0.0
        for segment in sorted(self.segments, key=lambda each: each.start):
            if segment.start > reached + 1e-6:
                return True
            reached = max(reached, segment.end)
        return reached < self.length - 1e-6

    @property
    def texts(self) -> list[str]:
        """What is encoded: each segment after what holds throughout; where there are gaps, that alone comes last."""
        said = ["\n".join(filter(None, (self.everywhere, segment.text))) for segment in self.segments]
        return [*said, self.everywhere] if self.has_gaps else said


def read_markers(text: str, length: int, fps: float, step: int) -> TimeLine | None:
    """The time line of a text with markers; None if it has none. ValueError names a marker that cannot be read."""
    if found := COMMAND.search(text):
        raise ValueError(f"{found[0]} is a command of a window plan, and a time line has none: take it out")
    markers = [found for found in BRACKET.finditer(text) if TIMED.fullmatch(found[1])]
    if not any(sign in found[1] for found in markers for sign in ":%"):
        return None
    segments = []
    for marker, after in pairwise([*markers, None]):
        said = text[marker.end() : after.start() if after else len(text)].strip()
        start, end = read_range(marker[1], length, fps, step)
        if not said:
            raise ValueError(f"{marker[0]} has no text: write behind it what is seen then")
        segments.append(Segment(start, end, said))
    return make_time_line(text[: markers[0].start()].strip(), segments, length, fps, step)


def read_range(marker: str, length: int, fps: float, step: int) -> tuple[float, float]:
    """Start and end of what is in the brackets of a marker, in frames."""
    matches = {unit: found for unit, pattern in RANGES.items() if (found := pattern.fullmatch(marker))}
    if not matches:
        raise ValueError(f"[{marker}] is no time from one moment to another in one unit: {EXAMPLE}")
    unit, found = next(iter(matches.items()))
    start, end = found[1], found[2]
    if unit == "frames":
        if int(start) < 1:
            raise ValueError(f"[{marker}] begins at frame {start}, and frames count from 1: {EXAMPLE}")
        first, last = int(start) - 1.0, float(end) if end else math.inf
    elif unit == "%":
        if max(float(start), float(end or 0)) > 100:
            raise ValueError(f"[{marker}] goes past 100 %: {EXAMPLE}")
        first, last = (frame_at(float(part or 100) / 100, length, step) for part in (start, end))
    else:
        seconds = [_seconds(part) if part else math.inf for part in (start, end)]
        first, last = (each * fps for each in seconds)
    if last <= first:
        raise ValueError(f"[{marker}] ends before it has begun: give a later end")
    return first, last


def _seconds(text: str) -> float:
    minutes, _, seconds = text.rpartition(":")
    return 60 * int(minutes or 0) + float(seconds)


def frame_at(share: float, length: int, step: int) -> float:
    """The time at a share of the film's latent frames: those, not the frames, are what a text can change at."""
    latents = share * latent_frames(length, step)
    return float(length) if share == 1 else latents if latents < 1 else 1 + (latents - 1) * step


def latent_frames(length: int, step: int) -> int:
    """Latent frames of so many frames."""
    return (length - 1) // step + 1


def from_starts(everywhere: str, starts: Sequence[tuple[float, str]], length: int, fps: float, step: int) -> TimeLine:
    """The time line of texts that each run to the start of the next."""
    segments = []
    for (start, text), (end, _) in pairwise([*starts, (math.inf, "")]):
        if end <= start:
            raise ValueError(
                f"a text starts at frame {end:g}, not after the one before at frame {start:g}: sort them by time"
            )
        segments.append(Segment(start, end, text))
    return make_time_line(everywhere, segments, length, fps, step)


def make_time_line(everywhere: str, segments: Sequence[Segment], length: int, fps: float, step: int) -> TimeLine:
    """A time line with its segments in the film; ValueError for one that begins after its end."""
    for segment in segments:
        if segment.start >= length:
            raise ValueError(
                f'"{segment.text[:40]}" begins at {segment.start / fps:g} s, and the film is {length / fps:g} s long '
                f"({length} frames at {fps:g} fps): set an earlier start, or a longer film"
            )
    inside = tuple(Segment(each.start, min(each.end, float(length)), each.text) for each in segments)
    return TimeLine(everywhere, inside, length, fps, step)


def frame_times(count: int, step: int) -> Tensor:
    """The middle of each latent frame of a clip, in frames from its first: frame 0, then `step` frames each. [T]"""
    times = torch.arange(count, dtype=torch.float64) * step + 1 - step / 2
    times[:1] = 0.5
    return times


def weights(line: TimeLine, times: Tensor, softness: float) -> Tensor:
    """How much of each of the line's texts is heard at times in the film. [S, T]"""
    ramp = max(softness * line.step, 1e-6)
    rows = []
    for segment in line.segments:
        begun = _ramp(times - segment.start, ramp) if segment.start > 0 else torch.ones_like(times)
        ended = _ramp(times - segment.end, ramp) if segment.end < line.length else torch.zeros_like(times)
        # Not begun * (1 - ended): that sums to more than 1 around a segment shorter than the ramp.
        rows.append((begun - ended).clamp(min=0))
    said = torch.stack(rows) if rows else times.new_zeros(0, len(times))
    return torch.cat([said, (1 - said.sum(0, keepdim=True)).clamp(0, 1)]) if line.has_gaps else said


def _ramp(distance: Tensor, width: float) -> Tensor:
    return (distance / width + 0.5).clamp(0, 1)


def biases(weight: Tensor, strength: float) -> Tensor:
    """What is added to the attention to a text of this weight, `strength` (0 or less) at the least."""
    return weight.log().clamp(min=strength, max=0)


def table(line: TimeLine, softness: float, first: int, frames: int) -> str:
    """The report: each text, when it holds, and on which latent frames of the clip it is heard."""
    times = frame_times(latent_frames(frames, line.step), line.step) + first
    heard = weights(line, times, softness)
    rows = ["segment | seconds | latent frames | text"]
    for number, (segment, weight) in enumerate(zip(line.segments, heard, strict=False), 1):
        seconds = f"{segment.start / line.fps:.2f} to {segment.end / line.fps:.2f}"
        rows.append(f"{number} | {seconds} | {_listed(weight)} | {segment.text}")
    if line.has_gaps:
        rows.append(f"otherwise | | {_listed(heard[-1])} | {line.everywhere or '(no text)'}")
    elif line.everywhere:
        rows.append(f"with each | | 0 to {len(times) - 1} | {line.everywhere}")
    return "\n".join(rows)


def _listed(weight: Tensor) -> str:
    """The runs of latent frames of a text: "0 to 14, half of 15"."""
    heard = (weight > 1e-6).nonzero().flatten().tolist()
    if not heard:
        return "none"
    runs, start = [], heard[0]
    for here, after in pairwise([*heard, None]):
        if after != here + 1:
            runs.append(f"{start} to {here}" if here > start else f"{here}")
            start = after
    parts = [f"{q}: {100 * float(weight[q]):.0f} %" for q in heard if weight[q] < 0.999]
    return ", ".join(runs) + (f" ({', '.join(parts)})" if parts else "")
