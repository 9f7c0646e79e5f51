"""Random hostile prompts in ComfyUI's executor: every shipped workflow on tiny checkpoints, with one to three changes.

    python scripts/hostile [--seed 1] [--count 1000] [--workers 2]
    python scripts/hostile --seed 1 --case 17       that case alone

A case may be refused by ComfyUI, finish, or end in an error that the pack raised on purpose; or in one of core's own,
where the pack had no part. Status 1 for any other end: a raw error in or below the pack's code, a file outside
ComfyUI's folders, a process started, code run from a file, a case over 30 seconds, a process that died.
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # compiling takes a minute, in processes of its own
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import pack
from harness.base import throw_away


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000, help="cases 1 to COUNT")
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--names", default="", help="comma-separated names of workflows: only cases of these")
    parser.add_argument("--verbose", action="store_true", help="every case, not only failures")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    pack.alias_pack()
    pack.start_core()
    from hostile.workers import Done, run_cases, turns
    from workflows import load_all

    names = turns([workflow.name for workflow in load_all() if workflow.runs_here])
    wanted = arguments.names.split(",") if arguments.names else names
    cases = [arguments.case] if arguments.case else range(1, arguments.count + 1)
    cases = [case for case in cases if names[case % len(names)] in wanted]
    ends: collections.Counter[str] = collections.Counter()
    slowest = Done(0, "", [], None, 0)
    failed, start = 0, time.monotonic()
    with throw_away() as scratch:
        for done in run_cases(names, cases, arguments.seed, arguments.workers, Path(scratch)):
            ends[done.ending.how] += 1
            failed += not done.ending.allowed
            slowest = max(slowest, done, key=lambda each: each.seconds)
            if arguments.verbose or arguments.case or not done.ending.allowed:
                tell(done, arguments.seed)
    how = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    print(f"seed {arguments.seed}: {sum(ends.values())} cases in {time.monotonic() - start:.0f} s: {how}")
    print(f"the slowest: case {slowest.case}, {slowest.seconds:.1f} s")
    return bool(failed)


def tell(done, seed: int) -> None:
    print(f"{done.ending.how.upper()} case {done.case} of {done.workflow}, {done.seconds:.1f} s")
    for kind, words in done.changes:
        print(f"    {kind}: {words}")
    if done.ending.error:
        print(f"    {done.ending.node} {ascii(done.ending.error)[1:-1]}")
    print(f"    repeat: python scripts/hostile --seed {seed} --case {done.case}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
