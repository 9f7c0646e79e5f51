"""Times written as text, and texts on a time line: "0s: a fox", "0:05 it snows", "80f: ...", a line each.

A text without any time is one entry that begins at 0; a line without a time goes on with the one above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

UNITS = {"s": "seconds", "f": "frames", "l": "latent frames"}
# A time: 5s, 80 frames, 21l, 0:05, 1:02.5, 00:00:05; then options in brackets. In words only before a colon.
CLOCK = r"(?:(?P<hours>\d{1,9}):(?=\d\d:))?(?P<minutes>\d{1,9}):(?P<seconds>[0-5]\d(?:\.\d+)?)(?![\d:])"
SHORT = rf"(?:(?P<number>\d{{1,9}}(?:\.\d+)?)\s*(?P<unit>[sfl])(?!\w)|{CLOCK})"
LONG = SHORT.replace("[sfl]", "s(?:ec(?:ond)?s?)?|f(?:rames?)?|l(?:atents?)?")
OPTIONS = r"\s*(?:\[(?P<options>[^\]]*)\])?"
DASH = "[-\u2013\u2014]"
TIME = re.compile(rf"\s*{LONG}\s*", re.IGNORECASE)
ENTRY = re.compile(rf"\s*{LONG}{OPTIONS}\s*:(?P<text>.*)", re.IGNORECASE)
BRACKETED = re.compile(rf"\s*\[\s*{LONG}\s*\]{OPTIONS}\s*:?(?P<text>.*)", re.IGNORECASE)
BARE = re.compile(rf"\s*{SHORT}{OPTIONS}(?:\s+(?:{DASH}\s+)?(?P<text>.*)|$)", re.IGNORECASE)
FORMS = (ENTRY, BRACKETED, BARE)
DECADE = re.compile(r"\s*(?:(?:19|20)?[1-9]0|(?:19|20)00)s\s", re.IGNORECASE)  # "80s neon", "1950s diner"
SEVERAL = re.compile(r"(?<!\s)\s+/\s+")  # begins at the first of many spaces only, or each would be tried
# What is meant as a start and cannot be read: a number or a range before a colon or in brackets, a sign, a wrong clock.
NUMBER = (
    r"\d+(?:[.,:e]\d+)*\s*(?:(?:s|secs?|seconds?|f|frames?|l|latents?|m|ms|mins?|minutes?|h|hours?)(?:\s*\d+\s*s)?\b)?"
)
SPAN = rf"{NUMBER}(?:\s*(?:{DASH}|to)\s*{NUMBER})?"
TIMED = re.compile(
    rf"\s*(?:[-+]?{SPAN}{OPTIONS}\s*:(?!\d)|[-+]\s*(?:\d+(?:\.\d+)?\s*[sfl]\b|\d+:\d\d)|[\[(]\s*[-+]?{SPAN}\s*[\])]"
    r"|\d+:[6-9]\d(?!\d)|0+:\d(?!\d))",
    re.IGNORECASE,
)
EXAMPLE = 'write "5s: a fox", "0:05 a fox", "80f: a fox" or "21l: a fox", one a line'


@dataclass(frozen=True)
class Entry:
    """A text and the time it begins at, in `unit` "s", "f" or "l"; `line` is where it is written, from 1."""

    start: float
    unit: str
    text: str
    options: str = ""  # what stands in brackets after the time
    line: int = 1
    timed: bool = True  # False for text above the first time, which begins at 0


def read_entries(text: str) -> list[Entry]:
    """The entries of a time line, none for an empty text.

    A time is 5s, 80f, 21l, 0:05 or 00:00:05, the colon after it may be missing, and it may stand in brackets; " / "
    separates several of them in a line. Raises ValueError on what looks like a time and cannot be read.
    """
    entries: list[Entry] = []
    style = None  # of the last time: what it matched
    for number, line in enumerate(text.splitlines(), 1):
        for part in parts_of(line):
            found = match_entry(part, style, number)
            if found is not None:
                style = found.re
                start, unit = time_of(found)
                entries.append(Entry(start, unit, (found["text"] or "").strip(), found["options"] or "", number))
            elif part.strip() and entries:
                last = entries[-1]
                entries[-1] = replace(last, text=f"{last.text} {part.strip()}".strip())
            elif part.strip():
                entries.append(Entry(0, "l", part.strip(), line=number, timed=False))
    return entries


def read_time(text: str) -> tuple[float, str] | None:
    """'5s', '0:05' or '80 frames' -> (5.0, 's'), (5.0, 's'), (80.0, 'f'); None for what is no time."""
    found = TIME.fullmatch(text)
    return None if found is None else time_of(found)


def time_of(found: re.Match) -> tuple[float, str]:
    if found["number"] is not None:
        return float(found["number"]), found["unit"][0].lower()
    return 3600 * int(found["hours"] or 0) + 60 * int(found["minutes"]) + float(found["seconds"]), "s"


def parts_of(line: str) -> list[str]:
    """The entries of a line: several only where each begins with a time."""
    parts = SEVERAL.split(line)
    return parts if all(any(form.fullmatch(part) for form in FORMS) for part in parts) else [line]


def match_entry(line: str, style: re.Pattern | None, number: int) -> re.Match | None:
    """The match of a line that begins with a time. "80s" without a colon is one where others are without, too.

    Raises ValueError for what is meant as a time and cannot be read, or may not be meant as one.
    """
    found = next(filter(None, (form.fullmatch(line) for form in FORMS)), None)
    if found is not None and found.re is BARE and DECADE.match(line) and style not in (BARE, BRACKETED):
        if style is None:
            return None
        word = line.split()[0]
        raise ValueError(
            f'line {number} is "{shortened(line)}": write "{word}:" for a time, or begin the line with another word'
        )
    if found is None and TIMED.match(line):
        raise ValueError(
            f'line {number} is "{shortened(line)}", which begins like a time that cannot be read: {EXAMPLE}'
        )
    return found


def shortened(text: str, length: int = 60) -> str:
    text = text.strip()
    return text if len(text) <= length else f"{text[:length]} ..."
