"""Laplacian pyramids: nothing is lost, constants stay constant, and blending obeys its mask."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from oner.utils import pyramid

SIZES = [(64, 64), (37, 53), (96, 40), (3, 3), (2, 9), (544, 31)]


def pictures(height, width, seed=0, channels=3):
    return torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(seed))


def reduce_by_scipy(picture):
    """One plane blurred with mirrored borders, then every second pixel."""
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    for axis in (0, 1):
        picture = convolve1d(picture, kernel, axis=axis, mode="mirror")
    return picture[::2, ::2]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_collapse_undoes_the_pyramid(height, width):
    given = pictures(height, width)
    torch.testing.assert_close(pyramid.collapse(pyramid.laplacian_pyramid(given)), given, rtol=0, atol=2e-6)


def test_reduce_is_the_binomial_blur_with_mirrored_borders():
    given = pictures(37, 52).double()
    expected = np.stack([[reduce_by_scipy(plane.numpy()) for plane in picture] for picture in given])
    torch.testing.assert_close(pyramid.reduce(given), torch.from_numpy(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(8, 9), (7, 12)])
def test_expand_is_the_same_blur_of_the_picture_with_zeros_between(height, width):
    smaller = pictures(-(-height // 2), -(-width // 2)).double()
    spread = np.zeros((*smaller.shape[:2], height, width))
    spread[..., ::2, ::2] = smaller.numpy()
    for axis in (2, 3):
        spread = convolve1d(spread, np.array([1, 4, 6, 4, 1]) / 8, axis=axis, mode="mirror")
    torch.testing.assert_close(pyramid.expand(smaller, height, width), torch.from_numpy(spread), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 12), (7, 5)])
def test_a_constant_stays_constant_up_to_the_border(height, width):
    given = torch.full((1, 1, height, width), 0.7, dtype=torch.float64)
    smaller = pyramid.reduce(given)
    assert smaller.shape[2:] == (-(-height // 2), -(-width // 2))
    torch.testing.assert_close(smaller, torch.full_like(smaller, 0.7), rtol=0, atol=1e-12)
    torch.testing.assert_close(pyramid.expand(smaller, height, width), given, rtol=0, atol=1e-12)


def test_a_pyramid_has_seven_levels_or_ends_at_three_pixels():
    assert [level.shape[-2:] for level in pyramid.gaussian_pyramid(pictures(544, 960))][-1] == (9, 15)
    assert len(pyramid.gaussian_pyramid(pictures(544, 960))) == 7
    assert min(pyramid.gaussian_pyramid(pictures(40, 40))[-2].shape[-2:]) >= 3


def test_a_white_mask_shows_the_inside():
    inside, outside = pictures(48, 70, 1), pictures(48, 70, 2)
    result = pyramid.blend(inside, outside, torch.ones(2, 1, 48, 70))
    torch.testing.assert_close(result, inside, rtol=0, atol=2e-6)


def test_a_black_mask_shows_the_outside_bit_by_bit():
    inside, outside = pictures(48, 70, 1), pictures(48, 70, 2)
    assert torch.equal(pyramid.blend(inside, outside, torch.zeros(2, 1, 48, 70)), outside)


def test_equal_pictures_have_no_seam():
    given = pictures(48, 70)
    mask = (pictures(48, 70, 5, channels=1) > 0.5).float()
    assert torch.equal(pyramid.blend(given, given, mask), given)


def test_blending_is_the_blend_of_the_two_pyramids():
    """The definition of Burt and Adelson, with both pyramids."""
    inside, outside = pictures(61, 45, 1).double(), pictures(61, 45, 2).double()
    mask = (pictures(61, 45, 5, channels=1) > 0.5).double()
    bands = zip(*(pyramid.laplacian_pyramid(p) for p in (inside, outside)), pyramid.gaussian_pyramid(mask), strict=True)
    expected = pyramid.collapse([a * weight + b * (1 - weight) for a, b, weight in bands])
    torch.testing.assert_close(pyramid.blend(inside, outside, mask), expected, rtol=0, atol=1e-12)


def test_the_outside_far_from_the_mask_stays_bit_by_bit():
    inside, outside = pictures(32, 1024, 1), pictures(32, 1024, 2)
    mask = torch.zeros(2, 1, 32, 1024)
    mask[..., :64] = 1
    result = pyramid.blend(inside, outside, mask)
    assert torch.equal(result[..., 64 + 256 :], outside[..., 64 + 256 :])
    assert not torch.equal(result[..., 64:128], outside[..., 64:128])


def test_coarse_bands_blend_wider_than_fine_ones():
    """Between a black and a white picture the step becomes a ramp; fine stripes end within a few pixels."""
    mask = torch.zeros(1, 1, 64, 512)
    mask[..., :256] = 1
    flat = pyramid.blend(torch.ones(1, 1, 64, 512), torch.zeros(1, 1, 64, 512), mask)[0, 0, 32]
    stripes = torch.tensor([1.0, -1.0]).repeat(256).expand(1, 1, 64, 512)
    fine = pyramid.blend(stripes, torch.zeros_like(stripes), mask)[0, 0, 32].abs()
    assert ((flat > 0.05) & (flat < 0.95)).sum() > 40
    assert ((fine > 0.05) & (fine < 0.95)).sum() < 12
