"""What the loader's model refuses at the start of a run, in ComfyUI's own guiders too."""

import pytest
import torch
from comfy_extras.nodes_custom_sampler import BasicGuider, CFGGuider, KSamplerSelect, RandomNoise, SamplerCustomAdvanced
from comfy_extras.nodes_easycache import EasyCacheNode
from comfy_extras.nodes_model_advanced import RescaleCFG

from oner.ltx.ltx2.solvers import make_sampler

SIGMAS = torch.tensor([0.9, 0.0])
CORES = KSamplerSelect.execute("euler").result[0]


def sample(guider, latent, sampler=CORES):
    return SamplerCustomAdvanced.execute(RandomNoise.execute(1).result[0], guider, sampler, SIGMAS, latent)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((1, 7, 33), "positive has texts 33 wide, .* reads 72"), ((1, 0, 72), "positive has shape .*, no encoded text")],
)
def test_a_prompt_that_does_not_fit(ltx2, av_latent, shape, words):
    guider = BasicGuider.execute(ltx2, [[torch.zeros(shape), {}]]).result[0]
    with pytest.raises(ValueError, match=words):
        sample(guider, av_latent)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 128, 0, 2, 3), r"has shape \(1, 128, 0, 2, 3\) and so no content"),
        ((1, 16, 3, 2, 3), "with 128 channels: connect"),
    ],
)
def test_a_latent_that_does_not_fit(ltx2, prompts, shape, words):
    guider = BasicGuider.execute(ltx2, prompts[0]).result[0]
    with pytest.raises(ValueError, match=words):
        sample(guider, {"samples": torch.ones(shape)})


def test_prompts_of_appended_frames_without_their_latent(ltx2, prompts, av_latent):
    text, options = prompts[0][0]
    guider = BasicGuider.execute(ltx2, [[text, {**options, "keyframe_idxs": torch.zeros(1, 3, 6, 2)}]]).result[0]
    with pytest.raises(ValueError, match="positive tells of appended frames, and the latent has none"):
        sample(guider, av_latent)


def test_prompts_whose_guides_core_has_cropped(ltx2, prompts, av_latent):
    """As in a second stage: LTXVCropGuides leaves the keys with nothing in them, and the upsampler drops the mask."""
    text, options = prompts[0][0]
    cropped = [[text, {**options, "keyframe_idxs": None, "guide_attention_entries": None}]]
    kept, expected = (
        sample(BasicGuider.execute(ltx2, p).result[0], av_latent).result[0] for p in (cropped, prompts[0])
    )
    assert all(map(torch.equal, kept["samples"].unbind(), expected["samples"].unbind()))


@pytest.mark.parametrize("sampler", [CORES, make_sampler("euler")], ids=["core's", "ours"])
def test_cores_rescale_is_refused_with_sound_alone(ltx2, prompts, av_latent, sampler):
    guider = CFGGuider.execute(RescaleCFG().patch(ltx2, 0.7)[0], *prompts, 3.0).result[0]
    with pytest.raises(ValueError, match="RescaleCFG cannot rescale a latent with sound"):
        sample(guider, av_latent, sampler)


def test_cores_easy_cache_is_refused_without_sound_alone(ltx2, prompts, av_latent):
    cached = EasyCacheNode.execute(ltx2, 0.2, 0.15, 0.95, False).result[0]
    guider = BasicGuider.execute(cached, prompts[0]).result[0]
    with pytest.raises(ValueError, match="EasyCache wants video and sound of an LTX-2 model"):
        sample(guider, {"samples": av_latent["samples"].unbind()[0]})
    assert sample(guider, av_latent).result[0]["samples"].unbind()[0].isfinite().all()


def test_the_model_is_left_as_it_was(ltx2, core_ltx2):
    wrappers = [model.get_all_wrappers("outer_sample") for model in (core_ltx2, ltx2, ltx2.clone())]
    assert list(map(len, wrappers)) == [0, 1, 1]
