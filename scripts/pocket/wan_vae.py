"""Wan 2.1 VAE: an encoder in closed form (its skip path is linear), a decoder trained against it.

Time stages hold "average | difference", because the first frame skips the time convolutions and must still be the code
of a static pair. The decoder has no closed form (nearest upsampling cannot express a free pixel shuffle): its skips are
trained first, then everything. Letters: B clips, C channels, T, H, W latent grid.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from . import world
from .budget import Clock, log
from .files import load_vae
from .mixture import clips as draw

DIM, LATENT, FRAMES = 12, 16, 9
LONG = 25  # frames of the clips that teach the decoder what follows: each latent carries on from those before
SPACE, MOTION = 16, 8  # components of 4x4 blocks, and of their change over a frame pair
STATIC, CHANGE = 11, 5  # of the 16 latent channels


def build() -> nn.Module:
    """Core's class at this width, weights not set."""
    from comfy.ldm.wan.vae import WanVAE

    return WanVAE(dim=DIM, z_dim=LATENT, temperal_downsample=[False, True, True])


def train(seconds: float, seed: int, folder: Path, resume: bool) -> tuple[dict, None]:
    """Closed-form encoder, then the decoder: a third of the budget for its skips, the rest for all of it.

    resume tunes the decoder that is there instead; the encoder, and with it the latents, never change.
    """
    from .recipes import RECIPES

    generator = torch.Generator().manual_seed(seed + (100 if resume else 0))
    if resume:
        vae = load_vae(folder / RECIPES["wan-vae"].file).first_stage_model.float()
    else:
        vae = closed_form(draw(1024, FRAMES, generator), generator)
    short = _coded(vae, 512 if resume else 1024, FRAMES, generator)
    long = _coded(vae, 192, LONG, generator)
    log("encoded the clips")
    if not resume:
        tune(vae, [short], seconds / 3, generator, skips_only=True)
        log(f"skips: {held_out_psnr(vae):.2f} dB")
        seconds *= 2 / 3
    polish = {"rate": 5e-4, "noise": 0.2} if resume else {}
    tune(vae, [short, long], seconds, generator, skips_only=False, **polish)
    log(f"tuned: {held_out_psnr(vae):.2f} dB, latent noise 0.3: {held_out_psnr(vae, noise=0.3):.2f} dB")
    return vae.state_dict(), None  # core detects this layout from the tensors alone


