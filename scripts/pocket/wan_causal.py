"""Causal Wan in blocks of three latent frames, from the text-to-video weights: one pass trains every block.

The sequence is a clean copy (timestep 0) and a noisy copy with a noise level per block. Noisy block b sees the clean
blocks before it and itself; clean block b sees clean blocks up to itself: what a KV cache with a pass at timestep 0 per
finished block gives. Each block has its own caption. Letters: B samples, N tokens, K blocks, S tokens a block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from . import text, wan_dit, wan_vae, world
from .budget import log
from .files import load_into, load_vae
from .trainer import fit, sigmas
from .world import WIDTH, Scene

BLOCK, BLOCKS, BATCH, CLIPS = 3, 3, 12, 768
LATENTS = BLOCK * BLOCKS
FRAMES = 4 * LATENTS - 3
EDGES = [0] + [4 * BLOCK * k - 3 for k in range(1, BLOCKS)] + [FRAMES]  # first pixel frame of each block
PLANE = 16  # tokens of a latent frame
SPAN = text.LENGTH + 1


@dataclass(frozen=True)
class Take:
    """A clip whose colour, direction and shape may change where a block begins; one scene per block, size shared.

    first is the first block that is to be learned: a take with first > 0 stands for the middle of a long one. With a
    jump (x, y) its first block is a sink, kept from long before the second.
    """

    scenes: tuple[Scene, ...]
    first: int = 0
    jump: tuple[float, float] = (0.0, 0.0)

    def render(self) -> torch.Tensor:
        """[F, H, W, 3]"""
        steps = torch.zeros(FRAMES, 2)
        colour = torch.zeros(FRAMES, 1, 1, 3)
        for scene, start, end in zip(self.scenes, EDGES[:-1], EDGES[1:], strict=True):
            steps[start:end] = torch.tensor(world.DIRECTIONS[scene.direction]) * scene.speed
            colour[start:end] = torch.tensor(world.COLOURS[scene.colour])
        first = self.scenes[0]
        steps[0] = torch.tensor([first.x, first.y])
        steps[EDGES[1]] += torch.tensor(self.jump)
        path = steps.cumsum(0)[None]
        covers = {shape: world.masks([replace(first, shape=shape)], FRAMES, path=path)[0] for shape in self.shapes}
        cover = torch.cat([covers[s.shape][a:b] for s, a, b in zip(self.scenes, EDGES[:-1], EDGES[1:], strict=True)])
        return torch.lerp(torch.tensor(world.BACKGROUNDS[first.background]), colour, cover[..., None])

    @property
    def shapes(self) -> set[str]:
        return {scene.shape for scene in self.scenes}


def takes(count: int, generator: torch.Generator) -> list[Take]:
    """60 % change colour, direction or both at the second or third block, half of these draw the shape anew too.

    A changed shape teaches to draw what the caption says over a history that shows another: else errors would grow.

    Half open as the text-to-video clips do, a quarter begin anywhere, a quarter have a sink before them.
    """
    half, quarter = count // 2, count // 4
    starts = world.sample_scenes(half, generator, wan_dit.FRAMES)
    starts += world.sample_scenes(quarter, generator, FRAMES, anywhere=True)
    starts += world.sample_scenes(count - half - quarter, generator, wan_dit.FRAMES)
    others = world.sample_scenes(count, generator, FRAMES, anywhere=True)
    out = []
    for i, (scene, other) in enumerate(zip(starts, others, strict=True)):
        switch, edge, kind, form = torch.rand(4, generator=generator).tolist()
        after = scene
        if switch < 0.6:
            colour = other.colour if kind < 0.7 else scene.colour
            direction = other.direction if kind > 0.3 else scene.direction
            after = replace(scene, colour=colour, direction=direction, shape=other.shape if form < 0.5 else scene.shape)
        cut = 1 + int(edge * (BLOCKS - 1))
        jump = (0.0, 0.0)
        if i >= half + quarter:
            jump = tuple((WIDTH * torch.rand(2, generator=generator)).tolist())
        first = 0 if i < half else 1 if i < half + quarter else 2
        out.append(Take((scene,) * cut + (after,) * (BLOCKS - cut), first, jump))
    return out


class Masks:
    """Who attends to whom; for transformer_options["optimized_attention_override"]."""

    def __init__(self):
        frame = torch.arange(2 * LATENTS).repeat_interleave(PLANE)
        self.block = frame % LATENTS // BLOCK
        noisy = frame >= LATENTS
        query, key = self.block[:, None], self.block[None]
        history = ~noisy[None] & torch.where(noisy[:, None], key < query, key <= query)
        self.own = history | (noisy[:, None] & noisy[None] & (key == query))
        self.noisy = noisy
        self.text = None

    def set_captions(self, recached: torch.Tensor) -> None:
        """Each token reads its block's caption; the clean tokens of recached samples [B] read the newest one."""
        read = self.block.expand(len(recached), -1).clone()
        read[recached[:, None] & ~self.noisy] = BLOCKS - 1
        own = torch.arange(BLOCKS).repeat_interleave(SPAN)
        bias = wan_dit.PaddedText().bias.repeat(BLOCKS)
        self.text = torch.where(read[..., None] == own, bias, -1e9)

    def __call__(self, attention, q, k, v, *args, **kwargs):
        kwargs["mask"] = self.own if k.shape[1] == q.shape[1] else self.text
        return attention(q, k, v, *args, **kwargs)


