"""LTX video VAE in closed form: a linear codec by principal components, written into the weights of core's real class.

The encoder of this layout is linear up to its last norm if its blocks are bare strided convolutions, and the decoder if
its depth-to-space blocks are not residual. So hierarchical PCA gives the weights without a gradient step; then the
decoder alone is tuned on noisy latents, with the latents frozen. Letters: B clips, C channels, T, H, W latent grid.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from . import world
from .budget import Clock, log
from .files import load_vae
from .mixture import clips as draw

LATENT = 128
CELL = 32  # pixels a latent is wide
BASE = 64
PAIRS = 28  # of the decoder's 64 last channels: 28 signal pairs, the rest constants
CONFIG = {
    "_class_name": "CausalVideoAutoencoder",
    "dims": 3,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": LATENT,
    "encoder_blocks": [
        ["compress_time", {}],
        ["res_x", {"num_layers": 1}],
        ["compress_all_x_y", {"multiplier": 2}],
        ["res_x", {"num_layers": 1}],
        ["compress_all_x_y", {"multiplier": 3}],
    ],
    "decoder_blocks": [
        ["res_x", {"num_layers": 1}],
        ["compress_time", {"multiplier": 1}],
        ["res_x", {"num_layers": 1}],
        ["compress_all", {"multiplier": 1}],
        ["res_x", {"num_layers": 2}],
        ["compress_all", {"multiplier": 2}],
        ["res_x", {"num_layers": 1}],
    ],
    "encoder_base_channels": BASE,
    "decoder_base_channels": BASE,
    "patch_size": 8,
    "norm_layer": "pixel_norm",
    "latent_log_var": "uniform",
    "spatial_padding_mode": "zeros",
    "causal_decoder": False,
    "timestep_conditioning": False,
}
FRAMES = 17
RATE = 4e-4
NOISE = 0.2  # of the latents, at most
CLIPS = {64: 1024, 128: 512}  # of each size
# What the decoder is tuned on, in turn: (size of the clips, size of the part decoded, clips a batch). A tiled decode
# sees such parts.
VIEWS = ((64, 64, 6), (128, 128, 2), (128, 96, 3))
SHARES = 0.25, 0.75  # of the budget: both halves together, the decoder alone


def build() -> nn.Module:
    """Core's class with this configuration, weights not set."""
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE

    return VideoVAE(config=CONFIG)


def train(seconds: float, seed: int, folder: Path, resume: bool) -> tuple[dict, dict]:
    """Closed form, then both halves together, then the decoder alone. Returns (state dict, metadata config).

    resume tunes the decoder that is there instead, so that the latents do not change.
    """
    from .recipes import RECIPES

    generator = torch.Generator().manual_seed(seed + (100 if resume else 0))
    if resume:
        vae = load_vae(folder / RECIPES["ltx-vae"].file).first_stage_model.float()
    else:
        vae = closed_form(draw(640, FRAMES, generator))
        log(f"closed form: {held_out_psnr(vae):.2f} dB, latent noise 0.3: {held_out_psnr(vae, noise=0.3):.2f} dB")
        tune(vae, seconds * SHARES[0], generator, joint=True, views=VIEWS[:1])
        log(f"joint: {held_out_psnr(vae):.2f} dB, latent noise 0.3: {held_out_psnr(vae, noise=0.3):.2f} dB")
        seconds *= SHARES[1]
    tune(vae, seconds, generator, joint=False, views=VIEWS)
    log(f"tuned: {held_out_psnr(vae):.2f} dB, at 128 px: {held_out_psnr(vae, size=128):.2f} dB")
    return vae.state_dict(), {"vae": CONFIG}


