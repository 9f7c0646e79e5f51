"""Run the test lanes on ComfyUI releases other than the one that is set up, and print a table: `make compat`.

    python scripts/compat                          the unit lane, without tests marked `once`, on every release that
                                                   scripts/bootstrap.py can have
    python scripts/compat 0.27.0 /path/to/ComfyUI  on these; a tree at a path gets the lanes unit, graphs and parity
    python scripts/compat TREE --lanes unit browser
    python scripts/compat TREE --record            writes the results to docs/compat.json and docs/compat.md

A tree runs in an environment of its own (environment.py), kept in .cache/compat. One that is older than the pack
supports must be refused with a sentence. Exit status 1 if anything fails.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bootstrap
import lanes

from harness import pack
from harness.base import throw_away

pack.alias_pack()
from compat import outcome, record
from compat.environment import prepare
from compat.outcome import Outcome
from oner.utils.core import OLDEST_CORE, parse_version

LANES = {lane.name: lane for lane in lanes.LANES if lane.name in record.LANES}
FIRST = ("unit",)  # of a release: what a change of core breaks most
BRIEF = ["-m", "not once"]  # of a release too: without what takes minutes and depends little on it
WHOLE = ("unit", "graphs", "parity")  # of a tree
IMPORT = """
import sys
sys.path[:0] = [sys.argv[1], "scripts"]
from harness import pack
pack.alias_pack()
import oner.nodes
"""


def find_tree(name: str) -> Path:
    """The tree of a release that scripts/bootstrap.py can have, or the one at a path."""
    if name in bootstrap.SOURCES:
        return bootstrap.install_comfyui(name)
    tree = Path(name).expanduser().resolve()
    if not (tree / "comfy_api").is_dir() or not (tree / "requirements.txt").is_file():
        sys.exit(f"{tree} is not a ComfyUI tree: it has no comfy_api folder or no requirements.txt")
    return tree


def release_of(tree: Path) -> str:
    """'0.33.0', as the tree itself says."""
    text = (tree / "comfyui_version.py").read_text()
    return re.search(r'__version__ = "(\d+(?:\.\d+)*)', text)[1]


def run_lane(lane: lanes.Lane, python: Path, tree: Path, brief: list[str]) -> Outcome:
    """Run a lane on a tree with the Python of its environment; what pytest or parity prints is shown.

    `brief` are arguments for pytest that leave tests out.
    """
    missing = lane.missing()
    if missing:
        return outcome.broken(missing)
    environment = {**lanes.environment(), "COMFYUI_PATH": str(tree)}
    command = [str(python), *lane.arguments]
    if "pytest" not in lane.arguments:
        done = subprocess.run(command, cwd=bootstrap.ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        print("\n".join(line for line in done.stdout.splitlines() if not line.startswith("ok ")), flush=True)
        return outcome.of_parity(done.stdout, done.returncode)
    with throw_away() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run([*command, *brief, f"--junitxml={report}"], cwd=bootstrap.ROOT, env=environment)
        return outcome.of_pytest(report, done.returncode)


def refusal(release: str, tree: Path) -> Outcome:
    """Whether the pack says one sentence and stops in a tree that is too old."""
    command = [sys.executable, "-c", IMPORT, str(tree)]
    done = subprocess.run(command, cwd=bootstrap.ROOT, capture_output=True, text=True)
    said = (done.stderr.strip().splitlines() or ["imported"])[-1]
    print(said)
    refused = done.returncode != 0 and f"ComfyUI is {release}; Oner needs {OLDEST_CORE} or newer" in said
    return Outcome(1, 0) if refused else outcome.broken(outcome.short(said))


def check(name: str, chosen: list[str], *, whole: bool) -> tuple[str, dict[str, Outcome]]:
    """The release of a tree and what came of its lanes; `whole` also with tests that are marked `once`."""
    tree = find_tree(name)
    release = release_of(tree)
    if parse_version(release) < parse_version(OLDEST_CORE):
        print(f"-- ComfyUI {release}, which must be refused", flush=True)
        return release, {"refusal": refusal(release, tree)}
    python = prepare(tree)
    results = {}
    for lane in chosen or (FIRST if name in bootstrap.SOURCES else WHOLE):
        print(f"-- ComfyUI {release}: {lane}", flush=True)
        brief = [] if whole or name not in bootstrap.SOURCES else BRIEF
        results[lane] = run_lane(LANES[lane], python, tree, brief)
    return release, results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="*", default=list(bootstrap.SOURCES), help="releases or paths of ComfyUI trees")
    parser.add_argument("--lanes", nargs="+", choices=LANES, default=[], help="which lanes to run")
    parser.add_argument("--record", action="store_true", help="write docs/compat.json and docs/compat.md")
    options = parser.parse_args()
    results = dict(check(name, options.lanes, whole=options.record) for name in options.trees)
    if options.record:
        today = datetime.date.today().isoformat()
        for release, each in results.items():
            for lane, found in each.items():
                record.add(release, lane, found, today)
        record.write_page()
    print("\n" + record.table(results))
    return int(any(found.failed for each in results.values() for found in each.values()))


if __name__ == "__main__":
    sys.exit(main())
