"""Flow UniPC and Flow DPM++ 2M against closed forms, and runs that restart against fresh ones."""

import math

import pytest
import torch

from oner.samplers.flow_solvers import sample_flow_dpmpp_2m, sample_flow_unipc

LEVELS = [0.95, 0.8, 0.6, 0.45, 0.3, 0.15, 0.0]
START = torch.tensor([[0.4, -1.1, 0.9]], dtype=torch.float64)

each = pytest.mark.parametrize("solver", [sample_flow_unipc, sample_flow_dpmpp_2m])


def wave(x, sigma):
    return torch.sin(3 * x) * sigma


def run(solver, levels=LEVELS, x=START, **options):
    """The result, and (x, x0) of every step as the model was shown and gave them."""
    steps = []

    def model(x, sigma):
        steps.append((x, wave(x, sigma)))
        return steps[-1][1]

    return solver(model, x, torch.tensor(levels, dtype=torch.float64), disable=True, **options), steps


@each
def test_a_constant_prediction_is_solved_exactly(solver):
    target = torch.randn(1, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.ones(1, 4, dtype=torch.float64)
    sigmas = torch.tensor([1.0, 0.7, 0.4, 0.1], dtype=torch.float64)
    out = solver(lambda *_: target, noise, sigmas, disable=True)
    torch.testing.assert_close(out, 0.1 * noise + 0.9 * target)


@each
def test_solvers_are_of_second_order(solver):
    def error(steps):
        sigmas = torch.linspace(0.9, 0.1, steps + 1, dtype=torch.float64)
        model = lambda x, sigma: x - sigma * (torch.cos(3 * sigma) * x)  # noqa: E731 - dx/dsigma = cos(3 sigma) x
        exact = math.exp((math.sin(0.3) - math.sin(2.7)) / 3)
        return abs(float(solver(model, torch.ones(1, 1, dtype=torch.float64), sigmas, disable=True)) - exact)

    assert error(160) < 1e-3
    assert error(80) / error(160) > 3


@each
@pytest.mark.parametrize(
    ("below", "first"),
    [(0.7, 2), (0.5, 3), (0.6, 3), (0.45, 4), (0.95, 1), (0.1501, 5)],  # between two levels, and on one of them
)
def test_a_restart_is_a_fresh_run_from_the_first_level_below(solver, below, first):
    plain, before = run(solver)
    fresh, after = run(solver, LEVELS[first:], before[first][0])
    whole, shown = run(solver, restart_below=below)
    for (ours, _), (expected, _) in zip(shown, before[:first] + after, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=0)
    torch.testing.assert_close(whole, fresh, rtol=0, atol=0)
    if first < len(LEVELS) - 2:  # the last step, to 0, needs no history
        assert (whole - plain).abs().max() > 1e-4


@each
@pytest.mark.parametrize("below", [0.0, 0.96, 1.0])
def test_without_a_level_on_either_side_nothing_is_forgotten(solver, below):
    assert torch.equal(run(solver, restart_below=below)[0], run(solver)[0])


@pytest.mark.parametrize(("steps", "order"), [(12, 1), (14, 1), (15, 2), (20, 2)])
def test_dpmpp_ends_in_first_order_below_15_steps(steps, order):
    """As DPM-Solver's authors have it (lower_order_final), where the last level is not 0."""
    levels = torch.linspace(0.9, 0.1, steps + 1, dtype=torch.float64).tolist()
    out, shown = run(sample_flow_dpmpp_2m, levels)
    before, here, end = (math.log((1 - sigma) / sigma) for sigma in levels[-3:])
    (_, previous), (x, x0) = shown[-2:]
    data = x0 if order == 1 else x0 + (x0 - previous) * (end - here) / (here - before) / 2
    expected = levels[-1] / levels[-2] * x - (1 - levels[-1]) * math.expm1(here - end) * data
    torch.testing.assert_close(out, expected)
