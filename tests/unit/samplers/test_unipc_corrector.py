"""Both UniPC correctors of order 2 (arXiv 2302.04867) are exact where x0 is a polynomial of degree 2 in lambda.

lambda = log((1 - sigma) / sigma), and x' = sigma' / sigma x + sigma' times the integral of exp(lambda) x0(lambda).
"""

import math

import torch

from oner.longlive.solvers import FlowUniPC, Steps
from oner.samplers.flow_solvers import unipc_correct

SIGMAS = (0.9, 0.75, 0.5, 0.3, 0.0)
LAMBDAS = [math.log((1 - s) / s) for s in SIGMAS[:-1]]
A, B, C = 0.3, -0.7, 0.2  # x0 = A + B lambda + C lambda^2


def x0_at(place):
    return torch.tensor([A + B * place + C * place**2], dtype=torch.float64)


def moved(x, start, end):
    """x at level `end` of the exact solution through `x` at level `start`."""

    def integral(place):  # of exp(lambda) x0(lambda)
        return math.exp(place) * (A - B + 2 * C + (B - 2 * C) * place + C * place**2)

    return SIGMAS[end] / SIGMAS[start] * x + SIGMAS[end] * (integral(LAMBDAS[end]) - integral(LAMBDAS[start]))


def test_corrector_of_the_sampler():
    x = torch.tensor([1.5], dtype=torch.float64)
    history = [x0_at(LAMBDAS[0]), x0_at(LAMBDAS[1])]
    corrected = unipc_correct(x, history, x0_at(LAMBDAS[2]), list(SIGMAS), 2, 2)
    torch.testing.assert_close(corrected, moved(x, 1, 2))


def test_pure_noise_counts_as_a_millionth_below_1():
    """As in the reference scheduler; lambda itself would be infinite there."""
    x, first = torch.tensor([1.5], dtype=torch.float64), math.log(1e-6 / (1 - 1e-6))
    history = [x0_at(first), x0_at(LAMBDAS[1])]
    corrected = unipc_correct(x, history, x0_at(LAMBDAS[2]), [1.0, *SIGMAS[1:]], 2, 2)
    torch.testing.assert_close(corrected, moved(x, 1, 2))


def test_corrector_of_the_rollout():
    solver = FlowUniPC(Steps(SIGMAS, tuple(1000 * s for s in SIGMAS[:-1])))
    x, starts = torch.tensor([1.5], dtype=torch.float64), []
    for i, place in enumerate(LAMBDAS):
        x = solver.step(x, (x - x0_at(place)) / SIGMAS[i], i)
        starts.append(solver.start)  # after the corrector, which begins to be of order 2 at level 2
    torch.testing.assert_close(starts[2], moved(starts[1], 1, 2))
    torch.testing.assert_close(starts[3], moved(starts[2], 2, 3))