def forward(model: nn.Module, clean, noisy, sigma, context, masks: Masks) -> torch.Tensor:
    """Prediction for the noisy copy. clean, noisy [B, 16, T, H, W], sigma [B, K], context [B, K * SPAN, D]"""
    positions = model.rope_encode(LATENTS, clean.shape[3], clean.shape[4])
    times = torch.cat([torch.zeros(len(clean), LATENTS), sigma.repeat_interleave(BLOCK, dim=1)], dim=1)
    x = torch.cat([clean, noisy], dim=2)
    options = {"optimized_attention_override": masks}
    freqs = torch.cat([positions, positions], dim=1)
    return model.forward_orig(x, times * 1000, context, freqs=freqs, transformer_options=options)[:, :, LATENTS:]


def train(seconds: float, seed: int, folder: Path, resume: bool) -> tuple[dict, dict]:
    """Returns (averaged state dict, metadata config); resume starts from the weights that are there."""
    import comfy.model_management

    from .recipes import RECIPES

    comfy.model_management.in_training = True
    generator = torch.Generator().manual_seed(seed + (100 if resume else 0))
    vae = load_vae(folder / RECIPES["wan-vae"].file).first_stage_model.float()
    drawn = takes(CLIPS, generator)
    with torch.no_grad():
        latents = torch.cat(
            [wan_vae.encode(vae, torch.stack([t.render() for t in drawn[i : i + 16]])) for i in range(0, CLIPS, 16)]
        )
    log(f"encoded {len(latents)} takes")
    model = wan_dit.build(seed)
    load_into(model, folder / RECIPES["wan-causal" if resume else "wan"].file)
    masks = Masks()

    def loss(_share: float) -> torch.Tensor:
        pick = torch.randint(len(latents), (BATCH,), generator=generator)
        clean = latents[pick]
        sigma = sigmas(BATCH * BLOCKS, generator, shift=5.0).view(BATCH, BLOCKS)
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, sigma.repeat_interleave(BLOCK, dim=1)[:, None, :, None, None])
        drift = 0.1 * torch.rand(BATCH, 1, 1, 1, 1, generator=generator)
        history = clean + drift * torch.randn(clean.shape, generator=generator)
        scenes = [s for i in pick.tolist() for s in drawn[i].scenes]
        context = wan_dit.captions(scenes, generator).view(BATCH, BLOCKS * SPAN, -1)
        masks.set_captions(torch.rand(BATCH, generator=generator) < 0.3)
        error = (forward(model, history, noisy, sigma, context, masks) - (noise - clean)).square()
        error = error.unflatten(2, (BLOCKS, BLOCK)).mean((1, 3, 4, 5))
        first = torch.tensor([drawn[i].first for i in pick.tolist()])
        wanted = (torch.arange(BLOCKS) >= first[:, None]).float()
        return (error * wanted).sum() / wanted.sum()

    weights = fit(model, model.blocks, loss, seconds)
    config = {k: v for k, v in wan_dit.CONFIG.items() if k in ("num_heads", "text_dim", "freq_dim")}
    return weights, {"transformer": config | {"causal_ar": True}}
