"""First-order solvers for rectified flow on masked latents: Euler, gradient estimation, ancestral, CFG++.

Formulas as in ComfyUI's k-diffusion samplers and LTX-2; given tokens are kept after noise is added. x is the packed
latent, sigma falls to 0. Noise callables give the packed noise of a step.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from .masked import Denoiser
from .step_noise import SeededNoise

NoiseOf = Callable[[int], Tensor]


def solve_euler(denoise: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
    """x + (sigma' - sigma) * v; the step to 0 gives x0."""
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x0 = denoise(x, sigma)
        denoise.report(step, x, x0)
        x = x0 if after == 0 else x + (x - x0) / sigma * (after - sigma)
    return x


def solve_gradient_estimation(denoise: Denoiser, x: Tensor, sigmas: Tensor, gamma: float = 2.0) -> Tensor:
    """Euler with the velocity moved away from the last one by `gamma` (2406.12993)."""
    last = None
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x0 = denoise(x, sigma)
        denoise.report(step, x, x0)
        velocity = (x - x0) / sigma
        slope = velocity if last is None else last + gamma * (velocity - last)
        x = x0 if after == 0 else x + slope * (after - sigma)
        last = velocity
    return x


def solve_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    eta: float = 1.0,
    s_noise: float = 1.0,
    noise_seed: int | None = None,
    noise: NoiseOf | None = None,
) -> Tensor:
    """Ancestral Euler for rectified flow; noise from `noise_seed` (the run's seed if None) unless given."""
    noise = noise or SeededNoise(_seed(denoise, noise_seed), denoise.shapes, denoise.fillers)
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x0 = denoise(x, sigma)
        denoise.report(step, x, x0)
        if after == 0:
            return x0
        down = after * (1 + (after / sigma - 1) * eta)
        x = down / sigma * x + (1 - down / sigma) * x0
        if eta > 0:
            scale = (1 - after) / (1 - down)
            spread = (after**2 - (down * scale) ** 2).clamp(min=0).sqrt()
            x = denoise.keep_given(scale * x + s_noise * spread * noise(step).to(x))
    return x


def solve_cfg_pp(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    eta: float = 0.0,
    s_noise: float = 1.0,
    noise_seed: int | None = None,
    noise: NoiseOf | None = None,
) -> Tensor:
    """CFG++ Euler (2406.08070): the direction comes from the negative pass; ancestral with `eta` above 0.

    That pass is taken as the network gave it: only the guided x0 of a partly given token is mixed with its content.
    """
    noise = noise or SeededNoise(_seed(denoise, noise_seed), denoise.shapes, denoise.fillers)
    negative = denoise.watch_negative()
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x0 = denoise(x, sigma)
        denoise.report(step, x, x0)
        if after == 0:
            return x0
        alpha, alpha_after = 1 - sigma, 1 - after
        direction = (x - alpha * negative()) / sigma
        down, up = _ancestral_split(sigma / alpha.clamp(min=1e-7), after / alpha_after, eta)
        x = alpha_after * (x0 + down * direction)
        if eta > 0:
            x = denoise.keep_given(x + alpha_after * s_noise * up * noise(step).to(x))
    return x


def _ancestral_split(sigma: Tensor, after: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Deterministic and random part of a variance-exploding step."""
    up = torch.minimum(after, eta * (after**2 * (sigma**2 - after**2) / sigma**2).sqrt())
    return (after**2 - up**2).sqrt(), up


def _seed(denoise: Denoiser, noise_seed: int | None) -> int:
    return (denoise.seed or 0) if noise_seed is None else noise_seed
