"""Laplacian pyramids of pictures of any size, and blending of two pictures band by band.

Source: Burt and Adelson, "A Multiresolution Spline With Application to Image Mosaics" (1983): kernel 1 4 6 4 1.
Differs from common code: no padding to powers of two (reflected borders keep the parity of the grid), and as a pyramid
is linear only that of the difference is built, so what the mask leaves alone comes back bit by bit.
B pictures, C channels, H W pixels.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 7  # pictures in a pyramid, the finest and the coarsest included: a seam up to 64 pixels soft
ROWS, COLUMNS = -2, -1
SMALLEST = 3  # pixels: a shorter side cannot be reflected by two


def reduce(pictures: Tensor) -> Tensor:
    """[B, C, H, W] blurred and halved to [B, C, ceil(H / 2), ceil(W / 2)]."""
    return _halve(_halve(pictures, COLUMNS), ROWS)


def expand(pictures: Tensor, height: int, width: int) -> Tensor:
    """The smooth picture [B, C, height, width] that `reduce` halves, from [B, C, ceil(height / 2), ceil(width / 2)]."""
    return _double(_double(pictures, height, ROWS), width, COLUMNS)


def gaussian_pyramid(pictures: Tensor, levels: int = LEVELS) -> list[Tensor]:
    """At most `levels` pictures, finest first, each half of the one before; fewer for small pictures."""
    pyramid = [pictures]
    while len(pyramid) < levels and min(pyramid[-1].shape[-2:]) >= SMALLEST:
        pyramid.append(reduce(pyramid[-1]))
    return pyramid


def laplacian_pyramid(pictures: Tensor, levels: int = LEVELS) -> list[Tensor]:
    """What each level adds to the next coarser one, finest first; the last is the coarsest picture itself."""
    smooth = gaussian_pyramid(pictures, levels)
    details = [fine - expand(coarse, *fine.shape[-2:]) for fine, coarse in pairwise(smooth)]
    return [*details, smooth[-1]]


def collapse(pyramid: list[Tensor]) -> Tensor:
    """The picture of a Laplacian pyramid."""
    picture = pyramid[-1]
    for detail in reversed(pyramid[:-1]):
        picture = detail + expand(picture, *detail.shape[-2:])
    return picture


def blend(inside: Tensor, outside: Tensor, mask: Tensor, levels: int = LEVELS) -> Tensor:
    """`inside` where mask [B, 1, H, W] is 1, `outside` where it is 0, both [B, C, H, W]; each band has its own seam."""
    difference = laplacian_pyramid(inside - outside, levels)
    weights = gaussian_pyramid(mask, levels)
    return outside + collapse([detail * weight for detail, weight in zip(difference, weights, strict=True)])


def _halve(pictures: Tensor, axis: int) -> Tensor:
    """Every second value along an axis of what 1 4 6 4 1 makes of them; only those are computed."""
    size = -(-pictures.shape[axis] // 2)
    padded = F.pad(pictures, (2, 2, 0, 0) if axis == COLUMNS else (0, 0, 2, 2), mode="reflect")
    first, second, middle, fourth, fifth = (padded[_at(axis, slice(k, k + 2 * size - 1, 2))] for k in range(5))
    return ((first + fifth) + 4 * (second + fourth) + 6 * middle) / 16


def _double(pictures: Tensor, size: int, axis: int) -> Tensor:
    """1 4 6 4 1 over the values with zeros between them, times 2: at even places 1 6 1, at odd ones 4 4, of 8."""
    last = pictures.shape[axis] - 1
    # Reflected at the border of the larger picture, where a value or a zero may be last.
    beyond = pictures.narrow(axis, last if size % 2 == 0 else last - 1, 1)
    padded = torch.cat([pictures.narrow(axis, 1, 1), pictures, beyond], dim=axis)
    before, after = padded.narrow(axis, 0, last + 1), padded.narrow(axis, 2, last + 1)
    shape = list(pictures.shape)
    shape[axis] = size
    doubled = pictures.new_empty(shape)
    doubled[_at(axis, slice(0, None, 2))] = (before + 6 * pictures + after) / 8
    doubled[_at(axis, slice(1, None, 2))] = ((pictures + after) / 2).narrow(axis, 0, size // 2)
    return doubled


def _at(axis: int, part: slice) -> tuple:
    return (..., part) if axis == COLUMNS else (..., part, slice(None))
