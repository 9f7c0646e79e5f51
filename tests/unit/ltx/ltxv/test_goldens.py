"""The LTX-Video reference scenarios and tables in tests/golden, run as `make parity` runs them."""

import json

import pytest

from harness.pack import ROOT
from parity import ltxv

GOLDENS = ROOT / "tests" / "golden" / "ltx"
SCENARIOS = [
    scenario
    for path in sorted(GOLDENS.rglob("*ltxv*.json"))
    for scenario in ltxv.claim(path, json.loads(path.read_text())) or []
]


def test_goldens_cover_scenarios_and_tables():
    assert len([scenario for scenario in SCENARIOS if not scenario.name]) >= 4
    assert {scenario.name for scenario in SCENARIOS if scenario.name} == set(ltxv.TABLES)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name or scenario.path.stem)
def test_reference_numbers_are_met(scenario):
    checks = scenario.run()
    assert checks
    assert [check for check in checks if not check.ok] == []
