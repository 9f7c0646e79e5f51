"""A plan of windows as a picture of its time line, and as a table."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...utils.time_lines import shortened
from .plan import Row, WindowPlan

WIDTH, MARGIN, STRIP, LANE, LEGEND = 1280, 24, 118, 26, 34  # pixels
WINDOWS, STRIPS = 8, 16  # windows a strip, and strips at most; more windows make the strips fuller
BACK, INK, FAINT = (24, 24, 30), (225, 225, 225), (120, 120, 135)
GIVEN, TRIM, DISCARD, CUT = (92, 100, 122), (150, 110, 40), (140, 52, 60), (250, 210, 90)
SHOTS = ((58, 130, 176), (74, 148, 92), (142, 96, 170))  # new frames, in turn from shot to shot
TICKS = (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 10800)  # seconds
FONT = ImageFont.load_default(13)


def prompt_numbers(plan: WindowPlan) -> list[int]:
    """The number of each window's prompt, from 1: a text that changes and a new shot begin the next."""
    numbers = [1]
    for before, row in pairwise(plan.rows):
        numbers.append(numbers[-1] + (row.new_shot or row.prompt != before.prompt))
    return numbers


def shot_numbers(plan: WindowPlan) -> list[int]:
    numbers = [1]
    for row in plan.rows[1:]:
        numbers.append(numbers[-1] + row.new_shot)
    return numbers


def commands_of(row: Row) -> str:
    """What the window's prompt changes, seed aside."""
    given = {"cfg": None if row.cfg is None else f"{row.cfg:g}", "loras": row.loras, "end": row.end, "ref": row.ref}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def seed_of(row: Row) -> str:
    return str(row.seed) if row.seed_is_own else f"+{row.seed}"


def windows_of(plan: WindowPlan) -> str:
    return "1 window" if len(plan.rows) == 1 else f"{len(plan.rows)} windows"


def clock(seconds: float) -> str:
    """5 -> '5s', 90 -> '1:30', 2.5 -> '2.5s'."""
    if seconds < 60:
        return f"{seconds:g}s"
    rest = seconds % 60
    return f"{int(seconds) // 60}:{rest:02.0f}" if rest == int(rest) else f"{int(seconds) // 60}:{rest:05.2f}"


# --- table -----------------------------------------------------------------------------------------------------------


