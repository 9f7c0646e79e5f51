"""Run every test lane this machine can run: `make test`. A lane is skipped only for a missing resource, named here.

python scripts/lanes.py [LANE ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = ["-m", "pytest", "-q", "--durations=5"]
PARALLEL = ["-n", "auto", "--maxprocesses", "8"]  # a process holds torch and ComfyUI: about 1 GB
OTHER_RELEASES = ["0.27.0", "0.26.0", "0.24.1"]  # the other lanes run on the current one


def chromium() -> str:
    """Why the browser lane cannot run here; empty if it can."""
    found = any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    return "" if found else "no Chromium on PATH (Debian: apt-get install chromium)"


def gpu() -> str:
    """Why the GPU lane cannot run here; empty if it can."""
    import torch

    return "" if torch.cuda.is_available() else "no CUDA device"


@dataclass(frozen=True)
class Lane:
    name: str
    arguments: list[str]  # of Python
    missing: Callable[[], str] = lambda: ""
    beside: str = ""  # a lane before it, of one process as this one, with which it runs at once


LANES = [
    Lane("unit", [*PYTEST, *PARALLEL, "tests/unit", "tests/nodes"]),
    Lane("graphs", [*PYTEST, *PARALLEL, "--dist", "loadscope", "tests/graphs"]),
    Lane("hostile", ["scripts/hostile"]),
    Lane("browser", [*PYTEST, "tests/browser"], chromium),
    Lane("parity", ["scripts/parity"]),
    Lane("bench-ci", ["bench/counts.py"], beside="browser"),
    Lane("compat", ["scripts/compat", *OTHER_RELEASES]),
    Lane("gpu", [*PYTEST, "tests/gpu"], gpu),
]


def environment() -> dict[str, str]:
    """Environment variables of a lane."""
    # Tiny tensors are faster on one thread, and bits then depend on no thread count.
    return {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **os.environ}


class Run:
    """A lane that runs; unless it is `shown`, what it says comes when it is waited for."""

    def __init__(self, lane: Lane, *, shown: bool) -> None:
        self.start = time.monotonic()
        self.said = None if shown else tempfile.TemporaryFile()  # noqa: SIM115 - read in wait
        self.process = subprocess.Popen(
            [sys.executable, *lane.arguments], cwd=ROOT, env=environment(), stdout=self.said, stderr=self.said
        )
        self.watch = threading.Thread(target=self.take_time)
        self.watch.start()

    def take_time(self) -> None:
        self.status = self.process.wait()
        self.seconds = time.monotonic() - self.start

    def wait(self) -> int:
        self.watch.join()
        if self.said:
            self.said.seek(0)
            print(self.said.read().decode(errors="replace"), end="", flush=True)
        return self.status


def main() -> int:
    chosen = [lane for lane in LANES if lane.name in sys.argv[1:] or not sys.argv[1:]]
    lines, failed, running = [], [], {}
    for lane in chosen:
        reason = lane.missing()
        if reason:
            lines.append(f"skipped  {lane.name:9} {reason}")
            continue
        print(f"== {lane.name}", flush=True)
        run = running.get(lane.name) or Run(lane, shown=True)
        running |= {other.name: Run(other, shown=False) for other in chosen if other.beside == lane.name}
        status = run.wait()
        lines.append(f"{'failed' if status else 'passed'}   {lane.name:9} {run.seconds:.0f} s")
        if status:
            failed.append(lane.name)
    print("\n" + "\n".join(lines))
    print(
        f"{sum(line.startswith('passed') for line in lines)} passed, {len(failed)} failed, "
        f"{sum(line.startswith('skipped') for line in lines)} skipped"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
