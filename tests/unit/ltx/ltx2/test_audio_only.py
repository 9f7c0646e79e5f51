"""LTX Audio Only: sound that does not depend on the video, from a model whose original is not touched."""

import comfy.samplers
import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy.patcher_extension import WrappersMP

from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.nodes.ltx.audio_only import LTXAudioOnly
from oner.nodes.ltx.guider import LTXGuidance, LTXMultimodalGuider


def predict(model, positive, latent):
    """Video and audio after one step from sigma 1 to 0.5, started from the latent itself."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, positive)
    guider.set_cfg(1.0)
    noise = latent["samples"]
    zeros = NestedTensor([torch.zeros_like(part) for part in noise.unbind()])
    sampler = comfy.samplers.sampler_object("euler")
    return guider.sample(noise, zeros, sampler, torch.tensor([1.0, 0.5]), disable_pbar=True).unbind()


def with_other_video(latent):
    video, audio = latent["samples"].unbind()
    return {"samples": NestedTensor((video.flip(-1) + 1, audio))}


def test_audio_does_not_depend_on_the_video(ltx2, prompts, av_latent):
    alone = LTXAudioOnly.execute(ltx2).result[0]
    audio = [predict(alone, prompts[0], latent)[1] for latent in (av_latent, with_other_video(av_latent))]
    assert torch.equal(*audio)


def test_audio_of_the_whole_model_does_and_that_model_is_not_changed(ltx2, prompts, av_latent):
    LTXAudioOnly.execute(ltx2)
    audio = [predict(ltx2, prompts[0], latent)[1] for latent in (av_latent, with_other_video(av_latent))]
    assert not torch.allclose(*audio, atol=1e-4)
    assert "run_vx" not in ltx2.model_options.get("transformer_options", {})


def count_batches(model):
    """A clone of the model, and the batch size of each of its forwards."""
    batches = []

    def count(executor, x, *args, **kwargs):
        batches.append(x[0].shape[0])
        return executor(x, *args, **kwargs)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "count", count)
    return model, batches


def guided_audio(guider, latent):
    """Audio of two steps under a guider."""
    noise = latent["samples"]
    zeros = NestedTensor([torch.zeros_like(part) for part in noise.unbind()])
    sampler = comfy.samplers.sampler_object("euler")
    return guider.sample(noise, zeros, sampler, torch.tensor([1.0, 0.5, 0.2]), disable_pbar=True).unbind()[1]


def test_audio_alone_is_guided_with_the_three_passes_of_the_reference(ltx2, prompts, av_latent):
    """Modality scale 1 there: without the video the isolated pass is the positive one."""
    model, batches = count_batches(LTXAudioOnly.execute(ltx2).result[0])
    full = Guidance(cfg=7.0, stg=1.0, stg_blocks=(1,), rescale=0.7, modality=3.0)
    by_default = MultimodalGuider(model, constant(full), constant(full))
    by_default.set_conds(*prompts)
    found = guided_audio(by_default, av_latent)
    assert batches == [3, 3]
    spelt_out = LTXGuidance.execute(7.0, 1.0, "1", 0.7, 1.0).result[0]
    guider = LTXMultimodalGuider.execute(model, *prompts, "LTX-2.3 HQ", audio=spelt_out).result[0]
    assert torch.equal(found, guided_audio(guider, av_latent))
    assert batches == [3, 3, 3, 3]


def test_video_defaults_ask_for_no_pass_of_a_model_without_its_video(ltx2, prompts, av_latent):
    model, batches = count_batches(LTXAudioOnly.execute(ltx2).result[0])
    plain = LTXGuidance.execute(1.0, 0.0, "", 0.0, 1.0).result[0]
    guider = LTXMultimodalGuider.execute(model, *prompts, "LTX-2.3 HQ", audio=plain).result[0]
    guided_audio(guider, av_latent)
    assert batches == [1, 1]


def test_the_isolated_pass_of_audio_alone_would_be_the_positive_one(ltx2, prompts, av_latent):
    """What is left out has no effect: with the switches set behind the guider's back the result is the same."""
    guidance = Guidance(cfg=7.0, stg=1.0, stg_blocks=(1,), rescale=0.7, modality=3.0)
    results = []
    for late in (False, True):
        model = ltx2 if late else LTXAudioOnly.execute(ltx2).result[0]
        guider = MultimodalGuider(model, constant(Guidance()), constant(guidance))
        guider.set_conds(*prompts)
        if late:
            guider.model_patcher = LTXAudioOnly.execute(guider.model_patcher).result[0]
            guider.model_options = guider.model_patcher.model_options
        results.append(guided_audio(guider, av_latent))
    torch.testing.assert_close(*results, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("modality", "scale", "message"),
    [
        ("video", 1.0, "video guidance is connected, but the model does not run its video half: disconnect it"),
        ("audio", 3.0, "modality of the audio guidance is 3, but the audio of this model does not see the other half"),
    ],
)
def test_guidance_without_effect_is_refused(ltx2, prompts, modality, scale, message):
    alone = LTXAudioOnly.execute(ltx2).result[0]
    guidance = LTXGuidance.execute(7.0, 0.0, "", 0.7, scale).result[0]
    with pytest.raises(ValueError, match=message):
        LTXMultimodalGuider.execute(alone, *prompts, "LTX-2.3 HQ", **{modality: guidance})


def test_a_model_without_audio_is_refused(ltx2):
    class Network:
        pass

    other = ltx2.clone()
    other.model = type("LTXV", (), {"diffusion_model": Network()})()
    with pytest.raises(ValueError, match="needs an LTX-2"):
        LTXAudioOnly.execute(other)
