"""Hugging Face model folders: config.json, one or several safetensors files, a tokenizer.

Source: the layout that `save_pretrained` writes. Weights come as one lazily mapped state dict; only the files that hold
a wanted key are opened, so a text encoder is read from a folder whose vision tower is missing or elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from torch import Tensor

from .files import check_weights, read_header, read_json
from .names import plain_path


def shown(path: Path) -> str:
    """What sentences call a folder, or a file in one: its name and that of the folder around it."""
    return "/".join(Path(path).parts[-2:])


def read_config(folder: Path) -> dict:
    """The folder's config.json as a dict; ValueError if there is none or it is no JSON object."""
    folder = Path(folder)
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(f"{shown(folder)} has no config.json: choose a folder in the Hugging Face layout")
    try:
        return read_json(file)
    except ValueError as error:
        raise ValueError(f"{folder.name}/{error}") from error


def weight_files(folder: Path) -> dict[str, Path]:
    """Which file of the folder holds which tensor: {name: file}. The files of an index need not exist yet."""
    folder = Path(folder)
    indices = sorted(folder.glob("*.safetensors.index*.json"))
    if len(indices) > 1:
        raise ValueError(f"{shown(folder)} holds {len(indices)} weight indices ({_names(indices)}): keep one")
    if indices:
        places = read_json(indices[0]).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
            raise ValueError(f"{shown(indices[0])} has no weight_map of file names: download it again")
        return {key: folder / plain_path(name, f"{shown(indices[0])}: the file") for key, name in places.items()}
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ValueError(f"{shown(folder)} holds no .safetensors file: download or convert the weights to safetensors")
    if len(files) > 1:
        raise ValueError(
            f"{shown(folder)} holds {len(files)} weight files ({_names(files)}) and no model.safetensors.index.json: "
            "download the index, or keep one file"
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
        raise ValueError(f"{shown(folder)} lacks {len(absent)} of {len(files)} weight files: download {_names(absent)}")
    weights: dict[str, Tensor] = {}
    for file in files:
        check_weights(file)  # a half-downloaded file is refused with its name
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
        f"no tokenizer for {shown(folder)}: put {' or '.join(names)} into it, or into a folder `tokenizer` beside it"
    )


def _names(files: list[Path], most: int = 4) -> str:
    shown = ", ".join(file.name for file in files[:most])
    return shown if len(files) <= most else f"{shown} and {len(files) - most} more"
