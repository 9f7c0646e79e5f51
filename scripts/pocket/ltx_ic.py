"""An IC-LoRA for LTX-Video: the shape goes where it goes in a depth video that is given as reference.

The reference's tokens stand behind those of the clip, clean and at timestep 0, at its positions of the clip, as the
pack's reference node puts them. Letters: B samples, T, H, W latent grid, F frames.
"""

from __future__ import annotations

from pathlib import Path

import torch

from . import ltx_dit, ltx_vae, wan_fun, world
from .budget import log
from .files import load_into, load_vae
from .lora import Change
from .ltx_dit import FRAMES
from .trainer import sigmas
from .world import Scene

BATCH, CLIPS, RANK = 48, 1280, 32
ASIDE = 12.0  # units: how far from the centre a way may lie


def paths(scenes: list[Scene], frames: int, generator: torch.Generator) -> torch.Tensor:
    """A way for each scene that its caption does not tell: it lies aside and bends to a side. [B, F, 2]"""
    aside = (torch.rand(len(scenes), 1, 2, generator=generator) * 2 - 1) * ASIDE
    return wan_fun.paths(scenes, frames, generator) + aside


def dataset(vae: torch.nn.Module, generator: torch.Generator, clips: int = CLIPS):
    """(clip latents, reference latents [N, 128, T, 2, 2], scenes)."""
    scenes = world.sample_scenes(clips, generator, FRAMES)
    latents, references = [], []
    with torch.no_grad():
        for i in range(0, clips, 64):
            some = scenes[i : i + 64]
            path = paths(some, FRAMES, generator)
            latents.append(ltx_vae.encode(vae, world.render(some, FRAMES, path=path)))
            references.append(ltx_vae.encode(vae, world.depth(some, FRAMES, path=path)))
    return torch.cat(latents), torch.cat(references), scenes


def train(seconds: float, seed: int, folder: Path, _resume: bool) -> tuple[dict, None]:
    """Returns (LoRA state dict, no config)."""
    import comfy.model_management

    from .recipes import RECIPES

    comfy.model_management.in_training = True
    generator = torch.Generator().manual_seed(seed)
    vae = load_vae(folder / RECIPES["ltx-vae"].file).first_stage_model.float()
    latents, references, scenes = dataset(vae, generator)
    log(f"encoded {len(latents)} clips with references")
    model = ltx_dit.build(seed)
    load_into(model, folder / RECIPES["ltx"].file)
    frames, height, width = latents.shape[2:]
    forward = ltx_dit.Forward(model, (2 * frames, height, width), reference=frames)
    change = Change(forward, model.transformer_blocks, generator, RANK)
    tokens = frames * height * width

    def loss() -> torch.Tensor:
        pick = torch.randint(len(latents), (BATCH,), generator=generator)
        clean, sigma = latents[pick], sigmas(BATCH, generator)
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, sigma.view(-1, 1, 1, 1, 1))
        levels = torch.cat([sigma[:, None].expand(-1, tokens), torch.zeros(BATCH, tokens)], dim=1)
        context, mask = ltx_dit.captions([scenes[i] for i in pick.tolist()], generator)
        out = change(torch.cat([noisy, references[pick]], dim=2), levels, context, mask)
        return (out[:, :, :frames] - (noise - clean)).square().mean()

    return change.fit(loss, seconds), None
