"""The text of a plan: prompts with their times and commands, as a time line, as paragraphs or as JSON.

The commands in `[/...]` are those of WanGP's windows (`/duration`, `/overlap`, `/new_shot`, `/loras_mult`) and our own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ...utils.files import parse_json
from ...utils.time_lines import Entry, read_entries, read_time
from ..lora_multipliers import parse_token, tokens_of

Time = tuple[float, str]  # a number of "s" seconds, "f" frames, "l" latent frames or "%" of the whole
COMMANDS = (
    "[/duration=121] (frames, 5s, 0:05 or 20%), [/overlap=9], [/new_shot], [/seed=7] or [/seed=+1], [/loras=1;0.5], "
    "[/cfg=4], [/end=2], [/ref=1]"
)
COMMAND = re.compile(r"[ \t]*\[\s*/([^\[\]]*)\][ \t]*")
BETWEEN = re.compile(r",\s*/?\s*(?=[A-Za-z_])")  # of several in one bracket; multipliers hold commas before numbers
OPEN = re.compile(r"\[\s*/")
JSON = re.compile(r"\s*(?:\[\s*[{\"]|\{\s*\")")
PARAGRAPH = re.compile(r"\n(?:[ \t]*\n)+")
WHOLE = re.compile(r"\d{1,20}")
LARGEST_SEED = 0xFFFFFFFFFFFFFFFF
CUTS = ("hard cut", "shot cut")  # what LongLive's time lines call a new shot


@dataclass(frozen=True)
class PlanPrompt:
    """One prompt of a plan. None = what the plan or the guider has; "" as text is the guider's own prompt."""

    text: str = ""
    start: Time | None = None  # of a time line
    duration: Time | None = None
    overlap: int | None = None
    new_shot: bool = False
    seed: int = 0  # what is added to the seed; with `seed_is_own` the seed itself
    seed_is_own: bool = False
    cfg: float | None = None
    loras: str | None = None
    end: int | None = None
    ref: int | None = None


def read_plan_text(text: str) -> list[PlanPrompt]:
    """The prompts of a plan; none for an empty text. ValueError for what cannot be read, by the prompt's number."""
    if JSON.match(text):
        return read_json_prompts(text)
    entries = read_entries(text)
    if any(entry.timed for entry in entries):
        return [read_entry(entry, number) for number, entry in enumerate(entries, 1)]
    return [read_prompt(part, number) for number, part in enumerate(paragraphs_of(text), 1)]


def paragraphs_of(text: str) -> list[str]:
    """The parts of a text between empty lines."""
    return [part for part in PARAGRAPH.split("\n".join(text.splitlines())) if part.strip()]


def read_entry(entry: Entry, number: int) -> PlanPrompt:
    """A line of a time line; in the brackets after its time may stand commands, or a cut as LongLive writes it."""
    options = entry.options.strip()
    if options.startswith("/"):
        prompt = read_prompt(f"[{options}] {entry.text}", number)
    elif options in CUTS:
        prompt = replace(read_prompt(entry.text, number), new_shot=True)
    elif options:
        raise ValueError(
            f"prompt {number} has [{options}] after its time, which windows do not know: write {COMMANDS}, or leave "
            "it out"
        )
    else:
        prompt = read_prompt(entry.text, number)
    return replace(prompt, start=(entry.start, entry.unit))


def read_prompt(text: str, number: int = 1) -> PlanPrompt:
    """A prompt whose commands are taken out of its text."""
    commands = [part.partition("=") for found in COMMAND.findall(text) for part in BETWEEN.split(found)]
    rest = COMMAND.sub(" ", text).strip()
    if OPEN.search(rest):
        raise ValueError(f'prompt {number} has "[/" without "]" after it: write {COMMANDS}')
    given = [(name.strip(), value.strip() if equals else None) for name, equals, value in commands]
    return with_commands(rest, given, number)


def read_json_prompts(text: str) -> list[PlanPrompt]:
    """Prompts from [{"prompt": "a fox", "duration": "5s", "seed": "+1"}, ...]: the commands, each by its name."""
    items = parse_json(text, "prompts")
    prompts = []
    for number, item in enumerate(items if isinstance(items, list) else [items], 1):
        if not isinstance(item, dict):
            raise ValueError(f'prompt {number} is {item!r}: write {{"prompt": "a fox", "duration": "5s"}}')
        words = item.get("prompt", "")
        if not isinstance(words, str):
            raise ValueError(f'prompt {number}: "prompt" is {words!r}; write a text')
        written = read_prompt(words, number)
        given: list[tuple[str, str | None]] = []
        for name, value in item.items():
            if name == "new_shot" and isinstance(value, bool):
                given += [(name, None)] if value else []
            elif isinstance(value, bool) or not isinstance(value, str | int | float):
                raise ValueError(f'prompt {number}: "{name}" is {value!r}; write a number or a text')
            elif name != "prompt":
                given.append((name, str(value)))
        own = with_commands(written.text, given, number)
        if given and written != PlanPrompt(written.text):
            raise ValueError(f"prompt {number} has commands in its text and beside it: leave one of them")
        prompts.append(own if given else written)
    return prompts


