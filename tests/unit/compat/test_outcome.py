"""What pytest and parity say is read as they say it: nothing that failed counts as passed."""

import os
import subprocess
import sys

import pytest

from compat import outcome

TESTS = """
import pytest

@pytest.mark.parametrize("number", [1, 2, 3])
def test_numbers(number):
    assert number == 1, "/tmp/somewhere/deep/file.json is not one"

def test_fine():
    pass

def test_skipped():
    pytest.skip("this ComfyUI has no such thing")

@pytest.fixture
def broken():
    raise OSError("no")

def test_set_up(broken):
    pass
"""


def run(tmp_path, text):
    (tmp_path / "test_some.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={tmp_path / 'report.xml'}"]
    bare = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # starts in half a second
    done = subprocess.run([*command, "test_some.py"], cwd=tmp_path, env=bare, capture_output=True)
    return outcome.of_pytest(tmp_path / "report.xml", done.returncode)


def test_a_run_of_pytest_is_counted_and_failures_are_named_once_a_function(tmp_path):
    found = run(tmp_path, TESTS)
    assert (found.passed, found.failed, found.skipped) == (2, 3, 1)
    assert found.failures == [
        "test_some.test_numbers (2 cases): AssertionError: file.json is not one",
        'test_some.test_set_up: failed on setup with "OSError: no"',
    ]
    assert found.skips == ["test_some.test_skipped: this ComfyUI has no such thing"]
    assert str(found) == "2 passed, 3 failed, 1 skipped"


def test_files_that_cannot_be_collected_fail(tmp_path):
    found = run(tmp_path, "import no_such_module_at_all\n")
    assert (found.passed, found.failed) == (0, 1)
    assert "test_some" in found.failures[0]


def test_a_run_without_a_report_or_with_an_odd_status_fails(tmp_path):
    assert outcome.of_pytest(tmp_path / "none.xml", 0).failures == ["pytest ended with status 0 and no report"]
    (tmp_path / "report.xml").write_text('<testsuites><testcase classname="a" name="test_b"/></testsuites>')
    cut = outcome.of_pytest(tmp_path / "report.xml", 3)
    assert (cut.passed, cut.failed, cut.failures) == (1, 1, ["pytest ended with status 3"])
    (tmp_path / "report.xml").write_text("<testsuites/>")
    assert outcome.of_pytest(tmp_path / "report.xml", 5).failed == 1  # nothing was collected


def test_parity_is_counted_and_what_is_not_within_tolerance_is_named():
    printed = """ok        wan/camera/pan  7 checks, worst x: error 2.4e-07, tolerance 1e-05
failed    ltx/vectors/distilled_8  9 checks, worst final: error 3.1e-02, tolerance 1.0e-05
failed    ltx/vectors/other  could not be run
Traceback (most recent call last):
uncovered ltx/vectors/new  not covered yet
later     ltx/vectors/wait  with the next release
1 ok, 1 later, 1 uncovered, 2 failed
"""
    found = outcome.of_parity(printed, 1)
    assert (found.passed, found.failed, found.skipped) == (1, 3, 1)
    assert found.failures[0] == "ltx/vectors/distilled_8: 9 checks, worst final: error 3.1e-02, tolerance 1.0e-05"
    assert [line.partition(":")[0] for line in found.failures[1:]] == ["ltx/vectors/other", "ltx/vectors/new"]
    assert found.skips == ["ltx/vectors/wait: with the next release"]


@pytest.mark.parametrize(
    ("printed", "status"), [("Traceback", 1), ("3 ok, 0 later, 0 uncovered, 0 failed", 1), ("", 0)]
)
def test_parity_that_ends_oddly_fails(printed, status):
    assert outcome.of_parity(printed, status).failed == 1


def test_parity_that_passes_passes():
    assert outcome.of_parity("68 ok, 0 later, 0 uncovered, 0 failed\n", 0) == outcome.Outcome(68, 0)
