"""Rectified-flow training by CPU seconds: Muon for block matrices, Adam for the rest, a moving average as the result.

The target is noise - clean, as core's flow models predict. Letters: B samples, C channels, T, H, W latent grid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import nn

from .budget import Clock


class Muon:
    """Momentum orthogonalised by Newton-Schulz, batched over matrices of one shape; update rms as Adam's."""

    def __init__(self, weights: list[nn.Parameter], rate: float, decay: float = 0.02, momentum: float = 0.95):
        self.groups = defaultdict(list)
        for w in weights:
            self.groups[tuple(w.shape)].append(w)
        self.buffers = {shape: torch.zeros(len(ws), *shape) for shape, ws in self.groups.items()}
        self.rate, self.decay, self.momentum = rate, decay, momentum

    @torch.no_grad()
    def step(self, scale: float) -> None:
        for shape, weights in self.groups.items():
            gradient = torch.stack([w.grad for w in weights])
            buffer = self.buffers[shape].lerp_(gradient, 1 - self.momentum)
            update = orthogonalise(gradient.lerp(buffer, self.momentum))
            rate = self.rate * scale
            for w, u in zip(weights, update, strict=True):
                w.mul_(1 - rate * self.decay).add_(u, alpha=-rate * 0.2 * max(shape) ** 0.5)


def orthogonalise(x: torch.Tensor, iterations: int = 4) -> torch.Tensor:
    """The nearest semi-orthogonal matrices, roughly. [N, rows, columns]"""
    flip = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if flip else x
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(iterations):
        a = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.transpose(1, 2) if flip else x


class Average:
    """Exponential moving average of a model's weights."""

    def __init__(self, model: nn.Module, decay: float = 0.95, every: int = 5):
        self.model, self.decay, self.every = model, decay, every
        self.weights = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        if step % self.every == 0:
            for k, v in self.model.state_dict().items():
                self.weights[k].lerp_(v, 1 - self.decay)


def fit(
    model: nn.Module,
    blocks: nn.Module,
    loss: Callable[[float], torch.Tensor],
    seconds: float,
    rate: float = 1e-3,
    flat: float = 0.4,
    weights: list[nn.Parameter] | None = None,
    probe: Callable[[dict], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Minimise loss(share of the budget spent) for process seconds; block matrices by Muon. Returns averaged weights.

    probe(averaged weights) is called at a quarter, half and three quarters of the budget.
    """
    weights = list(model.parameters()) if weights is None else weights
    inside = {id(p) for p in blocks.parameters()}
    matrices = [p for p in weights if id(p) in inside and p.dim() == 2 and min(p.shape) >= 32]
    chosen = {id(p) for p in matrices}
    muon = Muon(matrices, 2 * rate)
    adam = torch.optim.Adam([p for p in weights if id(p) not in chosen], lr=rate, betas=(0.9, 0.98))
    average, clock = Average(model), Clock(seconds)
    probes = [0.25, 0.5, 0.75] if probe else []
    while clock.tick():
        scale = min(1.0, clock.steps / 50) * clock.decay(flat)
        for group in adam.param_groups:
            group["lr"] = rate * scale
        value = loss(clock.share())
        model.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        muon.step(scale)
        adam.step()
        average.update(clock.steps)
        clock.report(value.detach())
        if probes and clock.share() > probes[0]:
            probes.pop(0)
            probe(average.weights)
    return average.weights


def sigmas(count: int, generator: torch.Generator, shift: float = 3.0) -> torch.Tensor:
    """Noise levels: uniform, then shifted upwards. [count]"""
    u = torch.rand(count, generator=generator)
    return shift * u / (1 + (shift - 1) * u)


def initialise(model: nn.Module, seed: int) -> None:
    """Xavier matrices, ones for norms, N(0, 1/dim) modulation tables, zero biases."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "modulation" in name or "scale_shift_table" in name:
                p.copy_(torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5)
            elif p.dim() >= 2:
                out, inside = p.shape[0], p[0].numel()
                bound = (6 / (out + inside)) ** 0.5
                p.copy_((torch.rand(p.shape, generator=generator) * 2 - 1) * bound)
            elif name.endswith("weight"):
                p.fill_(1)
            else:
                p.zero_()
