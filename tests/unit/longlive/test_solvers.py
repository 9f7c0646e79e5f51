"""The levels of a block and the times the model is told, against numbers worked out by hand."""

import pytest

from oner.longlive.solvers import renoise_steps, unipc_steps


def test_times_of_the_second_release_are_cut_to_whole_numbers():
    """0.999, 0.74925, 0.4995 and 0.24975 shifted by 5: 5 s / (1 + 4 s); a thousand of it is never rounded up."""
    steps = unipc_steps(4, 5.0)
    assert steps.sigmas == pytest.approx([4.995 / 4.996, 3.74625 / 3.997, 2.4975 / 2.998, 1.24875 / 1.999, 0])
    assert steps.timesteps == (999, 937, 833, 624)


def test_times_of_the_first_release_are_not():
    steps = renoise_steps(4, 5.0)
    assert steps.sigmas == pytest.approx([1, 15 / 16, 5 / 6, 5 / 8, 0])
    assert steps.timesteps == pytest.approx([1000, 937.5, 2500 / 3, 625])
