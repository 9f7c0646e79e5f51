"""Sizes of LTX-Video clips: padding to what the network takes and back, and the two sizes of multi-scale.

Rules of the 0.9.8 pipeline: sides are padded to multiples of 32 (evenly, an odd pixel to the bottom and right), frames
to 8k + 1 at the end. Added pixels repeat the edge. Shapes: frames [F, H, W, C] in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..latents import SPATIAL, TEMPORAL

CHUNK = 16  # frames resized at once


def padded_side(pixels: int) -> int:
    """The next multiple of 32."""
    return -(-pixels // SPATIAL) * SPATIAL


def padded_length(frames: int) -> int:
    """The next 8k + 1, at least 9 for more than one frame."""
    return ((frames - 2) // TEMPORAL + 1) * TEMPORAL + 1


def first_pass_side(pixels: int, downscale_factor: float) -> int:
    """Side of the first pass of multi-scale; the second pass has twice this."""
    return int(pixels * downscale_factor) // SPATIAL * SPATIAL


def pad_frames(frames: Tensor, pad_length: bool = True) -> Tensor:
    """Pad [F, H, W, C] to legal sides and, if asked, a legal length, by repeating the edge and the last frame."""
    count, height, width, _ = frames.shape
    rows, columns = padded_side(height) - height, padded_side(width) - width
    padding = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    padded = functional.pad(frames.movedim(-1, 1), padding, mode="replicate").movedim(1, -1)
    missing = padded_length(count) - count if pad_length else 0
    return torch.cat([padded, padded[-1:].expand(missing, -1, -1, -1)]) if missing else padded


def fit_frames(frames: Tensor, width: int, height: int, length: int) -> Tensor:
    """Undo the padding: resize to the padded size where multi-scale left another one, then crop [F, H, W, C]."""
    padded_height, padded_width = padded_side(height), padded_side(width)
    top, left = (padded_height - height) // 2, (padded_width - width) // 2
    cropped = []
    for chunk in frames[:length].split(CHUNK):
        if chunk.shape[1:3] != (padded_height, padded_width):
            size = (padded_height, padded_width)
            chunk = functional.interpolate(chunk.movedim(-1, 1), size, mode="bilinear").movedim(1, -1)
        cropped.append(chunk[:, top : top + height, left : left + width])
    return torch.cat(cropped)
