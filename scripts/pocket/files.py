"""Where the pocket set lies, and how its files are written and read: always through core's real loaders."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from .budget import log

FOLDER = Path(__file__).resolve().parents[2] / "pocket"


def save(path: Path, weights: dict[str, torch.Tensor], config: dict | None, dtype: str) -> None:
    """Write a safetensors file in `dtype`, with the config as core's loaders expect it in the metadata."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().to(getattr(torch, dtype)).contiguous() for k, v in weights.items()}
    save_file(tensors, path, metadata={"config": json.dumps(config)} if config else None)
    log(
        f"wrote {path.name}: {sum(t.numel() for t in tensors.values()) / 1e6:.2f} M, {path.stat().st_size / 1e6:.1f} MB"
    )


def join(path: Path, parts: dict[str, Path], **entries: str) -> None:
    """Write one checkpoint of several files, each under its prefix, with the configs of all and metadata entries."""
    import comfy.utils
    from safetensors.torch import save_file

    weights, config = {}, {}
    for prefix, part in parts.items():
        found, metadata = comfy.utils.load_torch_file(str(part), return_metadata=True)
        weights |= {prefix + key: value for key, value in found.items()}
        config |= json.loads(metadata["config"])
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path, metadata=entries | {"config": json.dumps(config)})


def load_vae(path: Path):
    """core's VAE object of a file."""
    import comfy.sd
    import comfy.utils

    weights, metadata = comfy.utils.load_torch_file(str(path), return_metadata=True)
    return comfy.sd.VAE(sd=weights, metadata=metadata)


def load_into(model: torch.nn.Module, path: Path, partly: bool = False) -> None:
    """Put a file's weights into a model in training precision; partly: the file may hold more than the model has."""
    from safetensors.torch import load_file

    wanted = model.state_dict()
    weights = {k: v.float() for k, v in load_file(path).items() if not partly or k in wanted}
    model.load_state_dict(weights)