@torch.no_grad()
def closed_form(clips: torch.Tensor) -> nn.Module:
    """The linear codec fitted to clips [B, F, H, W, 3] in 0..1."""
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import patchify

    vae = build()
    for p in vae.parameters():
        p.zero_()
    encoder, decoder = vae.encoder, vae.decoder
    x = patchify(_signal(clips), 8)
    ground, patch = _pca(x.movedim(1, -1).flatten(0, -2), BASE)
    x = torch.einsum("oc,bcthw->bothw", patch, x - ground[:, None, None, None])
    encoder.conv_in.conv.weight[:, :, 2, 1, 1] = patch
    encoder.conv_in.conv.bias.copy_(-patch @ ground)

    levels = []
    for stride, count in (((2, 1, 1), BASE), ((2, 2, 2), BASE), ((2, 2, 2), LATENT)):
        gathered = _gather(x, stride)
        _, basis = _pca(gathered.flatten(0, -2), count, centred=False)
        x = (gathered @ basis.T).movedim(-1, 1)
        levels.append(basis.reshape(count, -1, *stride))
    time, res, space, res2, deep = encoder.down_blocks
    _write(time.conv, levels[0])
    _write(space.conv, levels[1])

    # Last level: signal as +x and -x, then constants, so that the norm is constant and silu(a) - silu(-a) = a.
    last = deep.conv
    channels = last.weight.shape[0]
    norm = 10 * x.square().sum(1).mul(2).mean().sqrt()
    _write(last, torch.cat([levels[2], -levels[2]]))
    constants = channels - 2 * LATENT
    last.bias[2 * LATENT :] = norm / constants**0.5
    gain = norm / channels**0.5
    out = encoder.conv_out.conv
    eye = torch.eye(LATENT)
    out.weight[:LATENT, :LATENT, 2, 1, 1] = eye * gain
    out.weight[:LATENT, LATENT : 2 * LATENT, 2, 1, 1] = -eye * gain
    out.bias[-1] = -12.0  # log-variance; the encoder is used for its mean

    std = x.movedim(1, -1).flatten(0, -2).std(0).clamp(min=1e-4)
    statistics = vae.per_channel_statistics
    flat = std.sqrt() / std.square().div(std).mean().sqrt()  # normalised std is sqrt(std), rms 1 over channels
    statistics.get_buffer("mean-of-means").zero_()
    statistics.get_buffer("std-of-means").copy_(std / flat)

    _invert(decoder, patch, ground, levels)
    generator = torch.Generator().manual_seed(0)
    for block in (res, res2, *decoder.up_blocks[::2]):
        for part in block.res_blocks:  # random first, zero second convolution: the identity until tuned
            weight = part.conv1.conv.weight
            weight.copy_(torch.randn(weight.shape, generator=generator) * weight[0].numel() ** -0.5)
    return vae


@torch.no_grad()
def _invert(decoder: nn.Module, patch: torch.Tensor, ground: torch.Tensor, levels: list[torch.Tensor]) -> None:
    """Write the transposed codec into the decoder: conv_in, (2,2,2), (2,2,2), (2,1,1), norm, conv_out; the rest res."""
    pair, space, deep = levels
    eye = torch.eye(LATENT)
    decoder.conv_in.conv.weight[:, :, 1, 1, 1] = eye
    up = decoder.up_blocks
    _write_up(up[1].conv.conv, deep)
    _write_up(up[3].conv.conv, space)
    # Time pairs: 64 numbers to the first PAIRS patch components of both frames, as +x, -x, and constants.
    half = pair[:, :PAIRS]
    wide = torch.zeros(BASE, BASE, 2, 1, 1)
    wide[:, :PAIRS], wide[:, PAIRS : 2 * PAIRS] = half, -half
    _write_up(up[5].conv.conv, wide)
    norm = 10.0 * 4.0
    constants = BASE - 2 * PAIRS
    bias = up[5].conv.conv.bias.view(BASE, 2)
    bias[2 * PAIRS :] = norm / constants**0.5
    gain = norm / BASE**0.5
    out = decoder.conv_out.conv
    out.weight[:, :PAIRS, 1, 1, 1] = patch[:PAIRS].T * gain
    out.weight[:, PAIRS : 2 * PAIRS, 1, 1, 1] = -patch[:PAIRS].T * gain
    out.bias.copy_(ground)


def _signal(clips: torch.Tensor) -> torch.Tensor:
    """[B, F, H, W, 3] in 0..1 to [B, 3, F, H, W] in -1..1."""
    return clips.movedim(-1, 1) * 2 - 1


