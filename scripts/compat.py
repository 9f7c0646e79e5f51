"""Import, schema and unit checks against the other ComfyUI releases the pack supports: `make compat`.

The trees come from scripts/bootstrap.py and run in the environment of the current release.
"""

from __future__ import annotations

import os
import subprocess
import sys

import bootstrap
from lanes import PARALLEL

RELEASES = ["0.27.0", "0.26.0"]
TOO_OLD = "0.24.1"


def check(release: str) -> bool:
    """Run the unit and node tests in the tree of `release`."""
    print(f"-- ComfyUI {release}", flush=True)
    tree = bootstrap.install_comfyui(release)
    command = [sys.executable, "-m", "pytest", "-q", *PARALLEL, "tests/unit", "tests/nodes"]
    return subprocess.run(command, cwd=bootstrap.ROOT, env={**os.environ, "COMFYUI_PATH": str(tree)}).returncode == 0


def refused(release: str) -> bool:
    """Whether the pack says one sentence and stops in a tree that is too old."""
    print(f"-- ComfyUI {release}, which must be refused", flush=True)
    tree = bootstrap.install_comfyui(release)
    code = "import sys; sys.path.append('scripts'); from harness import pack; pack.alias_pack(); pack.start_core()"
    code += "; import oner.nodes"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=bootstrap.ROOT,
        env={**os.environ, "COMFYUI_PATH": str(tree)},
        capture_output=True,
        text=True,
    )
    print(done.stderr.strip().splitlines()[-1:] or "imported")
    return f"ComfyUI is {release}; Oner needs" in done.stderr


def main() -> int:
    failed = [release for release in RELEASES if not check(release)]
    failed += [] if refused(TOO_OLD) else [TOO_OLD]
    print(f"compat: {', '.join(failed) + ' failed' if failed else 'all releases pass'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
