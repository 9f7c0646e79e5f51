"""The record of what came of lanes on ComfyUI releases, docs/compat.json, and the page made from it, docs/compat.md."""

from __future__ import annotations

import json
from pathlib import Path

import bootstrap

from .outcome import Outcome

RECORD = bootstrap.ROOT / "docs" / "compat.json"
LANES = ("unit", "graphs", "parity", "browser", "refusal")
HEAD = """# ComfyUI releases

What the test lanes gave on each release of ComfyUI, and when. `make compat TREE=/path/to/ComfyUI RECORD=1` runs them on
a tree, in an environment with the packages that its `requirements.txt` asks for, and writes its results here.

*unit*: maths and nodes. *graphs*: every shipped workflow on tiny checkpoints, and the pocket models. *parity*:
reference results at their own tolerances. *browser*: every shipped workflow in the frontend that the release asks for.
*refusal*: the release is too old, and Oner says so in one sentence instead of loading.
"""

Record = dict[str, dict[str, dict]]  # release -> lane -> date, passed, failed, skipped, failures, skips


def load(path: Path = RECORD) -> Record:
    return json.loads(path.read_text())


def add(release: str, lane: str, outcome: Outcome, date: str, path: Path = RECORD) -> None:
    """Put a result into the record, in place of an older one of the same release and lane."""
    record = load(path)
    record.setdefault(release, {})[lane] = {"date": date, **outcome.to_dict()}
    ordered = {key: {name: record[key][name] for name in LANES if name in record[key]} for key in newest_first(record)}
    path.write_text(json.dumps(ordered, indent=1) + "\n")


def write_page() -> None:
    RECORD.with_suffix(".md").write_text(page(load()))


def newest_first(releases: Record) -> list[str]:
    return sorted(releases, key=lambda release: [int(part) for part in release.split(".")], reverse=True)


def page(record: Record) -> str:
    """The text of docs/compat.md."""
    lanes = [lane for lane in LANES if any(lane in results for results in record.values())]
    lines = [HEAD, f"| ComfyUI | {' | '.join(lanes)} |", "| --- |" + " --- |" * len(lanes)]
    for release, results in record.items():
        cells = [f"{shown(results[lane])}, {results[lane]['date']}" if lane in results else "" for lane in lanes]
        lines.append(f"| {release} | {' | '.join(cells)} |")
    for title, key in (("What fails", "failures"), ("What is skipped", "skips")):
        found = [
            f"- {release}, {lane}: {line}"
            for release, results in record.items()
            for lane, result in results.items()
            for line in result.get(key, ())
        ]
        lines += ["", f"## {title}", "", *(found or ["Nothing."])]
    return "\n".join(lines) + "\n"


def shown(result: dict) -> str:
    """'2384 passed, 2 skipped'; failures are bold."""
    text = str(Outcome(result["passed"], result["failed"], result["skipped"]))
    return text.replace(f"{result['failed']} failed", f"**{result['failed']} failed**")


def table(results: dict[str, dict[str, Outcome]]) -> str:
    """Releases by lanes, for a terminal."""
    lanes = list(dict.fromkeys(lane for each in results.values() for lane in each))
    rows = [["ComfyUI", *lanes]]
    rows += [[release, *(str(each.get(lane, "")) for lane in lanes)] for release, each in results.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