def with_commands(text: str, given: list[tuple[str, str | None]], number: int) -> PlanPrompt:
    """A prompt with the commands in `given`, (name, value or None) each."""
    fields: dict[str, Any] = {}
    for name, value in given:
        command = {"loras_mult": "loras"}.get(name, name)
        try:
            if command not in READERS:
                raise ValueError("no such command")
            if command == "new_shot":
                if value is not None:
                    raise ValueError("it takes no value")
            elif not value:
                raise ValueError("it needs a value")
            if command in fields:
                raise ValueError("it is given twice")
            fields |= READERS[command](value or "")
        except ValueError as error:
            shown = f"/{name}" if value is None else f"/{name}={value}"
            raise ValueError(f"prompt {number}, {shown[:80]}: {error}. Commands are {COMMANDS}") from None
    return PlanPrompt(text, **fields)


def read_duration(value: str) -> dict[str, Any]:
    share = value.removesuffix("%").strip()
    if value.endswith("%"):
        number, unit = read_number(share, "percent"), "%"
        if number > 100:
            raise ValueError("a duration is at most 100% of the length")
    else:
        read = read_time(value)
        number, unit = read if read is not None else (read_number(value, "frames"), "f")
    if unit == "l":
        raise ValueError("a duration is in frames, seconds or percent")
    if not number > 0:
        raise ValueError("a duration is above 0")
    if unit == "f" and number != int(number):
        raise ValueError("frames are whole")
    return {"duration": (number, unit)}


def read_number(value: str, what: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{value[:40]!r} is no number of {what}")
    return number


def read_seed(value: str) -> dict[str, Any]:
    added = value.startswith("+")
    return {"seed": read_count(value.removeprefix("+").strip(), 0, LARGEST_SEED), "seed_is_own": not added}


def read_count(value: str, least: int, most: int = 999_999_999) -> int:
    if not WHOLE.fullmatch(value) or not least <= int(value) <= most:
        raise ValueError(f"{value[:40]!r} is no whole number from {least} to {most}")
    return int(value)


def read_cfg(value: str) -> dict[str, Any]:
    cfg = read_number(value, "cfg")
    if not 0 <= cfg <= 100:
        raise ValueError("cfg is from 0 to 100")
    return {"cfg": cfg}


def read_loras(value: str) -> dict[str, Any]:
    for token in tokens_of(value):
        parse_token(token)
    return {"loras": value}


READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "duration": read_duration,
    "overlap": lambda value: {"overlap": read_count(value, 0)},
    "new_shot": lambda _value: {"new_shot": True},
    "seed": read_seed,
    "loras": read_loras,
    "cfg": read_cfg,
    "end": lambda value: {"end": read_count(value, 1)},
    "ref": lambda value: {"ref": read_count(value, 1)},
}


def read_length(text: str, fps: float, seconds: float | None = None) -> int | None:
    """Frames from "301", "12s", "0:45" or, of a sound that lasts `seconds`, "100%"; None for an empty text."""
    text = text.strip()
    if seconds is not None and not text.endswith("%"):
        raise ValueError(
            f'length is "{text}" and audio is connected: write 100% to take its {seconds:.2f} s, or unplug audio'
        )
    if not text:
        return None
    try:
        number, unit = read_duration(text)["duration"]
    except ValueError as error:
        raise ValueError(f'length is "{text[:40]}": {error}; write 301, 12s, 0:45 or 100%') from None
    if unit == "%" and seconds is None:
        raise ValueError(f'length is "{text}" of nothing: connect audio, or write frames or seconds')
    return max(1, nearest(number / 100 * (seconds or 0) * fps if unit == "%" else in_frames(number, unit, fps)))


def in_frames(number: float, unit: str, fps: float) -> float:
    return number * fps if unit == "s" else number


def nearest(value: float) -> int:
    """The whole number nearest to `value`, half up; what is a whole number but for rounding stays it."""
    return math.floor(value + 0.5 + 1e-9)
