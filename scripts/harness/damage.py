"""Files as broken downloads, wrong choices and bad conversions leave them: every kind of damage by name.

The tables are kind -> function (path), which damages the file there.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in to continue</body></html>\n"
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32\nsize 12345\n"
)
Damage = Callable[[Path], Any]


class Canary:
    """Unpickling it makes a folder, so that a reader which runs code from a file is found out."""

    def __init__(self, place: Path):
        self.place = place

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.place),)


def canary_of(path: Path) -> Path:
    return path.with_name("code-was-run")


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def cut(share: float = 0.0, size: int = 0) -> Damage:
    def damage(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: size or int(len(data) * share)])

    return damage


def write(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content)


def with_header(header: bytes, length: int | None = None) -> Damage:
    """A safetensors header of any content, said to be of any length."""
    data = (len(header) if length is None else length).to_bytes(8, "little") + header
    return lambda path: path.write_bytes(data)


def with_tensors(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Damage:
    """A whole file again, whose tensors are other ones."""

    def damage(path: Path) -> None:
        from safetensors import safe_open
        from safetensors.torch import save_file

        if path.suffix == ".pt":
            content = torch.load(path, weights_only=True)
            inside = content.get("generator")
            torch.save({"generator": change(inside)} if inside else change(content), path)
            return
        with safe_open(path, "pt") as file:
            tensors, metadata = {key: file.get_tensor(key).clone() for key in file.keys()}, file.metadata()  # noqa: SIM118
        save_file({key: tensor.contiguous() for key, tensor in change(tensors).items()}, path, metadata)

    return damage


def pickled(make: Callable[[Path], Any]) -> Damage:
    return lambda path: torch.save(make(path), path)


ANY: dict[str, Damage] = {
    "missing": lambda path: path.unlink(),
    "a folder": become_folder,
    "a link to itself": become_loop,
    "empty": write(b""),
    "200 bytes of it": cut(size=200),
    "half of it": cut(share=0.5),
    "HTML": write(HTML),
    "pointer of Git LFS": write(POINTER),
    "zeros": write(bytes(4096)),
}
CONTENT: dict[str, Damage] = {
    "NaN": with_tensors(lambda tensors: {key: torch.full_like(t, torch.nan) for key, t in tensors.items()}),
    "whole numbers": with_tensors(lambda tensors: {key: (t * 10).to(torch.int8) for key, t in tensors.items()}),
    "flattened": with_tensors(lambda tensors: {key: t.flatten() for key, t in tensors.items()}),
    "half of the tensors": with_tensors(lambda tensors: {key: tensors[key] for key in sorted(tensors)[::2]}),
    "the other half": with_tensors(lambda tensors: {key: tensors[key] for key in sorted(tensors)[1::2]}),
    "other sizes": with_tensors(
        lambda tensors: {key: torch.cat([t, t], -1) if t.ndim > 1 else t for key, t in tensors.items()}
    ),
    "other names": with_tensors(lambda tensors: {f"x.{key[::-1]}": t for key, t in tensors.items()}),
}
WEIGHTS: dict[str, Damage] = {
    **ANY,
    "header of 10 GB": with_header(b'{"a": ', 10_000_000_000),
    "header that is no JSON": with_header(b"{" + b"\xff" * 100),
    "header that is a list": with_header(b"[1, 2, 3]"),
    "header too deep": with_header(b'{"a":' + b"[" * 100_000),
    "header without tensors": with_header(b"{}"),
    "header that lies": with_header(b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 99]}}'),
    "a pickle": pickled(lambda _: [1, 2, 3]),
    "a pickle with code": pickled(lambda path: {"a": Canary(canary_of(path))}),
    **CONTENT,
}
PICKLES: dict[str, Damage] = {
    **ANY,
    "a list": pickled(lambda _: [1, 2, 3]),
    "a dict without tensors": pickled(lambda _: {"step": 7}),
    "a list as weights": pickled(lambda _: {"generator": [1, 2]}),
    "code in it": pickled(lambda path: {"generator": {"a": Canary(canary_of(path))}}),
    "code in an old pickle": lambda path: path.write_bytes(pickle.dumps({"a": Canary(canary_of(path))})),
    **CONTENT,
}
LATENTS: dict[str, Damage] = {
    **ANY,
    "NaN": lambda path: path.write_bytes(torch.full((path.stat().st_size // 4,), torch.nan).numpy().tobytes()),
}
TEXTS: dict[str, Damage] = {
    **{kind: harm for kind, harm in ANY.items() if kind != "200 bytes of it"},
    "no text": write(b"\xff\xfe\x00\x01" * 64),
    "{}": write(b"{}"),
    "a list": write(b"[1, 2, 3]"),
    "a number": write(b"17"),
    "null": write(b"null"),
    "too deep": write(b"[" * 200_000 + b"]" * 200_000),
    "objects too deep": write(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a number of 10,000 digits": write(b'{"a": ' + b"9" * 10_000 + b"}"),
}
