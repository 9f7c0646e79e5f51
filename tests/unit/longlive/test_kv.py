"""How keys and values are kept as int8: a number is off by half a step at most, and the largest is not cut off."""

import torch

from oner.longlive.kv import quantise


def test_numbers_are_off_by_half_a_step_at_most():
    spread = torch.logspace(-4, 4, 50).view(1, 50, 1, 1)  # each token and head has a step of its own
    x = torch.randn(2, 50, 3, 16, generator=torch.Generator().manual_seed(0)) * spread
    quantised, scale = quantise(x)
    assert quantised.dtype == torch.int8
    assert ((quantised.float() * scale.float() - x).abs() / scale.float()).max() <= 0.5 + 1e-4
    assert torch.equal(quantised.int().abs().amax(-1), torch.full((2, 50, 3), 127, dtype=torch.int32))


def test_nothing_stays_nothing():
    quantised, scale = quantise(torch.zeros(1, 2, 1, 4))
    assert not (quantised.float() * scale.float()).any()
