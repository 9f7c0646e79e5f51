"""A video file that is whole after every piece: frames go to an encoder thread, each piece ends as one MP4 fragment.

Every piece is encoded on its own (it starts with a key frame) and appended as a finished moof + mdat, so a file cut off
at any time plays up to its last piece, and a take that goes on later writes the very bytes it would have written.
F frames of H x W pixels. PyAV is imported on use.
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

import torch
from torch import Tensor

MOVFLAGS = "empty_moov+default_base_moof+use_metadata_tags+frag_custom"  # one fragment a piece, cuts in it or not
KEYFRAMES = 100_000  # frames between key frames: none but the first of a piece and where x264 sees a cut


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


class FragmentEncoder:
    """Turns runs of frames into MP4 fragments that follow each other; keeps nothing but counts."""

    def __init__(self, fps: float, crf: int = 18, metadata: dict[str, str] | None = None):
        self.rate = Fraction(fps).limit_denominator(1001)
        # The macroblock tree of x264 (its AVX-512 code) now and then gives other bytes for equal frames on a busy
        # machine. Pieces are too short to gain from it, and a take that goes on must write what it would have written.
        self.options = {"crf": str(crf), "preset": "veryfast", "bf": "0", "g": str(KEYFRAMES), "mbtree": "0"}
        self.metadata = metadata or {}
        self.frames = 0
        self.fragments = 0

    def encode(self, frames: Tensor) -> bytes:
        """The bytes to append for frames [F, H, W, 3] uint8: the header as well if they are the first."""
        import av

        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4", options={"movflags": MOVFLAGS}) as container:
            container.metadata.update(self.metadata)
            stream = container.add_stream("libx264", rate=self.rate, options=self.options)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for i, picture in enumerate(frames.numpy()):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = i, 1 / self.rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return self.place(bytearray(buffer.getvalue()), frames.shape[0])

    def place(self, data: bytearray, count: int) -> bytes:
        """Give the fragment in a file of its own its place in ours."""
        timescale = struct.unpack_from(">I", data, find_box(data, b"moov", b"trak", b"mdia", b"mdhd") + 12)[0]
        begin = round(self.frames * timescale / self.rate)
        self.fragments += 1
        struct.pack_into(">I", data, find_box(data, b"moof", b"mfhd") + 4, self.fragments)
        struct.pack_into(">Q", data, find_box(data, b"moof", b"traf", b"tfdt") + 4, begin)
        kept = (b"moof", b"mdat") if self.frames else (b"ftyp", b"moov", b"moof", b"mdat")
        self.frames += count
        return b"".join(bytes(data[s:e]) for kind, s, e in boxes(data) if kind in kept)


class VideoStream:
    """An MP4 file written by a thread of its own; at most two pieces wait in memory.

    `resume` (frames, fragments) continues a file after that many; anything behind is cut off.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        *,
        crf: int = 18,
        metadata: dict[str, str] | None = None,
        resume: tuple[int, int] = (0, 0),
    ):
        self.path = Path(path)
        self.encoder = FragmentEncoder(fps, crf, metadata)
        self.encoder.frames, self.encoder.fragments = resume
        self.length = fragment_ends(path)[resume[1]] if resume[1] else 0
        with open(path, "r+b" if resume[1] else "wb") as file:
            file.truncate(self.length)
        self.waiting: queue.Queue[Tensor | None] = queue.Queue(maxsize=2)
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self.work, name="oner-video", daemon=True)
        self.thread.start()

    def add(self, frames: Tensor) -> None:
        """Queue frames [F, H, W, 3] uint8 on the CPU as one piece. Raises what the thread failed with."""
        self.check()
        self.waiting.put(frames)

    def flush(self) -> tuple[int, int]:
        """Wait until everything queued is on disk; gives (frames, fragments) for `resume`."""
        self.waiting.join()
        self.check()
        return self.encoder.frames, self.encoder.fragments

    def close(self) -> None:
        """Finish what is queued and end the thread; never raises, so that it can follow any failure."""
        if self.thread.is_alive():
            self.waiting.put(None)
            self.thread.join()

    def check(self) -> None:
        if self.failure is not None:
            kept = f"{self.encoder.frames} frames in {self.path.name} are kept"
            raise OSError(f"the video could not be written: {self.failure}; {kept}") from self.failure

    def work(self) -> None:
        while (frames := self.waiting.get()) is not None:
            try:
                if self.failure is None:
                    self.append(frames)
            except Exception as error:
                self.failure = error
            finally:
                self.waiting.task_done()

    def append(self, frames: Tensor) -> None:
        counts = self.encoder.frames, self.encoder.fragments
        try:
            data = self.encoder.encode(frames)
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
