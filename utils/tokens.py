"""Latents as token sequences and back: the order in which LTX transformers see a latent.

Video latent [B, C, T, H, W] <-> tokens [B, T*H*W, C] in frame, row, column order.
Audio latent [B, C, A, M] <-> tokens [B, A, C*M], channel-major.
"""

from __future__ import annotations

from collections.abc import Sequence

from einops import rearrange
from torch import Tensor


def to_tokens(latent: Tensor) -> Tensor:
    """Tokens [B, N, D] of a video latent (5 axes) or an audio latent (4 axes)."""
    if latent.ndim == 5:
        return rearrange(latent, "b c t h w -> b (t h w) c")
    return rearrange(latent, "b c a m -> b a (c m)")


def from_tokens(tokens: Tensor, shape: Sequence[int]) -> Tensor:
    """The latent of `shape` (video or audio, see `to_tokens`) made of tokens [B, N, D]."""
    if len(shape) == 5:
        frames, height, width = shape[2:]
        return rearrange(tokens, "b (t h w) c -> b c t h w", t=frames, h=height, w=width)
    return rearrange(tokens, "b a (c m) -> b c a m", c=shape[1])
