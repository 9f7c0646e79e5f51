"""Prompts over time: which text a block is made with and what happens to the history when the text changes.

LongLive 1.0 rounds a requested switch up to the next block (pipeline/interactive_causal_inference.py) and recaches;
LongLive 2.0 cuts between shots. Text may be given in seconds, pixel frames or latent frames: "20s [new sink]: a fox".
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..samplers.windows.plan import WindowPlan
from ..samplers.windows.plan_text import COMMAND, paragraphs_of
from ..utils import files
from ..utils.numbers import whole_numbers
from ..utils.time_lines import UNITS, read_entries, shortened

KEEP_SINK, NEW_SINK, TEXT_ONLY, HARD_CUT, SHOT_CUT = "keep sink", "new sink", "text only", "hard cut", "shot cut"
MODES = (KEEP_SINK, NEW_SINK, TEXT_ONLY, HARD_CUT, SHOT_CUT)
TRANSITION = "The scene transitions. "  # LongLive 2.0 was trained with this before the first prompt of a shot
PIXELS = 4  # pixel frames a latent frame, after the first, which is one

BLEND = re.compile(r"^blend\s+(\d{1,9})$")


@dataclass(frozen=True)
class Prompt:
    """A text that starts at a time, before it is put on the grid of blocks."""

    start: float
    unit: str  # "s", "f" or "l"
    text: str
    mode: str = ""  # "" = what the model does by default
    blend: int = 1  # blocks over which the text changes

    def latent(self, fps: float) -> int:
        """First latent frame that lies wholly at or after the start."""
        if self.unit == "l":
            return math.ceil(self.start)
        frame = math.ceil(self.start * fps - 1e-6) if self.unit == "s" else math.ceil(self.start)
        return -(-(frame + PIXELS - 1) // PIXELS) if frame else 0


@dataclass(frozen=True)
class Placed:
    """A prompt on the grid: `start` is the latent frame of the block where it takes effect."""

    start: int
    text: str
    mode: str
    blend: int


def pixel_frame(latent: int) -> int:
    """First pixel frame of a latent frame."""
    return max(0, PIXELS * latent - PIXELS + 1)


def parse_prompts(text: str) -> list[Prompt]:
    """Prompts from the lines of a time line, "<time> [mode, blend n]: text".

    Raises ValueError on an unknown mode or a command of window plans, and on what looks like a time and cannot be read.
    """
    entries = read_entries(text)
    if not entries:
        raise ValueError('the schedule is empty: write a prompt, or lines such as "0s: a fox" and "20s: it snows"')
    for entry in entries:
        found = COMMAND.search(f"[{entry.options}] {entry.text}")
        if found is not None:
            raise ValueError(
                f"line {entry.line} has {shortened(found[0])}, a command of Window Plan: write the text there and "
                "connect its plan, or take the command out"
            )
    return [Prompt(e.start, e.unit, e.text, *parse_options(e.options, e.line)) for e in entries]


def untimed_paragraphs(text: str) -> list[str]:
    """What to say of paragraphs, which a schedule reads as one prompt."""
    count = len(paragraphs_of(text))
    if count < 2 or any(entry.timed for entry in read_entries(text)):
        return []
    return [
        f"the text has {count} paragraphs and no times, so it is one prompt: begin each with a time such as 5s:, or "
        "write it in Window Plan and connect its plan"
    ]


def plan_prompts(plan: WindowPlan, fps: float, cut: str) -> list[Prompt]:
    """The prompts of a window plan, each from the frame where it begins; a new shot is a `cut`.

    ValueError for what a take does not change on its way.
    """
    if plan.fps != fps:
        raise ValueError(f"plan has {plan.fps:g} frames per second and settings {fps:g}: make them equal")
    if plan.prefix:
        raise ValueError(
            f"plan goes on after {plan.prefix} given frames; a schedule begins with its take: set prefix_frames to 0"
        )
    prompts: list[Prompt] = []
    for number, row in enumerate(plan.rows, 1):
        given = {"cfg": row.cfg, "loras": row.loras, "end": row.end, "ref": row.ref}
        changed = ["seed"] if row.seed or row.seed_is_own else []
        changed += [name for name, value in given.items() if value is not None]
        if changed:
            raise ValueError(
                f"window {number} of plan has its own {', '.join(changed)}, which a take does not change on its way: "
                "take the commands out"
            )
        if not row.prompt:
            raise ValueError(f"window {number} of plan has no prompt: a take needs one")
        if row.new_shot or not prompts or row.prompt != prompts[-1].text:
            prompts.append(Prompt(row.start, "f", row.prompt, cut if row.new_shot else ""))
    return prompts


def listed(placed: list[Placed], fps: float) -> list[str]:
    """One line a prompt: where it takes effect and how it begins."""
    lines = []
    for number, prompt in enumerate(placed, 1):
        frame = pixel_frame(prompt.start)
        lines.append(f"{number}. from {frame / fps:.2f} s (frame {frame}): {shortened(prompt.text)}")
    return lines


def parse_options(options: str, line: int) -> tuple[str, int]:
    mode, blend = "", 1
    for option in filter(None, (part.strip() for part in options.split(","))):
        count = BLEND.match(option)
        if count:
            blend = int(count[1])
        elif option in MODES:
            mode = option
        else:
            raise ValueError(f'line {line}: "{option}" is not known; use {", ".join(MODES)} or "blend 4"')
    if blend > 1 and mode not in ("", KEEP_SINK, TEXT_ONLY):
        raise ValueError(f'line {line}: "{mode}" cuts, so it cannot blend: use "keep sink" or "text only"')
    return mode, max(1, blend)


def place_prompts(
    prompts: list[Prompt], block: int, fps: float, default: str = KEEP_SINK
) -> tuple[list[Placed], list[str]]:
    """Put prompts on block starts, rounding up, and say in words what was moved.

    Raises ValueError if the first does not start at 0 or the starts are not in order.
    """
    starts = [prompt.latent(fps) for prompt in prompts]
    if starts[0] != 0:
        raise ValueError(
            f"the first prompt starts at {prompts[0].start:g}{prompts[0].unit}: it must start at 0s; a text that is "
            "no schedule begins with another word"
        )
    placed: list[Placed] = []
    report = []
    for i, (prompt, wanted) in enumerate(zip(prompts, starts, strict=True)):
        if i and wanted <= starts[i - 1] and prompt.start <= prompts[i - 1].start:
            raise ValueError(
                f"prompt {i + 1} starts at {prompt.start:g}{prompt.unit}, not after prompt {i} at "
                f"{prompts[i - 1].start:g}{prompts[i - 1].unit}: sort the schedule by time"
            )
        start = -(-wanted // block) * block
        if placed and start <= placed[-1].start:
            start = placed[-1].start + block
            report.append(f"prompt {i} is shorter than a block of {block} latent frames and was made one block long")
        if i and (start != wanted or prompt.unit != "l"):
            frame = pixel_frame(start)
            asked = f"{prompt.start:g} {UNITS[prompt.unit]}"
            report.append(f"prompt {i + 1}: {asked} -> frame {frame} ({frame / fps:.2f} s, latent frame {start})")
        if placed and placed[-1].start + (placed[-1].blend - 1) * block >= start:
            raise ValueError(
                f"prompt {i} blends over {placed[-1].blend} blocks but lasts {(start - placed[-1].start) // block}: "
                "lower its blend or let it last longer"
            )
        mode = prompt.mode or (default if i else KEEP_SINK)
        if mode == SHOT_CUT and prompt.blend > 1:
            raise ValueError(f"prompt {i + 1} cuts to a new shot, so it cannot blend: remove the blend")
        placed.append(Placed(start, prompt.text, mode, prompt.blend))
    return placed, report


def read_switch_file(text: str, switches: str, line: int = 1) -> list[Prompt]:
    """Prompts from LongLive 1.0's JSONL, {"prompts": [...]} a line, and its switch_frame_indices "40, 80"."""
    rows = [row for row in text.splitlines() if row.strip()]
    if not 1 <= line <= len(rows):
        raise ValueError(f"the file has {len(rows)} lines; line is {line}")
    try:
        texts = files.parse_object(rows[line - 1], f"line {line}").get("prompts")
    except ValueError:
        texts = None
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        raise ValueError(f'line {line} is not {{"prompts": ["...", "..."]}}, the format of LongLive 1.0')
    starts = [0, *counts(switches, "switch_frames")]
    if len(starts) != len(texts):
        raise ValueError(f"{len(texts)} prompts need {len(texts) - 1} switch frames, not {len(starts) - 1}")
    return [Prompt(start, "l", text) for start, text in zip(starts, texts, strict=True)]


