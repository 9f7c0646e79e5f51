"""What nodes of every LTX generation refuse before any work: VAEs and latents of other models."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .latents import AUDIO_BINS, AUDIO_CHANNELS, VIDEO_CHANNELS


def need_video_vae(vae: Any, name: str = "vae") -> None:
    """Raise ValueError unless a VAE makes LTX video latents; `name` is the input it came through."""
    if vae.latent_dim != 3 or vae.latent_channels != VIDEO_CHANNELS:
        kind = "an audio VAE" if getattr(vae, "audio_sample_rate_output", None) else "another model's VAE"
        raise ValueError(
            f"{name} is {kind} with {vae.latent_channels} latent channels; LTX video latents need the video VAE with "
            f"{VIDEO_CHANNELS}: connect the vae output of LTX Model Loader"
        )


def need_video_latent(video: Tensor, name: str = "latent") -> None:
    """Raise ValueError unless a tensor is an LTX video latent [B, 128, T, H, W]."""
    if video.ndim != 5 or video.shape[1] != VIDEO_CHANNELS or not video.numel():
        raise ValueError(
            f"{name} has shape {tuple(video.shape)}; an LTX video latent is [B, {VIDEO_CHANNELS}, T, H, W]: connect a "
            "latent of LTX Empty Latent or of an LTX VAE"
        )


def need_no_appended_frames(prompts: dict[str, list[dict]]) -> None:
    """Raise ValueError if the options of a prompt tell of frames that a latent without a mask does not have."""
    for name, prompt in prompts.items():
        if any(options.get("keyframe_idxs") is not None for options in prompt):
            raise ValueError(
                f"{name} tells of appended frames, and the latent has none: connect the prompts and the latent of the "
                "same node"
            )


def need_audio_latent(audio: Tensor, name: str = "latent") -> None:
    """Raise ValueError unless a tensor is an LTX-2 audio latent [B, 8, A, 16]."""
    if audio.ndim != 4 or audio.shape[1] != AUDIO_CHANNELS or audio.shape[3] != AUDIO_BINS:
        raise ValueError(
            f"{name} has sound of shape {tuple(audio.shape)}; an LTX-2 audio latent is [B, {AUDIO_CHANNELS}, A, "
            f"{AUDIO_BINS}]: encode a sound with LTX Encode Audio"
        )


def check_spatial_upsampler(upscale_model: Any) -> None:
    """Raise ValueError for a LATENT_UPSCALE_MODEL that does not enlarge LTX latents."""
    model = getattr(upscale_model, "model", upscale_model)  # ComfyUI 0.27 and older load the bare network
    if not getattr(model, "spatial_upsample", False) or model.in_channels != VIDEO_CHANNELS:
        raise ValueError(
            "upscale_model is not a spatial LTX latent upsampler: load ltx-2.3-spatial-upscaler-x2 or -x1.5, or that "
            "of LTX-2.5"
        )
