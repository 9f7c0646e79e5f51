"""The picture and the table of a plan, by what stands at a place."""

import pytest

from oner.samplers.windows.plan import GRIDS, make_plan
from oner.samplers.windows.plan_picture import (
    CUT,
    DISCARD,
    GIVEN,
    LANE,
    LEGEND,
    MARGIN,
    SHOTS,
    STRIP,
    TRIM,
    WIDTH,
    clock,
    draw_plan,
    plan_report,
    prompt_numbers,
    span_of,
)
from oner.samplers.windows.plan_text import read_plan_text


def plan_of(text, total=None, **choices):
    return make_plan(read_plan_text(text), total, GRIDS["wan"], 81, 9, 16.0, **choices)


def pixel(plan, picture, frame, lane):
    """The colour that a lane of the first strip has at a frame of the film, near its lower edge."""
    start, end = span_of(plan, range(len(plan.rows)))
    x = MARGIN + (frame - start + 0.5) * (WIDTH - 2 * MARGIN) / (end - start)
    y = MARGIN // 2 + 22 + lane * LANE + LANE - 4
    return tuple(round(float(value) * 255) for value in picture[0, y, int(x)])


def test_every_part_of_a_window_has_its_colour():
    plan = plan_of("a\n\nb [/new_shot]", 200, discard=4, prefix=17)
    picture = draw_plan(plan)
    first, second, third = plan.rows
    assert picture.shape == (1, MARGIN // 2 + STRIP + LEGEND, WIDTH, 3)
    assert pixel(plan, picture, -5, 0) == GIVEN
    assert pixel(plan, picture, 5, 0) == SHOTS[0]
    assert pixel(plan, picture, first.out + 1, 0) == DISCARD
    assert pixel(plan, picture, second.start + 5, 1) == SHOTS[1]
    assert pixel(plan, picture, second.start, 0) == CUT or pixel(plan, picture, second.start - 0.5, 0) == CUT
    assert pixel(plan, picture, third.start - 5, 0) == GIVEN
    assert third.trim == 1
    assert pixel(plan, picture, third.start + third.out, 0) == TRIM


@pytest.mark.parametrize(("windows", "strips"), [(1, 1), (8, 1), (9, 2), (60, 8), (128, 16), (400, 16)])
def test_many_windows_are_drawn_in_strips(windows, strips):
    plan = plan_of("", 81 + 72 * (windows - 1))
    assert len(plan.rows) == windows
    assert draw_plan(plan).shape[1] == MARGIN // 2 + STRIP * strips + LEGEND


def test_the_report_is_a_table_with_what_was_moved():
    text = "0s: a fox\n10s: [/new_shot, end=2, cfg=4, loras=1;0.5, seed=7] a bear"
    report = plan_report(plan_of(text, 200, prefix=17, discard=4)).splitlines()
    assert report[0] == (
        "4 windows, 200 frames (12.50 s at 16 fps), after 17 frames of the given video; 244 frames are sampled for them"
    )
    cells = [line.split() for line in report[1:6]]
    assert cells[0][:6] == ["window", "frames", "seconds", "samples", "overlap", "trim"]
    assert cells[1] == ["1", "0-67", "0.00-4.25", "81", "9", "0", "4", "1", "1", "+0", "-", "a", "fox"]
    assert cells[3] == ["3", "136-159", "8.50-10.00", "37", "9", "0", "4", "1", "1", "+0", "-", "a", "fox"]
    assert " ".join(cells[4]) == "4 160-199 10.00-12.50 45 0 1 4 2 2 7 cfg 4, loras 1;0.5, end 2 a bear"
    off_grid = plan_report(plan_of("", 100, snap=True)).splitlines()
    assert off_grid[-1].startswith("snapped: 101 frames")


def test_prompts_are_counted_by_what_they_say():
    assert prompt_numbers(plan_of("a [/duration=200]\n\nb\n\nb [/new_shot]")) == [1, 1, 1, 2, 3]


def test_times_of_the_axis():
    assert [clock(seconds) for seconds in (0, 2.5, 59, 60, 90, 60.25, 3600)] == [
        "0s",
        "2.5s",
        "59s",
        "1:00",
        "1:30",
        "1:00.25",
        "60:00",
    ]


def test_half_a_character_is_drawn_as_something():
    assert draw_plan(plan_of("a \ud800 fox")).shape[2] == WIDTH
