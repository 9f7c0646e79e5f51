"""Tiny Wan models from golden files: checkpoints in parts, the VAEs, the prompts, and a record of a model's velocities.

The formats are described in the golden folder's README.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.clip_vision
import comfy.patcher_extension
import comfy.sd
import comfy.utils
import torch
import torch.nn.functional as F
from torch import Tensor

TEXT_TOKENS = 512


def product_shape(name: str, rows: int, columns: int) -> tuple[int, ...]:
    """The real shape of a matrix that is stored as two factors."""
    if name == "patch_embedding.weight":
        return rows, columns // 4, 1, 2, 2
    if name in ("ref_conv.weight", "control_adapter.conv.weight"):
        return rows, columns // 4, 2, 2
    if name.startswith("control_adapter.residual_blocks") and name.endswith("weight"):
        return rows, columns // 9, 3, 3
    return rows, columns


def join_factors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Replace NAME::u and NAME::v by NAME = u @ v."""
    out = {name: tensor for name, tensor in tensors.items() if "::" not in name}
    for name in (name[: -len("::u")] for name in tensors if name.endswith("::u")):
        matrix = tensors[f"{name}::u"] @ tensors[f"{name}::v"]
        out[name] = matrix.reshape(product_shape(name, *matrix.shape))
    return out


def load_tensors(path: Path) -> dict[str, Tensor]:
    return comfy.utils.load_torch_file(str(path))


def state_dict(folder: Path, name: str) -> dict[str, Tensor]:
    """The assembled checkpoint of one row of `checkpoints/index.json`."""
    row = json.loads((folder / "index.json").read_text())["rows"][name]
    tensors: dict[str, Tensor] = {}
    for part in row["parts"]:
        tensors |= join_factors(load_tensors(folder / part))
    return tensors


def load_model(folder: Path, name: str) -> Any:
    """A MODEL from core's own loader, in float32."""
    model = comfy.sd.load_diffusion_model_state_dict(state_dict(folder, name), model_options={"dtype": torch.float32})
    if model is None:
        raise ValueError(f"ComfyUI recognises no model in {name}")
    return model


class StandInVAE:
    """The 5B VAE cannot be tiny: average colour of 16x16 blocks and of groups of frames, through one matrix."""

    latent_channels, latent_dim = 48, 3

    def __init__(self, path: Path):
        tensors = load_tensors(path)
        self.matrix, self.bias = tensors["matrix"], tensors["bias"]

    def spacial_compression_encode(self) -> int:
        return 16

    def encode(self, pixels: Tensor) -> Tensor:
        """[F, H, W, 3] in 0..1 -> [1, 48, T, H / 16, W / 16], raw."""
        rgb = F.avg_pool2d((pixels * 2 - 1).movedim(-1, 1), 16)  # [F, 3, h, w]
        groups = [rgb[:1].mean(0)] + [rgb[i : i + 4].mean(0) for i in range(1, len(rgb), 4)]
        grouped = torch.stack(groups, dim=1)  # [3, T, h, w]
        return (torch.einsum("lc,cthw->lthw", self.matrix, grouped) + self.bias.view(-1, 1, 1, 1)).unsqueeze(0)


def load_vae(folder: Path, latent_channels: int) -> Any:
    if latent_channels == 48:
        return StandInVAE(folder / "vae22_standin.safetensors")
    return comfy.sd.VAE(sd=load_tensors(folder / "vae21_tiny.safetensors"), dtype=torch.float32)


def load_prompts(folder: Path) -> SimpleNamespace:
    """`positive` and `negative` CONDITIONING, and `clip`, the CLIP vision output of every image."""
    tensors = join_factors(load_tensors(folder / "text_and_clip.safetensors"))
    conditioning = [
        [[F.pad(tensors[name], (0, 0, 0, TEXT_TOKENS - len(tensors[name]))).unsqueeze(0), {}]]
        for name in ("context_cond", "context_uncond")
    ]
    clip = comfy.clip_vision.Output()
    clip.penultimate_hidden_states = tensors["clip_fea"].unsqueeze(0)
    return SimpleNamespace(positive=conditioning[0], negative=conditioning[1], clip=clip)


def record_velocities(model: Any, seen: Callable[[Tensor, Tensor, list[int]], None]) -> Any:
    """A clone of the model that calls `seen(velocity, timestep, cond_or_uncond)` at each forward."""

    def wrapper(executor, x, timestep, context, clip_fea, time_dim_concat, transformer_options, **kwargs):
        out = executor(x, timestep, context, clip_fea, time_dim_concat, transformer_options, **kwargs)
        seen(out, timestep, transformer_options["cond_or_uncond"])
        return out

    model = model.clone()
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "record", wrapper)
    return model
