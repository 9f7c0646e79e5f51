"""Sigma schedules of LTX-2 as data, and the token-dependent schedule of LTX-Video and LTX-2.

Values: ltx-pipelines, August 2026 (distilled stage 1 and 2, tiled stage 2); stage 2 of LTX-2.5 is that of ComfyUI's
templates for it, whose stage 1 is the same; the formula is LTX2Scheduler's, which is also that of ComfyUI's
LTXVScheduler. Sigma is the noise level in [0, 1], 1 = pure noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SIGMA_PRESETS: dict[str, tuple[float, ...]] = {
    "distilled stage 1": (1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0.0),
    "distilled stage 2": (0.909375, 0.725, 0.421875, 0.0),
    "distilled stage 2, tiled": (0.625, 0.4, 0.0),
    "LTX-2.5 stage 2": (0.85, 0.725, 0.4219, 0.0),
}

# The shift is linear in the number of video tokens through these two points.
BASE_TOKENS, MAX_TOKENS = 1024, 4096
BASE_SHIFT, MAX_SHIFT = 0.95, 2.05
TERMINAL = 0.1  # the last sigma above 0


def token_shift(tokens: int, *, base_shift: float = BASE_SHIFT, max_shift: float = MAX_SHIFT) -> float:
    """Log-shift of the schedule for a number of video tokens (latent frames x rows x columns)."""
    slope = (max_shift - base_shift) / (MAX_TOKENS - BASE_TOKENS)
    return tokens * slope + (base_shift - BASE_TOKENS * slope)


def shifted_sigmas(
    steps: int,
    tokens: int = MAX_TOKENS,
    *,
    base_shift: float = BASE_SHIFT,
    max_shift: float = MAX_SHIFT,
    terminal: float | None = TERMINAL,
) -> Tensor:
    """Sigmas of LTX2Scheduler, [steps + 1], ending in 0; `terminal` stretches the last one above 0 to that value."""
    line = torch.linspace(1.0, 0.0, steps + 1)
    shift = math.exp(token_shift(tokens, base_shift=base_shift, max_shift=max_shift))
    inner = line[:-1]  # 1 / s is not defined at the final 0
    sigmas = shift / (shift + (1 / inner - 1))
    if terminal is not None:
        distance = 1.0 - sigmas
        sigmas = 1.0 - distance * ((1.0 - terminal) / distance[-1]) if steps > 1 else sigmas
    return torch.cat([sigmas, line[-1:]])
