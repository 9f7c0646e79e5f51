"""The listed faults fit the code as it is: a line that moves or changes takes its fault along. Whether tests see them:
`make mutants`."""

import ast
from pathlib import Path

import pytest

from harness.pack import ROOT
from mutation.fault import Fault
from mutation.faults import FAULTS

by_name = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


@by_name
def test_fault_is_one_line_that_changes_the_program(fault):
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    changed = fault.apply(text)
    assert changed is not None, f"{fault.old!r} occurs {text.count(fault.old)} times in {fault.file}, not once"
    assert len(fault.old.splitlines()) == 1
    assert len(fault.new.splitlines()) <= 1
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    compile(changed, fault.file, "exec")


@by_name
def test_tests_of_a_fault_exist_and_compare_no_reference_results(fault):
    for test in fault.tests:
        file, _, name = test.partition("::")
        assert f"def {name or 'test_'}" in (ROOT / file).read_text(encoding="utf-8"), f"{test} is not there"
        assert "golden" not in Path(file).name


def test_names_are_unlike_and_no_numbers():
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert not any(name.isdigit() for name in names)


def test_faults_are_in_every_package_of_the_maths():
    assert {fault.file.split("/")[0] for fault in FAULTS} >= {"ltx", "wan", "longlive", "samplers", "utils"}


@pytest.mark.parametrize("text", ["x = 1\n", "x = 2\nx = 2\n"])
def test_a_line_that_is_gone_or_there_twice_takes_no_fault(text):
    assert Fault("one", "a.py", "x = 2", "x = 3", ()).apply(text) is None
