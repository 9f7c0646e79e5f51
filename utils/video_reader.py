"""Frames and sound of a video file, range after range, without the whole in memory.

The frames are those that ComfyUI's own loader gives: same trim, rotation and colours, alpha dropped; frames that a file
holds in RGB of 8 bits come as they are, where the loader's way over floats changes some by 1. They are counted in the
order in which they are shown, so that a varying frame rate changes nothing. F frames of H x W pixels, C channels of N
samples. PyAV is imported on use.
"""

from __future__ import annotations

import io
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FULL = ("yuvj420p", "yuvj422p", "yuvj444p", "pal8")  # formats that ComfyUI converts in 8 bits
ALIGNED = 32  # columns: FFmpeg's conversion to floats gives the edge of other widths otherwise from time to time
PRE_ROLL = 0.5  # seconds of sound decoded before a range: codecs need what was before

Source = str | Path | io.BytesIO


def open_video(source: Source) -> Any:
    """A container of PyAV with a position of its own in the source."""
    import av

    file = io.BytesIO(source.getvalue()) if isinstance(source, io.BytesIO) else str(source)
    try:
        return av.open(file, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ValueError(f"{name_of(source)} is no video ({error}): choose another") from error


def name_of(source: Source) -> str:
    return "the video" if isinstance(source, io.BytesIO) else Path(source).name


class VideoReader:
    """The frames of a file from `start_time` on, for `duration` seconds or, if that is 0, to the end.

    Both as ComfyUI's VIDEO gives them (`get_active_trim_window`). `count` frames of `height` x `width`, `rate` per
    second; `sound` is None if there is none. Fast one range after the other, also if they overlap; memory: two ranges.
    """

    decoded: Iterator[Any]

    def __init__(self, source: Source, start_time: float = 0, duration: float = 0):
        self.source, self.name = source, name_of(source)
        self.rewind(None)
        self.rate = Fraction(self.stream.average_rate or 1)
        packets = [packet for packet in self.container.demux(self.stream) if packet.size and not packet.is_discard]
        if any(packet.pts is None for packet in packets):
            raise ValueError(f"{self.name} does not say when its frames are shown: save it as MP4 with another program")
        self.keys = sorted(packet.pts for packet in packets if packet.is_keyframe)
        self.rewind(None)
        first = next(self.decoded, None)
        begin = int(start_time / self.stream.time_base)
        end = int((start_time + duration) / self.stream.time_base) if duration else None
        times = sorted({packet.pts for packet in packets})
        # frames before the first that can be decoded: the file was cut out of another one
        self.times = times[bisect_left(times, max(begin, first.pts)) if first else len(times) :]
        if end is not None:
            self.times = self.times[: bisect_left(self.times, end)]
        self.count = len(self.times)
        if not self.count:
            raise ValueError(f"{self.name} has no frames from second {start_time:g} on: choose another part or video")
        self.height, self.width = turned(to_rgb(first), first.rotation).shape[:2]
        self.next: int | None = None  # the frame that the decoder is before; None: it is to be moved
        self.held = 0, torch.empty(0, self.height, self.width, 3, dtype=torch.uint8)  # first and frames given last
        self.sound = SoundReader(source, start_time, duration) if sound_of(self.container) else None

    def read(self, start: int, end: int) -> Tensor:
        """Frames [start, end) as [F, H, W, 3] uint8."""
        if not 0 <= start < end <= self.count:
            raise ValueError(f"{self.name} has {self.count} frames, not {start} to {end}")
        frames = torch.empty(end - start, self.height, self.width, 3, dtype=torch.uint8)
        first, held = self.held
        known = held[start - first : end - first] if first <= start else held[:0]
        frames[: len(known)] = known
        for i in range(start + len(known), end):
            frames[i - start] = torch.from_numpy(self.picture(i))
        self.held = start, frames
        return frames.clone()  # what was given may be written to

    def picture(self, i: int) -> np.ndarray:
        time = self.times[i]
        if (
            self.next is None
            or i < self.next
            or bisect_right(self.keys, time) > bisect_right(self.keys, self.times[self.next])
        ):
            self.move(time)
        frame = next((frame for frame in self.decoded if frame.pts is not None and frame.pts >= time), None)
        if frame is None or frame.pts != time:
            self.next = None
            raise ValueError(f"frame {i} of {self.name} cannot be decoded: the file is damaged, save it anew")
        self.next = i + 1 if i + 1 < self.count else None
        picture = turned(to_rgb(frame), frame.rotation)
        if picture.shape[:2] != (self.height, self.width):
            raise ValueError(
                f"{self.name} changes its size at frame {i}, from {self.width} x {self.height} to "
                f"{picture.shape[1]} x {picture.shape[0]}: give its parts as files of their own"
            )
        return picture

    def move(self, time: int) -> None:
        """Bring the decoder to a key frame from which the frame of that time can be decoded."""
        for key in reversed(self.keys[: bisect_right(self.keys, time)]):
            self.rewind(key)
            first = next(self.decoded, None)
            if first is not None and first.pts is not None and first.pts <= time:
                break
        else:
            self.rewind(None)
            return
        self.decoded = itertools.chain([first], self.decoded)

    def rewind(self, time: int | None) -> None:
        """Decode from the key frame before a time on; None: from the file's beginning."""
        if time is None:
            self.container = open_video(self.source)
            if not self.container.streams.video:
                raise ValueError(f"{self.name} has no picture: choose a video")
            self.stream = self.container.streams.video[0]
            self.stream.thread_type = "AUTO"
        else:
            self.container.seek(time, stream=self.stream)
        self.decoded = decode(self.container, self.stream)


class SoundReader:
    """The sound of a file, trimmed as VideoReader trims: `channels` at `sample_rate`."""

    decoded: Iterator[Tensor] | None

    def __init__(self, source: Source, start_time: float = 0, duration: float = 0):
        self.source, self.start_time = source, start_time
        self.rewind()
        self.sample_rate, self.channels = self.stream.sample_rate, self.stream.channels
        self.limit = round(duration * self.sample_rate) if duration else None
        # sample that the decoder gives next, and those before it that are kept for a range that overlaps
        self.position, self.kept = 0, torch.empty(self.channels, 0)

    def read(self, begin: float, end: float) -> Tensor:
        """The samples [C, N] float of seconds [begin, end); silence where the file has none."""
        first, last = round(begin * self.sample_rate), round(end * self.sample_rate)
        if self.decoded is None or first < self.position - self.kept.shape[1]:
            self.move(begin)
        pieces = [self.kept]
        while self.position < last and (piece := next(self.decoded, None)) is not None:
            if self.position <= first:
                pieces = []  # all before the range
            pieces.append(piece)
            self.position += piece.shape[1]
        known = torch.cat(pieces, 1)
        start = self.position - known.shape[1]
        self.kept = known[:, max(0, first - start) :]
        samples = torch.zeros(self.channels, last - first)
        begins, ends = max(first, start), min(last, self.position, self.limit or last)
        if begins < ends:
            samples[:, begins - first : ends - first] = known[:, begins - start : ends - start]
        return samples

    def move(self, begin: float) -> None:
        """Bring the decoder to before a second."""
        import av

        time, unit = self.start_time + begin - PRE_ROLL, self.stream.time_base
        self.rewind()
        if time > 0 and unit == Fraction(1, self.sample_rate):  # others round, so samples are counted from the first
            self.container.seek(int(time / unit), stream=self.stream)
        frames = decode(self.container, self.stream)
        first = next(frames, None)
        resampler = av.AudioResampler(format="fltp")
        self.decoded = (
            torch.from_numpy(part.to_ndarray())
            for frame in itertools.chain([first] if first else [], frames)
            for part in resampler.resample(frame)
        )
        at = 0.0 if first is None or first.pts is None else float(first.pts * first.time_base)
        self.position, self.kept = round((at - self.start_time) * self.sample_rate), self.kept[:, :0]

    def rewind(self) -> None:
        self.container = open_video(self.source)
        self.stream = sound_of(self.container)
        self.decoded = None


def sound_of(container: Any) -> Any:
    """The last stream of sound that FFmpeg can decode, as ComfyUI chooses; None if there is none."""
    return next((stream for stream in reversed(container.streams.audio) if stream.codec_context is not None), None)


def decode(container: Any, stream: Any) -> Iterator[Any]:
    """The frames of a stream; packets that are damaged are passed over."""
    import av

    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        yield from frames


def to_rgb(frame: Any) -> np.ndarray:
    """A frame as [H, W, 3] uint8, converted as ComfyUI does before it makes floats of it."""
    alpha = frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)
    eight = frame.format.is_rgb and all(component.bits == 8 for component in frame.format.components)
    if eight or frame.format.name in FULL:
        return frame.to_ndarray(format="rgba" if alpha else "rgb24")[..., :3]
    height, width = frame.height, frame.width
    if width % ALIGNED:
        frame = padded(frame)
    floats = frame.reformat(format="gbrapf32le" if alpha else "gbrpf32le")
    picture = np.empty((height, width, 3), np.uint8)
    for plane, channel in zip(floats.planes[:3], (1, 2, 0), strict=True):  # green, blue, red
        values = np.frombuffer(plane, np.float32).reshape(floats.height, -1)[:height, :width]
        picture[..., channel] = np.rint(values * 255).clip(0, 255)
    return picture


def padded(frame: Any) -> Any:
    """A frame with its right and bottom edge repeated up to whole multiples."""
    import av

    height, width = (-(-size // ALIGNED) * ALIGNED for size in (frame.height, frame.width))
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base
    )
    steps = [
        source,
        graph.add("pad", f"{width}:{height}:0:0"),
        graph.add("fillborders", f"right={width - frame.width}:bottom={height - frame.height}:mode=smear"),
        graph.add("buffersink"),
    ]
    for step, following in itertools.pairwise(steps):
        step.link_to(following)
    graph.configure()
    source.push(frame)
    return steps[-1].pull()


def turned(picture: np.ndarray, rotation: int) -> np.ndarray:
    """A picture upright, by the frame's rotation in degrees."""
    return np.ascontiguousarray(np.rot90(picture, round(rotation // 90)))
