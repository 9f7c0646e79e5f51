"""High dynamic range of the HDR IC-LoRA: its pictures are LogC3 coded scene-linear light.

Source: ARRI LogC3 at EI 800 (exposure value parameters of the ALEXA Log C curve), Reinhard's h / (1 + h).
Any shape; linear light has 0.18 for mid grey, code values lie in 0..1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...utils.colour import linear_to_srgb

A, B, C, D, E, F, CUT = 5.555556, 0.052272, 0.247190, 0.385537, 5.367655, 0.092809, 0.010591
BRIGHTEST = 1e4  # linear; code values of 1 give 55


def logc3_to_linear(code: Tensor) -> Tensor:
    """Linear light of LogC3 code values; negative below the code of black."""
    return torch.where(code >= E * CUT + F, (10 ** ((code - D) / C) - B) / A, (code - F) / E)


def linear_to_logc3(linear: Tensor) -> Tensor:
    """LogC3 code values of linear light."""
    # The clamp only keeps the branch that is not taken finite.
    return torch.where(linear >= CUT, C * torch.log10(A * linear.clamp(min=CUT) + B) + D, E * linear + F)


def decode_hdr(code: Tensor) -> Tensor:
    """Linear light in 0..10000 of the LoRA's pictures."""
    return logc3_to_linear(code.float()).clamp(0, BRIGHTEST)


def expose(linear: Tensor, stops: float) -> Tensor:
    """Linear light brightened by a number of stops (EV)."""
    return linear * 2.0**stops


def tone_map(linear: Tensor) -> Tensor:
    """Linear light from 0 up as an sRGB picture in 0..1."""
    return linear_to_srgb(linear / (1 + linear))
