"""The multimodal guider: one forward a step, equal to separate passes, polite to others' patches, without traces."""

from itertools import pairwise

import pytest
import torch
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_custom_sampler import CFGGuider, RandomNoise, SamplerCustomAdvanced

from harness.fingerprint import fingerprint
from oner.ltx.ltx2 import conditioning
from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltx2.solvers import make_sampler
from oner.ltx.ltx2.state import read_state, write_state
from oner.samplers.packed import pack, unpack

FULL = Guidance(cfg=3.0, stg=1.0, stg_blocks=(1,), rescale=0.7, modality=3.0)
SIGMAS = torch.tensor([1.0, 0.8, 0.4, 0.0])


def guided(model, prompts, video=FULL, audio=FULL, **options):
    guider = MultimodalGuider(model, constant(video), constant(audio), **options)
    guider.set_conds(*prompts)
    return guider


def sample(guider, latent, sampler=None, sigmas=SIGMAS):
    noise = RandomNoise.execute(7).result[0]
    output = SamplerCustomAdvanced.execute(noise, guider, sampler or make_sampler("euler"), sigmas, latent).result[0]
    return pack(output["samples"].unbind())


def count_batches(model):
    """A clone of the model, and the batch size of each of its forwards."""
    batches = []

    def count(executor, x, *args, **kwargs):
        batches.append(x[0].shape[0])
        return executor(x, *args, **kwargs)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "count", count)
    return model, batches


def without_room(guider):
    """The guider on a model for which no batch ever fits, so that core runs pass after pass."""
    guider.model_patcher.get_free_memory = lambda _device: 0
    return guider


def test_four_passes_are_one_forward_a_step(ltx2, prompts, empty_latent):
    model, batches = count_batches(ltx2)
    sample(guided(model, prompts), empty_latent)
    assert batches == [4, 4, 4]


def test_without_memory_the_passes_run_one_by_one(ltx2, prompts, empty_latent):
    model, batches = count_batches(ltx2)
    sample(without_room(guided(model, prompts)), empty_latent)
    assert batches == [1] * 12


def test_batched_passes_equal_separate_ones(ltx2, prompts, empty_latent):
    together = sample(guided(ltx2, prompts), empty_latent)
    separate = sample(without_room(guided(ltx2, prompts)), empty_latent)
    assert (together - separate).abs().max() / separate.abs().max() < 1e-6


def test_only_needed_passes_run(ltx2, prompts, empty_latent):
    model, batches = count_batches(ltx2)
    sample(guided(model, prompts, Guidance(cfg=3.0), Guidance(cfg=7.0)), empty_latent)
    sample(guided(model, prompts, Guidance(), Guidance()), empty_latent)
    assert batches == [2, 2, 2, 1, 1, 1]


def test_equal_cfg_alone_is_core_guider(ltx2, prompts, empty_latent):
    core = CFGGuider.execute(ltx2, *prompts, 3.0).result[0]
    ours = guided(ltx2, prompts, Guidance(cfg=3.0), Guidance(cfg=3.0))
    torch.testing.assert_close(sample(ours, empty_latent), sample(core, empty_latent), rtol=0, atol=2e-5)


def test_perturbed_samples_leave_the_others_alone(ltx2, prompts, empty_latent):
    """With a scale near 0 the perturbed and isolated passes run, but the result is the positive pass's."""
    tiny = Guidance(stg=1e-7, stg_blocks=(1,), modality=1 + 1e-7)
    plain = sample(guided(ltx2, prompts, Guidance(), Guidance()), empty_latent)
    perturbed = sample(guided(ltx2, prompts, tiny, tiny), empty_latent)
    torch.testing.assert_close(perturbed, plain, rtol=0, atol=1e-5)


@pytest.mark.parametrize("guidance", [Guidance(stg=1.0, stg_blocks=(1,)), Guidance(modality=3.0)])
def test_each_perturbation_changes_the_result(ltx2, prompts, empty_latent, guidance):
    plain = sample(guided(ltx2, prompts, Guidance(), Guidance()), empty_latent)
    assert (sample(guided(ltx2, prompts, guidance, guidance), empty_latent) - plain).abs().max() > 1e-2


def test_attention_override_of_another_pack_sees_every_attention(ltx2, prompts, empty_latent):
    model, calls = ltx2.clone(), []

    def override(attention, *args, **kwargs):
        calls.append(args[0].shape[0])
        return attention(*args, **kwargs)

    model.model_options["transformer_options"]["optimized_attention_override"] = override
    result = sample(guided(model, prompts), empty_latent)
    assert calls == [4] * (3 * 3 * 6)  # steps, blocks, attentions of a block
    assert torch.equal(result, sample(guided(ltx2, prompts), empty_latent))


