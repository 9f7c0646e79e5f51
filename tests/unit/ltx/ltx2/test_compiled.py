"""Guidance of LTX-2 that changes within a run gives the same through ComfyUI's compile node."""

import pytest
import torch
from comfy_extras.nodes_custom_sampler import BasicGuider, CFGGuider, RandomNoise, SamplerCustomAdvanced

from harness.compiled import compiled
from oner.ltx.ltx2 import conditioning
from oner.ltx.ltx2.guidance import Binned, Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltx2.solvers import make_sampler
from oner.ltx.ltx2.state import read_state, write_state
from oner.nodes.ltx.audio_only import LTXAudioOnly
from oner.samplers.packed import pack

from .conftest import random

pytestmark = pytest.mark.once

SIGMAS = torch.tensor([1.0, 0.7, 0.3, 0.0])
ONE = Guidance(cfg=3.0, stg=1.0, stg_blocks=(1,), rescale=0.7, modality=3.0)
OTHER = Guidance(cfg=3.0, stg=1.0, stg_blocks=(0, 2), rescale=0.7, modality=3.0)


def sample(guider, latent):
    noise = RandomNoise.execute(7).result[0]
    output = SamplerCustomAdvanced.execute(noise, guider, make_sampler("euler"), SIGMAS, latent).result[0]
    return pack(output["samples"].unbind())


def guided(model, prompts, video, audio):
    guider = MultimodalGuider(model, video, audio)
    guider.set_conds(*prompts)
    return guider


def assert_same(result, plain):
    torch.testing.assert_close(result, plain, rtol=0, atol=1e-6 * float(plain.abs().max()))


@pytest.mark.parametrize(
    ("video", "audio"),
    [
        pytest.param(Binned(((1.0, ONE), (0.5, OTHER))), constant(ONE), id="other blocks below a level"),
        pytest.param(constant(Guidance(cfg=3.0)), constant(Guidance(cfg=3.0, skip_step=1)), id="skipped steps"),
    ],
)
def test_a_plan_that_changes(ltx2, prompts, empty_latent, video, audio):
    plain = sample(guided(ltx2, prompts, video, audio), empty_latent)
    result = sample(guided(compiled(ltx2), prompts, video, audio), empty_latent)
    assert_same(result, plain)


def test_the_same_compiled_model_under_two_guiders(ltx2, prompts, empty_latent):
    """ComfyUI's first, so that code for a model without any plan is there when the plan comes."""
    model, stg = compiled(ltx2), constant(ONE)
    sample(CFGGuider.execute(model, *prompts, 3.0).result[0], empty_latent)
    plain = sample(guided(ltx2, prompts, stg, stg), empty_latent)
    assert_same(sample(guided(model, prompts, stg, stg), empty_latent), plain)


def test_a_reference_of_another_weight(ltx2, prompts, empty_latent):
    """Of the same shapes, so that only what the plan says differs; the first without a weight."""
    model = compiled(ltx2)
    for weight in (None, 0.5, torch.tensor([0.2, 0.4, 0.6, 0.8, 1.0, 0.1])):
        state, (prompt,) = conditioning.append_reference(
            read_state(empty_latent), prompts[:1], random(1, 128, 1, 2, 3, seed=5), 1.0, weight=weight
        )
        latent = write_state({}, state)
        plain = sample(BasicGuider.execute(ltx2, prompt).result[0], latent)
        assert_same(sample(BasicGuider.execute(model, prompt).result[0], latent), plain)


def test_the_sound_alone_after_both(ltx2, prompts, empty_latent):
    model, (prompt, _) = compiled(ltx2), prompts
    sample(BasicGuider.execute(model, prompt).result[0], empty_latent)
    plain, result = (
        sample(BasicGuider.execute(LTXAudioOnly.execute(each).result[0], prompt).result[0], empty_latent)
        for each in (ltx2, model)
    )
    assert_same(result, plain)
