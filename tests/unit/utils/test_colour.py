"""Colour spaces against published values, and there and back."""

import pytest
import torch

from oner.utils import colour

GRID = torch.cartesian_prod(*[torch.linspace(0, 1, 9, dtype=torch.float64)] * 3)
LAB = {  # sRGB primaries under D65, as published to two digits
    (1, 1, 1): (100, 0, 0),
    (0, 0, 0): (0, 0, 0),
    (1, 0, 0): (53.24, 80.09, 67.20),
    (0, 1, 0): (87.73, -86.18, 83.18),
    (0, 0, 1): (32.30, 79.19, -107.86),
}


@pytest.mark.parametrize(("linear", "code"), [(0.0, 0.0), (0.001, 0.01292), (0.2140, 0.5), (1.0, 1.0)])
def test_srgb_has_the_published_values(linear, code):
    assert colour.linear_to_srgb(torch.tensor(linear)).item() == pytest.approx(code, abs=1e-4)
    assert colour.srgb_to_linear(torch.tensor(code)).item() == pytest.approx(linear, abs=1e-4)


@pytest.mark.parametrize("rgb", LAB)
def test_lab_has_the_published_values(rgb):
    assert colour.linear_to_lab(torch.tensor(rgb, dtype=torch.float64)).tolist() == pytest.approx(LAB[rgb], abs=0.02)


def test_every_way_there_leads_back():
    light = colour.srgb_to_linear(GRID)
    torch.testing.assert_close(colour.linear_to_srgb(light), GRID, rtol=0, atol=1e-7)
    torch.testing.assert_close(colour.lab_to_linear(colour.linear_to_lab(light)), light, rtol=0, atol=1e-9)


def test_grey_has_no_colour_and_a_step_of_lightness_is_its_distance():
    grey = colour.lab_to_linear(torch.tensor([[50.0, 0, 0], [57.0, 0, 0]], dtype=torch.float64))
    assert grey.std(-1).max() < 1e-12
    assert colour.delta_e(grey[0], grey[1]).item() == pytest.approx(7)


def test_a_matrix_of_four_columns_adds_the_last():
    matrix = torch.tensor([[1.0, 2, 3, 0.5], [0, 1, 0, 0], [0, 0, 2, -1]])
    assert colour.mapped(torch.tensor([1.0, 10, 100]), matrix).tolist() == [321.5, 10, 199]
    assert colour.mapped(torch.tensor([1.0, 10, 100]), matrix[:, :3]).tolist() == [321, 10, 200]


def test_luma_of_white_is_one_and_green_counts_most():
    assert colour.luma(torch.ones(3)).item() == pytest.approx(1)
    assert colour.luma(torch.eye(3)).tolist() == pytest.approx([0.2126, 0.7152, 0.0722])