def test_block_patch_of_another_pack_runs_around_ours(ltx2, prompts, empty_latent):
    model, seen = ltx2.clone(), []

    def replace(args, extra):
        seen.append(args["img"][0].shape[0])
        return extra["original_block"](args)

    model.set_model_patch_replace(replace, "dit", "double_block", 1)
    result = sample(guided(model, prompts), empty_latent)
    assert seen == [4, 4, 4]
    assert torch.equal(result, sample(guided(ltx2, prompts), empty_latent))


def test_object_patch_of_another_pack_is_called_by_ours(ltx2, prompts, empty_latent):
    model, calls = ltx2.clone(), []
    path = "diffusion_model.transformer_blocks.1.attn1.forward"
    forward = model.get_model_object(path)
    model.add_object_patch(path, lambda *args, **kwargs: (calls.append(1), forward(*args, **kwargs))[1])
    sample(guided(model, prompts), empty_latent)
    assert len(calls) == 3


def test_post_cfg_hooks_get_the_passes_and_change_the_result(ltx2, prompts, empty_latent):
    model, seen = ltx2.clone(), []

    def halve(args):
        seen.append(args)
        return args["denoised"] / 2

    model.set_model_sampler_post_cfg_function(halve)
    changed = sample(guided(model, prompts), empty_latent, sigmas=torch.tensor([1.0, 0.0]))
    plain = sample(guided(ltx2, prompts), empty_latent, sigmas=torch.tensor([1.0, 0.0]))
    assert torch.equal(changed, plain / 2)
    assert seen[0]["cond_denoised"].shape == seen[0]["uncond_denoised"].shape == plain.shape


def test_post_cfg_hooks_get_the_last_passes_of_a_skipped_modality(ltx2, prompts, empty_latent):
    """CFG++ takes its direction from them, beside the guided x0 that is kept as well."""
    model, seen = ltx2.clone(), []
    model.set_model_sampler_post_cfg_function(lambda args: (seen.append(args), args["denoised"])[1])
    guider = guided(model, prompts, Guidance(cfg=3.0, skip_step=1), Guidance(cfg=3.0))
    sample(guider, empty_latent)
    shapes = [part.shape for part in empty_latent["samples"].unbind()]
    for name in ("cond_denoised", "uncond_denoised"):
        (video, audio), (kept, moved), (new, _) = (unpack(args[name], shapes) for args in seen)
        assert torch.equal(kept, video)
        assert not torch.equal(moved, audio)
        assert not torch.equal(new, video)


def test_pre_cfg_hooks_see_all_passes(ltx2, prompts, empty_latent):
    model, seen = ltx2.clone(), []
    model.set_model_sampler_pre_cfg_function(lambda args: (seen.append(len(args["conds_out"])), args["conds_out"])[1])
    sample(guided(model, prompts), empty_latent)
    assert seen == [4, 4, 4]


def test_shared_audio_context_makes_the_negative_audio_prompt_irrelevant(ltx2, prompts, empty_latent):
    positive, negative = prompts
    other = [[negative[0][0].clone(), negative[0][1]]]
    other[0][0][..., 48:] = 5.0
    video = Guidance(cfg=3.0)
    first, second = (
        sample(guided(ltx2, (positive, n), video, Guidance(), shared_audio_context=True), empty_latent)
        for n in (negative, other)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, sample(guided(ltx2, (positive, other), video, Guidance()), empty_latent))


def test_shared_audio_context_needs_prompts_of_one_length(ltx2, prompts, empty_latent):
    positive, negative = prompts
    longer = [[torch.cat([negative[0][0]] * 2, dim=1), negative[0][1]]]
    with pytest.raises(ValueError, match="22 tokens, the positive one 11"):
        sample(guided(ltx2, (positive, longer), shared_audio_context=True), empty_latent)


def test_both_modalities_skipped_run_no_forward(ltx2, prompts, empty_latent):
    model, batches = count_batches(ltx2)
    every_other = Guidance(cfg=3.0, skip_step=1)
    sample(guided(model, prompts, every_other, every_other), empty_latent)
    assert batches == [2, 2]


