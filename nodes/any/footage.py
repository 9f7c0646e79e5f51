"""Videos and images as the run of windows reads them: part by part, fitted to the film's size."""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...utils.images import fill_and_crop
from ...utils.video_reader import VideoReader

RATES = (16000, 22050, 24000, 32000, 44100, 48000)  # that AAC and browsers play


class Clip:
    """A VIDEO's frames [F, H, W, 3] in 0..1 at the film's size, read from its file as they are needed."""

    def __init__(self, video: Any, width: int, height: int):
        self.source, trim = video.get_stream_source(), trim_of(video)
        self.reader = VideoReader(self.source, *trim)
        self.sound = self.reader.sound
        self.size, self.count = (width, height), self.reader.count
        self.digest = f"{_file_digest(self.source)} {trim} {width}x{height}"

    def sound_for(self, seconds: float) -> dict:
        """Its sound from the start, as AUDIO."""
        return {"sample_rate": self.sound.sample_rate, "waveform": self.sound.read(0.0, seconds).unsqueeze(0)}

    def frames(self, start: int, end: int) -> Tensor:
        images = self.reader.read(start, end).float() / 255
        return images if images.shape[1:3] == self.size[::-1] else fill_and_crop(images, *self.size)


def trim_of(video: Any) -> tuple[float, float]:
    """Start and duration in seconds of the part that a VIDEO stands for; 0 = all. Older releases cut nothing."""
    return video.get_active_trim_window() if hasattr(video, "get_active_trim_window") else (0.0, 0.0)


def fit(images: Tensor | None, width: int, height: int) -> Tensor | None:
    """Images at the film's size: scaled to cover it, the middle cut out."""
    return None if images is None else fill_and_crop(images, width, height)


def _file_digest(source: str | Path | io.BytesIO) -> str:
    if isinstance(source, io.BytesIO):
        return hashlib.sha256(source.getbuffer()).hexdigest()[:32]
    with open(source, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def playable(audio: dict) -> dict:
    """One AUDIO of at most two channels, at a rate that the film's file can have."""
    rate, waveform = audio["sample_rate"], audio["waveform"]
    return at_rate(
        {"sample_rate": rate, "waveform": waveform[:1]}, rate if rate in RATES else 48000, min(2, waveform.shape[1])
    )


def at_rate(audio: dict, rate: int, channels: int) -> dict:
    """An AUDIO at another rate and with one or two channels; more are mixed down."""
    from scipy.signal import resample_poly

    waveform = audio["waveform"]
    if waveform.shape[1] > 2 or channels == 1:
        waveform = waveform.mean(1, keepdim=True)
    if audio["sample_rate"] != rate:
        shared = math.gcd(audio["sample_rate"], rate)
        sound = resample_poly(waveform.numpy(), rate // shared, audio["sample_rate"] // shared, axis=-1)
        waveform = torch.from_numpy(sound).float()
    return {"sample_rate": rate, "waveform": waveform.expand(-1, channels, -1)}
