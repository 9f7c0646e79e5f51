"""A style LoRA for LTX-Video text to video: every shape is outlined, though the caption does not say so."""

from __future__ import annotations

from pathlib import Path

import torch

from . import ltx_dit, ltx_vae
from .files import load_into, load_vae
from .lora import Change, outlined_clips
from .ltx_dit import BATCH, FRAMES
from .trainer import sigmas


def train(seconds: float, seed: int, folder: Path, _resume: bool) -> tuple[dict, None]:
    """Returns (LoRA state dict, no config)."""
    import comfy.model_management

    from .recipes import RECIPES

    comfy.model_management.in_training = True
    generator = torch.Generator().manual_seed(seed)
    vae = load_vae(folder / RECIPES["ltx-vae"].file).first_stage_model.float()
    plain, latents = outlined_clips(lambda clips: ltx_vae.encode(vae, clips), FRAMES, generator)
    model = ltx_dit.build(seed)
    load_into(model, folder / RECIPES["ltx"].file)
    change = Change(ltx_dit.Forward(model, latents.shape[2:]), model.transformer_blocks, generator)

    def loss() -> torch.Tensor:
        pick = torch.randint(len(latents), (BATCH,), generator=generator)
        clean, sigma = latents[pick], sigmas(BATCH, generator)
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, sigma.view(-1, 1, 1, 1, 1))
        context, mask = ltx_dit.captions([plain[i] for i in pick.tolist()], generator)
        return (change(noisy, sigma, context, mask) - (noise - clean)).square().mean()

    return change.fit(loss, seconds), None
