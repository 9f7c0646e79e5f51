"""Where LTX-2 tokens are in time and space: integer pixel units for video, seconds for audio.

Video positions [1, 3, N, 2]: (frame, row, column) start and end; the model divides frames by the frame rate. They stay
int64: ComfyUI casts any other condition to the model's type, in which large positions collapse.
Source: ltx-core patchifiers and conditioning items.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..latents import AUDIO_LATENTS_PER_SECOND, SPATIAL, TEMPORAL

MEL_FRAMES_PER_LATENT = 4
MEL_FRAMES_PER_SECOND = MEL_FRAMES_PER_LATENT * AUDIO_LATENTS_PER_SECOND


def video_positions(frames: int, height: int, width: int) -> Tensor:
    """Positions of a clip of latent size T, H, W: the first latent frame spans one pixel frame."""
    index = torch.stack(
        torch.meshgrid(torch.arange(frames), torch.arange(height), torch.arange(width), indexing="ij")
    ).flatten(1)
    size = torch.tensor([TEMPORAL, SPATIAL, SPATIAL])[:, None]
    positions = torch.stack([index * size, (index + 1) * size], dim=-1)
    positions[0] = (positions[0] + 1 - TEMPORAL).clamp(min=0)
    return positions[None]


def keyframe_positions(frame: int, height: int, width: int) -> Tensor:
    """Positions of a single image at pixel frame `frame`."""
    positions = video_positions(1, height, width)
    positions[:, 0] += frame
    return positions


def reference_positions(frames: int, height: int, width: int, downscale: int = 1, temporal_scale: int = 1) -> Tensor:
    """Positions of a reference video that was shrunk in space and subsampled in time by whole factors."""
    positions = video_positions(frames, height, width)
    positions[:, 1:] *= downscale
    positions[:, 0] = (positions[:, 0] * temporal_scale - (temporal_scale - 1)).clamp(min=0)
    return positions


def audio_positions(frames: int) -> Tensor:
    """Start and end in seconds [1, 1, A, 2]: the first latent frame spans one mel frame."""
    index = torch.arange(frames, dtype=torch.float32)
    first = 1 - MEL_FRAMES_PER_LATENT
    bounds = torch.stack([index * MEL_FRAMES_PER_LATENT, (index + 1) * MEL_FRAMES_PER_LATENT], dim=-1)
    return (bounds + first).clamp(min=0)[None, None] / MEL_FRAMES_PER_SECOND


def audio_reference_positions(frames: int) -> Tensor:
    """Positions of a reference sound, before time 0 with one latent frame between."""
    positions = audio_positions(frames)
    return positions - positions.max() - 1 / AUDIO_LATENTS_PER_SECOND


def frames_in_window(frames: int, fps: float, start_seconds: float, end_seconds: float) -> Tensor:
    """Which of T latent video frames overlap a time window, bool [T]."""
    span = video_positions(frames, 1, 1)[0, 0].to(torch.float32) / fps
    return (span[:, 1] > start_seconds) & (span[:, 0] < end_seconds)


def audio_in_window(frames: int, start_seconds: float, end_seconds: float) -> Tensor:
    """Which of A latent audio frames overlap a time window, bool [A]."""
    span = audio_positions(frames)[0, 0]
    return (span[:, 1] > start_seconds) & (span[:, 0] < end_seconds)
