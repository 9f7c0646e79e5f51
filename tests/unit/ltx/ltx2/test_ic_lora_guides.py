"""Guides of in- and outpainting: the green, masks that grow, canvases, and the mask of the blend."""

import pytest
import torch

from oner.ltx.ltx2 import ic_lora_guides as guides


def frames(count, height, width, seed=0):
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed))


def dot(count, height, width, frame, row, column):
    mask = torch.zeros(count, height, width)
    mask[frame, row, column] = 1
    return mask


def test_the_masked_part_is_the_green_of_the_lora():
    video, mask = frames(2, 4, 5), torch.zeros(2, 4, 5)
    mask[1, 2, 3] = 0.6
    mask[1, 0, 0] = 0.5
    painted = guides.paint_green(video, mask)
    assert (painted[1, 2, 3] * 255).round().tolist() == [0x66, 0xFF, 0x00]
    painted[1, 2, 3] = video[1, 2, 3]
    assert torch.equal(painted, video)


@pytest.mark.parametrize(("pixels", "count"), [(0, 0), (3, 0), (0, 2), (2, 1), (20, 9)])
def test_a_dot_grows_to_a_box(pixels, count):
    grown = guides.grow_mask(dot(9, 24, 30, 4, 10, 12), pixels, count)
    expected = torch.zeros(9, 24, 30)
    expected[max(0, 4 - count) : 5 + count, max(0, 10 - pixels) : 11 + pixels, max(0, 12 - pixels) : 13 + pixels] = 1
    assert torch.equal(grown, expected)


def test_growing_counts_only_what_is_above_a_half():
    mask = dot(1, 9, 9, 0, 4, 4) * 0.5
    assert not guides.grow_mask(mask, 3, 0).any()


@pytest.mark.parametrize(("height", "width"), [(544, 960), (100, 37), (64, 64), (20, 30)])
@pytest.mark.parametrize("grow", [1, 5])
def test_the_blend_mask_covers_the_whole_mask(height, width, grow):
    generator = torch.Generator().manual_seed(1)
    mask = (torch.rand(2, height, width, generator=generator) > 0.999).float()
    mask[0, 0, 0] = mask[1, -1, -1] = 1
    widened = guides.blend_mask(mask, grow)
    assert widened.shape == mask.shape
    torch.testing.assert_close(widened[mask > 0], torch.ones(int(mask.sum())), rtol=0, atol=1e-5)


def test_the_blend_mask_grows_in_64ths_of_the_long_side():
    mask = torch.zeros(1, 320, 640)
    mask[:, 160:170, 320:330] = 1  # one cell of 10 x 10 pixels
    row = guides.blend_mask(mask, 5)[0, 165]
    full = (row > 0.999).nonzero()
    assert full.min() == pytest.approx(320 - 50, abs=6)  # half a cell is ramp
    assert full.max() == pytest.approx(329 + 50, abs=6)
    assert row[320 - 60] < 0.5
    assert row[320 - 70] == 0


def test_without_growth_the_blend_mask_is_the_mask():
    mask = torch.rand(1, 9, 9)
    assert guides.blend_mask(mask, 0) is mask


@pytest.mark.parametrize(
    ("place", "box"), [((0, 0), (0, 0)), ((1, 1), (6, 8)), ((0.5, 0.5), (3, 4)), ((0, 1), (6, 0)), ((1, 0), (0, 8))]
)
def test_a_video_lies_on_its_canvas_where_asked(place, box):
    video, (top, left) = frames(2, 4, 6), box
    canvas, mask = guides.place_on_canvas(video, 14, 10, *place)
    assert canvas.shape == (2, 10, 14, 3)
    assert torch.equal(canvas[:, top : top + 4, left : left + 6], video)
    assert mask.sum() == 2 * (10 * 14 - 4 * 6)
    assert not mask[:, top : top + 4, left : left + 6].any()


def test_the_margin_of_a_canvas_repeats_the_edge():
    video = frames(1, 4, 6)
    canvas, _ = guides.place_on_canvas(video, 14, 10, 0.5, 0.5)
    assert torch.equal(canvas[0, 0, 0], video[0, 0, 0])
    assert torch.equal(canvas[0, 5, -1], video[0, 2, -1])


@pytest.mark.parametrize(
    ("given", "canvas", "expected"), [((40, 20), (128, 96), (128, 64)), ((100, 300), (96, 96), (32, 96))]
)
def test_fitting_inside_keeps_the_shape(given, canvas, expected):
    fitted = guides.fit_inside(frames(1, given[1], given[0]), *canvas)
    assert (fitted.shape[2], fitted.shape[1]) == expected


def test_fitting_inside_leaves_what_fits_alone():
    video = frames(1, 20, 40)
    assert guides.fit_inside(video, 40, 96) is video


@pytest.mark.parametrize(("given", "scale", "kept"), [(20, 1, 17), (17, 1, 17), (8, 1, 1), (40, 2, 33), (120, 4, 97)])
def test_as_many_frames_as_fit_are_kept(given, scale, kept):
    assert len(guides.fit_length(torch.zeros(given, 1, 1, 3), 0, scale)) == kept


@pytest.mark.parametrize(
    ("given", "length", "scale", "words"),
    [
        (30, 20, 1, r"length is 20; LTX needs 8k\+1 frames here: use 17 or 25"),
        (30, 25, 2, r"length is 25; LTX needs 16k\+1 frames here: use 17 or 33"),
        (20, 25, 1, "the video has 20 frames and length is 25: use 17 or less"),
    ],
)
def test_a_length_that_cannot_be_is_refused(given, length, scale, words):
    with pytest.raises(ValueError, match=words):
        guides.fit_length(torch.zeros(given, 1, 1, 3), length, scale)


@pytest.mark.parametrize(
    ("given", "length", "scale", "frames"),
    [
        (8, 0, 1, [*range(8), 7]),
        (9, 0, 1, [*range(9)]),
        (10, 0, 2, [*range(10), *[9] * 7]),
        (8, 17, 1, [*range(8), *[7] * 9]),
        (12, 9, 1, [*range(9)]),
    ],
)
def test_the_last_frame_is_repeated_up_to_a_length(given, length, scale, frames):
    video = torch.arange(given).view(-1, 1, 1, 1)
    assert guides.fit_length(video, length, scale, repeat=True).flatten().tolist() == frames


def test_the_nearest_legal_size_is_never_zero():
    assert guides.nearest_size(1280, 720, 32) == (1280, 736)
    assert guides.nearest_size(1280, 720, 128) == (1280, 768)
    assert guides.nearest_size(10, 500, 64) == (64, 512)


def test_blending_back_stays_in_range_and_keeps_the_source_outside():
    inside, outside = frames(2, 40, 600, 1).round(), frames(2, 40, 600, 2)
    mask = torch.zeros(2, 40, 600)
    mask[:, :, :40] = 1
    result = guides.blend_back(inside, outside, mask)
    assert result.shape == outside.shape
    assert 0 <= result.min() <= result.max() <= 1
    assert torch.equal(result[:, :, 40 + 256 :], outside[:, :, 40 + 256 :])
