"""AdaIN, normalisation and tone map of latents."""

import pytest
import torch

from oner.utils.latent_statistics import compress_tones, match_statistics, normalise


@pytest.fixture
def latents():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, 3, 5, 6, generator=generator) * 3 + 1, torch.randn(2, 4, 2, 3, 3, generator=generator)


def test_matched_latent_has_the_statistics_of_the_reference(latents):
    latent, reference = latents
    matched = match_statistics(latent, reference)
    assert torch.allclose(matched.mean((2, 3, 4)), reference.mean((2, 3, 4)), atol=1e-5)
    assert torch.allclose(matched.std((2, 3, 4)), reference.std((2, 3, 4)), atol=1e-5)


def test_factor_zero_leaves_the_latent_alone(latents):
    assert torch.equal(match_statistics(*latents, factor=0.0), latents[0])


def test_one_reference_frame_serves_every_frame_and_is_not_written(latents):
    latent, reference = latents
    before = reference.clone()
    matched = match_statistics(latent, reference[:, :, :1], per_frame=True)
    assert torch.allclose(matched.mean((3, 4)), reference[:, :, :1].mean((3, 4)).expand(-1, -1, 3), atol=1e-5)
    assert torch.equal(reference, before)


@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_a_constant_channel_stays_finite(latents, factor):
    latent, reference = latents
    latent[:, 0] = 5.0
    matched = match_statistics(latent, reference, factor)
    assert torch.isfinite(matched).all()
    expected = 5.0 if factor == 0 else reference[:, 0].mean((1, 2, 3))
    assert torch.allclose(matched[:, 0].mean((1, 2, 3)), torch.as_tensor(expected), atol=1e-5)


def test_normalised_channels_have_the_asked_mean_and_std(latents):
    result = normalise(latents[0], mean=0.5, std=2.0, percentile=100.0)
    assert torch.allclose(result.mean((2, 3, 4)), torch.tensor(0.5), atol=1e-5)
    assert torch.allclose(result.std((2, 3, 4)), torch.tensor(2.0), atol=1e-5)


def test_outliers_do_not_decide_and_can_be_clipped(latents):
    latent = latents[0].clone()
    spoiled = latent.clone()
    spoiled[:, :, 0, 0, 0] = 1e4
    kept = normalise(spoiled, percentile=90.0)
    clipped = normalise(spoiled, percentile=90.0, clip=True)
    inside = (slice(None), slice(None), slice(1, None))
    assert (kept[inside] - normalise(latent, percentile=90.0)[inside]).abs().max() < 0.2
    assert kept.max() > 1e3
    assert clipped.abs().max() < 4


def test_the_band_of_90_percent_leaves_5_out_at_each_end():
    latent = torch.arange(101.0).view(1, 1, 101, 1, 1)
    band = torch.arange(5.0, 96.0)
    expected = (latent.clamp(5, 95) - 50) / band.std()
    torch.testing.assert_close(normalise(latent, percentile=90.0, clip=True), expected)


def test_tone_map_compresses_large_values_and_keeps_the_sign():
    x = torch.tensor([-4.0, -0.1, 0.0, 0.1, 4.0])
    mapped = compress_tones(x, 0.6)
    assert torch.equal(mapped.sign(), x.sign())
    assert mapped.abs()[[0, 4]].max() < 0.7 * 4
    assert (mapped[1:4] - x[1:4]).abs().max() < 0.01
    assert torch.equal(compress_tones(x, 0.0), x)