def plan_report(plan: WindowPlan) -> str:
    """A line of sums, a table with a line a window, and what was moved."""
    sampled = sum(row.frames for row in plan.rows)
    head = ["window", "frames", "seconds", "samples", "overlap", "trim", "discard", "shot", "prompt", "seed"]
    lines = [[*head, "commands", "text"]]
    for number, (row, prompt, shot) in enumerate(
        zip(plan.rows, prompt_numbers(plan), shot_numbers(plan), strict=True), 1
    ):
        end = row.start + row.out
        lines.append(
            [
                str(number),
                f"{row.start}-{end - 1}",
                f"{row.start / plan.fps:.2f}-{end / plan.fps:.2f}",
                *map(str, (row.frames, row.overlap, row.trim, row.discard, shot, prompt)),
                seed_of(row),
                commands_of(row) or "-",
                shortened(" ".join(row.prompt.split())) or "-",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    given = f", after {plan.prefix} frames of the given video" if plan.prefix else ""
    return "\n".join(
        [
            f"{windows_of(plan)}, {plan.total} frames ({plan.total / plan.fps:.2f} s at {plan.fps:g} fps){given}; "
            f"{sampled} frames are sampled for them",
            *("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines),
            *plan.notes,
        ]
    )


# --- picture ---------------------------------------------------------------------------------------------------------


def draw_plan(plan: WindowPlan) -> Tensor:
    """The picture [1, H, WIDTH, 3] in 0..1: strips of windows, two lanes each, below them what the colours mean."""
    count = max(WINDOWS, -(-len(plan.rows) // STRIPS))
    strips = [range(i, min(i + count, len(plan.rows))) for i in range(0, len(plan.rows), count)]
    spans = [span_of(plan, strip) for strip in strips]
    scale = (WIDTH - 2 * MARGIN) / max(end - start for start, end in spans)
    height = MARGIN // 2 + STRIP * len(strips) + LEGEND
    picture = Image.new("RGB", (WIDTH, height), BACK)
    pen = ImageDraw.Draw(picture)
    for number, (strip, span) in enumerate(zip(strips, spans, strict=True)):
        draw_strip(pen, plan, strip, span, scale, MARGIN // 2 + number * STRIP)
    draw_legend(pen, plan, height - LEGEND)
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(1, height, WIDTH, 3).float() / 255


def span_of(plan: WindowPlan, strip: range) -> tuple[int, int]:
    """First and last frame that a strip shows: what its first window is given, and what its last one throws away."""
    first, last = plan.rows[strip[0]], plan.rows[strip[-1]]
    before = min(plan.prefix, first.frames // 4) if strip[0] == 0 else 0  # of a long video its end
    return first.start - max(first.overlap, before), last.start + last.out + last.trim + last.discard


def draw_strip(
    pen: ImageDraw.ImageDraw, plan: WindowPlan, strip: range, span: tuple[int, int], scale: float, top: int
) -> None:
    prompts, shots = prompt_numbers(plan), shot_numbers(plan)

    def x(frame: float) -> float:
        return MARGIN + (frame - span[0]) * scale

    lanes, axis = top + 22, top + 22 + 2 * LANE + 8
    draw_ticks(pen, plan, span, scale, x, axis)
    if strip[0] == 0 and plan.prefix:
        pen.rectangle([x(span[0]), lanes, x(0), lanes + 2 * LANE], outline=FAINT)
        write(pen, x(span[0]) + 4, lanes + LANE + 5, "given video", x(0) - 4, FAINT)
    for index in strip:
        draw_bar(
            pen, plan.rows[index], index + 1, x, lanes + (index % 2) * LANE, SHOTS[(shots[index] - 1) % len(SHOTS)]
        )
    begins = [i for i in strip if i == strip[0] or prompts[i] != prompts[i - 1]]
    for index, after in zip(begins, [*begins[1:], None], strict=True):
        row = plan.rows[index]
        left, right = x(row.start), x(span[1] if after is None else plan.rows[after].start)
        goes_on = index == strip[0] and index > 0 and prompts[index] == prompts[index - 1]
        if not goes_on:
            pen.line([left, top + 2, left, axis], fill=CUT if row.new_shot else INK, width=2 if row.new_shot else 1)
        words = f"{prompts[index]}{' (goes on)' if goes_on else ''}  {' '.join(row.prompt.split())}"
        write(pen, left + 4, top + 2, words, right - 4, CUT if row.new_shot else INK)
    pen.line([x(span[0]), axis, x(span[1]), axis], fill=FAINT)


def draw_bar(
    pen: ImageDraw.ImageDraw, row: Row, number: int, x: Callable[[float], float], top: int, colour: tuple[int, int, int]
) -> None:
    """One window: what it is given, its own frames, what is trimmed and what is discarded."""
    end = row.start + row.out
    parts = (
        (row.start - row.overlap, row.start, GIVEN),
        (row.start, end, colour),
        (end, end + row.trim, TRIM),
        (end + row.trim, end + row.trim + row.discard, DISCARD),
    )
    for left, right, fill in parts:
        if right > left:
            pen.rectangle([x(left), top + 2, max(x(right) - 1, x(left)), top + LANE - 2], fill=fill)
    extras = [f"seed {seed_of(row)}" if row.seed or row.seed_is_own else "", commands_of(row)]
    words = ", ".join(filter(None, [f"{number}: {row.out}", *extras]))
    write(pen, x(row.start) + 4, top + 5, words, x(end) - 3, INK, short=str(number))


def draw_ticks(
    pen: ImageDraw.ImageDraw,
    plan: WindowPlan,
    span: tuple[int, int],
    scale: float,
    x: Callable[[float], float],
    axis: int,
) -> None:
    step = next((tick for tick in TICKS if tick * plan.fps * scale >= 64), TICKS[-1])
    for tick in range(max(0, -int(-span[0] // (step * plan.fps))), int(span[1] / plan.fps / step) + 1):
        place = x(tick * step * plan.fps)
        pen.line([place, axis, place, axis + 4], fill=FAINT)
        write(pen, place + 3, axis + 3, clock(tick * step), WIDTH, FAINT)


def draw_legend(pen: ImageDraw.ImageDraw, plan: WindowPlan, top: int) -> None:
    shown = [
        (SHOTS[0], "new frames, by shot"),
        (GIVEN, "overlap, given by what came before"),
        (TRIM, "trimmed to the grid"),
        (DISCARD, "discarded"),
        (CUT, "new shot"),
    ]
    left = float(MARGIN)
    for colour, words in shown:
        pen.rectangle([left, top + 9, left + 14, top + 23], fill=colour)
        pen.text((left + 20, top + 8), words, fill=INK, font=FONT)
        left += 44 + FONT.getlength(words)
    sums = f"{windows_of(plan)}, {plan.total} frames, {plan.total / plan.fps:.2f} s"
    pen.text((WIDTH - MARGIN - FONT.getlength(sums), top + 8), sums, fill=INK, font=FONT)


def write(
    pen: ImageDraw.ImageDraw, x: float, y: float, text: str, right: float, colour: tuple[int, int, int], short: str = ""
) -> None:
    """Text that ends before `right`: shortened, or `short`, or nothing."""
    text = text.encode("utf-8", "replace").decode()  # half a character cannot be drawn
    if FONT.getlength(text) > right - x:
        width = FONT.getlength("...")
        kept = next((n for n in range(len(text), 2, -1) if FONT.getlength(text[:n]) + width <= right - x), 0)
        text = f"{text[:kept].rstrip()}..." if kept and not short else short
    if text and FONT.getlength(text) <= right - x:
        pen.text((x, y), text, fill=colour, font=FONT)
