"""Guider and sampler of LTX-Video 0.9.x on a tiny network: passes, STG modes, given frames, hooks, repeatability."""

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key
from comfy_extras.nodes_apg import APG
from comfy_extras.nodes_lt import LTXVAddGuide

from harness.compiled import compiled
from harness.fingerprint import fingerprint
from harness.float64 import without_float64
from harness.pack import ROOT
from oner.ltx.ltxv.conditions import append_guide, guide_positions, mix_into_frames
from oner.ltx.ltxv.guidance import LOOKUPS, GuidanceSchedule
from oner.ltx.ltxv.guider import LTXVGuider
from oner.ltx.ltxv.sampler import sample_ltxv
from oner.ltx.ltxv.stg import MODES
from oner.nodes.legacy_ltxvideo.tricks import FetaEnhance
from oner.samplers.euler import solve_cfg_pp
from oner.samplers.masked import MaskedSampler
from tiny import write_models

SIGMAS = torch.tensor([1.0, 0.9, 0.6, 0.3, 0.0])
STG = GuidanceSchedule.constant(3.0, 1.0, 0.7, (0, 2), cfg_star=True)


@pytest.fixture(scope="module")
def model():
    path = ROOT / "tests" / "golden" / "ltx" / "tiny_ltxv.safetensors"
    return comfy.sd.load_diffusion_model(str(path), model_options={"dtype": torch.float32})


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def conds():
    def cond(seed, tokens):
        mask = torch.ones(1, tokens, dtype=torch.int)
        return [[draw(1, tokens, 40, seed=seed), {"attention_mask": mask, "frame_rate": 24.0}]]

    return cond(1, 9), cond(2, 9)


@pytest.fixture
def latent():
    return {"samples": torch.zeros(1, 128, 3, 2, 3)}


def run(model, conds, latent, schedule=STG, mode=MODES[0], sigmas=SIGMAS, sampler=None, count=None, **options):
    guider = LTXVGuider(model, *conds, schedule, mode)
    if count is not None:

        def note(executor, x, *args, **kwargs):
            count.append(x.shape[0])
            return executor(x, *args, **kwargs)

        guider.model_options = comfy.model_patcher.create_model_options_clone(guider.model_options)
        add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "count", note, guider.model_options, is_model_options=True)
    sampler = sampler or comfy.samplers.KSAMPLER(sample_ltxv, options)
    samples = latent["samples"]
    noise = draw(*samples.shape, seed=3)
    mask = latent.get("noise_mask")
    return guider.sample(noise, samples, sampler, sigmas, denoise_mask=mask, disable_pbar=True, seed=7)


def test_all_passes_of_a_step_share_one_forward(model, conds, latent):
    count = []
    run(model, conds, latent, count=count)
    assert count == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("schedule", "mode", "passes"),
    [
        (GuidanceSchedule.constant(1.0, 0.0, 1.0, ()), MODES[0], 1),
        (GuidanceSchedule.constant(3.0, 0.0, 1.0, ()), MODES[0], 2),
        (GuidanceSchedule.constant(1.0, 1.0, 1.0, (1,)), MODES[0], 2),
        (GuidanceSchedule.constant(3.0, 1.0, 1.0, (1,)), "residual", 2),
    ],
)
def test_only_the_passes_that_count_are_run(model, conds, latent, schedule, mode, passes):
    count = []
    run(model, conds, latent, schedule, mode, count=count)
    assert count == [passes] * 4


@pytest.mark.parametrize("mode", MODES)
def test_one_batch_equals_passes_one_by_one(model, conds, latent, mode, monkeypatch):
    together = run(model, conds, latent, mode=mode)
    monkeypatch.setattr(type(model), "get_free_memory", lambda *_: 0)  # as if only one pass fitted
    count = []
    apart = run(model, conds, latent, mode=mode, count=count)
    assert set(count) == {1}
    assert (together - apart).abs().max() / apart.abs().max() < 1e-6


def test_prompts_of_different_length_are_run_apart(model, conds, latent):
    positive, negative = conds
    tensor, options = negative[0]
    shorter = [[tensor[:, :5], {**options, "attention_mask": options["attention_mask"][:, :5]}]]
    count = []
    result = run(model, (positive, shorter), latent, count=count)
    assert torch.isfinite(result).all()
    assert sum(count) == 12


