"""Tiny checkpoints: random weights from a seed, in the real file formats, for every model family of the pack.

    from tiny import write_models
    paths = write_models(folder, ["ltx-2.3", "upscaler-x2"])

`folder` gets the sub-folders that ComfyUI's folder_paths expects below its models folder. ComfyUI must be importable
(harness.pack.start_core). Random weights give noise: they show that a graph runs and that its numbers are right.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from harness.pack import core_is_at_least

from . import loras, ltx, text, wan


class Model(NamedTuple):
    """One file: where it goes, and the function that makes (state dict, metadata) from a seed."""

    folder: str  # a folder_paths name
    file: str
    build: Callable[[int | str], tuple[dict[str, torch.Tensor], dict[str, str]]]
    big: bool = False  # written only when named
    core: str = ""  # the oldest ComfyUI that has its classes, where it is newer than the oldest supported one


def _model(
    folder: str, file: str, build: Callable, big: bool = False, salt: str = "", core: str = "", **arguments
) -> Model:
    """`salt` keeps models of equal shapes apart, such as the two experts of Wan 2.2."""
    make = partial(build, **arguments)
    return Model(folder, f"tiny-{file}.safetensors", lambda seed: make(seed=f"{seed}{salt}"), big, core)


_wan = partial(_model, "diffusion_models", build=wan.transformer)
_upsampler = partial(_model, "latent_upscale_models", build=ltx.upsampler)

MODELS: dict[str, Model] = {
    "ltx-2.3": _model("checkpoints", "ltx-2.3", ltx.ltx23_checkpoint),
    "ltx-2.0": _model("checkpoints", "ltx-2.0", ltx.ltx20_checkpoint),
    # with the block that the default guidance of the generation perturbs, 28 or 29
    "ltx-2.3-deep": _model("checkpoints", "ltx-2.3-deep", ltx.ltx23_checkpoint, True, layers=29),
    "ltx-2.0-deep": _model("checkpoints", "ltx-2.0-deep", ltx.ltx20_checkpoint, True, layers=30),
    "ltx-2.5": _model("diffusion_models", "ltx-2.5-transformer", ltx.ltx25_transformer),
    "ltx-2.5-deep": _model("diffusion_models", "ltx-2.5-transformer-deep", ltx.ltx25_transformer, True, layers=29),
    "ltx-2.5-vae": _model("vae", "ltx-2.5-video-vae", ltx.diffusion_vae, core="0.33.0"),
    "ltx-2.5-audio-vae": _model("vae", "ltx-2.5-audio-vae", ltx.audio_vae),
    "ltx-2.5-projection": _model("text_encoders", "gemma-4-with-proj-ltx-2.5", ltx.ltx25_projection),
    "upscaler-2.5-x2": _upsampler("ltx-2.5-spatial-upscaler-x2", salt=" 2.5"),
    "ltxv-0.9": _model("checkpoints", "ltx-video-0.9", ltx.ltxv_checkpoint),
    "ltxv-0.9.8": _model("checkpoints", "ltx-video-0.9.8", ltx.ltxv_checkpoint, vae=ltx.TIMESTEP_VAE),
    "ltxv-13b": _model(
        "checkpoints", "ltx-video-13b-0.9.8", ltx.ltxv_checkpoint, True, " 13b", vae=ltx.TIMESTEP_VAE, blocks=48
    ),
    "ltx-vae": _model("vae", "ltx-2-video-vae", ltx.video_vae, config=ltx.VAE),
    "ltxv-vae": _model("vae", "ltx-video-0.9.8-vae", ltx.video_vae, config=ltx.TIMESTEP_VAE),
    "upscaler-x2": _upsampler("ltx-2.3-spatial-upscaler-x2"),
    "upscaler-x1.5": _upsampler("ltx-2.3-spatial-upscaler-x1.5", spatial_scale=1.5, rational_resampler=True),
    "upscaler-temporal-x2": _upsampler("ltx-2.3-temporal-upscaler-x2", temporal=True),
    "wan-t2v": _wan("wan-2.1-t2v-1.3b"),
    "wan-t2v-a14b-high": _wan("wan-2.2-t2v-a14b-high-noise", salt=" high"),
    "wan-t2v-a14b-low": _wan("wan-2.2-t2v-a14b-low-noise", salt=" low"),
    "wan-causal": _wan("wan-2.1-t2v-1.3b-causal", causal=True),
    "wan-i2v": _wan("wan-2.1-i2v-14b", kind="i2v", in_dim=36),
    "wan-i2v-a14b-high": _wan("wan-2.2-i2v-a14b-high-noise", in_dim=36, salt=" high"),
    "wan-i2v-a14b-low": _wan("wan-2.2-i2v-a14b-low-noise", in_dim=36, salt=" low"),
    "wan-fun-inp": _wan("wan-2.1-fun-inp-1.3b", kind="i2v", in_dim=36, salt=" fun"),
    "wan-fun-inp-a14b-high": _wan("wan-2.2-fun-inp-a14b-high-noise", in_dim=36, salt=" fun high"),
    "wan-fun-inp-a14b-low": _wan("wan-2.2-fun-inp-a14b-low-noise", in_dim=36, salt=" fun low"),
    "wan-fun-inp-5b": _wan("wan-2.2-fun-inp-5b", in_dim=100, out_dim=48),
    "wan-fun-control-1.0": _wan("wan-2.1-fun-control-1.0-1.3b", kind="i2v", in_dim=48),
    "wan-fun-control": _wan("wan-2.1-fun-control-1.3b", kind="i2v", in_dim=48, in_dim_ref_conv=16),
    "wan-fun-control-a14b-high": _wan(
        "wan-2.2-fun-control-a14b-high-noise", in_dim=52, in_dim_ref_conv=16, salt=" high"
    ),
    "wan-fun-control-a14b-low": _wan("wan-2.2-fun-control-a14b-low-noise", in_dim=52, in_dim_ref_conv=16, salt=" low"),
    "wan-fun-control-5b": _wan("wan-2.2-fun-control-5b", in_dim=148, out_dim=48, in_dim_ref_conv=48),
    "wan-vace": _wan("wan-2.1-vace-1.3b", kind="vace", vace_layers=1, vace_in_dim=96),
    "wan-camera": _wan("wan-2.1-fun-camera-1.3b", kind="camera", in_dim=32),
    "wan-camera-a14b-high": _wan("wan-2.2-fun-camera-a14b-high-noise", kind="camera_2.2", in_dim=36, salt=" high"),
    "wan-camera-a14b-low": _wan("wan-2.2-fun-camera-a14b-low-noise", kind="camera_2.2", in_dim=36, salt=" low"),
    "wan-camera-5b": _wan("wan-2.2-fun-camera-5b", kind="camera_5b", in_dim=100, out_dim=48),
    "wan-5b": _wan("wan-2.2-ti2v-5b", in_dim=48, out_dim=48),
    "wan-vae": _model("vae", "wan-2.1-vae", wan.vae),
    "taew-2.1": _model("vae", "taew-2.1", wan.taehv, big=True, latent_channels=16),
    "taew-2.2": _model("vae", "taew-2.2", wan.taehv, big=True, latent_channels=48),
    "taeltx-2": _model("vae", "taeltx-2", wan.taehv, big=True, latent_channels=128),
    "lora-ltx-2.3": _model("loras", "ltx-2.3-distilled-lora", loras.ltx2_lora),
    "ic-lora-ltx-2.3": _model("loras", "ltx-2.3-ic-lora", loras.ltx2_lora, salt=" ic", reference_downscale_factor=2),
    "lora-wan": _model("loras", "wan-2.1-t2v-lora", loras.wan_lora),
    "lora-wan-high": _model("loras", "wan-2.2-lora-high-noise", loras.wan_lora, salt=" high"),
    "lora-wan-low": _model("loras", "wan-2.2-lora-low-noise", loras.wan_lora, salt=" low"),
}

ENCODERS = {
    "gemma-3": "gemma3",
    "gemma-4": "gemma4",
    "t5": "t5",
    "umt5": "umt5",
}  # Hugging Face folders text_encoders/tiny-NAME


def write_models(folder: str | Path, only: Iterable[str] | None = None, seed: int = 0) -> dict[str, Path]:
    """Write the models named in `only`, or all that are not big and can be built, below `folder`; name -> path.

    A file that the same code wrote from the same seed is left alone. An empty one is written for a named model whose
    classes this ComfyUI does not have, so that its name can be chosen. Raises KeyError for an unknown name.
    """
    cheap = [name for name, model in MODELS.items() if not model.big and _can_build(model)]
    origin = _origin(seed)
    paths = {}
    for name in [*ENCODERS, *cheap] if only is None else only:
        if name in ENCODERS:
            paths[name] = _write_encoder(Path(folder) / "text_encoders" / f"tiny-{name}", ENCODERS[name], seed, origin)
            continue
        model = MODELS[name]
        paths[name] = path = Path(folder) / model.folder / model.file
        if not _can_build(model):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        elif not _written_by(path, origin):
            _write(path, *model.build(seed), origin)
    return paths


def _can_build(model: Model) -> bool:
    return not model.core or core_is_at_least(model.core)


def _write_encoder(path: Path, kind: str, seed: int, origin: str) -> Path:
    note = path / "tiny.txt"
    if not note.exists() or note.read_text() != origin:
        text.write_text_encoder(path, kind, seed)
        note.write_text(origin)
    return path


def _origin(seed: int) -> str:
    """What a file depends on: this package's code, ComfyUI's version (its classes give the keys) and the seed."""
    from comfyui_version import __version__

    code = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        code.update(source.read_bytes())
    return f"{code.hexdigest()[:16]} {__version__} {seed}"


def _written_by(path: Path, origin: str) -> bool:
    from safetensors import safe_open

    if not path.exists() or not path.stat().st_size:
        return False
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("tiny") == origin


def _write(path: Path, state: dict[str, torch.Tensor], metadata: dict[str, str], origin: str) -> None:
    from safetensors.torch import save

    data = save(state)
    length = int.from_bytes(data[:8], "little")
    # safetensors would write metadata in random order, and the same seed must give the same bytes
    header = {"__metadata__": {**metadata, "format": "pt", "tiny": origin}, **json.loads(data[8 : 8 + length])}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")  # so that nobody ever sees half a file
    unfinished.write_bytes(len(head).to_bytes(8, "little") + head + data[8 + length :])
    os.replace(unfinished, path)
