"""Phases, experts and guidance over one sampler run, on tiny Wan models."""

import comfy.model_management
import comfy.patcher_extension
import comfy.samplers
import pytest
import torch

from harness import wan_tiny
from oner.samplers.guidance import ProjectedGuidance, cfg_zero_star
from oner.samplers.phase_guider import Phase, PhaseGuider, PhasePlan, step_of
from oner.wan.schedules import flow_sigmas

SHAPE = (1, 16, 3, 4, 4)
PROMPTS = wan_tiny.prompts()
SIGMAS = torch.linspace(1, 0, 9)


def run(guider, sigmas=SIGMAS, sampler="euler"):
    guider.set_conds(PROMPTS.positive, PROMPTS.negative)
    return guider.sample(
        wan_tiny.noise(SHAPE), torch.zeros(SHAPE), comfy.samplers.ksampler(sampler), sigmas, disable_pbar=True, seed=0
    )


def core_run(model, cfg, sigmas, start=None):
    """Core's own guider; `start` continues from a sample without new noise."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(PROMPTS.positive, PROMPTS.negative)
    guider.set_cfg(cfg)
    noise = wan_tiny.noise(SHAPE) if start is None else torch.zeros(SHAPE)
    latent = torch.zeros(SHAPE) if start is None else start
    return guider.sample(noise, latent, comfy.samplers.ksampler("euler"), sigmas, disable_pbar=True, seed=0)


def two(cfg=(4.0, 3.0), boundary=0.6, **kwargs):
    return PhasePlan(tuple(Phase(value) for value in cfg), (boundary,), **kwargs)


@pytest.mark.parametrize(
    ("steps", "shift", "thresholds", "table"),
    [
        (4, 3, (0.876,), [1, 1, 2, 2]),
        (4, 5, (0.876,), [1, 1, 2, 2]),
        (8, 3, (0.965, 0.8), [1, 2, 2, 2, 3, 3, 3, 3]),
        (8, 5, (0.985, 0.8), [1, 2, 2, 2, 2, 3, 3, 3]),
        (30, 12, (0.875,), [1] * 19 + [2] * 11),
        (30, 5, (0.9,), [1] * 11 + [2] * 19),
    ],
)
def test_phases_of_known_recipes(steps, shift, thresholds, table):
    plan = PhasePlan(tuple(Phase(1.0) for _ in range(len(thresholds) + 1)), thresholds)
    assert [phase + 1 for phase in plan.table(flow_sigmas("dpmpp", steps, shift))] == table


def test_a_level_on_the_threshold_belongs_to_the_phase_above():
    """Wan takes its high-noise expert while the timestep is not below the boundary."""
    plan = PhasePlan((Phase(1.0),) * 3, (0.875, 0.5))
    assert plan.table(torch.tensor([1.0, 0.875, 0.75, 0.5, 0.25, 0.0])) == [0, 0, 1, 1, 2]


def test_one_phase_is_cores_guider():
    model = wan_tiny.load()
    assert torch.equal(run(PhaseGuider(model, PhasePlan((Phase(4.0),)))), core_run(model, 4.0, SIGMAS))


def test_two_experts_in_one_run_are_two_runs_joined():
    high, low = wan_tiny.load(seed=0), wan_tiny.load(seed=1)
    together = run(PhaseGuider(high, two(), low))
    index = int((SIGMAS < 0.6).nonzero()[0])
    middle = core_run(high, 4.0, SIGMAS[: index + 1])
    joined = core_run(low, 3.0, SIGMAS[index:], middle)
    torch.testing.assert_close(together, joined, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(together, core_run(high, 4.0, SIGMAS), atol=1e-2)


def test_at_cfg_1_each_step_is_one_forward():
    (high, calls_high), (low, calls_low) = (wan_tiny.count_forwards(wan_tiny.load(seed=s)) for s in (0, 1))
    run(PhaseGuider(high, two((1.0, 1.0)), low))
    assert calls_high == [1] * 4
    assert calls_low == [1] * 4


def test_each_phase_has_its_own_cfg():
    model, calls = wan_tiny.count_forwards(wan_tiny.load())
    run(PhaseGuider(model, two((4.0, 1.0))))
    assert sum(calls) == 4 * 2 + 4


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpm_2_ancestral", "res_multistep"])
def test_models_change_at_most_once(sampler, monkeypatch):
    high, low = wan_tiny.load(seed=0), wan_tiny.load(seed=1)
    guider = PhaseGuider(high, two(), low)
    starts = []
    original = guider.start_second
    monkeypatch.setattr(guider, "start_second", lambda: (starts.append(1), original()))
    run(guider, sampler=sampler)
    assert starts == [1]


def test_run_below_the_boundary_never_touches_the_first_model():
    (high, calls_high), (low, calls_low) = (wan_tiny.count_forwards(wan_tiny.load(seed=s)) for s in (0, 1))
    run(PhaseGuider(high, two(), low), sigmas=torch.tensor([0.5, 0.25, 0.0]))
    assert not calls_high
    assert len(calls_low) >= 2


def test_guider_may_run_again_with_the_same_result():
    guider = PhaseGuider(wan_tiny.load(seed=0), two(), wan_tiny.load(seed=1))
    assert torch.equal(run(guider), run(guider))


def test_wrappers_of_the_second_model_open_and_close_around_the_run():
    high, low = wan_tiny.load(seed=0), wan_tiny.load(seed=1).clone()
    seen = []

    def outer(executor, *args, **kwargs):
        seen.append(executor.class_obj.model_patcher is low)
        return executor(*args, **kwargs)

    low.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, "test", outer)
    run(PhaseGuider(high, two(), low))
    assert seen == [True]


def test_zero_init_skips_the_first_steps_without_a_forward():
    model, calls = wan_tiny.count_forwards(wan_tiny.load())
    out = run(PhaseGuider(model, PhasePlan((Phase(1.0),), zero_init_steps=2)))
    assert len(calls) == len(SIGMAS) - 1 - 2
    assert not torch.allclose(out, core_run(wan_tiny.load(), 1.0, SIGMAS), atol=1e-2)


def test_zero_star_projects_the_negative_velocity():
    x, sigma = wan_tiny.noise(SHAPE, 1), torch.tensor([0.7])
    positive, negative = wan_tiny.noise(SHAPE, 2), wan_tiny.noise(SHAPE, 3)
    v_positive, v_negative = (x - positive) / 0.7, (x - negative) / 0.7
    _, scaled = cfg_zero_star({"input": x, "sigma": sigma, "conds_out": [positive, negative]})
    alpha = (v_positive * v_negative).sum() / (v_negative**2).sum()
    torch.testing.assert_close((x - scaled) / 0.7, alpha * v_negative, rtol=1e-4, atol=1e-4)


def apg(guidance, positive, negative, x, sigma, cfg=5.0):
    """The guided velocity."""
    args = {"input": x, "sigma": torch.tensor([sigma]), "cond": x - positive, "uncond": x - negative, "cond_scale": cfg}
    return guidance(args) / sigma


def test_projected_guidance_keeps_what_is_orthogonal():
    x, positive, negative = (wan_tiny.noise(SHAPE, seed) for seed in (1, 2, 3))
    guided = apg(ProjectedGuidance(), positive, negative, x, 0.7)
    v = (x - positive) / 0.7
    along = ((guided - v) * v).sum((-3, -2, -1))
    assert along.abs().max() < 1e-3
    assert (guided - v).abs().max() > 0.1


def test_projected_guidance_has_momentum_and_forgets_with_a_new_object():
    x, positive, negative = (wan_tiny.noise(SHAPE, seed) for seed in (1, 2, 3))
    guidance = ProjectedGuidance()
    first = apg(guidance, positive, negative, x, 0.7)
    assert not torch.allclose(apg(guidance, positive, negative, x, 0.7), first)
    assert torch.equal(apg(ProjectedGuidance(), positive, negative, x, 0.7), first)


def test_guidance_changes_the_result_and_only_in_its_phase():
    model = wan_tiny.load()
    plain = run(PhaseGuider(model, PhasePlan((Phase(4.0),))))
    for phase in (Phase(4.0, zero_star=True), Phase(4.0, projected=True), Phase(4.0, skip_layers=(1,))):
        assert not torch.allclose(run(PhaseGuider(model, PhasePlan((phase,)))), plain, atol=1e-3)
    late = PhasePlan((Phase(4.0), Phase(4.0, projected=True)), (-1.0,))
    assert torch.equal(run(PhaseGuider(model, late)), plain)


def test_layers_are_skipped_in_their_part_of_the_run_only():
    """Of 8 steps the part from 0.25 to 0.5 is steps 2 and 3; the end does not belong to it."""
    model = wan_tiny.load().clone()
    skipping = []

    def look(executor, *args, **kwargs):
        options = next(a for a in args if isinstance(a, dict) and "cond_or_uncond" in a)
        skipping.append(bool(options.get("patches_replace", {}).get("dit")))
        return executor(*args, **kwargs)

    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "look", look)
    run(PhaseGuider(model, PhasePlan((Phase(4.0, skip_layers=(1,), skip_start=0.25, skip_end=0.5),))))
    forwards = len(skipping) // 8  # a step; both prompts in one or one by one
    assert skipping[::forwards] == [False, False, True, True, False, False, False, False]


def test_skipped_layers_spare_the_positive_prompt():
    """With the negative prompt out of the way (cfg on the positive alone) skipping layers must change nothing."""
    model = wan_tiny.load()
    seen = {}

    def look(name):
        def wrapper(executor, x, *args, **kwargs):
            out = executor(x, *args, **kwargs)
            options = next(a for a in args if isinstance(a, dict) and "cond_or_uncond" in a)
            for chunk, part in zip(options["cond_or_uncond"], out.chunk(len(options["cond_or_uncond"])), strict=True):
                seen.setdefault((name, chunk), part.clone())
            return out

        return wrapper

    for name, layers in (("plain", ()), ("skipped", (0, 2))):
        watched = model.clone()
        watched.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "look", look(name))
        run(PhaseGuider(watched, PhasePlan((Phase(4.0, skip_layers=layers),))))
    torch.testing.assert_close(seen["skipped", 0], seen["plain", 0], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(seen["skipped", 1], seen["plain", 1], atol=1e-3)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (PhasePlan((Phase(3.0),) * 3, (0.8, 0.9)), "threshold 1 is 0.8 and threshold 2 is 0.9: noise falls over a run"),
        (PhasePlan((Phase(1.0, projected=True),)), "APG in phase 1 would do nothing"),
        (
            PhasePlan((Phase(3.0), Phase(1.0, zero_star=True, skip_layers=(9,))), (0.9,)),
            "CFG-Zero\\* and SLG in phase 2",
        ),
    ],
)
def test_contradicting_plans_are_refused(plan, message):
    with pytest.raises(ValueError, match=message):
        PhaseGuider(wan_tiny.load(), plan)


def test_projected_guidance_refuses_a_model_with_its_own_cfg_function():
    model = wan_tiny.load().clone()
    model.set_model_sampler_cfg_function(lambda args: args["cond"])
    with pytest.raises(ValueError, match="own CFG function"):
        run(PhaseGuider(model, PhasePlan((Phase(3.0, projected=True),))))


def test_step_of_finds_substeps():
    sigmas = torch.tensor([1.0, 0.8, 0.5, 0.0])
    assert [step_of(sigma, sigmas) for sigma in (1.0, 0.9, 0.8, 0.6, 0.5, 0.2, 0.0)] == [0, 0, 1, 1, 2, 2, 2]


def test_a_phase_without_steps_is_reported(caplog):
    plan = PhasePlan((Phase(1.0),) * 3, (0.99, 0.985))
    run(PhaseGuider(wan_tiny.load(), plan))
    assert "phase 2 gets no step" in caplog.text
    caplog.clear()
    run(PhaseGuider(wan_tiny.load(), two((1.0, 1.0))))
    assert "gets no step" not in caplog.text


def test_momentum_of_projected_guidance_is_forgotten_at_the_switch():
    high, low = wan_tiny.load(seed=0), wan_tiny.load(seed=1)
    phase = Phase(4.0, projected=True)
    guider = PhaseGuider(high, PhasePlan((phase, phase), (0.6,)), low)
    together = run(guider)
    index = int((SIGMAS < 0.6).nonzero()[0])
    middle = run(PhaseGuider(high, PhasePlan((phase,))), SIGMAS[: index + 1])
    second = PhaseGuider(low, PhasePlan((phase,)))
    second.set_conds(PROMPTS.positive, PROMPTS.negative)
    joined = second.sample(
        torch.zeros(SHAPE), middle, comfy.samplers.ksampler("euler"), SIGMAS[index:], disable_pbar=True, seed=0
    )
    torch.testing.assert_close(together, joined, rtol=1e-3, atol=1e-3)
