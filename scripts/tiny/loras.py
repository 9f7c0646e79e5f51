"""Tiny LoRAs for the tiny transformers, in the two key styles of published files.

The style with lora_A and lora_B is what LTX-2 files use; lora_down, lora_up and alpha is common for Wan.
"""

from __future__ import annotations

import torch

from . import ltx, wan
from .weights import random_tensor

RANK = 4

Checkpoint = tuple[dict[str, torch.Tensor], dict[str, str]]


def ltx2_lora(seed: int | str = 0, reference_downscale_factor: int | None = None) -> Checkpoint:
    """A LoRA for every matrix of the LTX-2.3 blocks; with a factor it is an IC-LoRA whose metadata says so."""
    state, _ = ltx.ltx23_checkpoint(seed)
    prefix = "model.diffusion_model."
    layers = _block_matrices(state, prefix + "transformer_blocks.")
    lora = _pairs(layers, prefix, seed, down="lora_A", up="lora_B")
    if reference_downscale_factor is None:
        return lora, {}
    return lora, {"reference_downscale_factor": str(reference_downscale_factor)}


def wan_lora(seed: int | str = 0) -> Checkpoint:
    """A LoRA for every matrix of the Wan T2V blocks, with alpha equal to its rank."""
    state, _ = wan.transformer(seed)
    lora = _pairs(_block_matrices(state, "blocks."), "", seed, down="lora_down", up="lora_up")
    alphas = {key.replace("lora_down.weight", "alpha"): torch.tensor(float(RANK)) for key in lora if "lora_down" in key}
    return lora | alphas, {}


def _block_matrices(state: dict[str, torch.Tensor], start: str) -> dict[str, tuple[int, int]]:
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    return {k: s for k, s in shapes.items() if k.startswith(start) and k.endswith(".weight") and len(s) == 2}


def _pairs(layers: dict[str, tuple[int, int]], prefix: str, seed: int | str, down: str, up: str) -> dict:
    lora = {}
    for key, (rows, columns) in layers.items():
        name = "diffusion_model." + key.removeprefix(prefix).removesuffix(".weight")
        for part, shape in ((down, (RANK, columns)), (up, (rows, RANK))):
            full = f"{name}.{part}.weight"
            lora[full] = 0.5 * random_tensor(full, shape, seed)
    return lora
