"""Plans of windows: vectors, and what holds for every plan."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oner.samplers.windows.plan import GRIDS, Grid, make_plan
from oner.samplers.windows.plan_text import PlanPrompt, read_plan_text


def outs(plan):
    return [(row.out, row.overlap, row.discard, row.trim, row.frames) for row in plan.rows]


def plan_of(text, total=None, grid="wan", window=81, overlap=5, fps=16.0, **choices):
    return make_plan(read_plan_text(text), total, GRIDS[grid], window, overlap, fps, **choices)


@pytest.mark.parametrize(
    ("total", "choices", "rows"),
    [
        (201, {}, [(81, 0, 0, 0, 81), (76, 5, 0, 0, 81), (44, 5, 0, 0, 49)]),
        (201, {"discard": 4}, [(77, 0, 4, 0, 81), (72, 5, 4, 0, 81), (52, 5, 4, 0, 61)]),
        (200, {"max_overlap": 17}, [(81, 0, 0, 0, 81), (76, 5, 0, 0, 81), (43, 5, 0, 1, 49)]),
        (720, {"grid": "ltx", "window": 241, "overlap": 17}, [(241, 0, 0, 0, 241), *[(224, 17, 0, 0, 241)] * 2]),
        (300, {"overlap": 9, "rebalance": False}, [(81, 0, 0, 0, 81), *[(72, 9, 0, 0, 81)] * 3, (3, 9, 0, 1, 13)]),
    ],
)
def test_known_plans(total, choices, rows):
    assert outs(plan_of("", total, **choices))[: len(rows)] == rows


def test_a_short_tail_is_shared_by_the_last_two_windows():
    plan = plan_of("", 300, overlap=9)
    assert outs(plan)[-2:] == [(36, 9, 0, 0, 45), (39, 9, 0, 1, 49)]
    assert plan.notes == ("windows 4 and 5 add 36 and 39 frames instead of 72 and 3",)


def test_with_snap_a_tail_that_adds_less_than_it_is_given_is_shared_too():
    assert [row.out for row in plan_of("", 300, overlap=9, snap=True).rows] == [81, 72, 72, 36, 40]
    assert [row.out for row in plan_of("", 306, overlap=9).rows] == [81, 72, 72, 72, 9]


def test_a_prompt_of_its_own_is_shared_with_the_one_before_it_too():
    plan = plan_of("one\n\ntwo", 83)
    assert [(row.prompt, row.out) for row in plan.rows] == [("one", 45), ("two", 38)]


def test_with_snap_the_tail_is_moved_to_the_grid():
    plan = plan_of("", 200, snap=True)
    assert outs(plan)[-1] == (44, 5, 0, 0, 49)
    assert plan.total == 201
    assert plan.notes == (
        "snapped: 201 frames (12.56 s) instead of 200 (12.50 s), so that nothing is sampled and thrown away",
    )
    assert [row.out for row in plan_of("", 158, snap=True).rows] == [81, 76]  # one frame is no window


def test_snapped_prompts_stay_near_where_they_were_asked_for():
    plan = plan_of("\n".join(f"{10 * n}f: p{n}" for n in range(9)), 90, snap=True)
    assert [abs(row.start - 10 * n) <= 2 for n, row in enumerate(plan.rows)] == [True] * 9
    assert plan.total == 89


def test_durations_win_over_the_length():
    text = "A [/duration=5s]\n\nB [/duration=121,/overlap=9]\n\nC [/new_shot,/duration=20%]"
    plan = plan_of(text, 500, "ltx", 241, 17, 24.0)
    assert outs(plan) == [(120, 0, 0, 1, 121), (121, 9, 0, 7, 137), (100, 0, 0, 5, 105)]
    assert [row.new_shot for row in plan.rows] == [False, False, True]
    assert "the prompts' durations make 341 frames (14.21 s), length asks for 500 (20.83 s): the durations hold" in (
        plan.notes
    )


def test_parts_of_a_frame_do_not_add_up():
    plan = plan_of("\n\n".join(["a [/duration=5s]"] * 60), fps=23.976, window=201)
    assert plan.total == round(60 * 5 * 23.976)
    assert {row.out for row in plan.rows} == {119, 120}


def test_a_long_duration_is_several_windows_of_one_prompt():
    text = "A [/duration=200, new_shot, seed=+3, cfg=4, loras=1;0.5, end=2, ref=1]\n\nB [/duration=40]"
    rows = plan_of(text, prefix=9).rows
    assert [(row.prompt, row.start, row.out, row.overlap) for row in rows] == [
        ("A", 0, 81, 0),
        ("A", 81, 76, 5),
        ("A", 157, 43, 5),
        ("B", 200, 40, 5),
    ]
    assert [row.new_shot for row in rows] == [True, False, False, False]
    assert [row.end for row in rows] == [None, None, 2, None]
    assert [(row.seed, row.seed_is_own, row.cfg, row.loras, row.ref) for row in rows] == [
        *[(3, False, 4.0, "1;0.5", 1)] * 3,
        (0, False, None, None, None),
    ]


def test_a_time_line_ends_with_the_film_or_after_one_window():
    text = "0s: a\n2.5s: b\n0:05 [hard cut]: c"
    assert [(row.prompt, row.start, row.out, row.new_shot) for row in plan_of(text, 100).rows] == [
        ("a", 0, 40, False),
        ("b", 40, 40, False),
        ("c", 80, 20, True),
    ]
    assert plan_of(text).total == 80 + 81


def test_prompts_alone_are_a_window_each():
    assert [row.out for row in plan_of("a\n\nb\n\nc").rows] == [81, 76, 76]


def test_an_overlap_ends_where_its_shot_begins():
    plan = plan_of("a\n\nb [/new_shot, /duration=7]\n\nc [/overlap=17, /duration=30]")
    assert [row.overlap for row in plan.rows] == [0, 0, 5]
    assert plan.notes == ("window 3: overlap 17 is 5, as its shot has 7 frames before it",)


def test_frames_of_a_given_video_come_before_the_film():
    plan = plan_of("", 100, overlap=9, prefix=7)
    assert [(row.start, row.overlap, row.out) for row in plan.rows] == [(0, 5, 76), (76, 9, 24)]


def test_a_larger_overlap_takes_the_place_of_what_is_thrown_away():
    """The smallest window of the grid is longer than what is asked for."""
    assert outs(plan_of("", 161, "vace", rebalance=False))[-1] == (4, 5, 0, 8, 17)
    plan = plan_of("", 161, "vace", max_overlap=13)
    assert outs(plan)[-1] == (4, 13, 0, 0, 17)
    assert plan.notes == ("window 3: overlap 5 is 13, so that less is thrown away",)
    (note,) = plan_of("", 200, max_overlap=17).notes
    assert note.startswith("max_overlap 17 changed nothing")


def test_a_short_tail_that_cannot_be_shared_is_said():
    plan = plan_of("", 13, window=9)
    assert [row.out for row in plan.rows] == [9, 4]
    plan = plan_of("", 14, window=9)
    assert [row.out for row in plan.rows] == [9, 4, 1]
    assert plan.notes[0].startswith("window 3 adds 1 frames alone, as windows of 9 cannot share them")


def test_numbers_off_the_grid_are_moved_and_said():
    plan = plan_of("a [/overlap=7]\n\nb [/overlap=7]", 100, window=80, overlap=3)
    assert plan.notes == (
        "window 80 is 77 on the grid",
        "overlap 3 is 5 on the grid",
        "prompt 1: overlap 7 is 9 on the grid",
        "prompt 1: the film begins with it, so nothing is before it to carry or to cut",
        "prompt 2: overlap 7 is 9 on the grid",
    )


@pytest.mark.parametrize(
    ("text", "choices", "message"),
    [
        ("", {"total": None}, "length and prompts are empty"),
        ("a\n\nb\n\nc", {"total": 120}, "prompt 3 would begin at frame 157, where the film of 120 frames is over"),
        ("0s: a\n10s: b", {"total": 100}, "prompt 2 starts at frame 160, where the film of 100 frames is over"),
        ("5s: a", {}, "the first prompt starts at frame 80: a time line starts at 0s"),
        ("0s: a\n5s: b\n4s: c", {}, "prompt 3 starts at frame 64, not after prompt 2 at frame 80: sort"),
        ("0s: a [/duration=4s]\n5s: b", {}, "prompt 1 has a /duration and prompt 2 a start"),
        ("0s: a\n9l: b", {}, "starts at latent frame 9, .* write seconds or frames"),
        ("a [/duration=20%]", {"total": None}, "prompt 1 lasts 20% of a length that is empty"),
        ("a\n\nb [/new_shot]", {"allow_new_shot": False}, "prompt 2 begins without memory .new_shot., which allow_new"),
        ("a\n\nb [/overlap=0]", {"allow_new_shot": False}, "prompt 2 begins without memory .overlap 0., which allow_"),
        ("a\n\nb", {"overlap": 0, "allow_new_shot": False}, "prompt 2 begins without memory .overlap 0."),
        ("a\n\nb [/overlap=81]", {}, "prompt 2: a window of 81 frames less overlap 81 and discard_last 0 adds 0"),
        ("a", {"window": 9, "discard": 9}, "adds 0; raise window, or lower overlap or discard_last"),
        ("a", {"total": 0}, "length is 0 frames"),
        ("a", {"total": 10**8, "window": 9}, "more than 10000 windows: raise window"),
        ("a", {"fps": 0.0}, "fps is 0"),
        ("a", {"max_overlap": 3}, "max_overlap is 3 and overlap 5: raise it"),
        ("a", {"grid": "svi", "overlap": 4, "prefix": 3}, "prompt 1 needs 4 frames before it and there are 3"),
    ],
)
def test_what_cannot_be_kept_is_said(text, choices, message):
    with pytest.raises(ValueError, match=message):
        plan_of(text, **{"total": 201, **choices})


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_numbers_of_a_grid(grid):
    numbers = [n for n in range(200) if n >= grid.minimum and (n - grid.frame_offset) % grid.step == 0]
    for frames in range(1, 150):
        assert grid.up(frames) == min(n for n in numbers if n >= frames)
        assert grid.down(frames) == max([n for n in numbers if n <= frames], default=numbers[0])


# --- what holds for every plan ---------------------------------------------------------------------------------------

grids = st.one_of(
    st.sampled_from(list(GRIDS.values())),
    st.builds(Grid, st.integers(1, 40), st.integers(1, 12), st.integers(0, 9), st.integers(0, 9)),
)
times = st.one_of(
    st.none(),
    st.tuples(st.integers(1, 400).map(float), st.just("f")),
    st.tuples(st.floats(0.1, 20), st.just("s")),
    st.tuples(st.floats(1, 100), st.just("%")),
)
prompts = st.builds(
    PlanPrompt,
    text=st.sampled_from("abc"),
    duration=times,
    overlap=st.one_of(st.none(), st.integers(0, 40)),
    new_shot=st.booleans(),
)
plain = st.builds(PlanPrompt, text=st.sampled_from("abc"), new_shot=st.booleans())


@st.composite
def plans(draw, snap=None):
    """(plan, total, whether it was snapped), of numbers that can be kept."""
    snapped = draw(st.booleans()) if snap is None else snap
    total = draw(st.integers(1, 1500))
    given_prompts = draw(st.one_of(st.lists(prompts, max_size=5), st.lists(plain, max_size=3)))
    overlap = draw(st.integers(0, 40))
    try:
        plan = make_plan(
            given_prompts,
            total,
            draw(grids),
            draw(st.integers(1, 260)),
            overlap,
            draw(st.sampled_from([16.0, 24.0, 23.976, 25.0])),
            discard=draw(st.integers(0, 12)),
            max_overlap=draw(st.sampled_from([0, overlap + 12])),
            prefix=draw(st.integers(0, 60)),
            snap=snapped,
            rebalance=draw(st.booleans()),
        )
    except ValueError:
        assume(False)
    durations = any(prompt.duration for prompt in given_prompts)
    return plan, None if durations else total, snapped


@settings(max_examples=200, deadline=None)
@given(plans())
def test_every_plan_is_on_its_grid_and_covers_every_frame_once(made):
    plan, total, snapped = made
    grid, covered, shot = plan.grid, [], -plan.prefix
    for row in plan.rows:
        assert row.frames == row.overlap + row.out + row.trim + row.discard
        assert (row.frames - grid.frame_offset) % grid.step == 0
        assert row.frames >= grid.minimum
        assert row.frames - grid.up(1) < grid.step or row.trim < grid.step
        assert row.out >= 1
        assert row.start == len(covered)
        shot = row.start if row.new_shot else shot
        assert row.overlap <= row.start - shot
        assert not (row.new_shot and row.overlap)
        assert row.overlap == 0 or (row.overlap - grid.overlap_offset) % grid.step == 0
        assert not snapped or row.trim == 0
        covered += range(row.start, row.start + row.out)
    assert covered == list(range(plan.total))
    if total is not None and plan.total != total:
        assert snapped
        assert any(note.startswith(f"snapped: {plan.total} frames") for note in plan.notes)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(GRIDS.values())), st.integers(1, 3000), st.integers(5, 250), st.integers(0, 33))
def test_no_window_adds_less_than_a_step_unless_it_is_alone(grid, total, window, overlap):
    try:
        plan = make_plan([], total, grid, window, overlap, 24.0)
    except ValueError:
        assume(False)
    room = grid.down(window) - grid.nearest_overlap(overlap)
    assume(room >= max(2 * grid.step, grid.minimum))  # else two windows cannot share
    assume(room + grid.step >= 2 * grid.minimum or overlap >= grid.minimum)
    assert len(plan.rows) == 1 or min(row.out for row in plan.rows) >= grid.step


@settings(max_examples=100, deadline=None)
@given(plans(snap=True))
def test_a_snapped_plan_samples_nothing_for_nothing(made):
    plan = made[0]
    assert all(row.trim == 0 for row in plan.rows)
    assert sum(row.frames for row in plan.rows) == plan.total + sum(row.overlap + row.discard for row in plan.rows)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.sampled_from(list(GRIDS.values())), st.booleans())
def test_durations_add_up(durations, grid, cut):
    prompts = [PlanPrompt("a", duration=(float(frames), "f"), new_shot=cut) for frames in durations]
    plan = make_plan(prompts, None, grid, 81, 9 if grid.overlap_offset else 0, 24.0)
    assert plan.total == sum(durations)