def _pca(rows: torch.Tensor, count: int, centred: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [n] and the leading `count` principal directions [count, n] of rows."""
    mean = rows.mean(0) if centred else torch.zeros(rows.shape[1])
    rows = rows - mean
    _, vectors = torch.linalg.eigh(rows.T @ rows / rows.shape[0])
    return mean, vectors.flip(1)[:, :count].T.contiguous()


def _gather(x: torch.Tensor, stride: tuple[int, int, int]) -> torch.Tensor:
    """Blocks as a causal strided convolution sees them. [B, C, T, H, W] -> [B, T', H', W', C * prod(stride)]"""
    t, h, w = stride
    x = torch.cat([x[:, :, :1]] * (t - 1) + [x], dim=2)
    b, c, n = x.shape[:3]
    x = x.reshape(b, c, n // t, t, x.shape[3] // h, h, x.shape[4] // w, w)
    return x.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)


def _write(conv: nn.Module, basis: torch.Tensor) -> None:
    """Put a strided projection [out, in, t, h, w] on the taps of a 3x3x3 causal convolution that hold its block."""
    t, h, w = basis.shape[2:]
    height, width = (slice(1, 3) if n == 2 else slice(1, 2) for n in (h, w))
    conv.weight[: basis.shape[0], : basis.shape[1], 3 - t :, height, width] = basis


def _write_up(conv: nn.Module, basis: torch.Tensor) -> None:
    """Put the transpose of a projection [out, in, t, h, w] before a depth-to-space with channel order (c, t, h, w)."""
    spread = basis.flatten(1).T  # [in * t * h * w, out]
    conv.weight[: spread.shape[0], : basis.shape[0], 1, 1, 1] = spread


def encode(vae: nn.Module, clips: torch.Tensor) -> torch.Tensor:
    """Normalised latents of clips [B, F, H, W, 3] -> [B, 128, T, H, W]; one pass, differentiable."""
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import patchify

    encoder = vae.encoder
    with _whole(encoder):
        mean = encoder._forward_chunk(patchify(_signal(clips), 8))[:, :LATENT]
    return vae.per_channel_statistics.normalize(mean)


def decode(vae: nn.Module, latent: torch.Tensor) -> torch.Tensor:
    """Clips in 0..1 from normalised latents; differentiable, unlike the class's own buffered path."""
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import unpatchify

    x = vae.per_channel_statistics.un_normalize(latent)
    decoder = vae.decoder
    with _whole(decoder):
        x = decoder.conv_in(x, causal=False)
        for block in decoder.up_blocks:
            x = block(x, causal=False)
        x = decoder.conv_act(decoder.conv_norm_out(x))
        x = decoder.conv_out(x, causal=False)
    return unpatchify(x, 8).movedim(1, -1) / 2 + 0.5


@contextmanager
def _whole(half: nn.Module):
    """Within, the half sees its input as the only and last chunk, and forgets it afterwards."""
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import mark_conv3d_ended

    mark_conv3d_ended(half)
    yield
    for module in half.modules():
        if hasattr(module, "temporal_cache_state"):
            module.temporal_cache_state.clear()


def tune(
    vae: nn.Module, seconds: float, generator: torch.Generator, joint: bool, views: tuple[tuple[int, int, int], ...]
) -> None:
    """Train on noisy latents for process seconds: both halves, or the decoder alone with the latents as they are."""
    sets = {size: _set(vae, size, generator) for size in {size for size, _, _ in views}}
    weights = list((vae if joint else vae.decoder).parameters())
    optimiser = torch.optim.Adam(weights, lr=RATE, betas=(0.9, 0.98))
    clock = Clock(seconds)
    while clock.tick():
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, clock.steps / 50) * clock.decay(0.4)
        size, part, count = views[clock.steps % len(views)]
        clips, latents = sets[size]
        pick = torch.randint(len(clips), (count,), generator=generator)
        target = clips[pick].float() / 255
        z = encode(vae, target) if joint else latents[pick]
        top, left = torch.randint((size - part) // CELL + 1, (2,), generator=generator).tolist()
        z = z[..., top : top + part // CELL, left : left + part // CELL]
        target = target[:, :, CELL * top : CELL * top + part, CELL * left : CELL * left + part]
        noise = torch.rand(count, 1, 1, 1, 1, generator=generator) * NOISE
        noisy = z + noise * torch.randn(z.shape, generator=generator)
        loss = (decode(vae, noisy) - target).square().mean()
        growth = (z.square().mean() - 1).clamp(min=0).square()  # or the encoder would drown the noise
        optimiser.zero_grad()
        (loss + 1e-3 * growth).backward()
        nn.utils.clip_grad_norm_(weights, 0.2)
        optimiser.step()
        clock.report(loss)


@torch.no_grad()
def _set(vae: nn.Module, size: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of a size in bytes, and their latents."""
    parts = [draw(64, FRAMES, generator, size) for _ in range(CLIPS[size] // 64)]
    latents = [encode(vae, some) for part in parts for some in part.split(16)]
    return torch.cat([(p * 255).round().to(torch.uint8) for p in parts]), torch.cat(latents)


@torch.no_grad()
def held_out_psnr(vae: nn.Module, count: int = 32, noise: float = 0.0, size: int = 64) -> float:
    """Mean PSNR in dB over clips of held-out combinations, through the encoder and the decoder."""
    from .judge import psnr

    generator = torch.Generator().manual_seed(1)
    scenes = world.sample_scenes(count, generator, FRAMES, held_out=True)
    clips = world.render(scenes, FRAMES, size)
    z = torch.cat([encode(vae, some) for some in clips.split(8)])
    z = z + noise * torch.randn(z.shape, generator=generator)
    out = torch.cat([decode(vae, some) for some in z.split(8)]).clamp(0, 1)
    return sum(psnr(a, b) for a, b in zip(out, clips, strict=True)) / count
