"""Run every test lane this machine can run: `make test`. A lane is skipped only for a missing resource, named here.

python scripts/lanes.py [LANE ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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


LANES = [
    Lane("unit", [*PYTEST, *PARALLEL, "tests/unit", "tests/nodes"]),
    Lane("graphs", [*PYTEST, *PARALLEL, "--dist", "loadscope", "tests/graphs"]),
    Lane("browser", [*PYTEST, "tests/browser"], chromium),
    Lane("parity", ["scripts/parity"]),
    Lane("bench-ci", ["bench/counts.py"]),
    Lane("compat", ["scripts/compat", *OTHER_RELEASES]),
    Lane("gpu", [*PYTEST, "tests/gpu"], gpu),
]


def environment() -> dict[str, str]:
    """Environment variables of a lane."""
    # Tiny tensors are faster on one thread, and bits then depend on no thread count.
    return {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **os.environ}


def main() -> int:
    chosen = [lane for lane in LANES if lane.name in sys.argv[1:] or not sys.argv[1:]]
    lines, failed = [], []
    for lane in chosen:
        reason = lane.missing()
        if reason:
            lines.append(f"skipped  {lane.name:9} {reason}")
            continue
        print(f"== {lane.name}", flush=True)
        start = time.monotonic()
        status = subprocess.run([sys.executable, *lane.arguments], cwd=ROOT, env=environment()).returncode
        lines.append(f"{'failed' if status else 'passed'}   {lane.name:9} {time.monotonic() - start:.0f} s")
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
