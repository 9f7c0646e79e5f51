"""Finished windows on disk, by the key of all they depend on: frames without loss, with latents, noise and sound.

A window is two files: KEY.mkv and, written last, KEY.safetensors. The windows used longest ago go when the folder
becomes larger than its limit.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from torch import Tensor

from ...utils.files import read_header, read_tensors
from ...utils.lossless import read_frames, write_frames
from .run import Made

TAG = "oner_window"


class WindowCache:
    """The windows in `folder`; `limit` is its size in bytes."""

    def __init__(self, folder: Path, limit: int):
        self.folder, self.limit = folder, limit

    def get(self, key: str) -> Made | None:
        """The window, or None if there is none; one that cannot be read is deleted, and made anew."""
        frames, rest = self._paths(key)
        if not rest.is_file():
            return None
        try:
            tensors, plain = read_tensors(rest), json.loads(read_header(rest)[1][TAG])
            made = Made(
                read_frames(frames),
                [[tensors[f"latent.{s}.{p}"] for p in range(count)] for s, count in enumerate(plain["parts"])],
                [[tensors[f"noise.{s}.{p}"] for p in range(count)] for s, count in enumerate(plain["parts"])],
                tensors.get("sound"),
                {name[6:]: tensor for name, tensor in tensors.items() if name.startswith("drift.")},
                plain["line"],
            )
        except (ValueError, KeyError, OSError):
            self._delete(key)
            return None
        for path in (frames, rest):
            os.utime(path)
        return made

    def put(self, key: str, made: Made) -> None:
        """Keep a window, and drop the oldest ones if there are too many. Raises OSError if the disk is full."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        frames, rest = self._paths(key)
        named: dict[str, Tensor] = {f"drift.{name}": tensor for name, tensor in made.drift.items()}
        for what, stages in (("latent", made.latents), ("noise", made.noise)):
            named |= {f"{what}.{s}.{p}": part for s, parts in enumerate(stages) for p, part in enumerate(parts)}
        if made.sound is not None:
            named["sound"] = made.sound
        plain = {"parts": [len(parts) for parts in made.latents], "line": made.line}
        partial = rest.with_suffix(".partial")
        try:
            write_frames(frames, made.frames)
            contiguous = {name: tensor.contiguous() for name, tensor in named.items()}
            save_file(contiguous, str(partial), metadata={TAG: json.dumps(plain)})
            os.replace(partial, rest)
        except BaseException:
            for path in (frames, partial):
                path.unlink(missing_ok=True)
            raise
        self._shrink(key)

    def _shrink(self, newest: str) -> None:
        """Delete windows, the ones used longest ago first, until the rest fits; the newest stays."""
        windows: dict[str, list[os.stat_result]] = {}
        for path in self.folder.iterdir():
            windows.setdefault(path.stem, []).append(path.stat())
        size = sum(each.st_size for files in windows.values() for each in files)
        for key in sorted(windows, key=lambda key: max(each.st_mtime_ns for each in windows[key])):
            if size <= self.limit:
                return
            if key != newest:
                size -= sum(each.st_size for each in windows[key])
                self._delete(key)

    def _delete(self, key: str) -> None:
        for path in self.folder.glob(f"{key}.*"):
            path.unlink(missing_ok=True)

    def _paths(self, key: str) -> tuple[Path, Path]:
        return self.folder / f"{key}.mkv", self.folder / f"{key}.safetensors"