@torch.no_grad()
def _coded(vae: nn.Module, count: int, frames: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(clips in bytes [N, F, H, W, 3], their latents)"""
    clips = draw(count, frames, generator)
    latents = torch.cat([encode(vae, c) for c in clips.split(64)])
    return (clips * 255).round().to(torch.uint8), latents


@torch.no_grad()
def closed_form(clips: torch.Tensor, generator: torch.Generator) -> nn.Module:
    """A VAE with the encoder fitted to clips [B, F, H, W, 3] in 0..1 and a random decoder without residuals."""
    from comfy.latent_formats import Wan21

    vae = build()
    for name, p in vae.named_parameters():
        if name.endswith("gamma"):
            p.fill_(1)
        elif p.dim() < 2 or name.startswith("encoder."):
            p.zero_()
        else:
            bound = (3 / p[0].numel()) ** 0.5
            p.copy_((torch.rand(p.shape, generator=generator) * 2 - 1) * bound)
    for name, p in vae.decoder.named_parameters():
        if name.endswith(("residual.6.weight", "proj.weight")):
            p.zero_()
    encoder = vae.encoder
    first, second, third = (m for m in encoder.downsamples if hasattr(m, "resample"))
    shortcuts = [m.shortcut for m in encoder.downsamples if getattr(m, "in_dim", 0) != getattr(m, "out_dim", 0)]
    for s in shortcuts:
        s.weight[: s.weight.shape[1], :, 0, 0, 0] = torch.eye(s.weight.shape[1])

    x = clips.movedim(-1, 1) * 2 - 1
    ground = x.mean((0, 2, 3, 4))
    encoder.conv1.weight[:3, :, 2, 1, 1] = torch.eye(3)
    encoder.conv1.bias[:3] = -ground
    x = x - ground[:, None, None, None]
    x = _space(x, first, [(slice(0, 3), 0, DIM)])
    x = _space(x, second, [(slice(0, DIM), 0, SPACE)])
    x = _time(x, second, SPACE, MOTION)
    x = _space(x, third, [(slice(0, SPACE), 0, STATIC), (slice(SPACE, SPACE + MOTION), STATIC, CHANGE)])
    x = _last_time(x, third)

    signal = x.movedim(1, -1).flatten(0, -2)
    norm = 10 * signal.square().sum(1).mul(2).mean().sqrt()
    _pair_up(third, norm / (48 - 2 * LATENT) ** 0.5)
    gain = norm / 48**0.5
    out = encoder.head[2]
    eye = torch.eye(LATENT)
    out.weight[:LATENT, :LATENT, 2, 1, 1] = eye * gain
    out.weight[:LATENT, LATENT : 2 * LATENT, 2, 1, 1] = -eye * gain

    # Core normalises with Wan's own statistics: fold what gives std ~ sqrt(std), rms 1, into the 1x1 convolutions.
    mean, std = signal.mean(0), signal.std(0)
    scale = std.sqrt() / std.mean().sqrt() / std
    core = Wan21()
    core_mean, core_std = core.latents_mean.flatten(), core.latents_std.flatten()
    vae.conv1.weight.zero_()
    vae.conv1.weight[:LATENT, :LATENT, 0, 0, 0] = torch.diag(scale * core_std)
    vae.conv1.bias[:LATENT] = core_mean - mean * scale * core_std
    vae.conv1.bias[LATENT:] = -12.0
    vae.conv2.weight[:, :, 0, 0, 0] = torch.diag(1 / core_std)
    vae.conv2.bias.copy_(-core_mean / core_std)
    return vae


def _principal(rows: torch.Tensor, count: int) -> torch.Tensor:
    _, vectors = torch.linalg.eigh(rows.T @ rows / rows.shape[0])
    return vectors.flip(1)[:, :count].T.contiguous()


def _space(x: torch.Tensor, block: nn.Module, groups: list) -> torch.Tensor:
    """Fit a 2x2 reduction per channel group (input slice, first output, count), write it, apply it."""
    conv = block.resample[1]
    b, c, t, h, w = x.shape
    cells = x.reshape(b, c, t, h // 2, 2, w // 2, 2).permute(0, 2, 3, 5, 1, 4, 6)
    for channels, start, count in groups:
        part = cells[..., channels, :, :]
        basis = _principal(part.flatten(4).flatten(0, 3), count)
        conv.weight[start : start + count, channels, :2, :2] = basis.view(count, -1, 2, 2)
    return _resample(conv, x)[:, : sum(g[2] for g in groups)]


def _resample(conv: nn.Module, x: torch.Tensor) -> torch.Tensor:
    b, c, t, h, w = x.shape
    full = x.new_zeros(b, conv.weight.shape[1], t, h, w)
    full[:, :c] = x
    out = conv(functional.pad(full.transpose(1, 2).flatten(0, 1), (0, 1, 0, 1)))
    return out.unflatten(0, (b, t)).transpose(1, 2)


def _pairs(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(first, second) of the frame pairs after the first frame."""
    return x[:, :, 1::2], x[:, :, 2::2]


def _time(x: torch.Tensor, block: nn.Module, space: int, motion: int) -> torch.Tensor:
    """Average of all channels, half the difference of the leading ones."""
    w = block.time_conv.weight
    for i in range(space):
        w[i, i, 1:] = 0.5
    for i in range(motion):
        w[space + i, i, 1], w[space + i, i, 2] = -0.5, 0.5
    a, b = _pairs(x)
    pairs = torch.cat([(a + b) / 2, (b - a)[:, :motion] / 2], dim=1)
    first = torch.cat([x[:, :, :1], torch.zeros_like(x[:, :motion, :1])], dim=1)
    return torch.cat([first, pairs], dim=2)


def _last_time(x: torch.Tensor, block: nn.Module) -> torch.Tensor:
    """Average of the static code; the changes of both halves and of the static code, reduced to CHANGE numbers."""
    a, b = _pairs(x)
    changes = torch.cat([a[:, STATIC:], b[:, STATIC:], (b - a)[:, :STATIC] / 2**0.5], dim=1)
    basis = _principal(changes.movedim(1, -1).flatten(0, -2), CHANGE)
    w = block.time_conv.weight
    for i in range(STATIC):
        w[i, i, 1:] = 0.5
    early, late, static = basis.split([CHANGE, CHANGE, STATIC], dim=1)
    w[STATIC:LATENT, STATIC:LATENT, 1] = early[:, :, None, None]
    w[STATIC:LATENT, STATIC:LATENT, 2] = late[:, :, None, None]
    w[STATIC:LATENT, :STATIC, 1] = -static[:, :, None, None] / 2**0.5
    w[STATIC:LATENT, :STATIC, 2] = static[:, :, None, None] / 2**0.5
    reduced = torch.einsum("oc,bcthw->bothw", basis, changes)
    pairs = torch.cat([(a + b)[:, :STATIC] / 2, reduced], dim=1)
    return torch.cat([x[:, :, :1], pairs], dim=2)


def _pair_up(block: nn.Module, constant: float) -> None:
    """Repeat the signal with its sign changed and fill up with a constant, in front of the head's norm and SiLU."""
    space, time = block.resample[1], block.time_conv
    space.weight[LATENT : 2 * LATENT] = -space.weight[:LATENT]
    space.bias[2 * LATENT :] = constant
    time.weight[LATENT : 2 * LATENT] = -time.weight[:LATENT]
    time.bias[2 * LATENT :] = constant


def encode(vae: nn.Module, clips: torch.Tensor) -> torch.Tensor:
    """Latents as core's models see them, of clips [B, F, H, W, 3] -> [B, 16, T, H, W]; only the skips, in one pass."""
    from comfy.latent_formats import Wan21

    encoder = vae.encoder
    x = encoder.conv1(clips.movedim(-1, 1) * 2 - 1)
    for layer in encoder.downsamples:
        if hasattr(layer, "shortcut"):
            x = layer.shortcut(x)
        else:
            x = _resample(layer.resample[1], x)
            if layer.mode == "downsample3d":
                x = torch.cat([x[:, :, :1], layer.time_conv(x)], dim=2) if x.shape[2] > 1 else x
    mean = vae.conv1(encoder.head(x))[:, :LATENT]
    return Wan21().process_in(mean)


def decode(vae: nn.Module, latent: torch.Tensor, active: tuple[str, ...] | None = None) -> torch.Tensor:
    """Clips [B, F, H, W, 3] in 0..1 from latents as models see them; one pass, differentiable.

    active names the residual blocks whose branch is computed; the others must still have a zero last convolution.
    """
    from comfy.latent_formats import Wan21

    decoder = vae.decoder
    x = decoder.conv1(vae.conv2(Wan21().process_out(latent)))
    layers = [*decoder.middle.named_children(), *decoder.upsamples.named_children()]
    names = [f"middle.{n}" for n, _ in layers[:3]] + [f"upsamples.{n}" for n, _ in layers[3:]]
    for name, (_, layer) in zip(names, layers, strict=True):
        if active is not None and name not in active and not hasattr(layer, "resample"):
            x = layer.shortcut(x) if hasattr(layer, "shortcut") else x
            continue
        if getattr(layer, "mode", "") == "upsample3d" and x.shape[2] > 1:
            rest = layer.time_conv(x[:, :, 1:])
            rest = rest.unflatten(1, (2, -1)).permute(0, 2, 3, 1, 4, 5).flatten(2, 3)
            x = torch.cat([x[:, :, :1], rest], dim=2)
        x = layer(x)  # without a cache, a resampler only resamples
    return decoder.head(x).movedim(1, -1) / 2 + 0.5


# Residual blocks that are trained; the others stay the identity, which halves the cost of a step.
ACTIVE = tuple(f"middle.{i}" for i in (0, 1, 2)) + tuple(f"upsamples.{i}" for i in (0, 1, 2, 4, 6, 10, 14))


def tune(
    vae: nn.Module,
    sets: list[tuple[torch.Tensor, torch.Tensor]],
    seconds: float,
    generator: torch.Generator,
    skips_only: bool,
    batch: int = 2,
    rate: float = 1.5e-3,
    noise: float = 0.3,
) -> None:
    """Train the decoder on noisy latents for process seconds; sets of (clips in bytes, latents) take turns.

    A batch holds about as many frames whatever the length of the clips.
    """
    active = () if skips_only else ACTIVE
    branches = tuple(f"{name}." for name in ACTIVE)
    weights = [
        p for n, p in vae.decoder.named_parameters() if not _branch(n) or (not skips_only and n.startswith(branches))
    ]
    rate, noise = (4e-3, 0.1) if skips_only else (rate, noise)
    optimiser = torch.optim.Adam(weights, lr=rate, betas=(0.9, 0.98))
    clock = Clock(seconds)
    while clock.tick():
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, clock.steps / 30) * clock.decay(0.3)
        clips, latents = sets[clock.steps % len(sets)]
        count = max(1, batch * FRAMES // clips.shape[1])
        pick = torch.randint(len(clips), (count,), generator=generator)
        z = latents[pick]
        amount = torch.rand(count, 1, 1, 1, 1, generator=generator) * noise
        z = z + amount * torch.randn(z.shape, generator=generator)
        loss = (decode(vae, z, active) - clips[pick].float() / 255).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 0.5)
        optimiser.step()
        clock.report(loss)


def _branch(name: str) -> bool:
    return "residual" in name or name.startswith("middle.1.")


@torch.no_grad()
def held_out_psnr(vae: nn.Module, count: int = 32, noise: float = 0.0) -> float:
    """Mean PSNR in dB over clips of held-out combinations, through the encoder and the decoder."""
    from .judge import psnr

    generator = torch.Generator().manual_seed(1)
    clips = world.render(world.sample_scenes(count, generator, FRAMES, held_out=True), FRAMES)
    z = encode(vae, clips)
    out = decode(vae, z + noise * torch.randn(z.shape, generator=generator)).clamp(0, 1)
    return sum(psnr(a, b) for a, b in zip(out, clips, strict=True)) / count
