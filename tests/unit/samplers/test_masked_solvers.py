"""The masked solvers against closed forms, with a guider whose prediction is known."""

import math

import pytest
import torch

from oner.ltx.schedules import shifted_sigmas
from oner.samplers.euler import solve_ancestral, solve_cfg_pp, solve_euler, solve_gradient_estimation
from oner.samplers.masked import Denoiser, scale_by_mask
from oner.samplers.res2s import solve_res2s

CONTENT = 3.0  # exact in float32
NOISE = torch.randn(2, 1, 400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class KnownGuider:
    """A guider whose x0 is `predict(x, sigma)` for both prompts; remembers what it was asked for."""

    conds = {"negative": [{}]}

    def __init__(self, predict):
        self.predict = predict
        self.asked = []

    def __call__(self, x, sigmas, model_options, seed):
        self.asked.append(x.double())
        x0 = self.predict(x, float(sigmas[0]))
        for hook in model_options.get("sampler_post_cfg_function", []):
            x0 = hook({"denoised": x0, "uncond_denoised": x0})
        return x0


def solve(solver, guider, x, sigmas, **options):
    denoise = Denoiser(guider, {"model_options": {}}, torch.zeros_like(x), None, None, len(sigmas) - 1)
    return solver(denoise, x, torch.tensor(sigmas, dtype=torch.float64), **options)


def content(x, _sigma):
    return torch.full_like(x, CONTENT)


def test_a_prediction_moves_by_the_mask_and_a_filler_not_at_all():
    x, x0 = torch.tensor([[[1.0, 1.0, 1.0, 1.0]]]), torch.full((1, 1, 4), 5.0)
    mask = torch.tensor([[[1.0, 0.25, 0.0, -1.0]]])
    assert scale_by_mask(lambda *_, **__: x0, x, None, denoise_mask=mask).tolist() == [[[5.0, 2.0, 1.0, 1.0]]]


def test_gradient_estimation_moves_each_velocity_away_from_the_one_before():
    velocities = dict(zip((0.9, 0.7, 0.4), (1.0, 3.0, -2.0), strict=True))
    guider = KnownGuider(lambda x, sigma: x - sigma * velocities[round(sigma, 4)])
    out = solve(solve_gradient_estimation, guider, torch.zeros(1, 1, 3), [0.9, 0.7, 0.4, 0.2], gamma=2.0)
    slopes = [1.0, 1.0 + 2 * (3.0 - 1.0), 3.0 + 2 * (-2.0 - 3.0)]
    expected = slopes[0] * (0.7 - 0.9) + slopes[1] * (0.4 - 0.7) + slopes[2] * (0.2 - 0.4)
    torch.testing.assert_close(out, torch.full_like(out, expected))


def test_ancestral_steps_keep_the_noise_level():
    """Of (1 - s) content + s noise comes such a mixture of the next level, whatever part of the noise is new."""
    old, new = NOISE
    sigma, after = 0.8, 0.5
    for eta in (0.3, 1.0):
        x = (1 - sigma) * CONTENT + sigma * old
        out = solve(solve_ancestral, KnownGuider(content), x[None], [sigma, after], eta=eta, noise=lambda _: new)[0]
        assert math.isclose(out.mean(), (1 - after) * CONTENT, abs_tol=5e-3)
        assert math.isclose(out.std(), after, abs_tol=5e-3)


def test_cfg_pp_keeps_as_much_old_noise_as_brownian_motion_does():
    """With r = sigma / (1 - sigma), noise of variance r^2 remembers r'^2 / r of what it was at r."""
    old, new = NOISE
    sigma, after = 0.8, 0.5
    x = (1 - sigma) * CONTENT + sigma * old
    out = solve(solve_cfg_pp, KnownGuider(content), x[None], [sigma, after], eta=1.0, noise=lambda _: new)[0]
    ratio, ratio_after = sigma / (1 - sigma), after / (1 - after)
    kept = ((out - out.mean()) * old).mean() / old.square().mean()
    assert math.isclose(out.mean(), (1 - after) * CONTENT, abs_tol=5e-3)
    assert math.isclose(out.std(), after, abs_tol=5e-3)
    assert math.isclose(kept, (1 - after) * ratio_after**2 / ratio, abs_tol=5e-3)


def test_cfg_pp_takes_all_noise_anew_where_it_starts_from_nothing_else():
    """r is infinite at sigma 1, so nothing of the old noise is remembered."""
    old, new = NOISE[:, :, :64]
    out = solve(solve_cfg_pp, KnownGuider(content), old[None], [1.0, 0.8], eta=1.0, noise=lambda _: new)[0]
    torch.testing.assert_close(out, 0.2 * CONTENT + 0.8 * new, rtol=0, atol=1e-5)


def ones(_step):
    return torch.ones(1, 1, 5, dtype=torch.float64)


@pytest.mark.parametrize("ends", [[], [0.0]])
@pytest.mark.parametrize(
    ("solver", "options"),
    [
        (solve_euler, {}),
        (solve_gradient_estimation, {}),
        (solve_ancestral, {"eta": 1.0, "noise": ones}),
        (solve_cfg_pp, {"eta": 1.0, "noise": ones}),
        (solve_res2s, {"noise": ones, "half_step_noise": ones}),
    ],
)
def test_given_tokens_are_shown_and_come_out_as_they_are(solver, options, ends):
    """In every evaluation of the model, and where the schedule stops half-way as well."""
    given = torch.tensor([[[0.5, -2.0, 7.0, 1.0, 4.0]]])
    mask = torch.tensor([[[1.0, 0.0, 0.0, 1.0, -1.0]]])  # the last one is a filler
    sigmas = torch.tensor([0.9, 0.7, 0.4, *ends], dtype=torch.float64)
    guider = KnownGuider(content)
    denoise = Denoiser(guider, {"model_options": {}}, given, mask, None, len(sigmas) - 1)
    out = solver(denoise, denoise.keep_given(ones(0)), sigmas, **options)
    kept = mask[0, 0] <= 0
    for x in (*guider.asked, out):
        torch.testing.assert_close(x[0, 0, kept], given[0, 0, kept].double(), rtol=0, atol=1e-5)
    assert (out[0, 0, ~kept] - given[0, 0, ~kept]).abs().min() > 0.1


def res2s(anchor_refinement):
    """What the model was shown in a step from 0.8 to 0.55 (start, half step) and at the start of the next one."""
    guider = KnownGuider(content)
    x, noise = NOISE[:, :, :16]
    solve(
        solve_res2s,
        guider,
        x[None],
        [0.8, 0.55, 0.4],
        eta=0.0,
        anchor_refinement=anchor_refinement,
        noise=lambda _: noise,
        half_step_noise=lambda _: noise,
    )
    return guider.asked[:3]


def test_refined_anchor_lies_on_the_path_through_the_noised_half_step():
    """For a constant prediction the distance to it falls with sigma; the step then goes on from the half step."""
    _, half, end = res2s(anchor_refinement=True)
    middle = math.sqrt(0.8 * 0.55)
    torch.testing.assert_close(end, CONTENT + 0.55 / middle * (half - CONTENT), rtol=1e-5, atol=1e-5)


def test_without_refinement_the_step_forgets_the_noise_of_its_half():
    start, _, end = res2s(anchor_refinement=False)
    torch.testing.assert_close(end, CONTENT + 0.55 / 0.8 * (start - CONTENT), rtol=1e-5, atol=1e-5)


def test_res2s_needs_no_float64_for_its_accuracy():
    """Fifteen steps of the HQ schedule on float32 latents, against the same on float64 ones."""

    def res2s(dtype):
        guider = KnownGuider(lambda x, sigma: torch.tanh(2 * x) * (1 - sigma / 2) + sigma)
        noise = NOISE[:, :, :4096].to(dtype)
        sources = {
            "noise": lambda step: noise[:1].roll(step, -1),
            "half_step_noise": lambda step: -noise[:1].roll(step, -1),
        }
        return solve(solve_res2s, guider, noise[1:], shifted_sigmas(15).tolist(), **sources)

    single, double = res2s(torch.float32), res2s(torch.float64)
    assert single.dtype == torch.float32
    assert (single - double).abs().max() / double.abs().max() < 2e-6
