"""Run every golden scenario below a folder and print one line each with its error and tolerance.

    python scripts/parity [DIR]      default: tests/golden

Exit status 1 if a tolerance is exceeded, a scenario could not be run, or a scenario is not covered by the pack.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import pack

pack.alias_pack()
pack.start_core()

import torch

from parity import longlive, ltx2, ltxv, wan
from parity.scenario import BadGolden, Check, Scenario, read_golden

NODE_LIST = pack.ROOT / "tests" / "golden" / "nodes.json"  # the contract of the node schemas, no reference result
FAMILIES = (ltx2, ltxv, longlive, wan)


def scenarios_of(path: Path, data: dict | list) -> list[Scenario]:
    """The scenarios of one golden file; a file that no family knows is one that is not covered."""
    claims = (family.claim(path, data) for family in FAMILIES)
    return next((claim for claim in claims if claim is not None), [Scenario(path)])


def scenarios_in(path: Path) -> list[Scenario]:
    """The scenarios of the file at `path`; for one that cannot be read, a scenario that fails and says why."""
    try:
        return scenarios_of(path, read_golden(path))
    except BadGolden as error:
        return [refused(path, error)]
    except Exception as error:  # a shape that no family thinks of; the other files must still run
        return [refused(path, BadGolden(f"is not of a known form: {type(error).__name__}: {error}"))]


def refused(path: Path, error: BadGolden) -> Scenario:
    def run() -> list[Check]:
        raise error

    return Scenario(path, run)


def find_scenarios(folder: Path) -> list[Scenario]:
    paths = sorted(set(folder.rglob("*.json")) - {NODE_LIST})
    return [scenario for path in paths for scenario in scenarios_in(path)]


def run(scenario: Scenario, label: str) -> str:
    """Run and print one scenario; the outcome is 'ok', 'later', 'uncovered' or 'failed'."""
    outcome, said = result_of(scenario)
    print(f"{outcome:9} {label}  {said}", flush=True)
    return outcome


def result_of(scenario: Scenario) -> tuple[str, str]:
    """The outcome of a scenario and what there is to say about it."""
    if scenario.run is None:
        return ("later", scenario.later) if scenario.later else ("uncovered", "not covered yet")
    try:
        with torch.inference_mode():
            return summary(scenario.run())
    except BadGolden as error:
        return "failed", " ".join(str(error).split())
    except Exception:
        return "failed", f"could not be run\n{traceback.format_exc()}"


def summary(checks: list[Check]) -> tuple[str, str]:
    if not checks:
        return "failed", "nothing was compared"
    worst = max(checks, key=lambda check: (not check.ok, check.error / check.tolerance if check.tolerance else 0))
    said = f"{len(checks)} checks, worst {worst.name}: error {worst.error:.1e}, tolerance {worst.tolerance:.1e}"
    return "ok" if worst.ok else "failed", said


def main(name: str = "") -> int:
    folder = Path(name) if name else pack.ROOT / "tests" / "golden"
    scenarios = find_scenarios(folder)
    outcomes = []
    for scenario in scenarios:
        label = "/".join(filter(None, [str(scenario.path.relative_to(folder).with_suffix("")), scenario.name]))
        outcomes.append(run(scenario, label))
    counts = {kind: outcomes.count(kind) for kind in ("ok", "later", "uncovered", "failed")}
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    if not scenarios:
        print(f"no scenario found in {folder}")
    return int(not scenarios or counts["uncovered"] + counts["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
