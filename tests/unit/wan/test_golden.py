"""The reference results kept in the repository, through the same code as the parity command."""

import json
from pathlib import Path

import pytest

from parity import wan

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "wan"
SCENARIOS = [
    scenario for path in sorted(GOLDEN.rglob("*.json")) for scenario in wan.claim(path, json.loads(path.read_text()))
]


def test_golden_files_are_there():
    assert {scenario.path.parent.name for scenario in SCENARIOS} >= {"conditioning", "camera", "schedules", "riflex"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.path.stem)
def test_numbers_of_the_reference(scenario):
    checks = scenario.run()
    assert checks
    assert [check for check in checks if not check.ok] == []
