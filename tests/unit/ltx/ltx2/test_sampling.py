"""Masked sampling: exact for partial strengths against an independent loop, with a start apart from the content."""

import math
from itertools import pairwise

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy.sampler_helpers import convert_cond, prepare_sampling
from comfy.samplers import KSAMPLER, calc_cond_batch, ksampler, process_conds
from comfy.utils import pack_latents, unpack_latents
from comfy_extras.nodes_custom_sampler import BasicGuider, CFGGuider, RandomNoise, SamplerCustomAdvanced

from harness.fingerprint import fingerprint
from harness.float64 import without_float64
from oner.ltx.ltx2 import conditioning
from oner.ltx.ltx2.block_choice import exact_blocks
from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltx2.noise import LatentNoise
from oner.ltx.ltx2.solvers import SOLVERS, make_sampler
from oner.ltx.ltx2.state import read_state, write_state
from oner.samplers.packed import pack
from oner.samplers.res2s import mix_noise, res2s_coefficients
from oner.samplers.step_noise import SeededNoise, standardise

SIGMAS = torch.tensor([0.9, 0.6, 0.3, 0.0])
STRENGTHS = [0.3, 0.6, 0.7, 0.9]
EXACT = 3e-7  # the last bit of float32, three steps long


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_image(latent, strength):
    """The latent with another first frame put over its own."""
    state = conditioning.replace_frames(read_state(latent), random(1, 128, 1, 2, 3, seed=9), 0, strength)
    return write_state(latent, state)


def with_keyframe(latent, prompt, strength):
    state, (prompt,) = conditioning.append_keyframe(
        read_state(latent), [prompt], random(1, 128, 1, 2, 3, seed=9), 12, strength
    )
    return write_state(latent, state), prompt


def sample(model, prompt, latent, sampler=None, sigmas=SIGMAS, noise=None):
    guider = BasicGuider.execute(model, prompt).result[0]
    noise = noise or LatentNoise(5, float(sigmas[0]))
    output = SamplerCustomAdvanced.execute(noise, guider, sampler or make_sampler("euler"), sigmas, latent).result[0]
    return pack(output["samples"].unbind())


def reference(model, prompts, latent, step, sigmas=SIGMAS):
    """The loop of the LTX-2 pipelines, written out in float64 around the float32 network.

    x0 = x - m sigma v of each prompt; that of the first one is mixed with the content and then stepped from.
    """
    state = read_state(latent)
    clean, shapes = pack_latents([part.clean for part in state.parts])
    init, mask = (
        pack_latents([getattr(part, name).expand(part.clean.shape) for part in state.parts])[0]
        for name in ("init", "mask")
    )
    noise = pack_latents(LatentNoise(5).generate_noise({"samples": latent["samples"]}).unbind())[0]
    conds = {str(place): convert_cond(prompt) for place, prompt in enumerate(prompts)}
    inner, conds, _ = prepare_sampling(model, clean.shape, conds, model.model_options)
    model.pre_run()
    conds = process_conds(inner, clean, conds, model.load_device, clean, mask, 0, latent_shapes=shapes)
    asked = list(conds.values())
    clean, mask, init, noise = (tensor.double() for tensor in (clean, mask, init, noise))
    x = clean + mask * (init + sigmas[0].double() * (noise - init) - clean)
    history = []
    for sigma, after in pairwise(sigmas):
        shown = x.float()
        with exact_blocks(inner.diffusion_model):
            predicted = calc_cond_batch(inner, asked, shown, sigma[None], model.model_options)
        level, lower = sigma.double(), after.double()
        velocities = [(shown.double() - core.double()) / level for core in predicted]
        raw = [x - mask * level * velocity for velocity in velocities]
        history.append((x - (mask * raw[0] + (1 - mask) * clean)) / level)
        x = step(x, level, lower, mask * raw[0] + (1 - mask) * clean, raw[-1], history)
    return x


def euler(x, sigma, after, x0, _negative, _history):
    return x + (x - x0) / sigma * (after - sigma)


def gradient_estimation(x, sigma, after, x0, _negative, history):
    """Of factor 2, and the step to 0 gives x0."""
    slope = history[-1] if len(history) == 1 else 2 * history[-1] - history[-2]
    return x0 if after == 0 else x + slope * (after - sigma)


def cfg_pp(x, sigma, after, x0, negative, _history):
    """(1 - s') x0 + s' times the noise that the negative prompt sees in x."""
    return (1 - after) * x0 + after * (x - (1 - sigma) * negative) / sigma


