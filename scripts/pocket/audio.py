"""Audio VAE and vocoder of LTX-2.3 on the tones of the synthetic world: core's classes, one after the other.

The vocoder has no memory: where the spectrogram stands still, it repeats one frame of 10 ms for ever. So the world's
pitches are multiples of 100 Hz, and as tones start at phase 0 the wave itself is the target. The bandwidth extension
adds nothing (zero last convolution) to core's resampled skip. Letters: B sounds, N samples, T mel frames, K latents.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from tiny.ltx import AUDIO_VAE, VOCODER_BWE, mel_bases

from . import ltx_vae, world
from .budget import Clock, log
from .judge import pitch
from .trainer import initialise

FRAMES, FPS, RATE, HOP = ltx_vae.FRAMES, 24.0, 16000, 160
SOUNDS, BATCH = 384, 8
SHARE = 0.5  # of the budget for the VAE
_BLOCKS = {**AUDIO_VAE["model"]["params"]["ddconfig"], "ch": 8}
CONFIG = {
    "audio_vae": {**AUDIO_VAE, "model": {"params": {"ddconfig": _BLOCKS, "sampling_rate": RATE}}},
    "vocoder": {
        "vocoder": {
            **VOCODER_BWE["vocoder"],
            "upsample_initial_channel": 64,
            "upsample_rates": [16, 10],
            "upsample_kernel_sizes": [32, 20],
        },
        "bwe": {**VOCODER_BWE["bwe"], "upsample_initial_channel": 16},
    },
}


def build(seed: int) -> nn.Module:
    """Core's AudioVAE at this size, initialised; latents are not normalised yet."""
    from comfy.ldm.lightricks.vae.audio_vae import AudioVAE

    audio = AudioVAE({"config": CONFIG})
    initialise(audio, seed)
    with torch.no_grad():
        statistics = audio.autoencoder.per_channel_statistics
        statistics.get_buffer("mean-of-means").zero_()
        statistics.get_buffer("std-of-means").fill_(1)
        for name, p in audio.vocoder.vocoder.named_parameters():
            if name.endswith("weight") and ("convs2" in name or name.startswith(("conv_pre", "conv_post"))):
                p.mul_(0.1)  # or it would start, and stay, where the clamp behind it has no slope
        audio.vocoder.bwe_generator.conv_post.weight.zero_()
        for key, value in mel_bases(CONFIG["vocoder"]["bwe"]).items():
            audio.get_buffer(key).copy_(value)
        audio.vocoder.mel_stft.stft_fn.inverse_basis.zero_()
    return audio


def sounds(scenes: list[world.Scene], frames: int) -> torch.Tensor:
    """Their tones. [B, 2, N]"""
    return torch.stack([world.tone(s, frames, FPS, RATE) for s in scenes])


def encode(audio: nn.Module, sound: torch.Tensor) -> torch.Tensor:
    """Normalised latents [B, 8, K, 16] of sounds [B, 2, N] at 16 kHz."""
    return audio.encode(sound, RATE)


def load(path: Path) -> nn.Module:
    """Core's AudioVAE with the weights in a checkpoint."""
    model = build(0)
    weights = {k.replace("audio_vae.", "autoencoder.", 1): v.float() for k, v in load_file(path).items()}
    model.load_state_dict({k: v for k, v in weights.items() if k in model.state_dict()})
    return model


def train(seconds: float, seed: int, folder: Path, resume: bool) -> tuple[dict, dict]:
    """Returns (state dict with the keys of a whole checkpoint, metadata config).

    resume tunes the decoder and the vocoder that are there, so that the latents and the transformer beside them stay.
    """
    from .recipes import RECIPES

    generator = torch.Generator().manual_seed(seed + (100 if resume else 0))
    scenes = world.sample_scenes(SOUNDS, generator, FRAMES, anywhere=True)
    wave = sounds(scenes, FRAMES) * torch.rand(SOUNDS, 1, 1, generator=generator).sqrt() * 1.2
    path = folder / RECIPES["ltx2-audio"].file
    audio = load(path) if resume else build(seed)
    mel = audio.preprocessor.waveform_to_mel(wave, RATE, wave.device)
    if not resume:
        tune_codec(audio, mel, seconds * SHARE, generator)
        seconds *= 1 - SHARE
    with torch.no_grad():
        z = torch.cat([codes(audio, part) for part in mel.split(64)])
    if not resume:
        normalise(audio, z)
    tune_sound(audio, z, mel, wave, seconds, generator)
    log(f"held out: pitch {held_out_pitch(audio):.3f}, with latent noise 0.3: {held_out_pitch(audio, noise=0.3):.3f}")
    state = {k.replace("autoencoder.", "audio_vae.", 1): v for k, v in audio.state_dict().items()}
    if not resume:
        return state, CONFIG
    with safe_open(path, framework="pt") as file:
        return load_file(path) | state, json.loads(file.metadata()["config"])