def test_modes_differ_and_residual_is_without_stg(model, conds, latent):
    results = {mode: run(model, conds, latent, mode=mode) for mode in MODES}
    effect = {mode: (results[mode] - results["residual"]).abs().max().item() for mode in MODES}
    assert effect.pop("residual") == 0
    assert min(effect.values()) > 1e-3
    assert len(set(effect.values())) == 3


def test_skipped_attention_hands_on_what_it_was_given(model, conds, latent):
    """The perturbed pass is that of a network whose attention is its output projection alone."""
    attention = model.model.diffusion_model.transformer_blocks[0].attn1
    skipping = model.clone()
    path = "diffusion_model.transformer_blocks.0.attn1.forward"
    skipping.add_object_patch(path, lambda x, **_: attention.to_out(x))
    off, on = (GuidanceSchedule.constant(1.0, stg, 1.0, (0,)) for stg in (0.0, 1.0))
    step = torch.tensor([1.0, 0.0])
    perturbed, plain = (run(m, conds, latent, off, sigmas=step) for m in (skipping, model))
    guided = run(model, conds, latent, on, "attention skip", sigmas=step)
    assert (perturbed - plain).abs().max() > 1e-3
    torch.testing.assert_close(guided, plain + (plain - perturbed), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strength", [0.9, 1.0])
def test_stg_works_beside_core_guides_of_any_strength(model, conds, latent, strength, mode):
    """Core splits the attention of a guide with strength below 1 into several calls."""
    content = draw(1, 128, 1, 2, 3, seed=5)
    samples, mask = latent["samples"], torch.ones(1, 1, 3, 1, 1)
    positive, negative, samples, mask = LTXVAddGuide.append_keyframe(
        *conds, 8, samples, mask, content, strength, (8, 32, 32)
    )
    entry = {"pre_filter_count": 6, "strength": strength, "pixel_mask": None, "latent_shape": [1, 2, 3]}
    guided = [[[t, {**o, "guide_attention_entries": [entry]}] for t, o in cond] for cond in (positive, negative)]
    result = run(model, guided, {"samples": samples, "noise_mask": mask}, mode=mode)
    assert result.shape == (1, 128, 4, 2, 3)
    assert torch.isfinite(result).all()


def test_split_attention_is_perturbed_like_a_whole_one(model, conds, latent):
    """A weight of 1 - 1e-7 makes core split the calls and changes next to nothing else."""
    *guided, extended = append_guide(*conds, latent, draw(1, 128, 1, 2, 3, seed=5), 8, 1.0)
    whole = run(model, guided, extended)
    count = []

    def note(function, *args, **kwargs):
        count.append(args[0].shape[1])
        return function(*args, **kwargs)

    weighted = [
        [
            [t, {**o, "guide_attention_entries": [{**o["guide_attention_entries"][0], "strength": 1 - 1e-7}]}]
            for t, o in c
        ]
        for c in guided
    ]
    watched = model.clone()
    watched.model_options["transformer_options"]["optimized_attention_override"] = note
    split = run(watched, weighted, extended)
    assert {18, 6, 24} == set(count)  # the noisy tokens, the guide's, and all in cross-attention
    assert (split - whole).abs().max() / whole.abs().max() < 1e-5


def test_attention_of_other_packs_is_still_called(model, conds, latent):
    calls = []

    def override(function, q, k, v, heads, *args, **kwargs):
        calls.append(q.shape)
        return function(q, k, v, heads, *args, **kwargs)

    other = model.clone()
    other.model_options["transformer_options"]["optimized_attention_override"] = override
    assert torch.equal(run(other, conds, latent), run(model, conds, latent))
    assert len(calls) == 4 * 3 * 2  # steps x blocks x (self, cross)


@pytest.mark.parametrize("mode", MODES)
def test_block_patches_of_other_packs_are_still_called(model, conds, latent, mode):
    calls = []

    def patch(args, extra):
        calls.append(1)
        return extra["original_block"](args)

    other = model.clone()
    other.set_model_patch_replace(patch, "dit", "double_block", 2)
    assert torch.equal(run(other, conds, latent, mode=mode), run(model, conds, latent, mode=mode))
    assert len(calls) == 4


def test_cfg_pp_is_refused_where_the_guider_skips_the_first_step(model, conds, latent):
    skipping = GuidanceSchedule.binned([1.0], [3.0], [0.0], [0.0], [[0]], lookup="pack-compatible", skip_above=0.99)
    with pytest.raises(ValueError, match=r"the guider skips at the first noise level: set the level .* to 1"):
        run(model, conds, latent, skipping, sampler=MaskedSampler(solve_cfg_pp))
    assert run(model, conds, latent, sampler=MaskedSampler(solve_cfg_pp)).isfinite().all()


def test_post_cfg_hooks_run_with_every_pass(model, conds, latent):
    seen = []

    def hook(args):
        seen.append(args["perturbed_cond_denoised"])
        return args["denoised"] * 0

    hooked = model.clone()
    hooked.set_model_sampler_post_cfg_function(hook)
    assert run(hooked, conds, latent).abs().max() == 0
    assert len(seen) == 4
    assert all(x0.shape == latent["samples"].shape for x0 in seen)


def test_projected_guidance_works_as_in_core_and_beside_stg(model, conds, latent):
    projected = APG.execute(model, 0.3, 5.0, 0.0).result[0]
    core = comfy.samplers.CFGGuider(projected)
    core.set_conds(*conds)
    core.set_cfg(3.0)
    samples, euler = latent["samples"], comfy.samplers.ksampler("euler")
    expected = core.sample(draw(*samples.shape, seed=3), samples, euler, SIGMAS, disable_pbar=True)
    cfg = GuidanceSchedule.constant(3.0, 0.0, 1.0, ())
    assert torch.allclose(run(projected, conds, latent, cfg), expected, atol=1e-5)
    assert (run(projected, conds, latent) - run(model, conds, latent)).abs().max() > 1e-3


def test_projected_guidance_changes_nothing_where_cfg_is_off(model, conds, latent):
    """Core's own guider hands its hook an empty negative pass there."""
    stg_only = GuidanceSchedule.constant(1.0, 1.0, 0.7, (0, 2))
    projected = APG.execute(model, 0.3, 5.0, 0.0).result[0]
    assert torch.equal(run(projected, conds, latent, stg_only), run(model, conds, latent, stg_only))


def test_a_cfg_function_that_would_be_ignored_is_refused(model, conds, latent):
    other = model.clone()
    other.set_model_sampler_cfg_function(lambda args: args["cond"])
    with pytest.raises(ValueError, match="CFG function of another node"):
        run(other, conds, latent)


def test_a_block_that_the_model_lacks_is_refused(model, conds, latent):
    with pytest.raises(ValueError, match=r"STG asks for block 42 and the model has blocks 0\.\.2"):
        run(model, conds, latent, GuidanceSchedule.constant(1.0, 1.0, 1.0, (1, 42)))


def test_a_second_run_and_one_after_an_interruption_are_identical(model, conds, latent):
    given = mix_into_frames(latent, draw(1, 128, 1, 2, 3, seed=5), 1.0)
    options = {"image_noise_scale": 0.15, "stochastic": True}
    first = run(model, conds, given, **options)

    def interrupt(args):
        raise comfy.model_management.InterruptProcessingException

    stopped = model.clone()
    stopped.set_model_sampler_post_cfg_function(interrupt)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(stopped, conds, given, **options)
    assert torch.equal(run(model, conds, given, **options), first)


def test_inputs_and_the_global_generator_are_left_alone(model, conds, latent):
    given = mix_into_frames(latent, draw(1, 128, 1, 2, 3, seed=5), 1.0)
    state = torch.get_rng_state()
    before = [fingerprint(value) for value in (model, conds, given)]
    run(model, conds, given, image_noise_scale=0.15, stochastic=True)
    assert [fingerprint(value) for value in (model, conds, given)] == before
    assert torch.equal(torch.get_rng_state(), state)


def test_a_frame_given_with_strength_one_is_kept_exactly(model, conds, latent):
    content = draw(1, 128, 1, 2, 3, seed=5)
    result = run(model, conds, mix_into_frames(latent, content, 1.0))
    assert torch.equal(result[:, :, :1], content)


def test_a_frame_given_in_part_waits_until_the_noise_has_come_down_to_it(model, conds, latent):
    content, noise = draw(1, 128, 1, 2, 3, seed=5), draw(*latent["samples"].shape, seed=3)
    given = mix_into_frames(latent, content, 0.7)
    start = 0.3 * noise[:, :, :1] + 0.7 * content
    waiting = run(model, conds, given, sigmas=torch.tensor([1.0, 0.9, 0.6]))
    torch.testing.assert_close(waiting[:, :, :1], start / (1 - 0.6))  # core hands on x / (1 - sigma)
    moved = run(model, conds, given, sigmas=torch.tensor([1.0, 0.6, 0.2, 0.1]))
    assert not torch.allclose(moved[:, :, :1], start / (1 - 0.1), atol=1e-2)


@pytest.mark.parametrize("frame", [0, 8, 23])
def test_an_image_as_guide_is_one_frame_long(frame):
    spans = guide_positions(draw(1, 128, 1, 2, 3), frame)[0, 0]
    assert spans.tolist() == [[frame, frame + 1]] * 6


def test_image_noise_is_redrawn_with_sigma_squared(model, conds, latent):
    content = draw(1, 128, 1, 2, 3, seed=5)
    result = run(model, conds, mix_into_frames(latent, content, 1.0), image_noise_scale=0.15)
    left = (result[:, :, :1] - content) / (0.15 * 0.3**2)  # what the last step added, in units of its noise
    assert left.mean().abs() < 0.15
    assert abs(left.std() - 1) < 0.1


def test_the_largest_seed_of_comfyui_works(model, conds, latent):
    samples, guider = latent["samples"], LTXVGuider(model, *conds, STG, MODES[0])
    sampler = comfy.samplers.KSAMPLER(sample_ltxv, {"stochastic": True})
    result = guider.sample(draw(*samples.shape), samples, sampler, SIGMAS, disable_pbar=True, seed=2**64 - 1)
    assert torch.isfinite(result).all()


def test_stochastic_steps_end_at_the_last_prediction(model, conds, latent):
    one_step = torch.tensor([1.0, 0.0])
    assert torch.equal(
        run(model, conds, latent, sigmas=one_step, stochastic=True), run(model, conds, latent, sigmas=one_step)
    )
    assert not torch.equal(run(model, conds, latent, stochastic=True), run(model, conds, latent))


@pytest.mark.parametrize("strength", [0.3, 0.6, 0.7, 0.9])
def test_core_euler_still_differs_for_partial_strengths(model, conds, latent, strength):
    """If this fails, core has learned the token times of the reference, and our sampler can go."""
    given = mix_into_frames(latent, draw(1, 128, 1, 2, 3, seed=5), strength)
    ours, core = run(model, conds, given), run(model, conds, given, sampler=comfy.samplers.ksampler("euler"))
    assert (ours - core).abs().max() / ours.abs().max() > 1e-3


def test_core_euler_agrees_without_partial_strengths(model, conds, latent):
    for given in (latent, mix_into_frames(latent, draw(1, 128, 1, 2, 3, seed=5), 1.0)):
        ours, core = run(model, conds, given), run(model, conds, given, sampler=comfy.samplers.ksampler("euler"))
        assert (ours - core).abs().max() / ours.abs().max() < 1e-5


def test_samples_of_a_batch_do_not_see_each_other(model, conds):
    """Rescale, projection and the perturbed rows go by sample."""
    content, samples = draw(1, 128, 1, 2, 3, seed=5), torch.zeros(2, 128, 3, 2, 3)
    *guided, pair = append_guide(*conds, mix_into_frames({"samples": samples}, content, 0.7), content, 16, 0.9)
    noise = draw(*pair["samples"].shape, seed=3)

    def sample(rows):
        guider = LTXVGuider(model, *guided, STG, MODES[1])
        latent, mask = pair["samples"][rows], pair["noise_mask"][rows]
        return guider.sample(noise[rows], latent, comfy.samplers.KSAMPLER(sample_ltxv), SIGMAS, mask, disable_pbar=True)

    both, alone = sample(slice(None)), torch.cat([sample(slice(0, 1)), sample(slice(1, 2))])
    assert (both - alone).abs().max() / alone.abs().max() < 1e-6


def test_guides_are_found_whatever_the_guider_calls_its_prompts(model, conds, latent):
    *guided, extended = append_guide(*conds, latent, draw(1, 128, 1, 2, 3, seed=5), 8, 0.5)
    guider = comfy.samplers.CFGGuider(model)
    guider.inner_set_conds({"main": guided[0]})
    guider.predict_noise = lambda x, t, model_options=None, seed=None: comfy.samplers.calc_cond_batch(
        guider.inner_model, [guider.conds["main"]], x, t, model_options
    )[0]
    samples, mask = extended["samples"], extended["noise_mask"]
    noise = draw(*samples.shape, seed=3)
    result = guider.sample(noise, samples, comfy.samplers.KSAMPLER(sample_ltxv), SIGMAS, mask, disable_pbar=True)
    plain = GuidanceSchedule.constant(1.0, 0.0, 1.0, ())
    assert torch.allclose(result, run(model, guided, extended, plain), atol=1e-5)


def test_second_pass_start_is_the_blend_of_the_reference(latent):
    """start = strength * content + (1 - strength) * (t * noise + (1 - t) * latent), as the pipeline mixes."""
    from oner.ltx.ltxv.sampler import start_latent

    noise, before, content = draw(1, 128, 3, 2, 3, seed=3), draw(1, 128, 3, 2, 3, seed=4), draw(1, 128, 1, 2, 3, seed=5)
    given = mix_into_frames({"samples": before}, content, 0.6, start_sigma=0.9)
    start = start_latent(noise, given["samples"], given["noise_mask"], torch.tensor(0.9), 0)
    noised = 0.9 * noise + 0.1 * before
    assert torch.allclose(start[:, :, :1], 0.6 * content + 0.4 * noised[:, :, :1], atol=1e-6)
    assert torch.allclose(start[:, :, 1:], noised[:, :, 1:], atol=1e-6)


def test_an_ltx_2_model_is_refused_with_a_sentence(conds, tmp_path):
    path = write_models(tmp_path, ["ltx-2.3"])["ltx-2.3"]
    ltx2 = comfy.sd.load_checkpoint_guess_config(str(path), output_vae=False, output_clip=False)[0]
    with pytest.raises(ValueError, match=r"model is LTXAV: LTX-2, .* connect an LTX-Video 0.9.x checkpoint"):
        LTXVGuider(ltx2, *conds, STG, MODES[0])
    guider = comfy.samplers.CFGGuider(ltx2)
    guider.set_conds([[torch.zeros(1, 4, 96), {}]], [[torch.zeros(1, 4, 96), {}]])
    samples = torch.zeros(1, 128, 1, 2, 2)
    with pytest.raises(ValueError, match="model is LTXAV; the LTXV sampler is for LTX-Video"):
        guider.sample(samples, samples, comfy.samplers.KSAMPLER(sample_ltxv), SIGMAS, disable_pbar=True)


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_no_float64_on_the_device(model, conds, latent, lookup):
    mask = torch.ones(1, 1, 3, 1, 1)
    mask[:, :, 0] = 0.4
    schedule = GuidanceSchedule.binned((1.0, 0.5), (3.0, 2.0), (1.0, 0.5), (0.7, 0.7), ((0,), (1,)), True, lookup)
    sampler = without_float64(comfy.samplers.KSAMPLER(sample_ltxv, {"stochastic": True}))
    assert run(model, conds, {**latent, "noise_mask": mask}, schedule, sampler=sampler).dtype == torch.float32


# Through ComfyUI's compile node

BLOCKS = GuidanceSchedule.binned((1.0, 0.8, 0.5), (3.0,) * 3, (1.0,) * 3, (0.7,) * 3, ((0,), (1,), (0, 1)))


def differs(model, conds, latent, *options, **more):
    plain = run(model, conds, latent, *options, **more)
    result = run(compiled(model), conds, latent, *options, **more)
    return float((result - plain).abs().max() / plain.abs().max())


@pytest.mark.parametrize("mode", [m for m in MODES if m != "residual"])
def test_blocks_that_change_with_the_noise_level(model, conds, latent, mode):
    assert differs(model, conds, latent, BLOCKS, mode) < 1e-6


def test_stg_that_ends_within_the_run(model, conds, latent):
    ends = GuidanceSchedule.binned((1.0, 0.5), (3.0, 3.0), (1.0, 0.0), (0.7, 0.7), ((0,), (0,)))
    assert differs(model, conds, latent, ends) < 1e-6


def test_the_time_of_given_tokens(model, conds, latent):
    mask = torch.ones(1, 1, 3, 1, 1)
    mask[:, :, 0] = 0.4
    given = {"samples": draw(1, 128, 3, 2, 3, seed=9), "noise_mask": mask}
    assert differs(model, conds, given, GuidanceSchedule.constant(3.0, 0.0, 1.0, ())) < 1e-6


def test_enhanced_attention_after_plain(model, conds, latent):
    """The same compiled model, first without the patch."""
    through_core, cfg = compiled(model), GuidanceSchedule.constant(3.0, 0.0, 1.0, ())
    run(through_core, conds, latent, cfg)
    plain, result = (
        run(FetaEnhance.execute(each, 4.0).result[0], conds, latent, cfg) for each in (model, through_core)
    )
    assert (result - plain).abs().max() / plain.abs().max() < 1e-6
    assert (plain - run(model, conds, latent, cfg)).abs().max() > 1e-3
