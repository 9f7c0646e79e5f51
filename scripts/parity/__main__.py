"""Run every golden scenario below a folder and print one line each with its error and tolerance.

    python scripts/parity [DIR]      default: tests/golden

Exit status 1 if a tolerance is exceeded, a scenario could not be run, or a scenario is not covered by the pack.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import pack

pack.alias_pack()
pack.start_core()

import torch

from parity.scenario import BadGolden, Scenario

NODE_LIST = pack.ROOT / "tests" / "golden" / "nodes.json"  # the contract of the node schemas, no reference result
FAMILIES = ["ltx2", "ltxv", "longlive", "wan"]


def scenarios_of(path: Path, data: dict | list) -> list[Scenario]:
    """The scenarios of one golden file; a file that no family knows is one that is not covered."""
    modules = [
        importlib.import_module(f"parity.{family}")
        for family in FAMILIES
        if (Path(__file__).parent / f"{family}.py").exists()
    ]
    claims = (module.claim(path, data) for module in modules)
    return next((claim for claim in claims if claim is not None), [Scenario(path)])


def find_scenarios(folder: Path) -> list[Scenario]:
    paths = sorted(set(folder.rglob("*.json")) - {NODE_LIST})
    return [scenario for path in paths for scenario in scenarios_of(path, json.loads(path.read_text()))]


def run(scenario: Scenario, label: str) -> str:
    """Run and print one scenario; the outcome is 'ok', 'later', 'uncovered' or 'failed'."""
    if scenario.run is None:
        outcome = "later" if scenario.later else "uncovered"
        print(f"{outcome:9} {label}  {scenario.later or 'not covered yet'}", flush=True)
        return outcome
    try:
        with torch.inference_mode():
            checks = scenario.run()
    except BadGolden as error:
        print(f"failed    {label}  {error}", flush=True)
        return "failed"
    except Exception:
        print(f"failed    {label}  could not be run\n{traceback.format_exc()}", flush=True)
        return "failed"
    if not checks:
        print(f"failed    {label}  nothing was compared", flush=True)
        return "failed"
    worst = max(checks, key=lambda check: (not check.ok, check.error / check.tolerance if check.tolerance else 0))
    outcome = "ok" if worst.ok else "failed"
    print(
        f"{outcome:9} {label}  {len(checks)} checks, worst {worst.name}: error {worst.error:.1e}, tolerance "
        f"{worst.tolerance:.1e}",
        flush=True,
    )
    return outcome


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] else pack.ROOT / "tests" / "golden"
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
    sys.exit(main())
