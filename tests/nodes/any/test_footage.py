"""Videos and sounds as a film is given them: fitted to its size, and at its rate."""

import math

import torch
from comfy_api.latest import InputImpl

from oner.nodes.any.footage import Clip, at_rate, playable
from oner.utils.media import VideoStream


def tone(rate, channels, seconds=0.5, frequency=440.0):
    time = torch.arange(round(rate * seconds)) / rate
    return {"sample_rate": rate, "waveform": torch.sin(2 * math.pi * frequency * time).expand(1, channels, -1) * 0.5}


def test_a_tone_stays_what_it_is_at_another_rate():
    made = at_rate(tone(44100, 1), 24000, 2)
    wanted = tone(24000, 2)
    assert made["sample_rate"] == 24000
    assert made["waveform"].shape == wanted["waveform"].shape
    inner = slice(500, -500)  # the filter begins and ends with silence
    assert (made["waveform"][..., inner] - wanted["waveform"][..., inner]).abs().max() < 0.01


def test_sounds_that_a_file_cannot_have_are_made_fit():
    surround = {"sample_rate": 96000, "waveform": torch.stack([torch.full((960,), v) for v in (0.3, 0.6, 0.9)])[None]}
    made = playable(surround)
    assert made["sample_rate"] == 48000
    assert made["waveform"].shape == (1, 2, 480)
    assert abs(float(made["waveform"][..., 200:280].mean()) - 0.6) < 0.01
    stays = tone(44100, 2)
    assert torch.equal(playable(stays)["waveform"], stays["waveform"])


def test_a_video_comes_at_the_films_size(tmp_path):
    path = tmp_path / "a.mp4"
    stream = VideoStream(path, 16)
    picture = torch.zeros(9, 32, 64, 3, dtype=torch.uint8)
    picture[:, :, 16:48] = 200  # the middle
    stream.add(picture)
    stream.finish()
    clip = Clip(InputImpl.VideoFromFile(str(path)), 16, 16)
    assert clip.count == 9
    frames = clip.frames(3, 7)
    assert frames.shape == (4, 16, 16, 3)
    assert float(frames[:, :, 2:14].mean()) * 255 > 190
    assert clip.sound is None
    assert clip.digest == Clip(InputImpl.VideoFromFile(str(path)), 16, 16).digest
    assert clip.digest != Clip(InputImpl.VideoFromFile(str(path)), 32, 16).digest
