"""Prompts on a time line in LTX: which tokens of the picture are which latent frame of the clip.

Keyframes and references lie behind the clip's frames, and have no time. N tokens.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..samplers.windows.text_bias import TimedText, Track, need_length, picture
from .latents import TEMPORAL as STEP

__all__ = ["STEP", "text_attentions", "video_track"]


def text_attentions(network: Any, name: str) -> list[str]:
    """Where the attentions of a name are in each block."""
    return [f"transformer_blocks.{i}.{name}" for i in range(len(network.transformer_blocks))]


def video_track(timed: TimedText, video: Tensor, keyframes: Tensor | None) -> Track:
    """The track of a video latent whose last frames are those with the positions `keyframes` [B, 3, N, 2]."""
    frames, height, width = video.shape[2:]
    appended = 0 if keyframes is None else keyframes.shape[2] // (height * width)
    need_length(timed, frames - appended)
    return picture(timed, height * width)
