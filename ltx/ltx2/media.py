"""Images, clips and sounds encoded as LTX-2 latents of the right size."""

from __future__ import annotations

import logging
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ...utils.core import need
from ...utils.images import fill_and_crop
from ..checks import need_video_vae
from ..latents import AUDIO_LATENTS_PER_SECOND, SPATIAL, TEMPORAL, audio_latent_frames
from .references import subsampled_frames
from .state import State

_management = need("comfy.model_management", "load_models_gpu")

log = logging.getLogger("oner")

MARGIN = 1.0  # seconds behind the clip that are encoded with it
VAE_RATE, WINDOW = 16000, 1024  # Hz; samples of the spectrogram's window
LARGEST_FILTER = 50_000_000  # values


def encode_frames(vae, images: Tensor, state: State, *, downscale: int = 1, temporal_scale: int = 1) -> Tensor:
    """Latent [1, 128, t, H/downscale, W/downscale] of images [F, h, w, C] fitted to the clip of `state`.

    Raises ValueError unless F is 8k + 1 (after keeping every temporal_scale-th) and no longer than the clip, and for a
    VAE that makes no video latents.
    """
    need_video_vae(vae)
    given = images.shape[0]
    images = images[subsampled_frames(given, temporal_scale)] if temporal_scale > 1 else images
    length = images.shape[0]
    if (length - 1) % TEMPORAL:
        lower = (length - 1) // TEMPORAL * TEMPORAL + 1
        detail = f" ({length} after keeping every {temporal_scale}th)" if temporal_scale > 1 else ""
        raise ValueError(f"there are {given} frames{detail}; LTX needs 8k+1: use {lower} or {lower + TEMPORAL}")
    clip = (state.clip_frames - 1) * TEMPORAL + 1
    if given > clip:
        raise ValueError(f"there are {given} frames for a clip of {clip}: cut them to {clip} or make the clip longer")
    height, width = (size * SPATIAL // downscale for size in state.video.clean.shape[3:])
    return vae.encode(fill_and_crop(images, width, height)[..., :3])


def encode_sound(vae, audio: dict, length: int, fps: float) -> Tensor:
    """Latent [B, 8, A, 16] of an AUDIO for a clip of `length` frames: cut, or continued with encoded silence.

    The sound is resampled once, to the rate of the VAE (core's encode node resamples twice). What lies behind the clip
    is cut before: the VAE looks back in time alone, and the spectrogram a hundredth of a second ahead.
    """
    return encode_latents(vae, audio, max(1, audio_latent_frames(length, fps)), length / fps)


def encode_latents(vae, audio: dict, wanted: int, clip: float) -> Tensor:
    """The same as `wanted` latent frames, for a clip of so many seconds."""
    rate = audio["sample_rate"]
    waveform = audio["waveform"][..., : math.ceil((wanted / AUDIO_LATENTS_PER_SECOND + MARGIN) * rate)]
    latent = encode_waveform(vae, long_enough(waveform, rate), rate)
    missing = wanted - latent.shape[2]
    if missing > 0:
        seconds = audio["waveform"].shape[-1] / rate
        log.info(
            "Oner: the audio is %.2f s long, the clip %.2f s: the last %.2f s are silence",
            seconds,
            clip,
            clip - seconds,
        )
        # Silence is not a latent of zeros.
        samples = round((clip + 1) * rate)
        silence = encode_waveform(vae, torch.zeros(1, waveform.shape[1], samples), rate)
        tail = silence[:, :, latent.shape[2] : wanted].expand(latent.shape[0], -1, -1, -1)
        latent = torch.cat([latent, tail.to(latent)], dim=2)
    return latent[:, :, :wanted]


def long_enough(waveform: Tensor, rate: int) -> Tensor:
    """The waveform, or with silence behind it where it is shorter than the window of the spectrogram."""
    if math.ceil(waveform.shape[-1] * VAE_RATE / rate) > WINDOW // 2:
        return waveform
    return F.pad(waveform, (0, math.ceil(WINDOW * rate / VAE_RATE)))


def resampled_from(rate: int) -> int:
    """The rate to resample from: the nearest 10 Hz where the filter to the VAE's rate would take gigabytes.

    It has rate x 16000 values, each divided by the greatest common divisor of the two: 44101 Hz takes 3 GB.
    """
    if rate * VAE_RATE // math.gcd(rate, VAE_RATE) ** 2 <= LARGEST_FILTER:
        return rate
    log.info("Oner: a sound of %d Hz is taken as one of %d Hz", rate, round(rate, -1))
    return round(rate, -1)


def encode_waveform(vae, waveform: Tensor, sample_rate: int) -> Tensor:
    """Audio latent [B, 8, A, 16] of a waveform [B, channels, samples]."""
    memory = vae.memory_used_encode(waveform.shape, vae.vae_dtype)
    _management.load_models_gpu([vae.patcher], memory_required=memory)
    sample_rate = resampled_from(sample_rate)
    latent = vae.first_stage_model.encode(waveform.to(vae.device, vae.vae_dtype), sample_rate=sample_rate)
    return latent.to(vae.output_device, torch.float32)
