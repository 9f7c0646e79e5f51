"""Decode settings of LTX-Video on a VAE that gives back what it is to decode."""

from types import SimpleNamespace

import pytest
import torch

from oner.ltx.ltxv.decode import with_decode_settings


class Echo(torch.nn.Module):
    def decode(self, x):
        return x


def test_the_latent_is_noised_first_and_its_tones_compressed_after_that():
    latent = 3 * torch.randn(1, 128, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    vae = with_decode_settings(SimpleNamespace(first_stage_model=Echo()), 0.05, 0.25, seed=7, tone_map=0.6)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(7))
    noised, q = 0.75 * latent + 0.25 * noise, 0.75 * 0.6
    expected = noised * (1 - 0.8 * q * torch.sigmoid(4 * q * (noised.abs() - 1)))
    torch.testing.assert_close(vae.first_stage_model.decode(latent), expected)


@pytest.mark.parametrize(("padding", "width"), [("reflect", 2), ("zeros", 1)])
def test_what_the_convolutions_can_mirror_is_decoded(padding, width):
    echo = Echo()
    echo.conv = torch.nn.Conv3d(128, 128, 3, padding=1, padding_mode=padding)
    latent = torch.ones(1, 128, 2, 3, width)
    vae = with_decode_settings(SimpleNamespace(first_stage_model=echo), 0.05, 0.0, seed=7)
    torch.testing.assert_close(vae.first_stage_model.decode(latent), latent)


def test_a_tile_too_narrow_to_be_mirrored_is_refused_with_its_size():
    echo = Echo()
    echo.conv = torch.nn.Conv3d(128, 128, 3, padding=1, padding_mode="reflect")
    vae = with_decode_settings(SimpleNamespace(first_stage_model=echo), 0.05, 0.0, seed=7)
    with pytest.raises(ValueError, match="got 1x3 latent pixels to decode, it needs 2x2: use larger tiles"):
        vae.first_stage_model.decode(torch.ones(1, 128, 2, 3, 1))


def test_a_latent_without_frames_is_refused():
    vae = with_decode_settings(SimpleNamespace(first_stage_model=Echo()), 0.05, 0.0, seed=7)
    with pytest.raises(ValueError, match=r"samples has shape \(1, 128, 0, 3, 3\); an LTX video latent is"):
        vae.first_stage_model.decode(torch.ones(1, 128, 0, 3, 3))
