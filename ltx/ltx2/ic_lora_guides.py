"""Guide videos of the in- and outpainting IC-LoRA: what is to be made is green, and the result is blended back.

Values: the LoRA was trained on #66FF00; the blend mask is widened at a size of 64 on the long side (ltxvideo pack).
F frames, H W pixels, C channels; masks [F, H, W] with 1 = to be made.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor

from ...utils import images, pyramid
from ..latents import TEMPORAL

GREEN = (102 / 255, 255 / 255, 0.0)
BLEND_MASK_SIDE = 64  # long side of the mask that is widened before blending
BLEND_CHUNK = 8  # frames blended at once


def nearest_size(width: int, height: int, multiple: int) -> tuple[int, int]:
    """The legal size nearest to a size in pixels, each side at least one multiple."""
    width, height = (max(1, math.floor(side / multiple + 0.5)) * multiple for side in (width, height))
    return width, height


def fit_length(frames: Tensor, length: int, temporal_scale: int = 1, *, repeat: bool = False) -> Tensor:
    """The first `length` frames of [F, ...], or for 0 as many as fit; a multiple of 8 * temporal_scale, plus 1.

    With `repeat` the last frame fills up what is missing, for 0 up to the next such number.
    Raises ValueError if `length` is no such number, or there are fewer frames and none may be repeated.
    """
    step, given = TEMPORAL * temporal_scale, frames.shape[0]
    fitting = (given - 1) // step * step + 1
    if length and (length - 1) % step:
        below = (length - 1) // step * step + 1
        raise ValueError(f"length is {length}; LTX needs {step}k+1 frames here: use {below} or {below + step}")
    if repeat:
        return images.fit_length(frames, length or -(-(given - 1) // step) * step + 1)
    if given < length:
        raise ValueError(
            f"the video has {given} frames and length is {length}: use {fitting} or less, or let LTX Fit Video repeat "
            "the last frame"
        )
    return frames[: length or fitting]


def fit_inside(frames: Tensor, width: int, height: int) -> Tensor:
    """Frames [F, h, w, C] scaled, keeping their shape, to touch two sides of width x height from inside."""
    scale = min(width / frames.shape[2], height / frames.shape[1])
    size = [max(1, round(side * scale)) for side in frames.shape[1:3]]
    if size == list(frames.shape[1:3]):
        return frames
    return functional.interpolate(frames.movedim(-1, 1), size=size, mode="bilinear", antialias=True).movedim(1, -1)


def fit_mask(mask: Tensor, width: int, height: int) -> Tensor:
    """Masks [F, h, w] scaled and cropped as `fill_and_crop` does with frames."""
    return images.fill_and_crop(mask.unsqueeze(-1), width, height)[..., 0]


def place_on_canvas(
    frames: Tensor, width: int, height: int, horizontal: float, vertical: float
) -> tuple[Tensor, Tensor]:
    """Frames on a canvas of width x height and the mask [F, height, width] of what lies around them.

    horizontal, vertical: 0 = at the left or top, 1 = at the right or bottom. The margin repeats the frame's edge, so
    that blending finds no foreign colour there.
    """
    _, rows, columns, _ = frames.shape
    left, top = round((width - columns) * horizontal), round((height - rows) * vertical)
    padding = (left, width - columns - left, top, height - rows - top)
    canvas = functional.pad(frames.movedim(-1, 1), padding, mode="replicate").movedim(1, -1)
    mask = torch.ones(frames.shape[0], height, width, dtype=frames.dtype, device=frames.device)
    mask[:, top : top + rows, left : left + columns] = 0
    return canvas, mask


def paint_green(frames: Tensor, mask: Tensor) -> Tensor:
    """Frames [F, H, W, C] with the masked part (above 0.5) in the LoRA's green, as [F, H, W, 3]."""
    green = torch.tensor(GREEN, dtype=frames.dtype, device=frames.device)
    return torch.where(mask.unsqueeze(-1) > 0.5, green, frames[..., :3])


def grow_mask(mask: Tensor, pixels: int, frames: int) -> Tensor:
    """Mask of 0 and 1: 1 within `pixels` (a square) and `frames` of where the given one [F, H, W] is above 0.5."""
    grown = (mask > 0.5).to(mask.dtype)
    if pixels:
        grown = _widest(_widest(grown, pixels).mT, pixels).mT  # a square is the line of lines
    return _widest(grown.movedim(0, -1), frames).movedim(-1, 0) if frames else grown


def blend_mask(mask: Tensor, grow: int) -> Tensor:
    """Mask [F, H, W] widened by `grow` pixels of a mask whose long side is 64, so that seams lie outside; 0 = as is."""
    if grow == 0:
        return mask
    height, width = mask.shape[1:]
    scale = min(1.0, BLEND_MASK_SIDE / max(height, width))
    size = [max(1, round(side * scale)) for side in (height, width)]
    # The largest value of each cell, not the mean: thin parts of the mask must not fade.
    small = functional.adaptive_max_pool2d(mask.unsqueeze(1), size)
    small = functional.max_pool2d(small, 2 * grow + 1, stride=1, padding=grow)
    return functional.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)[:, 0]


def blend_back(inside: Tensor, outside: Tensor, mask: Tensor) -> Tensor:
    """Frames [F, H, W, 3] blended by a Laplacian pyramid: `inside` where mask [F, H, W] is 1, else `outside`."""
    blended = pyramid.blend(inside.movedim(-1, 1), outside.movedim(-1, 1), mask.unsqueeze(1))
    return blended.movedim(1, -1).clamp(0, 1)


def _widest(values: Tensor, radius: int) -> Tensor:
    """The largest value within `radius` along the last axis; wide windows are made of doubled ones."""
    values, covered, window = functional.pad(values, (radius, radius)), 1, 2 * radius + 1
    while covered < window:
        step = min(covered, window - covered)
        values, covered = torch.maximum(values[..., :-step], values[..., step:]), covered + step
    return values
