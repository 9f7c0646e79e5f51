"""Flow UniPC and Flow DPM++ 2M: multistep solvers in data prediction for rectified-flow models of any family.

Source: UniPC (arXiv 2302.04867, bh2) and DPM-Solver++ (arXiv 2211.01095) with alpha = 1 - sigma, as Wan's reference
uses them. ComfyUI's samplers of like name assume alpha = 1 / sqrt(1 + sigma^2) or lambda = -log sigma and give other
numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from tqdm.auto import trange

from .fitting import FittingSampler, need_different

LARGEST_SIGMA = 1 - 1e-6  # in UniPC's lambda, where sigma 1 gives -infinity
LOWER_ORDER_FINAL = 15  # below so many steps DPM++ takes its last step in first order


def log_snr(sigma: float) -> float:
    """lambda = log(alpha / sigma); -inf at sigma 1, inf at 0."""
    if sigma <= 0:
        return math.inf
    return math.log((1 - sigma) / sigma) if sigma < 1 else -math.inf


def first_order(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """The exact step for a constant data prediction."""
    ratio = sigma_next / sigma
    return ratio * x + (1 - ratio) * denoised


def unipc_predict(x: Tensor, history: list[Tensor], sigmas: list[float], index: int, order: int) -> Tensor:
    """x at sigmas[index + 1] from x at sigmas[index] and the data predictions so far (the last is the current one)."""
    sigma, sigma_next = sigmas[index], sigmas[index + 1]
    predicted = first_order(x, history[-1], sigma, sigma_next)
    if order < 2:
        return predicted
    here, h = _lambda(sigma), _lambda(sigma_next) - _lambda(sigma)
    slope = (history[-2] - history[-1]) / ((_lambda(sigmas[index - 1]) - here) / h)
    return predicted - (1 - sigma_next) * math.expm1(-h) * 0.5 * slope


def unipc_correct(
    x_before: Tensor, history: list[Tensor], current: Tensor, sigmas: list[float], index: int, order: int
) -> Tensor:
    """x at sigmas[index] again, now that the data prediction there is known; `history` ends with the one before."""
    sigma, sigma_next = sigmas[index - 1], sigmas[index]
    corrected = first_order(x_before, history[-1], sigma, sigma_next)
    here, h = _lambda(sigma), _lambda(sigma_next) - _lambda(sigma)
    scale = (1 - sigma_next) * math.expm1(-h)
    gain = current - history[-1]
    if order < 2:
        return corrected - scale * 0.5 * gain
    ratio = (_lambda(sigmas[index - 2]) - here) / h
    # weights of both slopes: [[1, 1], [ratio, 1]] @ weights = moments
    b1 = (math.expm1(-h) / -h - 1) / math.expm1(-h)
    b2 = ((math.expm1(-h) / -h - 1) / -h - 0.5) * 2 / math.expm1(-h)
    first = (b1 - b2) / (1 - ratio)
    slope = (history[-2] - history[-1]) / ratio
    return corrected - scale * (first * slope + (b1 - first) * gain)


def _lambda(sigma: float) -> float:
    return log_snr(min(sigma, LARGEST_SIGMA))


@torch.no_grad()
def sample_flow_unipc(
    model: Callable,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict | None = None,
    callback: Callable | None = None,
    disable: bool | None = None,
    restart_below: float = 0.0,
) -> Tensor:
    """UniPC of order 2 with corrector; the history starts anew at the first sigma below `restart_below`."""
    levels = need_different(sigmas.tolist())
    steps = len(levels) - 1
    history: list[Tensor] = []
    x_before, order = x, 0
    for i in trange(steps, disable=disable):
        if history and levels[i] < restart_below <= levels[i - 1]:
            history = []
        denoised = model(x, sigmas[i] * x.new_ones(x.shape[0]), **(extra_args or {}))
        if history:
            x = unipc_correct(x_before, history, denoised, levels, i, order)
        history = [*history[-1:], denoised]
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        order = min(2, len(history), steps - i)
        x_before = x
        x = denoised if levels[i + 1] == 0 else unipc_predict(x, history, levels, i, order)
    return x


@torch.no_grad()
def sample_flow_dpmpp_2m(
    model: Callable,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict | None = None,
    callback: Callable | None = None,
    disable: bool | None = None,
    restart_below: float = 0.0,
) -> Tensor:
    """DPM++ 2M (midpoint); the history starts anew at the first sigma below `restart_below`."""
    levels = need_different(sigmas.tolist())
    steps = len(levels) - 1
    previous: Tensor | None = None
    for i in trange(steps, disable=disable):
        if previous is not None and levels[i] < restart_below <= levels[i - 1]:
            previous = None
        denoised = model(x, sigmas[i] * x.new_ones(x.shape[0]), **(extra_args or {}))
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        last = i == steps - 1 and (steps < LOWER_ORDER_FINAL or levels[i + 1] == 0)
        data = denoised
        if previous is not None and not last:
            h = log_snr(levels[i + 1]) - log_snr(levels[i])
            h_before = log_snr(levels[i]) - log_snr(levels[i - 1])  # inf after sigma 1: then there is no slope
            data = denoised + 0.5 * (h / h_before) * (denoised - previous)
        x = first_order(x, data, levels[i], levels[i + 1])
        previous = denoised
    return x


FLOW_SOLVERS: dict[str, Callable] = {"flow UniPC": sample_flow_unipc, "flow DPM++ 2M": sample_flow_dpmpp_2m}


def flow_sampler(name: str, restart_below: float = 0.0) -> FittingSampler:
    """A SAMPLER of one of FLOW_SOLVERS."""
    return FittingSampler(FLOW_SOLVERS[name], {"restart_below": restart_below})
