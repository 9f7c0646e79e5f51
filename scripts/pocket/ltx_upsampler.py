"""Latent upsampler x2 for LTX-Video from 64 to 128 px: core's LatentUpsampler on latents of one scene at both sizes.

First it learns the latents of some large clips; then, through the frozen decoder, the pictures of ever new ones.
Letters: B clips, T, H, W latent grid.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from . import ltx_vae, world
from .budget import Clock, log
from .files import load_into, load_vae
from .judge import psnr
from .ltx_vae import FRAMES

SIZE, CLIPS = 64, 640
BATCHES, RATES = (32, 4), (2e-3, 5e-4)
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


def train(seconds: float, seed: int, folder: Path, resume: bool) -> tuple[dict, dict]:
    """Returns (state dict, metadata config); resume goes on with the pictures from the weights that are there."""
    from .recipes import RECIPES

    generator = torch.Generator().manual_seed(seed + (100 if resume else 0))
    vae = load_vae(folder / RECIPES["ltx-vae"].file).first_stage_model.float().requires_grad_(False)
    model = build(seed)
    if resume:
        load_into(model, folder / RECIPES["ltx-upsampler"].file)
    else:
        scenes = world.sample_scenes(CLIPS, generator, FRAMES)
        small, large = (_encoded(vae, scenes, size) for size in (SIZE, 2 * SIZE))
        log(f"encoded {CLIPS} clips at two sizes")

        def latents() -> torch.Tensor:
            pick = torch.randint(CLIPS, (BATCHES[0],), generator=generator)
            return (upsample(model, vae, _noisy(small[pick], generator)) - large[pick]).square().mean()

        _fit(model, latents, seconds * FIRST, RATES[0])
        log(f"latents, held out: {held_out_psnr(model, vae):.2f} dB")
        seconds *= 1 - FIRST

    def pictures() -> torch.Tensor:
        scenes = world.sample_scenes(BATCHES[1], generator, FRAMES)
        shuffled = torch.randperm(3, generator=generator)  # of the colours, or it learns the combinations by heart
        given, truth = (world.render(scenes, FRAMES, size)[..., shuffled] for size in (SIZE, 2 * SIZE))
        out = upsample(model, vae, _noisy(ltx_vae.encode(vae, given), generator))
        return (ltx_vae.decode(vae, out) - truth).square().mean()

    _fit(model, pictures, seconds, RATES[1])
    log(f"held out: {held_out_psnr(model, vae):.2f} dB")
    return model.state_dict(), CONFIG


def _fit(model: nn.Module, loss: Callable[[], torch.Tensor], seconds: float, rate: float) -> None:
    optimiser, clock = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.9, 0.98)), Clock(seconds)
    while clock.tick():
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, clock.steps / 20) * clock.decay(0.4)
        value = loss()
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        clock.report(value.detach())


def _noisy(latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    amount = 0.1 * torch.rand(len(latents), 1, 1, 1, 1, generator=generator)
    return latents + amount * torch.randn(latents.shape, generator=generator)


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
