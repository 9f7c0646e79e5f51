"""Images, clips and sounds encoded as LTX-2 latents of the right size."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from ...utils.core import need
from ...utils.images import fill_and_crop
from ..latents import SPATIAL, TEMPORAL, audio_latent_frames
from .references import subsampled_frames
from .state import State

_management = need("comfy.model_management", "load_models_gpu")

log = logging.getLogger("oner")


def encode_frames(vae, images: Tensor, state: State, *, downscale: int = 1, temporal_scale: int = 1) -> Tensor:
    """Latent [1, 128, t, H/downscale, W/downscale] of images [F, h, w, C] fitted to the clip of `state`.

    Raises ValueError unless F is 8k + 1 (after keeping every temporal_scale-th) and no longer than the clip.
    """
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

    The sound is resampled once, to the rate of the VAE (core's encode node resamples twice).
    """
    wanted = audio_latent_frames(length, fps)
    latent = encode_waveform(vae, audio["waveform"], audio["sample_rate"])
    missing = wanted - latent.shape[2]
    if missing > 0:
        seconds = audio["waveform"].shape[-1] / audio["sample_rate"]
        log.info(
            "Oner: the audio is %.2f s long, the clip %.2f s: the last %.2f s are silence",
            seconds,
            length / fps,
            length / fps - seconds,
        )
        # Silence is not a latent of zeros.
        samples = round((length / fps + 1) * audio["sample_rate"])
        silence = encode_waveform(vae, torch.zeros(1, audio["waveform"].shape[1], samples), audio["sample_rate"])
        tail = silence[:, :, latent.shape[2] : wanted].expand(latent.shape[0], -1, -1, -1)
        latent = torch.cat([latent, tail.to(latent)], dim=2)
    return latent[:, :, :wanted]


def encode_waveform(vae, waveform: Tensor, sample_rate: int) -> Tensor:
    """Audio latent [B, 8, A, 16] of a waveform [B, channels, samples]."""
    memory = vae.memory_used_encode(waveform.shape, vae.vae_dtype)
    _management.load_models_gpu([vae.patcher], memory_required=memory)
    latent = vae.first_stage_model.encode(waveform.to(vae.device, vae.vae_dtype), sample_rate=sample_rate)
    return latent.to(vae.output_device, torch.float32)
