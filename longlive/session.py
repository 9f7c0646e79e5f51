"""State files of takes: one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path

from torch import Tensor

from ..utils import files
from .presets import Settings

VERSION = 1
ANOTHER = "go on from another take, or make it anew"
# what every take has
SETTINGS = {field.name for field in fields(Settings)}
TABLE = {"capacity", "sink", "base", "frame_in", "pinned"}
ROLLOUT = {"next_frame", "pending", "active", "torn", "shot", "shot_first", "table", "shifts"}
IDENTITY = {"model", "dtype", "shape", "settings", "seed", "cfg", "cache_storage"}


def save_state(path: str | Path, tensors: dict[str, Tensor], plain: dict) -> None:
    """Write tensors and plain data; a crash leaves the previous file."""
    from safetensors.torch import save_file

    partial = Path(path).with_suffix(".partial")
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, str(partial), metadata={"oner_take": json.dumps({"version": VERSION, **plain})})
    os.replace(partial, path)


def read_plain(path: str | Path) -> dict:
    """The plain data of a state file. Raises ValueError if it is no take, damaged or of a newer version."""
    name = Path(path).name
    header = files.read_header(path)[1].get("oner_take")
    if header is None:
        raise ValueError(f"{name} is not a saved take")
    plain = files.parse_object(header, f"what {name} says of the take")
    version = plain.get("version")
    if not files.is_whole(version):
        raise ValueError(f"{name} is damaged (version {version!r}): {ANOTHER}")
    if version > VERSION:
        raise ValueError(f"{name} was saved by a newer Oner (version {version}): update the pack")
    return plain


def check_plain(plain: dict, name: str) -> None:
    """Raise ValueError if something is missing of what every take's plain data has."""
    rollout, shape = _object(plain.get("rollout")), _object(plain.get("identity")).get("shape")
    table = _object(rollout.get("table"))
    complete = {
        "rollout": rollout.keys() >= ROLLOUT and isinstance(rollout["next_frame"], int),
        "table": table.keys() == TABLE and all(isinstance(table[key], list) for key in ("frame_in", "pinned")),
        "shape": isinstance(shape, list) and len(shape) == 4 and all(map(files.is_whole, shape)),
        "video": isinstance(plain.get("video"), list) and "decoder" in plain,
    }
    if odd := [what for what, fits in complete.items() if not fits]:
        raise ValueError(f"{name} is damaged (its {odd[0]}): {ANOTHER}")


def read_settings(identity: dict, name: str) -> Settings:
    """The settings in a take's identity, which must be complete."""
    given = _object(identity.get("settings"))
    if not identity.keys() >= IDENTITY or not given.keys() <= SETTINGS or not files.is_whole(given.get("block")):
        raise ValueError(f"{name} is damaged (its settings): {ANOTHER}")
    return Settings(**given)


def _object(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def load_state(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """What `save_state` wrote."""
    plain, name = read_plain(path), Path(path).name
    tensors = files.read_tensors(path)
    # a cache's free slots hold whatever was in memory
    files.check_finite(((key, x) for key, x in tensors.items() if key.startswith("history.") or key == "text"), name)
    return tensors, plain
