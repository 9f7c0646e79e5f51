"""Hugging Face model folders: config.json, one or several safetensors files, a tokenizer.

Source: the layout that `save_pretrained` writes. Weights come as one lazily mapped state dict; only the files that hold
a wanted key are opened, so a text encoder is read from a folder whose vision tower is missing or elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from .names import plain_path


def read_config(folder: Path) -> dict:
    """The folder's config.json as a dict; ValueError if there is none or it is not JSON."""
    file = Path(folder) / "config.json"
    if not file.is_file():
        raise ValueError(f"{folder} has no config.json: choose a folder in the Hugging Face layout")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is not valid JSON ({error}): download it again") from error


def read_header(file: Path) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Shape of every tensor and the metadata of a safetensors file, without reading a tensor."""
    try:
        with safe_open(file, framework="pt") as opened:
            return {key: opened.get_slice(key).get_shape() for key in opened.keys()}, opened.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{file} is not a complete safetensors file ({error}): download it again") from error


def read_tensors(file: Path, names: dict[str, str]) -> dict[str, Tensor]:
    """Some tensors of a safetensors file under new names: `names` = {new: name in the file}."""
    with safe_open(file, framework="pt") as opened:
        return {new: opened.get_tensor(name) for new, name in names.items()}


def weight_files(folder: Path) -> dict[str, Path]:
    """Which file of the folder holds which tensor: {name: file}. The files of an index need not exist yet."""
    folder = Path(folder)
    indices = sorted(folder.glob("*.safetensors.index*.json"))
    if len(indices) > 1:
        raise ValueError(f"{folder} holds {len(indices)} weight indices ({_names(indices)}): keep one")
    if indices:
        places = json.loads(indices[0].read_text())["weight_map"]
        return {key: folder / plain_path(name, f"{indices[0]}: the file") for key, name in places.items()}
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ValueError(f"{folder} holds no .safetensors file: download or convert the weights to safetensors")
    if len(files) > 1:
        raise ValueError(
            f"{folder} holds {len(files)} weight files ({_names(files)}) and no model.safetensors.index.json: download "
            "the index, or keep one file"
        )
    return dict.fromkeys(read_header(files[0])[0], files[0])


def read_weights(
    folder: Path, rename: Callable[[str], str | None], read: Callable[[str], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """The folder's tensors under their new names.

    `rename` gives a tensor's new name, or None to leave it out; `read` maps a safetensors file to its tensors.
    Raises ValueError naming the shards that are missing, before anything is read.
    """
    wanted = {key: (file, new) for key, file in weight_files(folder).items() if (new := rename(key)) is not None}
    files = sorted({file for file, _ in wanted.values()})
    absent = [file for file in files if not file.is_file()]
    if absent:
        raise ValueError(f"{folder} lacks {len(absent)} of {len(files)} weight files: download {_names(absent)}")
    weights: dict[str, Tensor] = {}
    for file in files:
        read_header(file)  # a half-downloaded file is refused with its name
        shard = read(str(file))
        weights |= {new: shard[key] for key, (holder, new) in wanted.items() if holder == file and key in shard}
    return weights


def find_tokenizer(folder: Path, names: Iterable[str]) -> Path:
    """The first tokenizer file of `names` in the folder, its `tokenizer` folder, or the one beside it (diffusers)."""
    folder = Path(folder)
    names = list(names)
    for place in (folder, folder / "tokenizer", folder.parent / "tokenizer"):
        for name in names:
            if (place / name).is_file():
                return place / name
    raise ValueError(
        f"no tokenizer for {folder}: put {' or '.join(names)} into it, or into a folder `tokenizer` beside it"
    )


def _names(files: list[Path], most: int = 4) -> str:
    shown = ", ".join(file.name for file in files[:most])
    return shown if len(files) <= most else f"{shown} and {len(files) - most} more"
