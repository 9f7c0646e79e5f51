"""LATENTs of LTX as safetensors files: every tensor bit for bit, video and audio, masks and what else conditions it.

A tensor of one part has its key's name ("samples"), one of several parts the number behind it ("samples.0"). What is no
tensor is JSON in the file's metadata.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...utils import files
from ...utils.core import need
from ...utils.latents import INIT_OF
from .state import parts_of

FORMAT, VALUES = "oner_latent", "oner_values"  # keys of the metadata
VERSION = "1"

log = logging.getLogger("oner")

_nested = need("comfy.nested_tensor", "NestedTensor")


def save_latent(path: Path, latent: dict[str, Any], metadata: dict[str, str]) -> None:
    """Write a LATENT: its tensors, and what is plain data; other values are named in the log."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for key, value in latent.items():
        if key == INIT_OF:  # the very samples: nothing to store
            continue
        if getattr(value, "is_nested", False):
            tensors |= {f"{key}.{i}": part for i, part in enumerate(parts_of(value))}
        elif isinstance(value, Tensor):
            tensors[key] = value
        elif _is_plain(value):
            values[key] = value
        else:
            log.warning("Oner: %s of the latent is %s and is not saved", key, type(value).__name__)
    # Views of one storage would be refused, and a copy each is what they stand for.
    stored = {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for key, tensor in tensors.items()
    }
    save_file(stored, path, {**metadata, FORMAT: VERSION, VALUES: json.dumps(values)})


def load_latent(path: Path) -> dict[str, Any]:
    """The LATENT of a file. Raises ValueError for a file that is none."""
    (_, metadata), tensors = files.read_header(path), files.read_tensors(path)
    if metadata.get(FORMAT) != VERSION:
        other = " ComfyUI's Load Latent reads it" if "latent_tensor" in tensors else " choose a file of LTX Save Latent"
        raise ValueError(f"{path.name} was not saved by LTX Save Latent:{other}")
    groups: dict[str, list[Tensor]] = {}
    for name in sorted(tensors):
        groups.setdefault(name.partition(".")[0], []).append(tensors[name])
    latent: dict[str, Any] = {
        key: _nested.NestedTensor(parts) if f"{key}.0" in tensors else parts[0] for key, parts in groups.items()
    }
    latent |= files.parse_object(metadata.get(VALUES, "{}"), f"the metadata of {path.name}")
    if "samples" not in latent:
        raise ValueError(f"{path.name} holds no samples: save the latent again")
    return {**latent, INIT_OF: latent["samples"]} if "oner_init" in latent else latent


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
