"""The levels of a block and the times the model is told, against numbers worked out by hand."""

import pytest
import torch

from harness.float64 import NoFloat64
from oner.longlive.solvers import FlowUniPC, Renoise, renoise_steps, unipc_steps


def test_times_of_the_second_release_are_cut_to_whole_numbers():
    """0.999, 0.74925, 0.4995 and 0.24975 shifted by 5: 5 s / (1 + 4 s); a thousand of it is never rounded up."""
    steps = unipc_steps(4, 5.0)
    assert steps.sigmas == pytest.approx([4.995 / 4.996, 3.74625 / 3.997, 2.4975 / 2.998, 1.24875 / 1.999, 0])
    assert steps.timesteps == (999, 937, 833, 624)


def test_times_of_the_first_release_are_not():
    steps = renoise_steps(4, 5.0)
    assert steps.sigmas == pytest.approx([1, 15 / 16, 5 / 6, 5 / 8, 0])
    assert steps.timesteps == pytest.approx([1000, 937.5, 2500 / 3, 625])


@pytest.mark.parametrize("name", ["renoise", "unipc"])
def test_no_float64_on_the_device(name):
    """A flow of constant x0 ends there."""
    steps = renoise_steps(4, 5.0) if name == "renoise" else unipc_steps(4, 5.0)
    solver = FlowUniPC(steps) if name == "unipc" else Renoise(steps, lambda _: torch.ones(3, dtype=torch.float64))
    x = torch.tensor([0.5, -1.0, 2.0])
    with NoFloat64(x):
        for i, sigma in enumerate(steps.sigmas[:-1]):
            x = solver.step(x, (x - 4.0) / sigma, i)
    torch.testing.assert_close(x, torch.full((3,), 4.0), rtol=1e-5, atol=1e-5)
