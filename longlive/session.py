"""State files of takes: one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

from torch import Tensor

VERSION = 1


def save_state(path: str | Path, tensors: dict[str, Tensor], plain: dict) -> None:
    """Write tensors and plain data; a crash leaves the previous file."""
    from safetensors.torch import save_file

    partial = Path(path).with_suffix(".partial")
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, str(partial), metadata={"oner_take": json.dumps({"version": VERSION, **plain})})
    os.replace(partial, path)


def read_plain(path: str | Path) -> dict:
    """The plain data of a state file. Raises ValueError if it is no take or of a newer version."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        header = (file.metadata() or {}).get("oner_take")
    if header is None:
        raise ValueError(f"{Path(path).name} is not a saved take")
    plain = json.loads(header)
    if plain["version"] > VERSION:
        raise ValueError(f"{Path(path).name} was saved by a newer Oner (version {plain['version']}): update the pack")
    return plain


def load_state(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """What `save_state` wrote."""
    from safetensors.torch import load_file

    return load_file(str(path)), read_plain(path)
