"""Batches, half precision and core's context windows, through the guider and the masked samplers."""

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy.sd import load_diffusion_model
from comfy_extras.nodes_context_windows import LTXVContextWindowsNode
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

from harness.pack import ROOT
from oner.ltx.ltx2 import conditioning, reference_attention
from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltx2.noise import LatentNoise
from oner.ltx.ltx2.solvers import make_sampler
from oner.ltx.ltx2.state import read_state, write_state

SIGMAS = torch.tensor([0.9, 0.5, 0.0])
FULL = Guidance(cfg=3.0, stg=1.0, stg_blocks=(1,), rescale=0.7, modality=3.0)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conditioned(latent, prompts):
    """A first frame and a keyframe of partial strength, a weighted reference and a reference sound."""
    state = conditioning.replace_frames(read_state(latent), random(1, 128, 1, 2, 3, seed=5), 0, 0.7)
    state, prompts = conditioning.append_keyframe(state, prompts, random(1, 128, 1, 2, 3, seed=6), 9, 0.6)
    state, prompts = conditioning.append_reference(state, prompts, random(1, 128, 2, 2, 3, seed=7), 1.0, weight=0.5)
    prompts = conditioning.add_audio_reference(prompts, random(1, 8, 5, 16, seed=8))
    return write_state({}, state), prompts


def sample(model, latent, prompts, noise, guidance):
    guider = MultimodalGuider(model, constant(guidance), constant(guidance))
    guider.set_conds(*prompts)
    source = LatentNoise(0, float(SIGMAS[0]), given=noise)
    sampler = make_sampler("euler")
    return SamplerCustomAdvanced.execute(source, guider, sampler, SIGMAS, latent).result[0]["samples"].unbind()


def error(actual, expected):
    return float((actual - expected).abs().max() / expected.abs().max())


def batch(first, second):
    return NestedTensor([torch.cat(pair) for pair in zip(first.unbind(), second.unbind(), strict=True)])


def test_samples_of_a_batch_are_guided_one_by_one(ltx2, prompts):
    contents = [NestedTensor((random(1, 128, 3, 2, 3, seed=s), random(1, 8, 18, 16, seed=s + 1))) for s in (1, 3)]
    noises = [[random(1, 128, 6, 2, 3, seed=s), random(1, 8, 18, 16, seed=s + 1)] for s in (20, 30)]
    alone = []
    for content, noise in zip(contents, noises, strict=True):
        latent, guided = conditioned({"samples": content}, prompts)
        alone.append(sample(ltx2, latent, guided, noise, FULL))
    latent, guided = conditioned({"samples": batch(*contents)}, prompts)
    noise = [torch.cat(pair) for pair in zip(*noises, strict=True)]
    together = sample(ltx2, latent, guided, noise, FULL)
    for modality in (0, 1):
        assert error(together[modality], torch.cat([one[modality] for one in alone])) < 1e-5


@pytest.mark.parametrize("one", [0, 1])
def test_one_video_or_sound_serves_a_whole_batch(ltx2, prompts, one):
    """What is given once is repeated: each sample is what it would be alone."""
    batches = [1 if modality == one else 2 for modality in (0, 1)]
    content = [random(batches[0], 128, 3, 2, 3, seed=1), random(batches[1], 8, 18, 16, seed=2)]
    noises = [[random(1, 128, 6, 2, 3, seed=s), random(1, 8, 18, 16, seed=s + 1)] for s in (20, 30)]
    alone = []
    for sample_number, noise in enumerate(noises):
        own = [part[min(sample_number, len(part) - 1)][None] for part in content]
        latent, guided = conditioned({"samples": NestedTensor(own)}, prompts)
        alone.append(sample(ltx2, latent, guided, noise, FULL))
    latent, guided = conditioned({"samples": NestedTensor(content)}, prompts)
    together = sample(ltx2, latent, guided, [torch.cat(pair) for pair in zip(*noises, strict=True)], FULL)
    for modality in (0, 1):
        assert error(together[modality], torch.cat([each[modality] for each in alone])) < 1e-5


def test_batches_that_do_not_fit_are_refused_before_sampling(ltx2, prompts):
    unequal = {"samples": NestedTensor((torch.zeros(2, 128, 3, 2, 3), torch.zeros(3, 8, 18, 16)))}
    with pytest.raises(ValueError, match=r"holds 2 video\(s\) and 3 sound\(s\): give as many of both"):
        read_state(unequal)
    one_sound = {"samples": NestedTensor((torch.zeros(2, 128, 3, 2, 3), torch.zeros(1, 8, 18, 16)))}
    with pytest.raises(ValueError, match=r"holds 2 video\(s\) and 1 sound\(s\): pass it through LTX Freeze"):
        LatentNoise(0, 0.9).generate_noise(one_sound)
    guider = MultimodalGuider(ltx2, constant(FULL), constant(FULL))
    guider.set_conds(*prompts)
    with pytest.raises(ValueError, match=r"holds 2 video\(s\) and 1 sound\(s\): pass it through LTX Freeze"):
        guider.sample(one_sound["samples"], one_sound["samples"], make_sampler("euler"), SIGMAS)


def test_several_reference_sounds_are_refused_before_sampling(ltx2, prompts):
    latent = {"samples": NestedTensor((torch.zeros(2, 128, 3, 2, 3), torch.zeros(2, 8, 18, 16)))}
    prompts = conditioning.add_audio_reference(prompts, random(2, 8, 5, 16, seed=8))
    guider = MultimodalGuider(ltx2, constant(FULL), constant(FULL))
    guider.set_conds(*prompts)
    with pytest.raises(ValueError, match=r"2 reference sounds, for 2 clip\(s\)"):
        guider.sample(latent["samples"], latent["samples"], make_sampler("euler"), SIGMAS)


