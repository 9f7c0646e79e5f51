"""Frames on disk without loss: FFV1 in Matroska, every frame a key frame, with the sums of all in a tag.

F frames of H x W pixels. PyAV is imported on use.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import torch
from torch import Tensor

FPS = 25  # for whoever looks at such a file; Matroska counts milliseconds, and a frame is a whole number of them
SPACING = 1000 // FPS
SUMS = "CRC32"  # the tag: a number a frame. FFmpeg's decoder has sums too, but gives damaged pictures nevertheless


def write_frames(path: str | Path, frames: Tensor) -> None:
    """Write frames [F, H, W, 3] uint8. The file is there when it is whole, not before."""
    import av

    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    pictures = frames.contiguous().numpy()
    try:
        with av.open(str(partial), "w", format="matroska", options={"fflags": "+bitexact"}) as container:
            container.metadata[SUMS] = " ".join(str(zlib.crc32(picture)) for picture in pictures)
            stream = container.add_stream("ffv1", rate=FPS, options={"level": "3", "g": "1"})
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "bgr0"  # the one format for RGB of 8 bits that FFV1 has
            for i, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = i
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_frames(path: str | Path, start: int = 0, end: int | None = None) -> Tensor:
    """What [start:end] of the frames given to `write_frames` was; no others are decoded.

    Raises ValueError if the file is damaged, FileNotFoundError if there is none.
    """
    try:
        return _read(path, start, end)
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f"{Path(path).name} is damaged ({error}): delete it, and it is made anew") from error


def _read(path: str | Path, start: int, end: int | None) -> Tensor:
    import av

    with av.open(str(path)) as container:
        sums, stream = container.metadata[SUMS].split(), container.streams.video[0]
        wanted = range(len(sums))[start:end]
        frames = torch.empty(len(wanted), stream.height, stream.width, 3, dtype=torch.uint8)
        if not wanted:
            return frames
        stream.thread_type = "SLICE"  # a frame comes out as its packet goes in
        container.seek(wanted[0] * SPACING, stream=stream)
        done = 0
        for packet in container.demux(stream):
            if done == len(wanted):
                break
            if packet.pts is None or packet.pts < wanted[0] * SPACING:
                continue
            (frame,) = packet.decode()
            frames[done] = torch.from_numpy(frame.to_ndarray(format="rgb24"))
            if str(zlib.crc32(frames[done].numpy())) != sums[wanted[done]]:
                raise ValueError(f"frame {wanted[done]} is not what it was")
            done += 1
    if done < len(wanted):
        raise ValueError(f"it ends after frame {wanted[0] + done - 1}")
    return frames
