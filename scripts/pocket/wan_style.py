"""A style LoRA for Wan text to video: every shape is outlined, though the caption does not say so."""

from __future__ import annotations

from pathlib import Path

import torch

from . import wan_dit, wan_vae
from .files import load_into, load_vae
from .lora import Change, outlined_clips
from .trainer import sigmas
from .wan_dit import BATCH, FRAMES


def train(seconds: float, seed: int, folder: Path, _resume: bool) -> tuple[dict, None]:
    """Returns (LoRA state dict, no config)."""
    import comfy.model_management

    from .recipes import RECIPES

    comfy.model_management.in_training = True
    generator = torch.Generator().manual_seed(seed)
    vae = load_vae(folder / RECIPES["wan-vae"].file).first_stage_model.float()
    plain, latents = outlined_clips(lambda clips: wan_vae.encode(vae, clips), FRAMES, generator)
    model = wan_dit.build(seed)
    load_into(model, folder / RECIPES["wan"].file)
    change = Change(model, model.blocks, generator)
    options = {"optimized_attention_override": wan_dit.PaddedText()}

    def loss() -> torch.Tensor:
        pick = torch.randint(len(latents), (BATCH,), generator=generator)
        clean, sigma = latents[pick], sigmas(BATCH, generator)
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, sigma.view(-1, 1, 1, 1, 1))
        context = wan_dit.captions([plain[i] for i in pick.tolist()], generator)
        return (change(noisy, sigma * 1000, context, transformer_options=options) - (noise - clean)).square().mean()

    return change.fit(loss, seconds), None
