"""Window Plan: what it gives for its inputs, and that none of them is without effect."""

import json

import pytest
import torch

from oner.nodes.any.window_plan import EXAMPLE, WindowPlan
from oner.samplers.windows.plan import GRIDS, Grid

TIMED = "0s: a fox\n5s: it snows\n10s: [/new_shot] a den"
BASE = {
    "prompts": TIMED,
    "length": "15s",
    "fps": 16.0,
    "grid": {"grid": "wan"},
    "window": 81,
    "overlap": 9,
    "max_overlap": 0,
    "discard_last": 0,
    "prefix_frames": 0,
    "allow_new_shot": True,
    "snap": True,
}
CUSTOM = {"grid": "custom", "minimum": 9, "step": 4, "frame_offset": 1, "overlap_offset": 1}
SOUND = {"waveform": torch.zeros(1, 2, 44100 * 6), "sample_rate": 44100}
SHORT = {"grid": {"grid": "vace"}, "prompts": "a [/duration=81]\n\nb [/duration=6]", "length": "", "overlap": 5}


def made(**changes):
    plan, length, report, picture = WindowPlan.execute(**{**BASE, **changes}).args
    assert length == plan.total
    assert report.splitlines()[0].startswith(f"{len(plan.rows)} window")
    assert picture.shape[0::3] == (1, 3)
    return plan


def test_a_time_line_becomes_windows():
    plan = made()
    assert [(row.start, row.out, row.overlap, row.prompt) for row in plan.rows] == [
        (0, 81, 0, "a fox"),
        (81, 40, 9, "it snows"),
        (121, 40, 9, "it snows"),
        (161, 81, 0, "a den"),
    ]
    assert (plan.fps, plan.grid, plan.prefix) == (16.0, GRIDS["wan"], 0)


def test_the_node_shows_its_picture():
    output = WindowPlan.execute(**BASE)
    (shown,) = output.ui.as_dict()["images"]
    assert shown["type"] == "temp"
    assert output.args[3].mean() > 0.1


@pytest.mark.parametrize("form", ["paragraphs", "json"])
def test_the_three_forms_say_the_same(form):
    shots = [("a fox", {"duration": "5s"}), ("it snows", {"duration": "5s"}), ("a den", {"duration": "5s"})]
    if form == "json":
        last = {"new_shot": True}
        text = json.dumps([{"prompt": p, **c, **(last if p == "a den" else {})} for p, c in shots])
    else:
        text = "a fox [/duration=5s]\n\nit snows [/duration=5s]\n\na den [/duration=5s, /new_shot]"
    assert made(prompts=text).rows == made().rows


def test_the_sound_gives_the_length():
    assert made(prompts="a fox", length="100%", audio=SOUND, snap=False).total == 96
    with pytest.raises(ValueError, match='length is "15s" and audio is connected: write 100%'):
        made(audio=SOUND)


def test_a_grid_of_ones_own():
    assert made(grid=CUSTOM).grid == Grid(9, 4, 1, 1)


def test_no_prompt_is_the_guiders_own():
    assert {row.prompt for row in made(prompts="", length="10s").rows} == {""}


def test_the_example_of_the_widget_is_a_plan():
    assert [row.new_shot for row in made(prompts=EXAMPLE).rows][-1]


@pytest.mark.parametrize(
    ("base", "change"),
    [
        ({}, {"prompts": "0s: a fox"}),
        ({}, {"length": "14s"}),
        ({}, {"fps": 24.0}),
        (SHORT, {"grid": {"grid": "wan"}}),
        ({}, {"window": 61}),
        ({}, {"overlap": 5}),
        (SHORT, {"max_overlap": 13}),
        ({}, {"discard_last": 4}),
        ({}, {"prefix_frames": 9}),
        ({"prompts": "a", "length": "82"}, {"snap": False}),
        ({"grid": CUSTOM, "prompts": "a [/duration=5]"}, {"grid": {**CUSTOM, "minimum": 13}}),
        ({"grid": CUSTOM, "prompts": "a [/duration=30]"}, {"grid": {**CUSTOM, "step": 8}}),
        ({"grid": CUSTOM}, {"grid": {**CUSTOM, "frame_offset": 0}}),
        ({"grid": CUSTOM}, {"grid": {**CUSTOM, "overlap_offset": 0}}),
    ],
)
def test_every_input_acts(base, change):
    before, after = made(**base), made(**{**base, **change})
    assert [(row.start, row.out, row.overlap, row.frames, row.prompt) for row in after.rows] != [
        (row.start, row.out, row.overlap, row.frames, row.prompt) for row in before.rows
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"allow_new_shot": False}, "prompt 3 begins without memory .new_shot., which allow_new_shot forbids"),
        ({"max_overlap": 5}, "max_overlap is 5 and overlap 9"),
        ({"length": "soon"}, 'length is "soon"'),
        ({"prompts": "0s: a [/fade]"}, "prompt 1, /fade: no such command"),
        ({"discard_last": 90}, "discard_last 90 adds -9"),
        ({"prompts": "", "length": ""}, "length and prompts are empty"),
    ],
)
def test_what_cannot_be_is_said(change, message):
    with pytest.raises(ValueError, match=message):
        made(**change)