def error(actual, expected):
    return float((actual - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("strength", STRENGTHS)
def test_partial_image_is_exact(ltx2, prompts, av_latent, strength):
    latent = with_image(av_latent, strength)
    assert error(sample(ltx2, prompts[0], latent), reference(ltx2, prompts[:1], latent, euler)) < 1e-5


@pytest.mark.parametrize("strength", STRENGTHS)
def test_partial_keyframe_is_exact(ltx2, prompts, av_latent, strength):
    latent, prompt = with_keyframe(av_latent, prompts[0], strength)
    assert error(sample(ltx2, prompt, latent), reference(ltx2, [prompt], latent, euler)) < 1e-5


@pytest.mark.parametrize("strength", [0.0, 0.35, 0.9, 1.0])
def test_partly_given_frames_are_exact_under_cfg_pp(ltx2, prompts, av_latent, strength):
    """Scale 1, where the negative pass runs for its direction alone."""
    latent = with_image(av_latent, strength)
    expected = reference(ltx2, prompts, latent, cfg_pp)
    ours = MultimodalGuider(ltx2, constant(Guidance()), constant(Guidance()))
    ours.set_conds(*prompts)
    for guider in (CFGGuider.execute(ltx2, *prompts, 1.0).result[0], ours):
        noise, sampler = LatentNoise(5, float(SIGMAS[0])), make_sampler("euler_cfg_pp")
        output = SamplerCustomAdvanced.execute(noise, guider, sampler, SIGMAS, latent).result[0]
        assert error(pack(output["samples"].unbind()), expected) < EXACT


@pytest.mark.parametrize(
    ("name", "options", "step"),
    [
        ("euler", {}, euler),
        ("euler_ancestral_rf", {"eta": 0.0}, euler),
        ("gradient_estimation", {}, gradient_estimation),
    ],
)
def test_partly_given_frames_are_exact_under_the_others(ltx2, prompts, av_latent, name, options, step):
    latent = with_image(av_latent, 0.35)
    result = sample(ltx2, prompts[0], latent, make_sampler(name, **options))
    assert error(result, reference(ltx2, prompts[:1], latent, step)) < EXACT


@pytest.mark.parametrize("strength", STRENGTHS)
def test_an_appended_keyframe_starts_from_nothing_but_noise_below_its_content(av_latent, prompts, strength):
    """Part `strength` of its content and the rest noise at the first level; the empty place gives no share."""
    latent, _ = with_keyframe(av_latent, prompts[0], strength)
    sigma, content = 0.9, random(1, 128, 1, 2, 3, seed=9)
    carried = LatentNoise(5, sigma).generate_noise(latent).unbind()[0][:, :, -1:]
    plain = LatentNoise(5).generate_noise({"samples": latent["samples"]}).unbind()[0][:, :, -1:]
    start = strength * content + (1 - strength) * (sigma * carried + (1 - sigma) * content)
    torch.testing.assert_close(start, strength * content + (1 - strength) * sigma * plain)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_core_sampler_still_differs_for_partial_strength(ltx2, prompts, av_latent, strength):
    """When this fails, core has become exact and the masked samplers may go."""
    for latent, prompt in (
        (with_image(av_latent, strength), prompts[0]),
        with_keyframe(av_latent, prompts[0], strength),
    ):
        stock = sample(ltx2, prompt, latent, ksampler("euler"))
        assert error(stock, reference(ltx2, [prompt], latent, euler)) > 1e-4


def test_core_noise_starts_a_second_stage_elsewhere(ltx2, prompts, av_latent):
    """Why LTX Noise exists: from the content instead of what lay below it the result is another."""
    latent = with_image(av_latent, 0.6)
    stock = sample(ltx2, prompts[0], latent, noise=RandomNoise.execute(5).result[0])
    assert error(stock, reference(ltx2, prompts[:1], latent, euler)) > 1e-3


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_whole_strengths_agree_with_core_sampler(ltx2, prompts, av_latent, strength):
    latent = with_image(av_latent, strength) if strength else av_latent
    stock = sample(ltx2, prompts[0], latent, ksampler("euler"))
    assert error(sample(ltx2, prompts[0], latent), stock) < 1e-6


def test_given_frames_come_out_unchanged(ltx2, prompts, av_latent):
    latent = with_image(av_latent, 1.0)
    for name in ("euler", "euler_ancestral_rf", "gradient_estimation", "res2s"):
        result = sample(ltx2, prompts[0], latent, make_sampler(name))
        video = unpack_latents(result, [part.clean.shape for part in read_state(latent).parts])[0]
        assert torch.equal(video[:, :, 0], latent["samples"].tensors[0][:, :, 0]), name


@pytest.mark.parametrize("name", ["euler", "euler_ancestral_rf", "gradient_estimation", "res2s"])
def test_samplers_repeat_bit_for_bit_and_write_nothing(ltx2, prompts, av_latent, name):
    latent = with_image(av_latent, 0.6)
    before = fingerprint([ltx2, prompts, latent])
    sampler = make_sampler(name)
    first = sample(ltx2, prompts[0], latent, sampler)
    assert torch.equal(first, sample(ltx2, prompts[0], latent, sampler))
    assert fingerprint([ltx2, prompts, latent]) == before


def test_global_random_state_is_left_alone(ltx2, prompts, av_latent):
    state = torch.get_rng_state()
    sample(ltx2, prompts[0], av_latent, make_sampler("res2s"))
    sample(ltx2, prompts[0], av_latent, make_sampler("euler_ancestral_rf"))
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_of_a_seed_is_that_of_core(av_latent):
    ours = LatentNoise(11).generate_noise(av_latent)
    core = RandomNoise.execute(11).result[0].generate_noise(av_latent)
    assert all(torch.equal(a, b) for a, b in zip(ours.unbind(), core.unbind(), strict=True))


def test_noise_honours_the_batch_index():
    latent = {"samples": torch.zeros(2, 128, 1, 2, 2), "batch_index": [2, 0]}
    core = RandomNoise.execute(11).result[0].generate_noise(latent)
    assert torch.equal(LatentNoise(11).generate_noise(latent), core)


def test_noise_asks_for_the_sigmas_when_a_start_differs(av_latent):
    with pytest.raises(ValueError, match="connect the sigmas"):
        LatentNoise(0).generate_noise(with_image(av_latent, 0.6))


def test_start_of_each_modality_can_have_its_own_noise_level(av_latent):
    sigma, scales = 0.8, (0.5, 0.2)
    noise = LatentNoise(1, sigma, scales=scales).generate_noise(av_latent).unbind()
    plain = LatentNoise(1).generate_noise(av_latent).unbind()
    for part, one, drawn, scale in zip(av_latent["samples"].unbind(), noise, plain, scales, strict=True):
        start = sigma * one + (1 - sigma) * part  # as the sampler makes it
        torch.testing.assert_close(start, scale * drawn + (1 - scale) * part)


def test_noise_needs_no_sigmas_for_whole_strengths(av_latent):
    plain = LatentNoise(0).generate_noise(av_latent)
    given = LatentNoise(0).generate_noise(with_image(av_latent, 1.0))
    assert torch.equal(pack(plain.unbind()), pack(given.unbind()))


def test_a_cut_schedule_is_refused_for_partly_given_frames(ltx2, prompts, av_latent):
    with pytest.raises(ValueError, match=r"ends at sigma 0.3.*ends in 0"):
        sample(ltx2, prompts[0], with_image(av_latent, 0.6), sigmas=SIGMAS[:-1])


def test_a_cut_schedule_is_handed_over_as_core_does(ltx2, prompts, av_latent):
    first, stock = (sample(ltx2, prompts[0], av_latent, sampler, SIGMAS[:-1]) for sampler in (None, ksampler("euler")))
    assert error(first, stock) < 1e-6


def test_cfg_pp_agrees_with_core(ltx2, prompts, av_latent):
    results = []
    for sampler in (make_sampler("euler_cfg_pp"), ksampler("euler_cfg_pp")):
        guider = CFGGuider.execute(ltx2, *prompts, 2.0).result[0]
        noise = RandomNoise.execute(3).result[0]
        results.append(SamplerCustomAdvanced.execute(noise, guider, sampler, SIGMAS, av_latent).result[0]["samples"])
    ours, core = (pack(samples.unbind()) for samples in results)
    assert isinstance(ksampler("euler_cfg_pp"), KSAMPLER)
    assert error(ours, core) < 1e-5


def test_cfg_pp_needs_a_negative_prompt(ltx2, prompts, av_latent):
    with pytest.raises(ValueError, match="needs a negative prompt"):
        sample(ltx2, prompts[0], av_latent, make_sampler("euler_cfg_pp"))


def test_gradient_estimation_of_factor_one_is_euler(ltx2, prompts, av_latent):
    euler, other = (
        sample(ltx2, prompts[0], av_latent, sampler)
        for sampler in (make_sampler("euler"), make_sampler("gradient_estimation", gamma=1.0))
    )
    assert error(other, euler) < 1e-6


def test_ancestral_of_eta_zero_is_euler(ltx2, prompts, av_latent):
    euler, other = (
        sample(ltx2, prompts[0], av_latent, sampler)
        for sampler in (make_sampler("euler"), make_sampler("euler_ancestral_rf", eta=0.0))
    )
    assert error(other, euler) < 1e-6


@pytest.mark.parametrize("h", [1e-9, 1e-3, 0.3, 2.0, 9.0])
def test_res2s_coefficients_integrate_a_linear_change_exactly(h):
    """x' = x_a + h (b1 e(0) + b2 e(1/2)) is exact where the prediction is linear in log sigma."""
    a21, b1, b2 = res2s_coefficients(h)
    total = -math.expm1(-h) / h  # the weight of a constant prediction
    slope = (1 - total) / h  # of one growing from 0 to 1
    assert math.isclose(b1 + b2, total, rel_tol=1e-9)
    assert math.isclose(b2 / 2, slope, rel_tol=1e-5)
    assert math.isclose(a21, -math.expm1(-h / 2) / h, rel_tol=1e-9)


def test_mixing_noise_keeps_the_noise_level():
    """A clean part stays, and the noise of the result has the deviation of the new level."""
    generator = torch.Generator().manual_seed(0)
    old, new = torch.randn(2, 400_000, generator=generator, dtype=torch.float64)
    sigma, after, content = 0.8, 0.5, 3.0
    x, target = ((1 - s) * content + s * old for s in (sigma, after))
    mixed = mix_noise(x, target, sigma, after, new, 0.5)
    assert math.isclose(mixed.mean(), (1 - after) * content, abs_tol=5e-3)
    assert math.isclose(mixed.std(), after, abs_tol=5e-3)


def test_res2s_evaluates_twice_a_step_and_once_at_the_end(ltx2, prompts, av_latent):
    counted = []
    sampler = make_sampler("res2s")
    solve = sampler.solver

    def count(denoise, *args, **options):
        call = type(denoise).__call__
        wrapped = type("Counting", (type(denoise),), {"__call__": lambda s, *a: (counted.append(1), call(s, *a))[1]})
        denoise.__class__ = wrapped
        return solve(denoise, *args, **options)

    sampler.solver = count
    sample(ltx2, prompts[0], av_latent, sampler)
    assert len(counted) == 2 * (len(SIGMAS) - 1) + 1


def test_step_noise_is_standard_and_leaves_fillers_out():
    fillers = torch.zeros(1, 4, 2, 2, 2, dtype=torch.bool)
    fillers[:, :, 1, 0] = True
    noise = SeededNoise(0, [fillers.shape], fillers, dtype=torch.float64, standard=True)(0)
    assert not noise[fillers].any()
    assert math.isclose(noise[~fillers].mean(), 0, abs_tol=1e-12)
    drawn = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(noise[~fillers].sort().values, standardise(drawn).flatten().sort().values)


def test_each_sample_of_a_batch_has_standard_noise_of_its_own():
    noise = standardise(random(3, 6, 4, seed=1).double() * torch.tensor([1.0, 4.0, 9.0]).view(3, 1, 1) + 2)
    torch.testing.assert_close(noise.mean((1, 2)), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(noise.std((1, 2)), torch.ones(3, dtype=torch.float64))


def test_modalities_do_not_share_step_noise():
    shapes = [(1, 4, 2, 2, 2), (1, 2, 8, 2)]
    source = SeededNoise(0, shapes)
    video, audio = unpack_latents(source(0), shapes)
    assert not torch.equal(video.flatten(), audio.flatten())
    assert not torch.equal(unpack_latents(source(1), shapes)[0], video)


def test_video_latents_alone_are_sampled_too(ltx2, prompts):
    latent = with_image({"samples": random(1, 128, 3, 2, 3, seed=1)}, 0.6)
    guider = BasicGuider.execute(ltx2, prompts[0]).result[0]
    result = SamplerCustomAdvanced.execute(
        LatentNoise(5, float(SIGMAS[0])), guider, make_sampler("euler"), SIGMAS, latent
    ).result[0]["samples"]
    assert not isinstance(result, NestedTensor)
    assert result.isfinite().all()


@pytest.mark.parametrize("name", SOLVERS)
def test_no_float64_on_the_device(ltx2, prompts, av_latent, name):
    guidance = constant(Guidance(cfg=3.0, stg=1.0, stg_blocks=(1,), rescale=0.7, modality=3.0))
    guider = MultimodalGuider(ltx2, guidance, guidance)
    guider.set_conds(*prompts)
    latent, options = with_image(av_latent, 0.6), {"eta": 0.5} if name in ("euler_cfg_pp", "res2s") else {}
    noise, sampler = LatentNoise(5, float(SIGMAS[0])), without_float64(make_sampler(name, **options))
    result = SamplerCustomAdvanced.execute(noise, guider, sampler, SIGMAS, latent).result[0]["samples"]
    assert {part.dtype for part in result.unbind()} == {torch.float32}
