"""Latents as token sequences and back: the order in which LTX transformers see a latent.

Video latent [B, C, T, H, W] <-> tokens [B, T*H*W, C] in frame, row, column order.
Audio latent [B, C, A, M] <-> tokens [B, A, C*M], channel-major.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def to_tokens(latent: Tensor) -> Tensor:
    """Tokens [B, N, D] of a video latent (5 axes) or an audio latent (4 axes)."""
    if latent.ndim == 5:
        return latent.flatten(2).transpose(1, 2)
    return latent.transpose(1, 2).flatten(2)


def from_tokens(tokens: Tensor, shape: Sequence[int]) -> Tensor:
    """The latent of `shape` (video or audio, see `to_tokens`) made of tokens [B, N, D]."""
    if len(shape) == 5:
        return tokens.transpose(1, 2).reshape(tokens.shape[0], *shape[1:])
    return tokens.unflatten(2, (shape[1], shape[3])).transpose(1, 2)
