"""Every golden scenario that is shipped agrees with the pack within its tolerance."""

import pytest

from harness import pack
from parity.__main__ import find_scenarios

GOLDEN = pack.ROOT / "tests" / "golden"
SCENARIOS = find_scenarios(GOLDEN)


def label(scenario):
    return "/".join(filter(None, [str(scenario.path.relative_to(GOLDEN).with_suffix("")), scenario.name]))


def test_there_are_scenarios():
    assert SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=label)
def test_scenario_is_within_tolerance(scenario):
    assert scenario.run is not None, "no parity module runs this file"
    checks = scenario.run()
    assert checks
    assert not [check for check in checks if not check.ok]
