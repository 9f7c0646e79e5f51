"""What came of a lane: counts, and a line for each test that failed or was skipped."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

LONGEST = 160  # letters of a message
PARITY = re.compile(r"^(\d+) ok, (\d+) later, (\d+) uncovered, (\d+) failed$", re.MULTILINE)
NOT_OK = re.compile(r"^(?:failed|uncovered) +(.+?)  (.*)$", re.MULTILINE)
LATER = re.compile(r"^later +(.+?)  (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """Numbers of tests, and of those that failed or were skipped one line a test function: "name (cases): why"."""

    passed: int
    failed: int
    skipped: int = 0
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}
        return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count or kind == "passed")

    def to_dict(self) -> dict:
        """For the record: without empty lists."""
        return {name: value for name, value in asdict(self).items() if value != []}


def broken(why: str) -> Outcome:
    """A lane that gave no result."""
    return Outcome(0, 1, failures=[why])


def of_pytest(report: Path, status: int) -> Outcome:
    """From the JUnit file that a run of pytest wrote, and its status."""
    if not report.exists():
        return broken(f"pytest ended with status {status} and no report")
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed, skipped = marked(cases, "failure", "error"), marked(cases, "skipped")
    failures = lines(failed)
    if status and not failures:
        failures = [f"pytest ended with status {status}"]
    passed = len(cases) - len(failed) - len(skipped)
    return Outcome(passed, len(failed) or len(failures), len(skipped), failures, lines(skipped))


def of_parity(printed: str, status: int) -> Outcome:
    """From what `make parity` printed, and its status."""
    counts = PARITY.search(printed)
    if counts is None:
        return broken(f"parity ended with status {status} and no counts")
    ok, later, uncovered, failed = map(int, counts.groups())
    failures = lines(NOT_OK.findall(printed))
    if status and not failures:
        failures = [f"parity ended with status {status}"]
    return Outcome(ok, uncovered + failed or len(failures), later, failures, lines(LATER.findall(printed)))


def marked(cases: list[ElementTree.Element], *marks: str) -> list[tuple[str, str]]:
    """(name, message) of each test with one of these elements."""
    first = ((case, next((mark for mark in case if mark.tag in marks), None)) for case in cases)
    return [(name_of(case), mark.get("message", "")) for case, mark in first if mark is not None]


def name_of(case: ElementTree.Element) -> str:
    """'unit.ltx.test_x.test_y' of a test, without the parameters of a case."""
    name = f"{case.get('classname', '')}.{case.get('name', '').partition('[')[0]}"
    return name.strip(".").removeprefix("tests.")


def lines(found: Iterable[tuple[str, str]]) -> list[str]:
    """One line a name, with the number of its cases where there are several, and the first message."""
    messages: dict[str, list[str]] = {}
    for name, message in found:
        messages.setdefault(name, []).append(short(message))
    return [f"{name}{f' ({len(each)} cases)' if len(each) > 1 else ''}: {each[0]}" for name, each in messages.items()]


def short(message: str) -> str:
    """The first line of a message, without the folders of this machine."""
    first = re.sub(r"(?:/[\w.+-]+)+/", "", (message.strip().splitlines() or ["no message"])[0])
    return first if len(first) <= LONGEST else f"{first[:LONGEST]}..."
