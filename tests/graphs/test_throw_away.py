"""What tests and scripts put into the temporary folder is gone after them, however they end."""

import os
import signal
import subprocess
import sys

import pytest

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


def start(folder, *command, **options):
    """A command with a temporary folder of its own below `folder`."""
    (temporary := folder / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(temporary), "TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled")}
    environment = {name: value for name, value in environment.items() if name != SCRATCH and "PYTEST" not in name}
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, **options
    )


def left_in(folder):
    """Names in that temporary folder."""
    return {path.name for path in (folder / "temporary").iterdir() if not path.name.startswith("pytest-of-")}


def left_behind(folder, *command):
    """Names in a temporary folder after a command that had it, and what the command printed."""
    printed, _ = start(folder, *command, stderr=subprocess.PIPE).communicate()
    return left_in(folder), printed


def test_tests_that_pass_fail_or_are_killed_leave_nothing(tmp_path):
    (tmp_path / "test_endings.py").write_text(ENDINGS)
    tests = [str(tmp_path / "test_endings.py"), "tests/unit/utils/test_names.py"]  # the latter for its conftest
    left, printed = left_behind(tmp_path, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *tests)
    assert "2 failed" in printed, printed
    assert left == set()


def test_scripts_leave_nothing(tmp_path):
    left, printed = left_behind(tmp_path, "scripts/generate.py", "--check")
    assert (left, printed) == (set(), "")


WAITING = """
import sys, time
sys.path.append("scripts")
from harness.base import throw_away

def test_that_waits():
    with throw_away() as folder:
        print("ready in", folder, flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("runner", ["script", "pytest"])
def test_what_is_terminated_leaves_nothing(tmp_path, runner):
    (tmp_path / "test_waiting.py").write_text(WAITING)
    command = ["-c", f"{WAITING}\ntest_that_waits()"]
    if runner == "pytest":
        tests = [str(tmp_path / "test_waiting.py"), "tests/unit/utils/test_names.py"]  # the latter for its conftest
        command = ["-m", "pytest", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    process = start(tmp_path, *command)
    with process:
        assert any("ready in" in line for line in process.stdout)
        assert left_in(tmp_path)
        process.terminate()
        process.stdout.read()
    assert process.returncode == {"script": 128 + signal.SIGTERM, "pytest": pytest.ExitCode.INTERRUPTED}[runner]
    assert left_in(tmp_path) == set()
