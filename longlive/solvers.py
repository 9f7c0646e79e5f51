"""The two ways a block gets from noise to clean: re-noising (LongLive 1.0) and UniPC on the flow (LongLive 2.0).

LongLive 1.0 predicts x0 and adds fresh noise for the next step. LongLive 2.0 runs one multistep solver per block:
UniPC (arXiv 2302.04867), order 2, B(h) = expm1(h), on x0, predictor of lower order at the end. sigma is the noise
level, alpha = 1 - sigma, lambda = log(alpha / sigma). States in float32, coefficients in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Steps:
    """Noise levels of a block, the last one 0, and the time (0 to 1000) the model is told at each step."""

    sigmas: tuple[float, ...]
    timesteps: tuple[float, ...]


def shifted(sigma: float, shift: float) -> float:
    return shift * sigma / (1 + (shift - 1) * sigma)


def renoise_steps(steps: int, shift: float) -> Steps:
    """Evenly spaced times before the shift: 4 steps at shift 5 are 1000, 937.5, 833.33, 625."""
    line = torch.tensor([shifted(1 - i / steps, shift) for i in range(steps)])  # float32, as every sampler has them
    return Steps((*line.tolist(), 0.0), tuple((1000 * line).tolist()))


def unipc_steps(steps: int, shift: float) -> Steps:
    """LongLive 2.0's levels: from 0.999 down, shifted, and whole times, as its scheduler keeps them."""
    line = torch.linspace(0.999, 0.0, steps + 1, dtype=torch.float64)[:-1].tolist()
    sigmas = tuple(shifted(s, shift) for s in line)
    return Steps((*sigmas, 0.0), tuple(float(int(1000 * s)) for s in sigmas))


class Solver(Protocol):
    """Advances one block; `step` takes the model's flow at step i and gives the block for step i + 1."""

    def step(self, x: Tensor, flow: Tensor, i: int) -> Tensor: ...


class Renoise:
    """x0 and fresh noise; `noise(i)` is the noise that follows step i."""

    def __init__(self, steps: Steps, noise):
        self.sigmas, self.noise = steps.sigmas, noise

    def step(self, x: Tensor, flow: Tensor, i: int) -> Tensor:
        x0 = x - self.sigmas[i] * flow
        sigma = self.sigmas[i + 1]
        return x0 if sigma == 0 else (1.0 - sigma) * x0 + sigma * self.noise(i).to(x0)


def bh2(h: float) -> tuple[float, float, float]:
    """phi_1, phi_2 * 1! and phi_3 * 2! of -h in UniPC's notation; at h = infinity the limit of each."""
    hh = -h
    if math.isinf(hh):
        return -1.0, -1.0, 1.0
    phi1 = math.expm1(hh)
    phi2 = phi1 / hh - 1
    return phi1, phi2, (phi2 / hh - 0.5) * 2


class FlowUniPC:
    """Order 2 UniPC with its corrector; make a new one for every block."""

    def __init__(self, steps: Steps):
        self.sigmas = steps.sigmas
        self.lambdas = [math.log((1 - s) / s) if s else math.inf for s in self.sigmas]
        self.x0: list[Tensor] = []  # the last two estimates, newest last
        self.start: Tensor | None = None  # corrected state the last step started from
        self.order = 0

    def step(self, x: Tensor, flow: Tensor, i: int) -> Tensor:
        x0 = x - self.sigmas[i] * flow  # of the state handed to the model, before the corrector
        if i > 0:
            x = self.correct(x0, i)
        self.x0 = [*self.x0[-1:], x0]
        steps_left = len(self.sigmas) - 1 - i
        self.order = min(2, steps_left, i + 1)
        self.start = x
        return self.predict(x, i)

    def base(self, x: Tensor, x0: Tensor, i: int, phi1: float) -> Tensor:
        """The first-order move from level i to i + 1."""
        return self.sigmas[i + 1] / self.sigmas[i] * x - (1 - self.sigmas[i + 1]) * phi1 * x0

    def slope(self, i: int) -> tuple[float, Tensor]:
        """Distance to the estimate before x0[-1] in steps of h, and the difference quotient towards it."""
        r = (self.lambdas[i - 1] - self.lambdas[i]) / (self.lambdas[i + 1] - self.lambdas[i])
        return r, (self.x0[-2] - self.x0[-1]) / r

    def predict(self, x: Tensor, i: int) -> Tensor:
        phi1, _, _ = bh2(self.lambdas[i + 1] - self.lambdas[i])
        moved = self.base(x, self.x0[-1], i, phi1)
        if self.order == 1:
            return moved
        _, quotient = self.slope(i)
        return moved - (1 - self.sigmas[i + 1]) * phi1 * 0.5 * quotient

    def correct(self, x0: Tensor, i: int) -> Tensor:
        """Redo the move to level i now that the model has been asked there."""
        start = i - 1
        phi1, phi2, phi3 = bh2(self.lambdas[i] - self.lambdas[start])
        moved = self.base(self.start, self.x0[-1], start, phi1)
        ahead = x0 - self.x0[-1]
        alpha = 1 - self.sigmas[i]
        if self.order == 1:
            return moved - alpha * phi1 * 0.5 * ahead
        r, quotient = self.slope(start)
        # weights w of the two differences: w0 + w1 = phi2 / phi1, r w0 + w1 = phi3 / phi1
        total, tilted = phi2 / phi1, phi3 / phi1
        back = (total - tilted) / (1 - r)
        return moved - alpha * phi1 * (back * quotient + (total - back) * ahead)
