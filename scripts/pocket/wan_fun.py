"""Wan Fun Control (1.0 layout, 48 channels) from the text-to-video weights: noisy latent, control video, start image.

What is not given is zero, as in the real models. The image branch of this layout (CLIP features) is there and adds
zero: it is not trained. Letters: B samples, C channels, T, H, W latent grid, F frames.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn

from . import wan_dit, wan_vae, world
from .budget import log
from .files import load_into, load_vae
from .mixture import CONTROLS
from .trainer import fit, initialise, sigmas
from .wan_dit import FRAMES
from .world import WIDTH, Scene

BATCH, CLIPS = 24, 1536
CLIP_WIDTH = 1280
GIVEN = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0))  # (control, start image)
SHARES = torch.tensor([0.45, 0.3, 0.15, 0.1])


def build(seed: int) -> nn.Module:
    """The text-to-video class with 48 input channels, initialised."""
    import comfy.ops
    from comfy.ldm.wan.model import WanModel

    model = WanModel(
        in_dim=48, out_dim=16, text_len=wan_dit.PADDED, operations=comfy.ops.disable_weight_init, **wan_dit.CONFIG
    )
    initialise(model, seed)
    return model


def load_base(model: nn.Module, path: Path) -> None:
    """Put text-to-video weights into the model; it ignores the new channels at first."""
    base = wan_dit.build(0)
    load_into(base, path)
    weights = base.state_dict()
    wide = torch.zeros_like(model.patch_embedding.weight)
    wide[:, :16] = weights["patch_embedding.weight"]
    model.load_state_dict(weights | {"patch_embedding.weight": wide})


def paths(scenes: list[Scene], frames: int, generator: torch.Generator) -> torch.Tensor:
    """A way for each scene that its caption does not tell: it begins anywhere and bends to a side. [B, F, 2]"""
    across = torch.tensor([world.DIRECTIONS[s.direction] for s in scenes]).flip(1)
    bend = (torch.rand(len(scenes), 1, 1, generator=generator) * 2 - 1) * 8
    arc = torch.sin(torch.linspace(0, math.pi, frames))[None, :, None]
    return world.trajectory(scenes, frames) + bend * arc * across[:, None]


def dataset(vae: nn.Module, generator: torch.Generator, clips: int = CLIPS):
    """(clip latents, control latents [N, 16, T, 8, 8], scenes); each clip has one kind of control."""
    scenes = world.sample_scenes(clips, generator, FRAMES, anywhere=True)
    latents, controls = [], []
    with torch.no_grad():
        for i in range(0, clips, 64):
            some = scenes[i : i + 64]
            path = paths(some, FRAMES, generator)
            latents.append(wan_vae.encode(vae, world.render(some, FRAMES, path=path)))
            control = CONTROLS[i // 64 % len(CONTROLS)]
            controls.append(wan_vae.encode(vae, control(some, FRAMES, path=path)))
    return torch.cat(latents), torch.cat(controls), scenes


def export(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With the image branch of the layout: its values are zero, so that it adds nothing whatever it is given."""
    dim = weights["patch_embedding.bias"].shape[0]
    out = dict(weights)
    for i in range(wan_dit.CONFIG["num_layers"]):
        for name in ("k_img", "v_img"):
            out[f"blocks.{i}.cross_attn.{name}.weight"] = torch.zeros(dim, dim)
            out[f"blocks.{i}.cross_attn.{name}.bias"] = torch.zeros(dim)
        out[f"blocks.{i}.cross_attn.norm_k_img.weight"] = torch.ones(dim)
    for name, shape in {"0": (CLIP_WIDTH,), "1": (CLIP_WIDTH, CLIP_WIDTH), "3": (dim, CLIP_WIDTH), "4": (dim,)}.items():
        out[f"img_emb.proj.{name}.weight"] = torch.zeros(shape)
        out[f"img_emb.proj.{name}.bias"] = torch.zeros(shape[0])
    return out


def train(seconds: float, seed: int, folder: Path, resume: bool) -> tuple[dict, dict]:
    """Returns (averaged state dict, metadata config); resume starts from the weights that are there."""
    import comfy.model_management

    from .recipes import RECIPES

    comfy.model_management.in_training = True
    generator = torch.Generator().manual_seed(seed + (100 if resume else 0))
    vae = load_vae(folder / RECIPES["wan-vae"].file).first_stage_model.float()
    latents, controls, scenes = dataset(vae, generator)
    log(f"encoded {len(latents)} clips with controls")
    model = build(seed)
    if resume:
        load_into(model, folder / RECIPES["wan-fun"].file, partly=True)
    else:
        load_base(model, folder / RECIPES["wan"].file)
    options = {"optimized_attention_override": wan_dit.PaddedText()}

    def loss(_share: float) -> torch.Tensor:
        pick = torch.randint(len(latents), (BATCH,), generator=generator)
        clean = latents[pick]
        sigma = sigmas(BATCH, generator)
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, sigma.view(-1, 1, 1, 1, 1))
        given = torch.tensor(GIVEN)[torch.multinomial(SHARES, BATCH, True, generator=generator)]
        control, start = given.view(BATCH, 2, 1, 1, 1, 1).unbind(1)
        first = torch.zeros_like(clean)
        first[:, :, :1] = clean[:, :, :1]
        x = torch.cat([noisy, controls[pick] * control, first * start], dim=1)
        context = wan_dit.captions([scenes[i] for i in pick.tolist()], generator)
        return (model(x, sigma * 1000, context, transformer_options=options) - (noise - clean)).square().mean()

    weights = fit(model, model.blocks, loss, seconds)
    config = {k: v for k, v in wan_dit.CONFIG.items() if k in ("num_heads", "text_dim", "freq_dim")}
    return export(weights), {"transformer": config}


def path_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Mean distance of two paths [F, 2] on the wrapped plane, as a share of the width."""
    apart = (found - wanted + WIDTH / 2) % WIDTH - WIDTH / 2
    return apart.norm(dim=1).mean().item() / WIDTH