def counts(text: str, name: str) -> list[int]:
    """Whole numbers from 1; ValueError naming what is none."""
    numbers = whole_numbers(text, name, "40, 80")
    if wrong := [number for number in numbers if number < 1]:
        raise ValueError(f"{name} holds {wrong[0]}; write whole numbers from 1, such as 40, 80")
    return list(numbers)


def read_shot_folder(folder: Path, block: int, blocks_per_shot: int) -> list[Prompt]:
    """Prompts from LongLive 2.0's folder: 0.json, 1.json ... {"caption"}, shot_durations.txt in blocks if present."""
    shots = sorted((p for p in folder.glob("*.json") if p.stem.isdigit()), key=lambda p: int(p.stem))
    if not shots:
        raise ValueError(f"{folder.name} holds no 0.json, 1.json, ...: it is not a folder of LongLive 2.0 shots")
    durations = folder / "shot_durations.txt"
    lengths = [blocks_per_shot] * len(shots)
    if os.path.lexists(durations):
        lengths = counts(files.read_text(durations), durations.name)
    if len(lengths) != len(shots):
        raise ValueError(f"shot_durations.txt holds {len(lengths)} numbers for {len(shots)} shots")
    prompts, start = [], 0
    for i, (shot, length) in enumerate(zip(shots, lengths, strict=True)):
        caption = files.read_json(shot).get("caption")
        if not isinstance(caption, str):
            raise ValueError(f'{shot.name} has no "caption"')
        text = caption if i == 0 or caption.startswith(TRANSITION) else TRANSITION + caption
        prompts.append(Prompt(start, "l", text, SHOT_CUT if i else ""))
        start += length * block
    return prompts
