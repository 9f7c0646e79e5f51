"""The parts of a LATENT's samples: a video latent, or ComfyUI's NestedTensor of video and audio. B: batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# What the pack's nodes put into a LATENT beside ComfyUI's keys: ltx/ltx2/state.py says what each means.
INIT, INIT_OF, GUIDE_FRAMES = "oner_init", "oner_init_of", "oner_guide_frames"
UNWINDOWED, WINDOWED = "oner_unwindowed", "oner_windowed"
LEAD = "oner_lead"  # sound of the pictures before a piece's first one, of which it has the latent frame
OWN = (INIT, INIT_OF, GUIDE_FRAMES, UNWINDOWED, WINDOWED)


def video_part(samples: Tensor) -> Tensor:
    """The video latent [B, C, T, H, W] of a video or audio-video latent."""
    return samples.tensors[0] if getattr(samples, "is_nested", False) else samples


def audio_part(samples: Tensor) -> Tensor | None:
    """The audio latent [B, C, A, M] of an audio-video latent; None for a video latent."""
    return samples.tensors[1] if getattr(samples, "is_nested", False) else None


def with_video_part(latent: dict[str, Any], video: Tensor) -> dict[str, Any]:
    """The LATENT with another video part; audio, if there is any, stays."""
    samples = latent["samples"]
    if not getattr(samples, "is_nested", False):
        return {**latent, "samples": video}
    return {**latent, "samples": type(samples)([video, *samples.tensors[1:]])}


def clip_part(latent: dict[str, Any]) -> Tensor:
    """The video latent [B, C, T, H, W] without appended frames (keyframes, references), where the LATENT counts them.

    Raises ValueError for an image's latent.
    """
    video = video_part(latent["samples"])
    if video.ndim != 5:
        raise ValueError(f"the latent has shape {tuple(video.shape)}: connect a video latent [B, C, T, H, W]")
    return video[:, :, : video.shape[2] - latent.get(GUIDE_FRAMES, 0)]


def with_clip_part(latent: dict[str, Any], clip: Tensor) -> dict[str, Any]:
    """The LATENT with another clip of the same length; audio and appended frames stay."""
    appended = video_part(latent["samples"])[:, :, clip.shape[2] :]
    return with_video_part(latent, torch.cat([clip, appended], dim=2) if appended.shape[2] else clip)


def unconditioned(latent: dict[str, Any]) -> dict[str, Any]:
    """The LATENT without what says which part of it is given."""
    return {key: value for key, value in latent.items() if key not in (*OWN, "noise_mask")}


def match_batch(latent: Tensor, batch: int, name: str, other: str) -> Tensor:
    """A latent [B or 1, ...] for a batch of `batch`. Raises ValueError with both numbers and the inputs' names."""
    if latent.shape[0] not in (1, batch):
        raise ValueError(
            f"{name} holds {latent.shape[0]} clips and {other} {batch}: give as many of both, or one as {name}"
        )
    return latent.expand(batch, *latent.shape[1:])


def match_batches(first: Tensor, second: Tensor, names: tuple[str, str]) -> tuple[Tensor, Tensor]:
    """Two latents with one batch: one of batch 1 is repeated. Raises ValueError with both numbers."""
    batch = max(first.shape[0], second.shape[0])
    return match_batch(first, batch, *names), match_batch(second, batch, *reversed(names))


def cross_fade(first: Tensor, second: Tensor, overlap: int, axis: int = 2) -> Tensor:
    """`first` going over into `second` along `axis`, within `overlap` frames that both have."""
    fading = first.narrow(axis, first.shape[axis] - overlap, overlap)
    coming = second.narrow(axis, 0, overlap)
    weights = torch.linspace(0, 1, overlap + 2)[1:-1].to(first)
    weights = weights.view([-1 if i == axis else 1 for i in range(first.ndim)])
    before = first.narrow(axis, 0, first.shape[axis] - overlap)
    after = second.narrow(axis, overlap, second.shape[axis] - overlap)
    return torch.cat([before, torch.lerp(fading, coming, weights), after], dim=axis)
