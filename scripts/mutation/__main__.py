"""Put each fault of this package into a copy of the code and run the tests that should see it: `make mutants`.

    python scripts/mutation [NAME or NUMBER ...]      default: all of them, one after another

Status 1 if tests pass in spite of a fault (it survives), or its line is no longer there. The tree itself is never
written to: faults go into a copy of the tracked files, uncommitted changes included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import pack
from harness.base import SCRATCH, throw_away
from mutation.fault import Fault
from mutation.faults import FAULTS

PYTEST = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
LONGEST = 300  # seconds of one run: a fault may make a loop endless
FOUND = {0: False, 1: True, 2: True}  # pytest's status: all passed, some failed, could not even be imported


def choose(wanted: list[str]) -> list[tuple[int, Fault]]:
    """The faults of these names or numbers, which count from 1; all if none is given."""
    numbered = list(enumerate(FAULTS, 1))
    unknown = set(wanted) - {str(number) for number, _ in numbered} - {fault.name for _, fault in numbered}
    if unknown:
        sys.exit(f"no fault is called {', '.join(sorted(unknown))}: there are 1 to {len(FAULTS)}")
    return [one for one in numbered if not wanted or str(one[0]) in wanted or one[1].name in wanted]


def copy_tree(target: Path) -> None:
    """The tracked files of the working tree, as they are now."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=pack.ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source = pack.ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(source.read_bytes())


def fails(tree: Path, tests: tuple[str, ...], longest: float = LONGEST) -> bool:
    """Whether tests fail in a tree, or hang. Raises RuntimeError with their output where pytest cannot run them."""
    # No bytecode: a file changed within a second to one of the same size would be taken for the one before.
    environment = {
        **os.environ,
        "COMFYUI_PATH": str(pack.find_comfy()),
        "OMP_NUM_THREADS": "1",
        SCRATCH: str(tree.parent),  # so that what a run leaves that is killed is gone as well
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        run = subprocess.run(
            [*PYTEST, *tests], cwd=tree, env=environment, capture_output=True, text=True, timeout=longest
        )
    except subprocess.TimeoutExpired:
        return True
    if run.returncode not in FOUND:
        raise RuntimeError(f"pytest ended with status {run.returncode}:\n{run.stdout}{run.stderr}")
    return FOUND[run.returncode]


def find_sound(tree: Path, faults: list[Fault]) -> dict[tuple[str, ...], bool]:
    """For each set of tests whether it passes without a fault; else its failing would mean nothing."""
    sets = list(dict.fromkeys(fault.tests for fault in faults))
    every = tuple(dict.fromkeys(test for tests in sets for test in tests))
    if not fails(tree, every, len(sets) * LONGEST):
        return dict.fromkeys(sets, True)  # all in one run, which saves most of the time
    return {tests: not fails(tree, tests) for tests in sets}


def try_fault(tree: Path, fault: Fault) -> str:
    """'killed', 'survived' or 'does not apply'; the tree is afterwards as it was."""
    file = tree / fault.file
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    changed = fault.apply(text)
    if changed is None:
        return "does not apply"
    file.write_text(changed, encoding="utf-8")
    try:
        return "killed" if fails(tree, fault.tests) else "survived"
    finally:
        file.write_text(text, encoding="utf-8")


def main(wanted: list[str]) -> int:
    if pack.find_comfy() is None:
        sys.exit("No ComfyUI found: run `make setup-test`, or set COMFYUI_PATH")
    outcomes: dict[str, list[str]] = {"killed": [], "survived": [], "does not apply": [], "tests fail without it": []}
    chosen = choose(wanted)
    begin = time.monotonic()
    with throw_away() as folder:
        tree = Path(folder) / "oner"
        copy_tree(tree)
        sound = find_sound(tree, [fault for _, fault in chosen])
        print(f"{len(sound)} sets of tests run without a fault in {time.monotonic() - begin:.0f} s", flush=True)
        for number, fault in chosen:
            start = time.monotonic()
            outcome = try_fault(tree, fault) if sound[fault.tests] else "tests fail without it"
            line = f"{number:3}  {fault.name}  ({fault.file})"
            outcomes[outcome].append(line)
            print(f"{outcome:14} {line}  {time.monotonic() - start:.0f} s", flush=True)
    counts = ", ".join(f"{len(lines)} {outcome}" for outcome, lines in outcomes.items() if lines)
    print(f"\n{counts}, in {time.monotonic() - begin:.0f} s")
    bad = [f"{outcome:14} {line}" for outcome, lines in outcomes.items() if outcome != "killed" for line in lines]
    print("\n".join(bad))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