@pytest.mark.parametrize("guidance", [Guidance(), FULL])
def test_half_precision_stays_close(ltx2, prompts, av_latent, guidance):
    path = ROOT / "tests" / "golden" / "ltx" / "tiny_ltx23.safetensors"
    half = load_diffusion_model(str(path), model_options={"dtype": torch.bfloat16})
    latent, guided = conditioned(av_latent, prompts)
    noise = [random(1, 128, 6, 2, 3, seed=20), random(1, 8, 18, 16, seed=21)]
    exact, rounded = (sample(model, latent, guided, noise, guidance) for model in (ltx2, half))
    assert half.model.diffusion_model.dtype == torch.bfloat16
    assert max(error(a, b) for a, b in zip(rounded, exact, strict=True)) < 0.05


def test_context_windows_of_core_are_guided_and_masked(ltx2, prompts):
    """One window over the whole clip gives what no windows give; several give something finite."""
    content = NestedTensor((random(1, 128, 6, 2, 3, seed=1), random(1, 8, 43, 16, seed=2)))
    state = conditioning.replace_frames(read_state({"samples": content}), random(1, 128, 1, 2, 3, seed=5), 0, 0.7)
    latent = write_state({}, state)
    noise = [random(1, 128, 6, 2, 3, seed=20), random(1, 8, 43, 16, seed=21)]
    results = {None: sample(ltx2, latent, prompts, noise, FULL)}
    for length in (41, 25):
        results[length] = sample(in_windows(ltx2, length), latent, prompts, noise, FULL)
    assert all(torch.equal(a, b) for a, b in zip(results[41], results[None], strict=True))
    assert all(part.isfinite().all() for part in results[25])
    assert not torch.equal(results[25][0], results[None][0])


def in_windows(model, length, **changed):
    options = {i.id: i.default for i in LTXVContextWindowsNode.define_schema().inputs if hasattr(i, "default")}
    return LTXVContextWindowsNode.execute(
        **{**options, "model": model, "context_length": length, "context_overlap": 8, **changed}
    ).result[0]


def test_context_windows_cut_the_weights_of_references(ltx2, prompts, monkeypatch):
    """Each window weighs the reference's frames that it has: the second reference 0.1, 0.2, ... from frame to frame."""
    content = NestedTensor((random(1, 128, 6, 2, 4, seed=1), random(1, 8, 43, 16, seed=2)))
    state, guided = conditioning.append_reference(
        read_state({"samples": content}), prompts, random(1, 128, 2, 2, 4, seed=7), 1.0
    )
    per_token = (torch.arange(1, 7) / 10).repeat_interleave(2)  # shrunken: 1 x 2 tokens a frame
    state, guided = conditioning.append_reference(
        state, guided, random(1, 128, 6, 1, 2, seed=8), 1.0, downscale=2, weight=per_token
    )
    latent = write_state({}, state)
    noise = [random(1, 128, 14, 2, 4, seed=20), random(1, 8, 43, 16, seed=21)]
    whole = sample(ltx2, latent, guided, noise, FULL)
    one_window = sample(in_windows(ltx2, 41, freenoise=False), latent, guided, noise, FULL)
    assert all(torch.equal(a, b) for a, b in zip(one_window, whole, strict=True))

    seen = []
    original = reference_attention._build_mask

    def note(video, denoise_mask, entries, kept):
        mask = original(video, denoise_mask, entries, kept)
        seen.append(mask.groups[-1].weights)
        return mask

    monkeypatch.setattr(reference_attention, "_build_mask", note)
    windowed = sample(in_windows(ltx2, 25), latent, guided, noise, FULL)
    assert all(part.isfinite().all() for part in windowed)
    expected = [(torch.tensor(frames) / 10).repeat_interleave(2) for frames in ([1, 2, 3, 4], [3, 4, 5, 6])]
    assert {tuple(weights.tolist()) for weights in seen} == {tuple(weights.tolist()) for weights in expected}


@pytest.mark.parametrize("name", ["euler", "euler_ancestral_rf", "gradient_estimation", "euler_cfg_pp", "res2s"])
def test_fillers_of_a_shrunken_reference_stay_empty(ltx2, prompts, name):
    """Its tokens are spread over every other row and column; what lies between is neither seen nor filled."""
    content = NestedTensor((random(1, 128, 3, 2, 4, seed=1), random(1, 8, 18, 16, seed=2)))
    state, guided = conditioning.append_reference(
        read_state({"samples": content}), prompts, random(1, 128, 2, 1, 2, seed=7), 0.6, downscale=2, weight=0.5
    )
    guider = MultimodalGuider(ltx2, constant(FULL), constant(FULL))
    guider.set_conds(*guided)
    noise, sampler = LatentNoise(3, float(SIGMAS[0])), make_sampler(name)
    output = SamplerCustomAdvanced.execute(noise, guider, sampler, SIGMAS, write_state({}, state)).result[0]
    video, audio = output["samples"].unbind()
    assert video.isfinite().all()
    assert audio.isfinite().all()
    fillers = (state.video.mask < 0).expand_as(video)
    assert fillers.sum() == 2 * 6 * 128
    assert not video[fillers].any()
    assert video[:, :, 3:, ::2, ::2].any()
