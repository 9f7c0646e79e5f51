"""Colours between sRGB code values, linear light and CIE Lab, and how far two are apart. Shapes: [..., 3].

Source: IEC 61966-2-1 (sRGB curve, primaries and D65 white), CIE 15 (Lab; colour difference of 1976).
"""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.2126, 0.7152, 0.0722)
TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
# White is the sum of each row, so that grey has an a and b of 0.
TO_XYZ_OF_WHITE = torch.tensor(TO_XYZ, dtype=torch.float64) / torch.tensor(TO_XYZ, dtype=torch.float64).sum(1)[:, None]
FROM_XYZ_OF_WHITE = torch.linalg.inv(TO_XYZ_OF_WHITE)
KNEE = 6 / 29  # of Lab's cube root: below it a line


def srgb_to_linear(code: Tensor) -> Tensor:
    """Linear light of sRGB code values in 0..1, any shape."""
    high = ((code.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(code <= 0.04045, code / 12.92, high)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """sRGB code values of linear light in 0..1, any shape."""
    high = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, high)


def mapped(colours: Tensor, matrix: Tensor) -> Tensor:
    """Colours after a matrix [3, 3], or [3, 4] whose last column is added; the same on every number of threads."""
    columns = matrix.to(colours).unbind(1)
    red, green, blue = (colours[..., k : k + 1] * columns[k] for k in range(3))
    return red + green + blue if len(columns) == 3 else red + green + blue + columns[3]


def linear_to_lab(linear: Tensor) -> Tensor:
    """L in 0..100, a and b, of linear sRGB light."""
    xyz = mapped(linear, TO_XYZ_OF_WHITE)
    roots = torch.where(xyz > KNEE**3, xyz.clamp(min=KNEE**3) ** (1 / 3), xyz / (3 * KNEE**2) + 4 / 29)
    x, y, z = roots.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def lab_to_linear(lab: Tensor) -> Tensor:
    """Linear sRGB light of Lab, also outside of 0..1."""
    lightness, a, b = lab.unbind(-1)
    y = (lightness + 16) / 116
    roots = torch.stack([y + a / 500, y, y - b / 200], -1)
    return mapped(torch.where(roots > KNEE, roots**3, 3 * KNEE**2 * (roots - 4 / 29)), FROM_XYZ_OF_WHITE)


def delta_e(first: Tensor, second: Tensor) -> Tensor:
    """[...]: distance in Lab (CIE76) of linear light [..., 3]; 2.3 is just seen."""
    return (linear_to_lab(first) - linear_to_lab(second)).square().sum(-1).sqrt()


def luma(colours: Tensor) -> Tensor:
    """[...]: weighted sum of red, green and blue, of light or of code values."""
    red, green, blue = colours.unbind(-1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
