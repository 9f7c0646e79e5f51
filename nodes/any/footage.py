"""Videos and images as the run of windows reads them: part by part, fitted to the film's size."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...utils.images import fill_and_crop
from ...utils.video_reader import VideoReader


class Clip:
    """A VIDEO's frames [F, H, W, 3] in 0..1 at the film's size, read from its file as they are needed."""

    def __init__(self, video: Any, width: int, height: int):
        self.source, trim = video.get_stream_source(), trim_of(video)
        self.reader = VideoReader(self.source, *trim)
        self.sound = self.reader.sound
        self.size, self.count = (width, height), self.reader.count
        self.digest = f"{_file_digest(self.source)} {trim} {width}x{height}"

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


def resampled(waveform: Tensor, rate: int, wanted: int) -> Tensor:
    """Samples [2, N] at the film's rate of a waveform [C, N]."""
    import torchaudio

    channels = waveform.mean(0, keepdim=True) if waveform.shape[0] > 2 else waveform
    return torchaudio.functional.resample(channels.expand(2, -1), rate, wanted) if len(channels) else torch.zeros(2, 0)
