"""What is in a video file, read back with PyAV: the check that a graph made what it promised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Video:
    """A video file as a player sees it; `audio` is the codec of its sound, None without sound."""

    width: int
    height: int
    length: int  # frames
    fps: float
    codec: str = "h264"
    audio: str | None = "aac"
    audio_seconds: float = 0.0

    def __str__(self) -> str:
        sound = f"{self.audio} {self.audio_seconds:.2f} s" if self.audio else "no sound"
        return f"{self.width}x{self.height}, {self.length} frames at {self.fps:g} fps, {self.codec}, {sound}"

    def check(self, path: Path, audio_slack: float = 0.1) -> Video:
        """The video in `path`; ValueError if it is not this one, or its sound is `audio_slack` s longer or shorter."""
        found = probe(path)
        expected = replace(self, audio_seconds=found.audio_seconds)
        if found != expected:
            raise ValueError(f"{path.name} is {found}; expected {expected}")
        if found.audio and abs(found.audio_seconds - found.length / found.fps) > audio_slack:
            raise ValueError(
                f"{path.name} has {found.audio_seconds:.2f} s of sound; expected {found.length / found.fps:.2f}"
            )
        return found


@dataclass(frozen=True)
class Recording:
    """A sound file without picture."""

    seconds: float
    codec: str = "flac"

    def check(self, path: Path, slack: float = 0.1) -> None:
        """ValueError unless the file in `path` is this one, at most `slack` s longer or shorter."""
        import av

        with av.open(str(path)) as file:
            sound = file.streams.audio[0]
            seconds = sum(frame.samples for frame in file.decode(sound)) / sound.sample_rate
            found = sound.codec_context.name
        if found != self.codec or file.streams.video or abs(seconds - self.seconds) > slack:
            raise ValueError(f"{path.name} is {found}, {seconds:.2f} s; expected {self.codec}, {self.seconds:.2f} s")


def probe(path: Path) -> Video:
    """Decode the whole file at `path` and say what is in it."""
    import av

    with av.open(str(path)) as file:
        picture = file.streams.video[0]
        sound = file.streams.audio[0] if file.streams.audio else None
        frames, samples = 0, 0
        for frame in file.decode(*filter(None, [picture, sound])):
            frames += isinstance(frame, av.VideoFrame)
            samples += frame.samples if isinstance(frame, av.AudioFrame) else 0
        return Video(
            width=picture.width,
            height=picture.height,
            length=frames,
            fps=float(picture.average_rate),
            codec=picture.codec_context.name,
            audio=sound.codec_context.name if sound else None,
            audio_seconds=samples / sound.sample_rate if sound else 0.0,
        )


@dataclass(frozen=True)
class Clip:
    """A picture (length 1) or video to load: a bright square that moves over a gradient, `sound` is that of Sound."""

    width: int
    height: int
    length: int = 1
    fps: int = 24
    sound: bool = False

    def write(self, path: Path) -> None:
        """Write it in the format of the file's ending."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.length == 1:
            from PIL import Image

            Image.fromarray(self.frame(0)).save(path)
            return
        import av

        with av.open(str(path), "w") as file:
            stream = file.add_stream("libx264", rate=self.fps, options={"crf": "18"})
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
            audio = file.add_stream("aac", rate=44100, layout="stereo") if self.sound else None
            for number in range(self.length):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(self.frame(number), format="rgb24")))
            file.mux(stream.encode())
            if audio:
                samples = Sound(self.length / self.fps).samples().T.astype("f4")
                frame = av.AudioFrame.from_ndarray(samples.copy(), format="fltp", layout="stereo")
                frame.sample_rate = 44100
                file.mux(audio.encode(frame))
                file.mux(audio.encode())

    def frame(self, number: int) -> Any:
        """Frame `number` as a uint8 array [height, width, 3]."""
        import numpy as np

        rows, columns = np.mgrid[: self.height, : self.width]
        picture = np.stack([rows * 255 // self.height, columns * 255 // self.width, np.full_like(rows, 96)], axis=-1)
        side = self.height // 4
        left = (number * 4) % max(1, self.width - side)
        picture[side : 2 * side, left : left + side] = 240
        return picture.astype(np.uint8)


@dataclass(frozen=True)
class Sound:
    """A stereo tone to load: 440 Hz on the left, 660 Hz on the right."""

    seconds: float
    sample_rate: int = 44100

    def write(self, path: Path) -> None:
        """Write it as 16-bit WAV."""
        import wave

        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(self.sample_rate)
            file.writeframes((self.samples() * 32767).astype("<i2").tobytes())

    def samples(self) -> Any:
        """The waveform as an array [samples, 2] between -1 and 1."""
        import numpy as np

        times = np.arange(round(self.seconds * self.sample_rate)) / self.sample_rate
        return 0.3 * np.stack([np.sin(2 * np.pi * 440 * times), np.sin(2 * np.pi * 660 * times)], axis=-1)


@dataclass(frozen=True)
class SavedClip:
    """A clip of LTX-2 with sound, as LTX Save Latent saves it: noise of a fixed seed."""

    width: int
    height: int
    length: int
    fps: int

    def write(self, path: Path) -> None:
        """Write it as a latent file."""
        import torch
        from comfy.nested_tensor import NestedTensor

        from oner.ltx.latents import (
            AUDIO_BINS,
            AUDIO_CHANNELS,
            SPATIAL,
            VIDEO_CHANNELS,
            audio_latent_frames,
            latent_frames,
        )
        from oner.ltx.ltx2.latent_files import save_latent

        rows, columns = self.height // SPATIAL, self.width // SPATIAL
        shapes = [
            (1, VIDEO_CHANNELS, latent_frames(self.length), rows, columns),
            (1, AUDIO_CHANNELS, audio_latent_frames(self.length, self.fps), AUDIO_BINS),
        ]
        generator = torch.Generator().manual_seed(0)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_latent(path, {"samples": NestedTensor([torch.randn(s, generator=generator) for s in shapes])}, {})


@dataclass(frozen=True)
class Images:
    """A sequence of picture files with values that a decoder can read."""

    width: int
    height: int
    count: int
    ending: str

    def check(self, paths: list[Path]) -> None:
        """ValueError unless `paths` are this sequence."""
        import av

        found = []
        for path in paths:
            with av.open(str(path)) as file:
                frame = next(file.decode(video=0))
                found.append((frame.width, frame.height, path.suffix))
        if found != [(self.width, self.height, self.ending)] * self.count:
            raise ValueError(f"the pictures are {found}; expected {self.count} of {self}")
