"""Prompts on a time line: what is read, and how much of each text a latent frame hears."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oner.samplers.windows.time_line import (
    Segment,
    biases,
    frame_times,
    from_starts,
    latent_frames,
    make_time_line,
    read_markers,
    table,
    weights,
)

FPS = 24.0


def spans(line):
    return [(each.start, each.end, each.text) for each in line.segments]


def read(text, length=121, step=4, fps=FPS):
    return read_markers(text, length, fps, step)


def heard(line, softness=1.0, first=0, frames=None):
    count = latent_frames(frames or line.length, line.step)
    return weights(line, frame_times(count, line.step) + first, softness)


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marker", "start", "end"),
    [
        ("[1s:3s]", 24, 72),
        ("[0.5 s : 3s]", 12, 72),
        ("[0:01:0:03]", 24, 72),
        ("[0:01:0:03.5]", 24, 84),
        ("[1:40]", 0, 40),
        ("[41:41]", 40, 41),
        ("[41:]", 40, 121),
        ("[0:02:]", 48, 121),
        ("[2s:]", 48, 121),
        ("[50%:]", 59, 121),  # the middle of latent frame 15 of 31
        ("[0%:50%]", 0, 59),
        ("[2s:90s]", 48, 121),
    ],
)
def test_markers(marker, start, end):
    assert spans(read(f"dusk {marker} a cat")) == [(start, end, "a cat")]


def test_text_before_the_first_marker_holds_throughout_and_other_brackets_stay_text():
    line = read("a [wet] street\nat 5 [3 cats]\n[0s:1s] a cat,\nblack [very]\n[1s:] rain")
    assert line.everywhere == "a [wet] street\nat 5 [3 cats]"
    assert [each.text for each in line.segments] == ["a cat,\nblack [very]", "rain"]
    assert line.texts == [f"{line.everywhere}\na cat,\nblack [very]", f"{line.everywhere}\nrain"]


def test_gaps_are_filled_with_what_holds_throughout():
    assert read("dusk [1s:2s] a cat").texts == ["dusk\na cat", "dusk"]
    assert read("[1s:2s] a cat").texts == ["a cat", ""]
    assert read("dusk [0s:2s] a [2s:] b").texts == ["dusk\na", "dusk\nb"]


def test_a_text_without_markers_has_no_time_line():
    assert read("a [wet] street, 5s: long") is None
    assert read("a street [5]") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[25%:4s] a", r"\[25%:4s\] is no time from one moment to another in one unit"),
        ("[2s:4] a", r"\[2s:4\] is no time"),
        ("[0:02:4s] a", r"\[0:02:4s\] is no time"),
        ("[4s:2s] a", r"\[4s:2s\] ends before it has begun"),
        ("[2s:2s] a", r"\[2s:2s\] ends before"),
        ("[40:1] a", r"\[40:1\] ends before"),
        ("[0:40] a", r"\[0:40\] begins at frame 0"),
        ("[-1s:4s] a", r"\[-1s:4s\] is no time"),
        ("[0:75:0:80] a", r"\[0:75:0:80\] is no time"),
        ("[50%:120%] a", r"\[50%:120%\] goes past 100 %"),
        ("[50%] a", r"\[50%\] is no time"),
        ("[1s:2s] a [5s] b", r"\[5s\] is no time"),
        ("[1s:2s] [2s:3s] b", r"\[1s:2s\] has no text"),
        ("[6s:7s] a", r'"a" begins at 6 s, and the film is 5.04\d* s long'),
        ("[0s:1s] a [/overlap=9] b", r"\[/overlap=9\] is a command of a window plan"),
    ],
)
def test_what_cannot_be_read_is_named(text, said):
    with pytest.raises(ValueError, match=said):
        read(text)


def test_texts_that_run_to_the_next():
    line = from_starts("dusk", [(0, "a"), (48, "b")], 121, FPS, 4)
    assert spans(line) == [(0, 48, "a"), (48, 121, "b")]
    with pytest.raises(ValueError, match="starts at frame 24, not after the one before at frame 48"):
        from_starts("", [(48, "a"), (24, "b")], 121, FPS, 4)


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "length"), [(4, 121), (8, 241)])
def test_halves_of_31_latent_frames(step, length):
    first, second = heard(read("[0%:50%] A [50%:100%] B", length, step))
    assert first.tolist() == [1] * 15 + [0.5] + [0] * 15
    assert second.tolist() == [0] * 15 + [0.5] + [1] * 15


def test_the_middles_of_latent_frames():
    assert frame_times(3, 4).tolist() == [0.5, 3, 7]  # frames 0, 1..4, 5..8
    assert frame_times(3, 8).tolist() == [0.5, 5, 13]


def test_softness_is_the_width_of_a_change_in_latent_frames():
    line = read("[0%:50%] A [50%:100%] B")
    assert [float(heard(line, softness)[0, 14]) for softness in (0, 1, 2, 4)] == [1, 1, 1, 0.75]
    assert heard(line, 4)[0, 13:18].tolist() == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_a_short_segment_does_not_collapse():
    first, short, last = heard(read("[0s:2s] A [2s:2.25s] B [2.25s:] C"))  # frames 48 to 54, 1.5 latent frames
    assert float(short.sum()) == pytest.approx(1.5)
    assert torch.allclose(first + short + last, torch.ones(31, dtype=torch.float64))


@pytest.mark.parametrize("first", [0, 4, 48, 60])
def test_a_window_of_the_film_has_the_weights_of_its_moments(first):
    line = read("dusk [0s:1s] A [2s:3s] B [3s:] C")
    whole, window = heard(line), heard(line, first=first, frames=41)
    # but for its first latent frame, which is one frame and not four
    assert torch.equal(window[:, 1:], whole[:, first // 4 + 1 : first // 4 + 11])


def test_the_bias_is_the_logarithm_and_ends_at_the_strength():
    found = biases(torch.tensor([1.0, 0.5, 1e-3, 0.0]), -8.0)
    assert found.tolist() == pytest.approx([0, math.log(0.5), math.log(1e-3), -8])
    assert biases(torch.tensor([0.0, 1.0]), 0.0).tolist() == [0, 0]


@given(st.data())
def test_touching_segments_sum_to_one_everywhere(data):
    step = data.draw(st.sampled_from([4, 8]))
    latents = data.draw(st.integers(1, 60))
    length = 1 + (latents - 1) * step
    cuts = data.draw(st.lists(st.floats(0.1, max(length - 0.1, 0.2)), max_size=6, unique=True))
    borders = sorted({0.0, *(cut for cut in cuts if cut < length), float(length)})
    segments = [Segment(a, b, "x") for a, b in pairwise(borders)]
    softness = data.draw(st.floats(0, 8))
    found = heard(make_time_line("", segments, length, FPS, step), softness)
    assert len(found) == len(segments)
    assert torch.allclose(found.sum(0), torch.ones(latents, dtype=torch.float64))
    assert float(found.min()) >= 0


@given(st.lists(st.tuples(st.floats(0, 110), st.floats(1, 40)), min_size=1, max_size=4), st.floats(0, 4))
def test_gaps_fill_up_to_one(parts, softness):
    ends, segments = 0.0, []
    for gap, span in parts:
        start = ends + gap / len(parts)
        if start >= 115:
            break
        segments.append(Segment(start, start + span, "x"))
        ends = start + span
    line = make_time_line("", segments, 121, FPS, 4)
    assert torch.allclose(heard(line, softness).sum(0), torch.ones(31, dtype=torch.float64))


def test_the_report():
    line = read("dusk [0%:50%] A [75%:100%] B")
    assert table(line, 1.0, 0, 121).splitlines() == [
        "segment | seconds | latent frames | text",
        "1 | 0.00 to 2.46 | 0 to 15 (15: 50 %) | A",
        "2 | 3.75 to 5.04 | 23 to 30 (23: 75 %) | B",
        "otherwise | | 15 to 23 (15: 50 %, 23: 25 %) | dusk",
    ]
