"""A video file that is whole after every piece: frames go to an encoder thread, each piece ends as one MP4 fragment.

The picture of a piece is encoded on its own (it starts with a key frame) and appended as a finished moof + mdat, so a
file cut off at any time plays up to its last piece, and a take that goes on later writes the very bytes it would have
written. Sound has one encoder for the whole file, so that nothing is heard where pieces meet; it trails the picture by
up to three AAC blocks, and what it still holds becomes a last fragment. F frames of H x W pixels, C channels of N
samples. PyAV is imported on use.

Sources: ISO/IEC 14496-12 (boxes moof, traf, tfhd, tfdt, elst), 14496-14 (AAC in MP4).
"""

from __future__ import annotations

import io
import os
import queue
import struct
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MOVFLAGS = "empty_moov+default_base_moof+use_metadata_tags+frag_custom"  # one fragment a piece, cuts in it or not
KEYFRAMES = 100_000  # frames between key frames: none but the first of a piece and where x264 sees a cut
BLOCK = 1024  # samples of an AAC packet, and of the silence that its encoder puts before the first one
# FFmpeg's default search spoils the first block; noise in place of noise is another at each decoding, after a seek too
SEARCH = {"aac_coder": "fast", "aac_pns": "0", "aac_is": "0"}
LAYOUTS = {1: "mono", 2: "stereo"}


def to_uint8(images: Tensor) -> Tensor:
    """Images [3, F, H, W], 0 to 1, as bytes [F, H, W, 3] on the same device."""
    return images.float().mul(255).round().clamp(0, 255).to(torch.uint8).movedim(0, -1)


