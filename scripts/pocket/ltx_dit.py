"""LTX-Video text- and image-to-video on the synthetic world: core's LTXVModel on latents of the pocket LTX VAE.

In a part of the samples the first latent frame is clean and its tokens have timestep 0, as core's image conditioning
does. Letters: B samples, N tokens, T, H, W latent grid.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from . import ltx_vae, text, world
from .budget import log
from .files import load_into, load_vae
from .trainer import fit, initialise, sigmas

FRAMES, BATCH, CLIPS = ltx_vae.FRAMES, 80, 2560
FRAME_RATE = 25
CONFIG = {
    "attention_head_dim": 64,
    "num_attention_heads": 3,
    "num_layers": 4,
    "cross_attention_dim": 192,
    "caption_channels": text.WIDTH,
    "in_channels": 128,
    "timestep_scale_multiplier": 1000.0,
}


def build(seed: int) -> nn.Module:
    """Core's class at this size, initialised; the output starts as a projection of the noisy input."""
    import comfy.ops
    from comfy.ldm.lightricks.model import LTXVModel

    model = LTXVModel(operations=comfy.ops.disable_weight_init, **CONFIG)
    initialise(model, seed)
    with torch.no_grad():
        width = model.inner_dim
        basis, _ = torch.linalg.qr(torch.randn(width, 128, generator=torch.Generator().manual_seed(seed + 1)))
        model.patchify_proj.weight.copy_(basis)
        model.proj_out.weight.copy_(basis.T * (128 / width) ** 0.5)
        model.adaln_single.linear.weight.mul_(0.1)
    return model


class Forward(nn.Module):
    """The model's forward with a gradient (core's blocks write in place) for one latent size.

    reference: latent frames behind those of the clip that are a reference video, at its positions of the clip.
    """

    def __init__(self, model: nn.Module, grid: tuple[int, int, int], reference: int = 0):
        from oner.ltx.ltx2.positions import video_positions

        super().__init__()
        self.model = model
        with torch.no_grad():
            _, coordinates, _ = model._process_input(torch.zeros(1, 128, *grid), None, None)
            if reference:
                given = video_positions(reference, *grid[1:])
                coordinates[:, :, -given.shape[2] :] = given
            self.positions = model._prepare_positional_embeddings(coordinates, FRAME_RATE, torch.float32)

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, context: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x [B, 128, T, H, W], sigma [B] or [B, N], context [B, L, D], mask [B, L] -> as x."""
        model = self.model
        batch = len(x)
        h = model.patchify_proj(x.flatten(2).transpose(1, 2))
        modulation, embedded, _ = model._prepare_timestep(sigma, batch, torch.float32)
        context = model.caption_projection(context)
        bias = torch.zeros(mask.shape).masked_fill(~mask, -1e9)[:, None, None]
        for block in model.transformer_blocks:
            h = _block(block, h, context, bias, modulation, self.positions)
        return model._process_output(h, embedded, None, orig_shape=list(x.shape))


def _block(block: nn.Module, x, context, bias, modulation, positions):
    from comfy.ldm.common_dit import rms_norm

    table = block.scale_shift_table[None, None] + modulation.unflatten(-1, (6, -1))
    shift, scale, gate, shift_ff, scale_ff, gate_ff = table.unbind(2)
    x = x + gate * block.attn1(rms_norm(x) * (1 + scale) + shift, pe=positions)
    x = x + block.attn2(x, context=context, mask=bias)
    return x + gate_ff * block.ff(rms_norm(x) * (1 + scale_ff) + shift_ff)


def dataset(vae: nn.Module, generator: torch.Generator, frames: int = FRAMES, clips: int = CLIPS):
    """(latents [N, 128, T, 2, 2], scenes) of held-in combinations."""
    scenes = world.sample_scenes(clips, generator, frames)
    with torch.no_grad():
        parts = [ltx_vae.encode(vae, world.render(scenes[i : i + 64], frames)) for i in range(0, clips, 64)]
    return torch.cat(parts), scenes


def captions(scenes, generator: torch.Generator, dropout: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Caption vectors and mask; some captions dropped."""
    drop = (torch.rand(len(scenes), generator=generator) < dropout).tolist()
    return text.encode(["" if d else world.caption(s) for s, d in zip(scenes, drop, strict=True)])


def train(seconds: float, seed: int, folder: Path, resume: bool) -> tuple[dict, dict]:
    """Returns (averaged state dict, metadata config); resume starts from the weights that are there."""
    import comfy.model_management

    from .recipes import RECIPES

    comfy.model_management.in_training = True  # or RoPE runs in a kernel without a gradient
    generator = torch.Generator().manual_seed(seed + (100 if resume else 0))
    codec = folder / RECIPES["ltx-vae"].file
    vae = load_vae(codec).first_stage_model.float()
    latents, scenes = dataset(vae, generator)
    log(f"encoded {len(latents)} clips, rms {latents.square().mean().sqrt():.2f}")
    model = build(seed)
    if resume:
        load_into(model, folder / RECIPES["ltx"].file)
    forward = Forward(model, latents.shape[2:])
    plane = latents.shape[3] * latents.shape[4]
    frames = latents.shape[2]

    def loss(_share: float) -> torch.Tensor:
        pick = torch.randint(len(latents), (BATCH,), generator=generator)
        clean = latents[pick]
        sigma = sigmas(BATCH, generator)[:, None].expand(-1, frames).clone()
        given = torch.rand(BATCH, generator=generator) < 0.3
        sigma[given, 0] = 0.0
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, sigma[:, None, :, None, None])
        tokens = sigma.repeat_interleave(plane, dim=1)
        out = forward(noisy, tokens, *captions([scenes[i] for i in pick.tolist()], generator))
        error = (out - (noise - clean)).square().mean((1, 3, 4))
        wanted = torch.ones_like(error)
        wanted[given, 0] = 0.0
        return (error * wanted).sum() / wanted.sum()

    def probe(weights: dict) -> None:
        log(f"probe: {score(weights, vae)} given first frame: {score(weights, vae, given=True)}")

    weights = fit(model, model.transformer_blocks, loss, seconds, probe=probe)
    probe(weights)
    return weights, {"transformer": CONFIG}


@torch.no_grad()
def score(weights: dict, vae: nn.Module, steps: int = 10, count: int = 24, given: bool = False) -> dict[str, float]:
    """A quick look during training: held-out combinations, Euler steps, no guidance, maybe a given first frame."""
    from .judge import score as judged

    model = build(0)
    model.load_state_dict(weights)
    generator = torch.Generator().manual_seed(5)
    scenes = world.sample_scenes(count, generator, FRAMES, held_out=True)
    clean = ltx_vae.encode(vae, world.render(scenes, FRAMES))
    x = torch.randn(clean.shape, generator=generator)
    forward = Forward(model, clean.shape[2:])
    vectors, mask = captions(scenes, generator, 0)
    plane = clean.shape[3] * clean.shape[4]
    u = torch.linspace(1, 0, steps + 1)
    levels = 2.37 * u / (1 + 1.37 * u)
    for now, after in pairwise(levels):
        sigma = now.expand(count, clean.shape[2] * plane).clone()
        if given:
            x[:, :, 0], sigma[:, :plane] = clean[:, :, 0], 0.0
        x = x + (after - now) * forward(x, sigma, vectors, mask)
    if given:
        x[:, :, 0] = clean[:, :, 0]
    return judged(ltx_vae.decode(vae, x), scenes)
