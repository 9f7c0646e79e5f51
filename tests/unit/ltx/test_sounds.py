"""Sounds for LTX-2: short, of odd rates, and much longer than the clip."""

import pytest
import torch

from oner.ltx.latents import audio_latent_frames
from oner.ltx.ltx2.media import encode_sound, encode_waveform, long_enough, resampled_from
from oner.nodes.ltx.latents import LTXEmptyLatent
from oner.nodes.ltx.loaders import AUDIO_PARTS, load_vae
from tiny import write_models


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    with torch.inference_mode():
        path = write_models(tmp_path_factory.mktemp("models"), ["ltx-2.3"])["ltx-2.3"]
        return load_vae(str(path), AUDIO_PARTS)


def draw(samples):
    return torch.rand(1, 2, samples, generator=torch.Generator().manual_seed(0)) - 0.5


def test_an_empty_clip_has_at_least_one_audio_latent():
    for fps in (24, 50, 60, 1000):
        latent = LTXEmptyLatent.execute(64, 64, 1, fps, 1, "one", True).result[0]["samples"]
        assert latent.unbind()[1].shape[2] == 1
    assert audio_latent_frames(1, 60) == 0  # as the reference counts
    assert audio_latent_frames(121, 24) == 126


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_what_lies_behind_the_clip_is_not_encoded(vae, rate, monkeypatch):
    sound = draw(20 * rate)
    whole = encode_waveform(vae, sound, rate)[:, :, : audio_latent_frames(17, 24)]
    seen = []
    monkeypatch.setattr(
        "oner.ltx.ltx2.media.encode_waveform", lambda v, w, r: seen.append(w.shape[-1]) or encode_waveform(v, w, r)
    )
    cut = encode_sound(vae, {"waveform": sound, "sample_rate": rate}, 17, 24)
    assert torch.allclose(cut, whole, atol=1e-6)
    assert seen == [round((18 / 25 + 1) * rate)]


@pytest.mark.parametrize("samples", [1, 220, 1411])
def test_a_very_short_sound_goes_on_with_silence(vae, samples):
    """The spectrogram's window reaches 32 ms."""
    sound = draw(samples)
    made = encode_sound(vae, {"waveform": sound, "sample_rate": 44100}, 9, 24)
    silent = torch.nn.functional.pad(sound, (0, 44100))
    assert made.shape == (1, 8, 9, 16)
    assert torch.allclose(made[:, :, :1], encode_waveform(vae, silent, 44100)[:, :, :1], atol=1e-6)


def test_a_sound_that_is_long_enough_is_left_as_it_is():
    sound = draw(1412)
    assert long_enough(sound, 44100) is sound


def test_only_rates_with_a_giant_filter_are_rounded():
    for rate in (8000, 11025, 16000, 22050, 32000, 44056, 44100, 48000, 96000, 192000):
        assert resampled_from(rate) == rate
    assert (resampled_from(44101), resampled_from(22051)) == (44100, 22050)
