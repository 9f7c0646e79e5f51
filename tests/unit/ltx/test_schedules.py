"""LTX-2 sigma lists and the token-dependent schedule against the reference's values."""

import itertools

import pytest
import torch
from comfy_extras.nodes_lt import LTXVScheduler

from oner.ltx.schedules import SIGMA_PRESETS, shifted_sigmas

# ltx2-pipelines: LTX2Scheduler with 40 steps and no latent, and with the HQ stage 1 latent of 8160 tokens
FORTY = [1.0, 0.996449, 0.992737, 0.988851, 0.98478, 0.98051]
HQ = [
    1.0,
    0.993491,
    0.986015,
    0.97734,
    0.967151,
    0.955015,
    0.940314,
    0.92214,
    0.899096,
    0.868923,
    0.827707,
    0.768028,
    0.673897,
    0.503378,
    0.1,
    0.0,
]


def test_default_schedule_is_the_reference_table():
    sigmas = shifted_sigmas(40)
    assert sigmas.shape == (41,)
    assert sigmas[:6].tolist() == pytest.approx(FORTY, abs=6e-7)
    assert sigmas[-2:].tolist() == pytest.approx([0.1, 0.0])


def test_token_count_shifts_the_schedule():
    assert shifted_sigmas(15, 8160).tolist() == pytest.approx(HQ, abs=6e-7)


@pytest.mark.parametrize(("steps", "tokens"), [(8, 4096), (30, 6144), (3, 100)])
def test_schedule_is_that_of_core(steps, tokens):
    latent = {"samples": torch.zeros(1, 128, tokens, 1, 1)}
    expected = LTXVScheduler.execute(steps, 2.05, 0.95, True, 0.1, latent).result[0]
    assert torch.allclose(shifted_sigmas(steps, tokens), expected, atol=2e-7)


def test_schedule_without_terminal_is_not_stretched():
    expected = LTXVScheduler.execute(20, 2.05, 0.95, False, 0.1).result[0]
    assert torch.allclose(shifted_sigmas(20, terminal=None), expected, atol=2e-7)


def test_presets_descend_to_zero():
    for sigmas in SIGMA_PRESETS.values():
        assert sigmas[-1] == 0
        assert all(a > b for a, b in itertools.pairwise(sigmas))
    assert SIGMA_PRESETS["distilled stage 1"][-4:] == SIGMA_PRESETS["distilled stage 2"]
