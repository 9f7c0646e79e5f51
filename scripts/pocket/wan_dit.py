"""Wan text-to-video on the synthetic world: core's WanModel, trained on latents of the pocket Wan VAE.

Real pipelines pad the caption with zero vectors to 512 tokens and attend to all of them. Here one zero token with
log(498) on its attention logit stands for 498: the same numbers at a fraction of the cost.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from . import text, wan_vae, world
from .budget import log
from .files import load_into, load_vae
from .trainer import fit, initialise, sigmas

FRAMES, BATCH, CLIPS = 9, 24, 2560
IMAGES, IMAGE_BATCH = 0.4, 64  # this share of the budget goes to first latent frames alone: shapes are learned there
PADDED = 512
CONFIG = {"dim": 160, "ffn_dim": 448, "num_heads": 4, "num_layers": 4, "text_dim": text.WIDTH, "freq_dim": 64}


def build(seed: int) -> nn.Module:
    """Core's class at this size, initialised; the output starts as a projection of the noisy input."""
    import comfy.ops
    from comfy.ldm.wan.model import WanModel

    model = WanModel(in_dim=16, out_dim=16, text_len=PADDED, operations=comfy.ops.disable_weight_init, **CONFIG)
    initialise(model, seed)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed + 1)
        basis, _ = torch.linalg.qr(torch.randn(CONFIG["dim"], 64, generator=generator))
        model.patch_embedding.weight.copy_(basis.view(-1, 16, 1, 2, 2))
        # the head orders its outputs (patch, channel), the embedding its inputs (channel, patch)
        model.head.head.weight.copy_(basis.view(-1, 16, 4).transpose(1, 2).flatten(1).T * 0.577)
        model.time_projection[1].weight.mul_(0.1)
        # Hundreds of padding tokens would drown the caption at first: let queries start turned away from their key.
        bias = model.text_embedding[2].bias  # what a zero token becomes, small beside a word
        bias.copy_(0.1 * torch.randn(bias.shape, generator=generator))
        for block in model.blocks:
            key = block.cross_attn.k.weight @ bias
            block.cross_attn.q.bias.copy_(-key / key.square().mean().sqrt())
    return model


def dataset(vae: nn.Module, generator: torch.Generator, frames: int = FRAMES, clips: int = CLIPS, **kinds):
    """(latents [N, 16, T, 8, 8], scenes) of held-in combinations."""
    scenes = world.sample_scenes(clips, generator, frames, **kinds)
    with torch.no_grad():
        parts = [wan_vae.encode(vae, world.render(scenes[i : i + 64], frames)) for i in range(0, clips, 64)]
    return torch.cat(parts), scenes


class PaddedText:
    """Attention that counts the last caption token as many; for transformer_options["optimized_attention_override"]."""

    def __init__(self, padded: int = PADDED):
        self.bias = torch.zeros(text.LENGTH + 1)
        self.bias[-1] = math.log(max(padded - text.LENGTH, 1e-9))

    def __call__(self, attention, q, k, v, *args, **kwargs):
        if k.shape[1] == len(self.bias):
            kwargs["mask"] = self.bias.expand(q.shape[1], -1)
        return attention(q, k, v, *args, **kwargs)


def captions(scenes, generator: torch.Generator, dropout: float = 0.1) -> torch.Tensor:
    """Caption vectors with one padding token behind; some captions dropped. [B, LENGTH + 1, D]"""
    drop = (torch.rand(len(scenes), generator=generator) < dropout).tolist()
    vectors, _ = text.encode(["" if d else world.caption(s) for s, d in zip(scenes, drop, strict=True)])
    return torch.cat([vectors, torch.zeros_like(vectors[:, :1])], dim=1)


def train(seconds: float, seed: int, folder: Path, resume: bool) -> tuple[dict, dict]:
    """Returns (averaged state dict, metadata config); resume starts from the weights that are there."""
    import comfy.model_management

    from .recipes import RECIPES

    comfy.model_management.in_training = True  # or RoPE runs in a kernel without a gradient
    generator = torch.Generator().manual_seed(seed + (100 if resume else 0))
    codec = folder / RECIPES["wan-vae"].file
    vae = load_vae(codec).first_stage_model.float()
    latents, scenes = dataset(vae, generator, clips=CLIPS)
    log(f"encoded {len(latents)} clips")
    model = build(seed)
    if resume:
        load_into(model, folder / RECIPES["wan"].file)
    long, short = PaddedText(), PaddedText(0)

    def loss(share: float) -> torch.Tensor:
        images = share < IMAGES
        batch = IMAGE_BATCH if images else BATCH
        pick = torch.randint(len(latents), (batch,), generator=generator)
        clean = latents[pick][:, :, :1] if images else latents[pick]
        sigma = sigmas(batch, generator)
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, sigma.view(-1, 1, 1, 1, 1))
        context = captions([scenes[i] for i in pick.tolist()], generator)
        padding = long if torch.rand(1, generator=generator) < 0.75 else short
        options = {"optimized_attention_override": padding}
        return (model(noisy, sigma * 1000, context, transformer_options=options) - (noise - clean)).square().mean()

    def probe(weights: dict) -> None:
        comfy.model_management.in_training = False
        log(f"probe: {score(weights, load_vae(codec).first_stage_model.float())}")
        comfy.model_management.in_training = True

    weights = fit(model, model.blocks, loss, seconds, probe=probe)
    probe(weights)
    return weights, {"transformer": {k: v for k, v in CONFIG.items() if k in ("num_heads", "text_dim", "freq_dim")}}


@torch.no_grad()
def score(weights: dict, vae: nn.Module, steps: int = 10, count: int = 24) -> dict[str, float]:
    """A quick look during training: held-out combinations, Euler steps, no guidance."""
    from .judge import score as judged

    model = build(0)
    model.load_state_dict(weights)
    generator = torch.Generator().manual_seed(5)
    scenes = world.sample_scenes(count, generator, FRAMES, held_out=True)
    x = torch.randn(count, 16, (FRAMES + 3) // 4, 8, 8, generator=generator)
    context = captions(scenes, generator, 0)
    u = torch.linspace(1, 0, steps + 1)
    levels = 3 * u / (1 + 2 * u)
    options = {"optimized_attention_override": PaddedText()}
    for now, after in pairwise(levels):
        x = x + (after - now) * model(x, now.expand(count) * 1000, context, transformer_options=options)
    return judged(wan_vae.decode(vae, x), scenes)