def boxes(data: bytes | bytearray, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """The MP4 boxes in data[start:end] as (type, start, end)."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        yield kind, start, start + size
        start += size


def find_box(data: bytes | bytearray, *path: bytes) -> int:
    """Offset of the content of a nested box."""
    start, end = 0, len(data)
    for wanted in path:
        start, end = next((s + 8, e) for kind, s, e in boxes(data, start, end) if kind == wanted)
    return start


def grow_box(data: bytearray, start: int, by: int) -> None:
    """Change the size of the box that begins at `start`."""
    struct.pack_into(">I", data, start, struct.unpack_from(">I", data, start)[0] + by)


def skip_priming(data: bytearray) -> None:
    """Have the last track, the sound, begin behind its encoder's silence: an edit list, as every AAC in MP4 has."""
    # one entry: duration 0 (all that fragments will bring), where the media begins, speed 1
    edits = struct.pack(">I4sI4sIIIiI", 36, b"edts", 28, b"elst", 0, 1, 0, BLOCK, 0x10000)
    moov = find_box(data, b"moov") - 8
    trak = [start for kind, start, _ in boxes(data, moov + 8) if kind == b"trak"][-1]
    header_end = next(end for kind, _, end in boxes(data, trak + 8) if kind == b"tkhd")
    data[header_end:header_end] = edits
    grow_box(data, trak, len(edits))
    grow_box(data, moov, len(edits))


def fragment_ends(path: str | Path) -> list[int]:
    """End offsets in a fragmented file: of its header, then of every complete fragment."""
    ends, position, size = [], 0, os.path.getsize(path)
    with open(path, "rb") as file:
        while position + 8 <= size:
            file.seek(position)
            length, kind = struct.unpack(">I4s", file.read(8))
            if length < 8 or position + length > size:
                break
            position += length
            if kind in (b"moov", b"mdat"):
                ends.append(position)
    return ends


def masked(fragment: bytes) -> bytes:
    """A fragment that readers skip, whole or torn; writing its own first 8 bytes over it makes it count."""
    return struct.pack(">I4s", len(fragment), b"free") + fragment[8:]


class SoundEncoder:
    """One AAC encoder for all pieces of a file; gives packets as blocks are full."""

    def __init__(self, sample_rate: int, channels: int):
        import av

        rates = av.Codec("aac", "w").audio_rates
        if sample_rate not in rates:
            raise ValueError(f"AAC has no {sample_rate} Hz: resample the sound to one of {', '.join(map(str, rates))}")
        if channels not in LAYOUTS:
            raise ValueError(f"the sound has {channels} channels: mix it down to 1 or 2")
        self.sample_rate, self.channels = sample_rate, channels
        self.context = self.set_up(av.CodecContext.create("aac", "w"))
        self.samples = 0
        self.packets = 0

    def set_up(self, context: Any) -> Any:
        """Give a codec context, the encoder's or a track's, the settings."""
        context.sample_rate, context.layout, context.format = self.sample_rate, LAYOUTS[self.channels], "fltp"
        context.time_base, context.options = Fraction(1, self.sample_rate), SEARCH
        context.bit_rate = min(128_000, 4 * self.sample_rate) * self.channels  # AAC takes 6 bits a sample at most
        return context

    def encode(self, samples: Tensor) -> list[Any]:
        """The packets that samples [C, N] complete."""
        import av

        values = samples.float().contiguous().numpy()
        frame = av.AudioFrame.from_ndarray(values, format="fltp", layout=LAYOUTS[self.channels])
        frame.sample_rate, frame.time_base = self.sample_rate, Fraction(1, self.sample_rate)
        frame.pts = self.samples
        self.samples += samples.shape[1]
        return self.context.encode(frame)


class FragmentEncoder:
    """Turns runs of frames, with `sample_rate` of frames and sound, into MP4 fragments that follow each other."""

    def __init__(
        self,
        fps: float,
        crf: int = 18,
        metadata: dict[str, str] | None = None,
        sample_rate: int | None = None,
        channels: int = 2,
    ):
        self.rate = Fraction(fps).limit_denominator(1001)
        # The macroblock tree of x264 (its AVX-512 code) now and then gives other bytes for equal frames on a busy
        # machine. Pieces are too short to gain from it, and a take that goes on must write what it would have written.
        self.options = {"crf": str(crf), "preset": "veryfast", "bf": "0", "g": str(KEYFRAMES), "mbtree": "0"}
        self.metadata = metadata or {}
        self.sound = SoundEncoder(sample_rate, channels) if sample_rate else None
        self.frames = 0
        self.fragments = 0

    def encode(self, frames: Tensor, samples: Tensor | None = None) -> bytes:
        """The bytes to append for frames [F, H, W, 3] uint8 and samples [C, N] in -1 to 1: the first with the header.

        All samples so far must be as long as all frames so far, to one sample.
        """
        if self.sound is None:
            if samples is not None:
                raise ValueError("a piece with sound, in a video that was begun without a sample rate")
            return self.mux(frames, [])
        if samples is None:
            raise ValueError("a piece without sound, in a video that was begun with sound: give it silence")
        self.check_length(frames.shape[0], samples)
        return self.mux(frames, self.sound.encode(samples))

    def finish(self) -> bytes:
        """The bytes to append last: the sound that its encoder still holds."""
        if self.sound is None or not self.sound.samples:
            return b""
        return self.mux(None, self.sound.context.encode(None))

    def check_length(self, frames: int, samples: Tensor) -> None:
        """Raise ValueError if the sound would not end with the picture."""
        rate, channels = self.sound.sample_rate, self.sound.channels
        if samples.shape[0] != channels:
            raise ValueError(f"a piece of the sound has {samples.shape[0]} channels, the video has {channels}")
        wanted = round((self.frames + frames) / self.rate * rate)
        given = self.sound.samples + samples.shape[1]
        if abs(given - wanted) > 1:
            raise ValueError(
                f"{self.frames + frames} frames at {float(self.rate):g} per second are {wanted} samples at {rate} Hz, "
                f"but the sound has {given}: give each piece the sound of its frames"
            )

    def mux(self, frames: Tensor | None, packets: list[Any]) -> bytes:
        """The fragment of frames and of packets of the sound, either may be missing."""
        import av

        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4", options={"movflags": MOVFLAGS}) as container:
            container.metadata.update(self.metadata)
            if frames is not None:
                stream = container.add_stream("libx264", rate=self.rate, options=self.options)
                stream.height, stream.width = frames.shape[1:3]
                stream.pix_fmt = "yuv420p"
            if self.sound is not None:
                track = container.add_stream("aac", rate=self.sound.sample_rate)
                self.sound.set_up(track.codec_context)
            if frames is not None:
                for i, picture in enumerate(frames.numpy()):
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    frame.pts, frame.time_base = i, 1 / self.rate
                    container.mux(stream.encode(frame))
                container.mux(stream.encode(None))
            for i, packet in enumerate(packets):
                packet.stream, packet.time_base = track, Fraction(1, self.sound.sample_rate)
                packet.pts = packet.dts = i * BLOCK
                container.mux(packet)
        return self.place(bytearray(buffer.getvalue()), 0 if frames is None else frames.shape[0], len(packets))

    def place(self, data: bytearray, frames: int, packets: int) -> bytes:
        """Give the fragment in a file of its own its place in ours; it has a track each of what is not 0."""
        timescale = struct.unpack_from(">I", data, find_box(data, b"moov", b"trak", b"mdia", b"mdhd") + 12)[0]
        begins = [(1, round(self.frames * timescale / self.rate))] if frames else []  # (track, time)
        begins += [(2, self.sound.packets * BLOCK)] if packets else []
        moof = find_box(data, b"moof")
        struct.pack_into(">I", data, find_box(data, b"moof", b"mfhd") + 4, self.fragments + 1)
        tracks = [start + 8 for kind, start, _ in boxes(data, moof) if kind == b"traf"]
        for traf, (track, begin) in zip(tracks, begins, strict=True):
            found = {kind: start + 8 for kind, start, _ in boxes(data, traf)}
            struct.pack_into(">I", data, found[b"tfhd"] + 4, track)
            struct.pack_into(">Q", data, found[b"tfdt"] + 4, begin)
        if not self.frames and self.sound is not None:
            skip_priming(data)
        kept = (b"moof", b"mdat") if self.frames else (b"ftyp", b"moov", b"moof", b"mdat")
        self.fragments += 1
        self.frames += frames
        if self.sound is not None:
            self.sound.packets += packets
        return b"".join(bytes(data[s:e]) for kind, s, e in boxes(data) if kind in kept)


class VideoStream:
    """An MP4 file written by a thread of its own; at most two pieces wait in memory.

    `resume` (frames, fragments) continues a file without sound after that many; anything behind is cut off. With
    `sample_rate` every piece comes with its sound, whose end is on disk after `finish` or `close`.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        *,
        crf: int = 18,
        metadata: dict[str, str] | None = None,
        sample_rate: int | None = None,
        channels: int = 2,
        resume: tuple[int, int] = (0, 0),
    ):
        self.path = Path(path)
        if sample_rate and resume[1]:
            raise ValueError(f"{self.path.name} has sound and cannot go on: write it from the start")
        self.encoder = FragmentEncoder(fps, crf, metadata, sample_rate, channels)
        self.encoder.frames, self.encoder.fragments = resume
        self.length = fragment_ends(path)[resume[1]] if resume[1] else 0
        with open(path, "r+b" if resume[1] else "wb") as file:
            file.truncate(self.length)
        self.waiting: queue.Queue[tuple[Tensor, Tensor | None] | None] = queue.Queue(maxsize=2)
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self.work, name="oner-video", daemon=True)
        self.thread.start()

    def add(self, frames: Tensor, samples: Tensor | None = None) -> None:
        """Queue frames [F, H, W, 3] uint8 and their samples [C, N] as one piece. Raises what the thread failed with."""
        self.check()
        self.waiting.put((frames, samples))

    def flush(self) -> tuple[int, int]:
        """Wait until everything queued is on disk; gives (frames, fragments) for `resume`."""
        self.waiting.join()
        self.check()
        return self.encoder.frames, self.encoder.fragments

    def finish(self) -> tuple[int, int]:
        """Write what is queued and the end of the sound, and end the thread; gives (frames, fragments)."""
        self.close()
        return self.flush()

    def close(self) -> None:
        """`finish` that never raises, so that it can follow any failure."""
        if self.thread.is_alive():
            self.waiting.put(None)
            self.thread.join()

    def check(self) -> None:
        if self.failure is not None:
            kept = f"{self.encoder.frames} frames in {self.path.name} are kept"
            raise OSError(f"the video could not be written: {self.failure}; {kept}") from self.failure

    def work(self) -> None:
        more = True
        while more:
            piece = self.waiting.get()
            more = piece is not None
            try:
                if self.failure is None:
                    self.append(piece)
            except Exception as error:
                self.failure = error
            finally:
                self.waiting.task_done()

    def append(self, piece: tuple[Tensor, Tensor | None] | None) -> None:
        """Write a piece's fragment, or what is left to write if it is None."""
        counts = self.encoder.frames, self.encoder.fragments
        try:
            data = self.encoder.finish() if piece is None else self.encoder.encode(*piece)
            if not data:
                return
            start = next(begin for kind, begin, _ in boxes(data) if kind == b"moof")
            with open(self.path, "r+b") as file:
                file.seek(self.length)
                file.write(data[:start] + masked(data[start:]))
                file.flush()
                file.seek(self.length + start)
                file.write(data[start : start + 8])
            self.length += len(data)
        except BaseException:
            self.encoder.frames, self.encoder.fragments = counts
            os.truncate(self.path, self.length)  # a full disk must not leave half a fragment
            raise
