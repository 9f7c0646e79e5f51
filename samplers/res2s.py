"""Res2s with SDE noise: the two-stage exponential solver of the LTX-2 HQ pipeline.

Source: RES (2308.02157) with anchor refinement and rectified-flow SDE mixing as in ltx-pipelines. A schedule ending
in 0 gets the tail 0.0011, 0. Coefficients are float64 and latents float32, as not every device has float64: noise is
drawn in it on the CPU. It is standardised, seeds `noise_seed` (steps) and `noise_seed` + 10000 (half steps): the
reference never changes them with the user's seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from .fitting import need_different
from .masked import Denoiser
from .step_noise import SeededNoise

NOISE_SEED = -1
HALF_STEP_SEED_OFFSET = 10000
HALF_STEP_ETA = 0.5
TAIL = 0.0011
REFINE_BELOW_H, REFINE_ABOVE_SIGMA, REFINE_ITERATIONS = 0.5, 0.03, 100


def res2s_coefficients(h: float) -> tuple[float, float, float]:
    """a21, b1, b2 for a step of log-sigma length `h` with the half step in the middle."""

    def phi1(z: float) -> float:
        return math.expm1(z) / z

    def phi2(z: float) -> float:
        # The closed form loses all digits near 0; its series does not.
        return 0.5 + z / 6 + z * z / 24 if abs(z) < 1e-4 else (math.expm1(z) - z) / (z * z)

    if h == 0:
        return 0.5, 0.0, 1.0
    b2 = 2 * phi2(-h)
    return 0.5 * phi1(-h / 2), phi1(-h) - b2, b2


def sde_coefficients(after: float, eta: float) -> tuple[float, float, float]:
    """Alpha ratio, sigma down and sigma up of a rectified-flow step to `after` with noise."""
    up = min(eta * after, 0.9999 * after)
    rest = math.sqrt(after**2 - up**2)
    ratio = (1 - after) + rest
    return ratio, rest / ratio, up


def mix_noise(x: Tensor, target: Tensor, sigma: float, after: float, noise: Tensor, eta: float) -> Tensor:
    """`target`, the deterministic end of a step from `x` at `sigma` to `after`, with part of its noise renewed."""
    ratio, down, up = sde_coefficients(after, eta)
    slope = (x - target) / (sigma - after)
    return ratio * ((x - sigma * slope) + down * slope) + up * noise


def solve_res2s(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    eta: float = 0.5,
    noise_seed: int = NOISE_SEED,
    anchor_refinement: bool = True,
    noise: Callable[[int], Tensor] | None = None,
    half_step_noise: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """Two evaluations a step, and one at the tail when the schedule ends in 0."""
    standard = {"dtype": torch.float64, "standard": True}
    noise = noise or SeededNoise(noise_seed, denoise.shapes, denoise.fillers, **standard)
    half_step_noise = half_step_noise or SeededNoise(
        noise_seed + HALF_STEP_SEED_OFFSET, denoise.shapes, denoise.fillers, **standard
    )
    levels = need_different([float(sigma) for sigma in sigmas])
    ends_clean = levels[-1] == 0
    if ends_clean:
        # As float32, like every other level.
        levels[-1] = float(torch.tensor(TAIL))

    def draw(source: Callable[[int], Tensor], step: int) -> Tensor:
        return source(step).to(x.dtype).to(x.device)

    for step, (sigma, after) in enumerate(pairwise(levels)):
        h = math.log(sigma / after)
        a21, b1, b2 = res2s_coefficients(h)
        middle = math.sqrt(sigma * after)

        anchor = x
        x0 = denoise(x, torch.tensor(sigma, device=x.device))
        denoise.report(step, x, x0)
        change = x0 - anchor
        half = anchor + h * a21 * change
        half = denoise.keep_given(mix_noise(anchor, half, sigma, middle, draw(half_step_noise, step), HALF_STEP_ETA))
        if anchor_refinement and h < REFINE_BELOW_H and sigma > REFINE_ABOVE_SIGMA:
            for _ in range(REFINE_ITERATIONS):
                anchor = half - h * a21 * change
                change = x0 - anchor

        half_x0 = denoise(half, torch.tensor(middle, device=x.device))
        target = anchor + h * (b1 * change + b2 * (half_x0 - anchor))
        x = denoise.keep_given(mix_noise(anchor, target, sigma, after, draw(noise, step), eta))
    if ends_clean:
        x = denoise(x, torch.tensor(levels[-1], device=x.device))
    return x