@pytest.mark.parametrize("audio_skips", [True, False])
def test_a_skipped_step_takes_the_mixed_x0_of_the_last_one(ltx2, prompts, av_latent, audio_skips):
    """Partly given frames are mixed with their content once: the reused x0 is the one that was mixed, as it was."""
    state = conditioning.replace_frames(read_state(av_latent), torch.ones(1, 128, 1, 2, 3), 0, 0.6)
    latent = write_state(av_latent, state)
    every_other = Guidance(cfg=3.0, rescale=0.7, skip_step=1)
    guider = guided(ltx2, prompts, every_other, every_other if audio_skips else Guidance(cfg=3.0))
    mixed = []  # x0 after mixing, by step

    def euler(denoise, x, sigmas):
        for sigma, after in pairwise(sigmas):
            mixed.append(denoise(x, sigma))
            x = x + (x - mixed[-1]) / sigma * (after - sigma)
        return x

    sampler = make_sampler("euler")
    sampler.solver = euler
    sample(guider, latent, sampler, torch.tensor([1.0, 0.9, 0.7, 0.3, 0.0]))
    steps = [unpack(x0, [part.clean.shape for part in state.parts]) for x0 in mixed]
    for evaluated, skipped in (steps[:2], steps[2:]):
        assert torch.equal(skipped[0], evaluated[0])
        assert torch.equal(skipped[1], evaluated[1]) == audio_skips
    assert not torch.equal(steps[1][0], steps[2][0])


def test_video_alone_can_be_guided(ltx2, prompts):
    model, batches = count_batches(ltx2)
    guider = guided(model, prompts, Guidance(cfg=3.0, stg=1.0, stg_blocks=(0,), rescale=0.7))
    noise = RandomNoise.execute(7).result[0]
    latent = {"samples": torch.zeros(1, 128, 3, 2, 3)}
    output = SamplerCustomAdvanced.execute(noise, guider, make_sampler("euler"), SIGMAS, latent).result[0]["samples"]
    assert batches == [3, 3, 3]
    assert output.isfinite().all()


def test_a_second_run_is_bit_identical_and_nothing_received_changes(ltx2, prompts, av_latent):
    before = fingerprint([ltx2, prompts, av_latent])
    guider = guided(ltx2, prompts, Guidance(cfg=3.0, skip_step=1), FULL)
    first = sample(guider, av_latent)
    assert torch.equal(first, sample(guider, av_latent))
    assert fingerprint([ltx2, prompts, av_latent]) == before


def test_an_interrupted_run_leaves_no_trace(ltx2, prompts, empty_latent):
    guider = guided(ltx2, prompts, Guidance(cfg=3.0, skip_step=1), Guidance(cfg=3.0, skip_step=1))
    expected = sample(guider, empty_latent)

    class Cut(Exception):
        pass

    def interrupt(denoise, x, sigmas):
        denoise(x, sigmas[0])
        raise Cut

    sampler = make_sampler("euler")
    sampler.solver = interrupt
    with pytest.raises(Cut):
        sample(guider, empty_latent, sampler)
    assert torch.equal(sample(guider, empty_latent), expected)


def test_patches_are_gone_after_another_guider_ran(ltx2, prompts, empty_latent):
    """The perturbation lives on the guider's clone: core's guider on the same model does not see it."""
    core = CFGGuider.execute(ltx2, *prompts, 3.0).result[0]
    before = sample(core, empty_latent)
    sample(guided(ltx2, prompts), empty_latent)
    assert torch.equal(sample(core, empty_latent), before)


def test_a_negative_pass_asked_for_runs_and_changes_nothing(ltx2, prompts, empty_latent):
    model, batches = count_batches(ltx2)
    model.disable_model_cfg1_optimization()
    asked = sample(guided(model, prompts, Guidance(), Guidance()), empty_latent)
    assert batches == [2, 2, 2]
    torch.testing.assert_close(
        asked, sample(guided(ltx2, prompts, Guidance(), Guidance()), empty_latent), rtol=0, atol=1e-5
    )


def test_weighted_references_are_guided_like_separate_passes(ltx2, prompts, empty_latent):
    """The perturbed pass and the parts of the attention mask meet in one override (one step: errors grow)."""
    reference = torch.randn(1, 128, 2, 2, 3, generator=torch.Generator().manual_seed(1))
    state, referred = conditioning.append_reference(read_state(empty_latent), prompts, reference, 1.0, weight=0.5)
    latent = write_state({}, state)
    together = sample(guided(ltx2, referred), latent, sigmas=SIGMAS[:2])
    separate = sample(without_room(guided(ltx2, referred)), latent, sigmas=SIGMAS[:2])
    assert (together - separate).abs().max() / separate.abs().max() < 1e-6
