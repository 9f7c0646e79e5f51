"""A sound becomes one that nodes can use, or a sentence."""

import av
import pytest
import torch

from harness.raised import on_purpose
from oner.utils.sounds import check_sound, mix_down

LAYOUTS = ["2.1", "quad", "5.0", "5.1", "6.1", "7.1"]  # of 3 to 8 channels


def draw(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def ffmpeg(sound, layout):
    """[C, S] as [2, S] by FFmpeg itself."""
    frame = av.AudioFrame.from_ndarray(sound.T.reshape(1, -1).numpy(), format="flt", layout=layout)
    frame.sample_rate = 44100
    resampler = av.AudioResampler(format="flt", layout="stereo", rate=44100)
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    return torch.cat([torch.from_numpy(piece.to_ndarray()) for piece in pieces], 1).view(-1, 2).T


@pytest.mark.parametrize(("channels", "layout"), list(enumerate(LAYOUTS, 3)))
def test_many_channels_are_mixed_to_two_as_ffmpeg_does(channels, layout):
    waveform = draw(2, channels, 3001)
    mixed = mix_down(waveform)
    assert mixed.shape == (2, 2, 3001)
    for one, sound in zip(mixed, waveform, strict=True):
        assert torch.allclose(one, ffmpeg(sound, layout), atol=1e-6)


def test_channels_without_a_layout_are_averaged():
    waveform = draw(1, 9, 50)
    assert torch.equal(mix_down(waveform), waveform.mean(1, keepdim=True).expand(1, 2, 50))


def test_mixing_down_is_said(caplog):
    sound = {"waveform": draw(1, 6, 100), "sample_rate": 48000, "name": "film"}
    with caplog.at_level("INFO", logger="oner"):
        taken = check_sound(sound, "audio")
    assert "audio has 6 channels: they are mixed down to two" in caplog.text
    assert torch.equal(taken["waveform"], mix_down(sound["waveform"]))
    assert (taken["sample_rate"], taken["name"]) == (48000, "film")
    assert sound["waveform"].shape == (1, 6, 100)


def test_other_numbers_become_floats():
    sound = {"waveform": draw(1, 1, 9).half(), "sample_rate": 44100.0}
    taken = check_sound(sound, "audio")
    assert torch.equal(taken["waveform"], sound["waveform"].float())
    assert taken["waveform"].dtype == torch.float32
    assert (taken["sample_rate"], type(taken["sample_rate"])) == (44100, int)


@pytest.mark.parametrize(
    ("waveform", "rate", "message"),
    [
        (torch.zeros(1, 2, 0), 44100, "audio has 0 samples"),
        (torch.zeros(0, 2, 9), 44100, "audio has 0 samples"),
        (torch.zeros(1, 0, 9), 44100, "audio has 0 samples"),
        (torch.zeros(2, 9), 44100, "audio is no sound"),
        (None, 44100, "audio is no sound"),
        (torch.zeros(1, 2, 9), 0, "audio has sample_rate 0"),
        (torch.zeros(1, 2, 9), -44100, "audio has sample_rate -44100"),
        (torch.zeros(1, 2, 9), float("nan"), "audio has sample_rate nan"),
        (torch.zeros(1, 2, 9), 1, "audio has sample_rate 1:"),
        (torch.zeros(1, 2, 9), 1e9, "audio has sample_rate 1000000000"),
        (torch.zeros(1, 2, 9), None, "audio has sample_rate None"),
        (torch.zeros(1, 2, 9), "44100", "audio has sample_rate 44100"),
        (torch.full((1, 2, 9), float("nan")), 44100, "audio holds NaN"),
        (torch.full((1, 6, 9), float("inf")), 44100, "audio holds NaN"),
    ],
)
def test_what_is_no_sound_is_refused(waveform, rate, message):
    with pytest.raises(ValueError, match=message) as error:
        check_sound({"waveform": waveform, "sample_rate": rate}, "audio")
    assert on_purpose(error.value)


@pytest.mark.parametrize("sound", [{}, [], torch.zeros(1, 2, 9)])
def test_what_has_no_waveform_is_refused(sound):
    with pytest.raises(ValueError, match="audio is no sound") as error:
        check_sound(sound, "audio")
    assert on_purpose(error.value)
