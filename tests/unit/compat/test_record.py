"""The record keeps the last result of a lane on a release, and the page shows every failure and skip."""

import json

import pytest

from compat import record
from compat.outcome import Outcome
from harness.pack import ROOT


@pytest.fixture
def path(tmp_path):
    (tmp_path / "compat.json").write_text("{}")
    return tmp_path / "compat.json"


def test_a_later_result_takes_the_place_of_one_and_leaves_the_others(path):
    record.add("0.30.0", "parity", Outcome(68, 0), "2026-01-01", path)
    record.add("0.9.0", "unit", Outcome(5, 0), "2026-01-02", path)
    record.add("0.30.0", "unit", Outcome(4, 1, 0, ["a.test_b: no"]), "2026-01-03", path)
    record.add("0.30.0", "unit", Outcome(5, 0, 1, skips=["a.test_b: no GPU"]), "2026-01-04", path)
    kept = record.load(path)
    assert list(kept) == ["0.30.0", "0.9.0"]  # newest first, as numbers
    assert list(kept["0.30.0"]) == ["unit", "parity"]  # as in the columns
    expected = {"date": "2026-01-04", "passed": 5, "failed": 0, "skipped": 1, "skips": ["a.test_b: no GPU"]}
    assert kept["0.30.0"]["unit"] == expected
    assert kept["0.30.0"]["parity"]["date"] == "2026-01-01"


def test_the_page_has_a_cell_a_lane_and_a_line_for_all_that_is_not_green(path):
    record.add("0.33.0", "unit", Outcome(5, 2, 1, ["a.test_b (2 cases): no"], ["a.test_c: no GPU"]), "2026-01-03", path)
    record.add("0.30.0", "graphs", Outcome(7, 0), "2026-01-04", path)
    lines = record.page(record.load(path)).splitlines()
    assert "| ComfyUI | unit | graphs |" in lines
    assert "| 0.33.0 | 5 passed, **2 failed**, 1 skipped, 2026-01-03 |  |" in lines
    assert "| 0.30.0 |  | 7 passed, 2026-01-04 |" in lines
    fails, skips = lines.index("## What fails"), lines.index("## What is skipped")
    assert lines[fails + 2] == "- 0.33.0, unit: a.test_b (2 cases): no"
    assert lines[skips + 2] == "- 0.33.0, unit: a.test_c: no GPU"


def test_a_page_of_green_lanes_says_that_nothing_fails(path):
    record.add("0.30.0", "graphs", Outcome(7, 0), "2026-01-04", path)
    lines = record.page(record.load(path)).splitlines()
    assert lines[lines.index("## What fails") + 2] == "Nothing."


def test_the_table_lines_up_releases_and_lanes():
    results = {"0.33.0": {"unit": Outcome(5, 0), "graphs": Outcome(7, 1)}, "0.24.1": {"refusal": Outcome(1, 0)}}
    assert record.table(results).splitlines() == [
        "ComfyUI  unit      graphs              refusal",
        "0.33.0   5 passed  7 passed, 1 failed",
        "0.24.1                                 1 passed",
    ]


def test_the_record_names_releases_and_no_places():
    text = record.RECORD.read_text()
    assert set(json.loads(text)) <= {release for release in json.loads(text) if release.replace(".", "").isdigit()}
    assert str(ROOT) not in text
    assert "/home/" not in text
