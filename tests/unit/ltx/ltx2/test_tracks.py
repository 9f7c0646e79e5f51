"""Tracks from JSON, along curves, and painted: where, how large, in which colour."""

import pytest
import torch

from oner.ltx.ltx2 import tracks
from oner.utils.tracks import read_tracks

SIDE = 1080  # painted at this size, so that pixels are those of the painting


def paint(path, frame, height=SIDE, width=SIDE, visible=None):
    path = torch.tensor(path, dtype=torch.float32)  # [F, N, 2]
    visible = torch.ones(path.shape[:2], dtype=torch.bool) if visible is None else torch.tensor(visible)
    return tracks.paint(path, visible, frame, height, width)


@pytest.mark.parametrize(
    "text",
    [
        '[[{"x": 1, "y": 2}, {"x": 3, "y": 4}], [{"x": 5, "y": 6}, {"x": 7, "y": 8}]]',
        "[[{'x': 1, 'y': 2}, {'x': 3, 'y': 4}], [{'x': 5, 'y': 6}, {'x': 7, 'y': 8}]]",
        '[{"x": 1, "y": 2}, {"x": 3, "y": 4}]\n[{"x": 5, "y": 6}, {"x": 7, "y": 8}]',
        "[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]",
        "[[1, 2], [3, 4]]\n\n[[5, 6], [7, 8]]",
    ],
)
def test_every_way_to_write_tracks_is_read(text):
    found = read_tracks(text)
    assert [track.tolist() for track in found] == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no track"),
        ("[[", "not valid JSON"),
        ("[]", "track 1 is empty"),
        ('[[{"x": 1, "y": 2}], []]', "track 2 is empty"),
        ('[[{"x": 1}]]', "track 1 is .* needs x and y"),
        ("7", "track 1 is 7"),
        ('[[["a", "b"]]]', "track 1 is"),
        ('[[{"x": NaN, "y": 2}]]', "track 1 is"),
    ],
)
def test_what_is_no_track_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        read_tracks(text)


CONTROL = torch.tensor([[0.0, 0.0], [10.0, 0.0], [10.0, 30.0]], dtype=torch.float64)


@pytest.mark.parametrize("curve", [tracks.SPLINE, tracks.STRAIGHT])
def test_a_curve_passes_its_control_points_at_equal_times(curve):
    path = tracks.follow(CONTROL, 9, curve, tracks.EVEN_TIME)
    torch.testing.assert_close(path[[0, 4, 8]], CONTROL)


def test_straight_lines_are_linear_between_points():
    path = tracks.follow(CONTROL, 5, tracks.STRAIGHT, tracks.EVEN_TIME)
    assert path.tolist() == [[0, 0], [5, 0], [10, 0], [10, 15], [10, 30]]


def test_the_smooth_curve_is_catmull_rom_with_doubled_ends():
    """Hermite form, with half the difference of a point's neighbours as its slope."""
    path = tracks.follow(CONTROL, 9, tracks.SPLINE, tracks.EVEN_TIME)
    p0, p1, p2 = CONTROL
    for index, t in enumerate([0, 0.25, 0.5, 0.75]):
        slopes = (p1 - p0) / 2, (p2 - p0) / 2
        hermite = (2 * t**3 - 3 * t**2 + 1) * p0 + (t**3 - 2 * t**2 + t) * slopes[0]
        hermite = hermite + (-2 * t**3 + 3 * t**2) * p1 + (t**3 - t**2) * slopes[1]
        torch.testing.assert_close(path[index], hermite)


@pytest.mark.parametrize("curve", [tracks.SPLINE, tracks.STRAIGHT])
def test_even_speed_makes_steps_of_one_length(curve):
    path = tracks.follow(CONTROL, 41, curve, tracks.EVEN_SPEED)
    torch.testing.assert_close(path[[0, -1]], CONTROL[[0, -1]])
    steps = path.diff(dim=0).norm(dim=1)
    assert (steps.max() - steps.min()) / steps.mean() < 0.03
    uneven = tracks.follow(CONTROL, 41, curve, tracks.EVEN_TIME).diff(dim=0).norm(dim=1)
    assert uneven.max() > 2 * uneven.min()


