"""What tests and scripts put into the temporary folder is gone after them, however they end."""

import os
import subprocess
import sys

from harness.base import SCRATCH
from harness.pack import ROOT

ENDINGS = """
import os, signal

def test_that_passes():
    assert True

def test_that_fails():
    assert False

def test_that_kills_its_worker():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def left_behind(folder, *command):
    """Names in a temporary folder after a command that had it, and what the command printed."""
    (temporary := folder / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(temporary), "TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled")}
    environment = {name: value for name, value in environment.items() if name != SCRATCH and "PYTEST" not in name}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    return {path.name for path in temporary.iterdir() if not path.name.startswith("pytest-of-")}, done.stdout


def test_tests_that_pass_fail_or_are_killed_leave_nothing(tmp_path):
    (tmp_path / "test_endings.py").write_text(ENDINGS)
    tests = [str(tmp_path / "test_endings.py"), "tests/unit/utils/test_names.py"]  # the latter for its conftest
    left, printed = left_behind(tmp_path, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *tests)
    assert "2 failed" in printed, printed
    assert left == set()


def test_scripts_leave_nothing(tmp_path):
    left, printed = left_behind(tmp_path, "scripts/generate.py", "--check")
    assert (left, printed) == (set(), "")