def codes(audio: nn.Module, mel: torch.Tensor) -> torch.Tensor:
    """Latents [B, 8, K, 16] of spectrograms [B, 2, T, 64] before they are normalised."""
    return audio.autoencoder.encode(mel).chunk(2, dim=1)[0]


def spectrogram(audio: nn.Module, z: torch.Tensor) -> torch.Tensor:
    """Spectrograms [B, 2, 4K - 3, 64] of latents that are not normalised."""
    return audio.autoencoder.decode(z, target_shape=audio.target_shape_from_latents(z.shape))


def disturbed(z: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Latents with up to 0.3 of noise, as a sampler may leave in them."""
    level = torch.rand(len(z), 1, 1, 1, generator=generator) * 0.3
    return z + level * torch.randn(z.shape, generator=generator)


def tune_codec(audio: nn.Module, mel: torch.Tensor, seconds: float, generator: torch.Generator) -> None:
    """Encoder and decoder on spectrograms [B, 2, T, 64], with noise on the latents."""
    weights = list(audio.autoencoder.parameters())
    with torch.no_grad():
        audio.autoencoder.decoder.conv_out.conv.bias.fill_(mel.mean())
    for loss in _steps(weights, seconds, 3e-3):
        target = mel[torch.randint(len(mel), (BATCH,), generator=generator)]
        z = codes(audio, target)
        out = spectrogram(audio, disturbed(z, generator))
        growth = (z.square().mean() - 1).clamp(min=0).square()  # or the encoder would drown the noise
        error = out - target[:, :, : out.shape[2]]
        loss(error.abs().mean() + 0.1 * error.square().mean() + growth)


@torch.no_grad()
def normalise(audio: nn.Module, z: torch.Tensor) -> None:
    """Write the statistics of latents [B, 8, K, 16]: mean 0 and rms 1, where a channel holds anything."""
    z = z.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)  # [B * K, 128]
    std = z.std(0)
    statistics = audio.autoencoder.per_channel_statistics
    statistics.get_buffer("mean-of-means").copy_(z.mean(0))
    statistics.get_buffer("std-of-means").copy_(std.clamp(min=0.3 * std.square().mean().sqrt()))


def tune_sound(audio: nn.Module, z: torch.Tensor, mel: torch.Tensor, wave: torch.Tensor, seconds: float, generator):
    """The decoder and the base vocoder on noisy latents as they are: the wave itself, its spectra and its loudness."""
    weights = [*audio.autoencoder.decoder.parameters(), *audio.vocoder.vocoder.parameters()]
    for loss in _steps(weights, seconds, 2e-3):
        pick = torch.randint(len(z), (BATCH // 2,), generator=generator)
        shown = spectrogram(audio, disturbed(z[pick], generator))
        out = audio.vocoder.vocoder(shown.transpose(2, 3))
        target = wave[pick, :, : out.shape[2]]
        spectra = sum(_apart(out, target, size) for size in (256, 1024))
        heard = 10 * (out - target).abs().mean() + spectra + 0.5 * (_loudness(out) - _loudness(target)).abs().mean()
        loss(heard + (shown - mel[pick, :, : shown.shape[2]]).abs().mean())


def _loudness(sound: torch.Tensor) -> torch.Tensor:
    """Logarithm of the power of every 10 ms of a sound [B, 2, N]: what tells the balance."""
    return sound.unflatten(2, (-1, HOP)).square().mean(3).add(1e-4).log()


def _apart(a: torch.Tensor, b: torch.Tensor, size: int) -> torch.Tensor:
    """Mean distance of the magnitudes of two sounds, as a share of the second."""
    a, b = (
        torch.stft(x.flatten(0, 1), size, size // 4, window=torch.hann_window(size), return_complex=True).abs()
        for x in (a, b)
    )
    return (a - b).abs().mean() / b.mean().clamp(min=1e-3)


def _steps(weights: list[nn.Parameter], seconds: float, rate: float):
    """Adam by the clock: yields a function that takes the loss of each step."""
    optimiser, clock = torch.optim.Adam(weights, lr=rate, betas=(0.9, 0.98)), Clock(seconds)

    def step(loss: torch.Tensor) -> None:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, clock.steps / 50) * clock.decay(0.3)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 0.5)
        optimiser.step()
        clock.report(loss.detach())

    while clock.tick():
        yield step


@torch.no_grad()
def held_out_pitch(audio: nn.Module, count: int = 16, noise: float = 0.0) -> float:
    """Share of held-out scenes whose tone still tells the shape after encoding and decoding."""
    generator = torch.Generator().manual_seed(1)
    scenes = world.sample_scenes(count, generator, FRAMES, held_out=True)
    z = encode(audio, sounds(scenes, FRAMES))
    out = audio.decode(z + noise * torch.randn(z.shape, generator=generator))
    return sum(pitch(o, 3 * RATE) == s.shape for o, s in zip(out, scenes, strict=True)) / count