def test_a_point_alone_or_repeated_stays():
    assert tracks.follow(CONTROL[:1], 3, tracks.SPLINE, tracks.EVEN_TIME).tolist() == [[0, 0]] * 3
    assert tracks.follow(CONTROL[[1, 1]], 3, tracks.SPLINE, tracks.EVEN_SPEED).tolist() == [[10, 0]] * 3


def test_points_for_frames_must_be_as_many():
    assert torch.equal(tracks.follow(CONTROL, 3, tracks.POINTS, tracks.EVEN_TIME), CONTROL)
    with pytest.raises(ValueError, match="has 3 points and length is 9: set length to 3"):
        tracks.follow(CONTROL, 9, tracks.POINTS, tracks.EVEN_TIME)


def test_a_new_point_is_a_disc_of_radius_eight_in_blue():
    """Red in the painting; red and blue are exchanged as in the training videos."""
    frame = paint([[[300, 500]]], 0)
    lit = frame.sum(-1) > 0
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    assert torch.equal(lit, (columns - 300) ** 2 + (rows - 500) ** 2 <= 64)
    assert frame[500, 300].tolist() == [0, 0, 1]
    assert frame[lit].unique(dim=0).tolist() == [[0, 0, 1]]


def test_old_points_are_smaller_and_change_colour():
    path = [[[20 * frame + 10, 540]] for frame in range(50)]
    frame = paint(path, 49)
    colours = {age: [round(v, 4) for v in frame[540, 20 * (49 - age) + 10].tolist()] for age in (0, 49)}
    assert colours[0] == [0, 0, 1]
    youth = 1 - 49 / 50
    assert colours[49] == pytest.approx([1 - 3 * youth, 3 * youth, 0], abs=1e-4)  # from red towards green
    reach = [int((frame[:, 20 * (49 - age) + 10].sum(-1) > 0).sum()) for age in (0, 25, 49)]
    assert reach == [17, 11, 5]  # radii 8, 5 and 2.12


def test_a_trail_ends_after_fifty_points():
    path = [[[15 * frame + 10, 540]] for frame in range(52)]
    frame = paint(path, 51)
    assert frame[540, 10 + 15].sum() == 0
    assert frame[540, 10 + 30].sum() > 0


def test_later_points_do_not_show_yet():
    assert paint([[[100, 540]], [[900, 540]]], 0)[540, 900].sum() == 0


def test_the_newest_point_is_on_top_whatever_the_order():
    here, there = [540.0, 540.0], [100.0, 100.0]
    crossing = [[here, there], [there, here]]  # track 1 was here, track 2 is here
    for order in (crossing, [points[::-1] for points in crossing]):
        assert paint(order, 1)[540, 540].tolist() == [0, 0, 1]


def test_invisible_points_are_not_drawn():
    path = [[[100, 540], [900, 540]]]
    frame = paint(path, 0, visible=[[False, True]])
    assert frame[540, 100].sum() == 0
    assert frame[540, 900].sum() > 0


def test_points_outside_are_cut_at_the_border():
    frame = paint([[[-4, 540], [2000, 540]]], 0)
    assert frame[540, :5].sum() > 0
    assert frame[:, 100:].sum() == 0


@pytest.mark.parametrize(("height", "width"), [(64, 96), (704, 1216)])
def test_a_point_lies_where_it_is_at_every_size(height, width):
    x, y = width * 0.75, height * 0.25
    frame = paint([[[x, y]]], 0, height, width)
    assert frame.shape == (height, width, 3)
    weight = frame.sum(-1)
    rows, columns = torch.meshgrid(torch.arange(height) + 0.0, torch.arange(width) + 0.0, indexing="ij")
    centre = (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()
    assert centre[0].item() == pytest.approx(x, abs=1)
    assert centre[1].item() == pytest.approx(y, abs=1)
