"""Latent upsampler x2 for LTX-Video from 64 to 128 px: core's LatentUpsampler on latents of one scene at both sizes.

First it learns the latents of the large clip; then, through the frozen decoder, its pictures: the encoder of the pocket
VAE is linear and keeps less at 128 px than its decoder can show. Letters: B clips, T, H, W latent grid.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from . import ltx_vae, world
from .budget import Clock, log
from .files import load_vae
from .judge import psnr
from .ltx_vae import FRAMES

SIZE, CLIPS = 64, 640
BATCHES, RATES = (32, 3), (2e-3, 5e-4)
FIRST = 0.25  # share of the budget spent on latents alone
CONFIG = {
    "_class_name": "LatentUpsampler",
    "in_channels": 128,
    "mid_channels": 96,
    "num_blocks_per_stage": 1,
    "dims": 3,
    "spatial_upsample": True,
    "temporal_upsample": False,
}


def build(seed: int) -> nn.Module:
    """Core's class at this size, initialised."""
    import comfy.ops
    from comfy.ldm.lightricks.latent_upsampler import LatentUpsampler

    model = LatentUpsampler.from_config(CONFIG, comfy.ops.disable_weight_init)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() > 1:
                p.copy_(torch.randn(p.shape, generator=generator) * p[0].numel() ** -0.5)
            else:
                p.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    return model


def upsample(model: nn.Module, vae: nn.Module, latent: torch.Tensor) -> torch.Tensor:
    """Normalised latents [B, 128, T, H, W] to twice the size, as core's node does it."""
    statistics = vae.per_channel_statistics
    return statistics.normalize(model(statistics.un_normalize(latent)))


def train(seconds: float, seed: int, folder: Path, _resume: bool) -> tuple[dict, dict]:
    """Returns (state dict, metadata config)."""
    from .recipes import RECIPES

    generator = torch.Generator().manual_seed(seed)
    vae = load_vae(folder / RECIPES["ltx-vae"].file).first_stage_model.float().requires_grad_(False)
    scenes = world.sample_scenes(CLIPS, generator, FRAMES)
    small, large = (_encoded(vae, scenes, size) for size in (SIZE, 2 * SIZE))
    log(f"encoded {CLIPS} clips at two sizes")
    model = build(seed)
    for shown, share in ((False, FIRST), (True, 1 - FIRST)):
        rate = RATES[shown]
        optimiser, clock = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.9, 0.98)), Clock(seconds * share)
        while clock.tick():
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1.0, clock.steps / 20) * clock.decay(0.4)
            pick = torch.randint(CLIPS, (BATCHES[shown],), generator=generator)
            given = small[pick]
            given = given + 0.1 * torch.rand(len(given), 1, 1, 1, 1, generator=generator) * torch.randn(
                given.shape, generator=generator
            )
            out = upsample(model, vae, given)
            loss = (out - large[pick]).square().mean()
            if shown:
                truth = world.render([scenes[i] for i in pick.tolist()], FRAMES, 2 * SIZE)
                loss = 0.005 * loss + (ltx_vae.decode(vae, out) - truth).square().mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            clock.report(loss.detach())
        log(f"held out: {held_out_psnr(model, vae):.2f} dB")
    return model.state_dict(), CONFIG


@torch.no_grad()
def _encoded(vae: nn.Module, scenes: list[world.Scene], size: int, batch: int = 32) -> torch.Tensor:
    parts = [scenes[i : i + batch] for i in range(0, len(scenes), batch)]
    return torch.cat([ltx_vae.encode(vae, world.render(part, FRAMES, size)) for part in parts])


@torch.no_grad()
def held_out_psnr(model: nn.Module, vae: nn.Module, count: int = 16) -> float:
    """Mean PSNR in dB of upsampled latents of held-out combinations, decoded, to the scene drawn at 128 px."""
    scenes = world.sample_scenes(count, torch.Generator().manual_seed(1), FRAMES, held_out=True)
    out = ltx_vae.decode(vae, upsample(model, vae, _encoded(vae, scenes, SIZE))).clamp(0, 1)
    truth = world.render(scenes, FRAMES, 2 * SIZE)
    return sum(psnr(a, b) for a, b in zip(out, truth, strict=True)) / count
