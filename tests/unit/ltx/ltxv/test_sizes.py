"""Padding to legal sizes and back."""

import pytest
import torch

from oner.ltx.ltxv.sizes import fit_frames, pad_frames, padded_length, padded_side


@pytest.mark.parametrize(("frames", "legal"), [(1, 1), (2, 9), (9, 9), (10, 17), (100, 105), (121, 121)])
def test_length_goes_up_to_8k_plus_1(frames, legal):
    assert padded_length(frames) == legal


@pytest.mark.parametrize(("side", "legal"), [(32, 32), (33, 64), (720, 736), (1280, 1280)])
def test_sides_go_up_to_multiples_of_32(side, legal):
    assert padded_side(side) == legal


def test_padding_is_even_with_the_odd_pixel_at_bottom_and_right():
    frames = torch.rand(1, 61, 31, 3, generator=torch.Generator().manual_seed(0))
    padded = pad_frames(frames)
    assert padded.shape == (1, 64, 32, 3)
    assert torch.equal(padded[:, 1:62, 0:31], frames)
    assert torch.equal(padded[:, 0, :31], frames[:, 0])
    assert torch.equal(padded[:, 62:, :31], frames[:, -1:].expand(-1, 2, -1, -1))


def test_added_frames_repeat_the_last_one():
    frames = torch.rand(11, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    padded = pad_frames(frames)
    assert torch.equal(padded[:11], frames)
    assert torch.equal(padded[11:], frames[-1:].expand(6, -1, -1, -1))


@pytest.mark.parametrize("size", [(11, 50, 70), (9, 64, 96), (1, 33, 65)])
def test_fitting_undoes_padding_exactly(size):
    frames = torch.rand(*size, 3, generator=torch.Generator().manual_seed(0))
    length, height, width = size
    assert torch.equal(fit_frames(pad_frames(frames), width, height, length), frames)


def test_larger_frames_of_multi_scale_are_resized_before_the_crop():
    ramp = torch.linspace(0, 1, 128).view(1, 1, 128, 1).expand(20, 128, 128, 3)
    fitted = fit_frames(ramp, 50, 60, 18)
    assert fitted.shape == (18, 60, 50, 3)
    # the padded size is 64: 7 pixels are cropped on each side of the resized ramp
    resized = ramp[0, 0, :, 0].view(64, 2).mean(1)
    assert torch.allclose(fitted[0, 0, :, 0], resized[7:57], atol=1e-6)
