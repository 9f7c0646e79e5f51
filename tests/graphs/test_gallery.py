"""Entries of the gallery, run anew and judged; all of them run in `make gallery`."""

from __future__ import annotations

import dataclasses
import json

import pytest

from harness.executor import Executor
from harness.pack import ROOT
from pocket import gallery

TRAJECTORY = "Wan_2.2_Fun_Trajectory"


@pytest.fixture(scope="module")
def pocket() -> Executor:
    return Executor(gallery.make_base(ROOT / ".cache" / "gallery"))


@pytest.mark.parametrize(
    "name",
    [
        "LTX_2.3_Distilled_Text_to_Video",
        "LTX-Video_0.9.8_Distilled_Text_to_Video",
        "Wan_2.1_Fun_Control_from_Edges",
        "Wan_2.2_Lightning_4_Steps",
    ],
)
def test_workflow_shows_what_its_entry_says(pocket, name):
    assert gallery.faults(gallery.ENTRIES[name], gallery.run(pocket, name)) == []


def test_without_the_line_the_shape_does_not_take_its_way(pocket, monkeypatch):
    """The same workflow with a line that stays where it begins."""
    entry = gallery.ENTRIES[TRAJECTORY]
    first = json.loads(entry.changes["trajectory.coordinates"])[0]
    still = entry.changes | {"trajectory.coordinates": json.dumps([first, first])}
    monkeypatch.setitem(gallery.ENTRIES, TRAJECTORY, dataclasses.replace(entry, changes=still))
    assert any("off its way" in found for found in gallery.faults(entry, gallery.run(pocket, TRAJECTORY)))
