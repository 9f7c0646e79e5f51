"""The parts of a LATENT's samples: a video latent, or ComfyUI's NestedTensor of video and audio."""

from __future__ import annotations

from typing import Any

from torch import Tensor


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
