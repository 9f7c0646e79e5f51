"""Core's CLIP vision model, its node and our conditioning together; graphs leave them out, as ViT-H cannot be tiny."""

import comfy.clip_vision
import comfy.samplers
import pytest
import torch
from nodes import CLIPVisionEncode

from harness import wan_models, wan_tiny
from oner.nodes.wan.conditioning import WanFunConditioning
from tiny.weights import random_state

# ViT-H as core knows it, of 2 layers instead of 32 and with narrow ones between; the output has the same shape
CONFIG = {
    "hidden_size": 1280,
    "image_size": 224,
    "intermediate_size": 64,
    "num_attention_heads": 16,
    "num_channels": 3,
    "num_hidden_layers": 2,
    "patch_size": 14,
    "projection_dim": 8,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "model_type": "clip_vision_model",
}
PROMPTS = wan_tiny.prompts()


@pytest.fixture(scope="module")
def clip_vision():
    model = comfy.clip_vision.ClipVisionModel(CONFIG)
    missing, unexpected = model.load_sd(random_state(lambda: comfy.clip_vision.ClipVisionModel(CONFIG).model, 0))
    assert not missing
    assert not unexpected
    return model


def velocity(layout, image, features=None):
    """The model's velocity with an image, with or without its features."""
    model = wan_tiny.load(layout)
    inputs = {"ref_image": image} if "reference" in layout else {"start_image": image}
    positive, _, latent, info = WanFunConditioning.execute(
        model, PROMPTS.positive, PROMPTS.negative, wan_tiny.MeanVAE(), 64, 64, 9, clip_vision_output=features, **inputs
    ).args
    seen = []
    guider = comfy.samplers.CFGGuider(wan_models.record_velocities(model, lambda v, *_: seen.append(v)))
    guider.set_conds(positive, positive)
    guider.sample(
        wan_tiny.noise(latent["samples"].shape),
        latent["samples"],
        comfy.samplers.ksampler("euler"),
        torch.tensor([0.6, 0.0]),
        disable_pbar=True,
        seed=0,
    )
    return seen[0], info


@pytest.mark.parametrize("layout", ["2.1 inpaint", "2.1 control", "2.1 control with reference", "2.1 camera"])
def test_features_of_an_image_reach_the_model(clip_vision, layout):
    image, other = wan_tiny.pixels(1, 96, 64), wan_tiny.pixels(1, 96, 64, seed=4)
    (features,) = CLIPVisionEncode().encode(clip_vision, image, "none")
    (others,) = CLIPVisionEncode().encode(clip_vision, other, "none")
    assert features.penultimate_hidden_states.shape == (1, 257, 1280)
    with_features, info = velocity(layout, image, features)
    without, info_without = velocity(layout, image)
    assert "zero image features" in info_without
    assert "zero image features" not in info
    scale = without.norm()
    assert (with_features - without).norm() > 1e-2 * scale
    assert (with_features - velocity(layout, image, others)[0]).norm() > 1e-4 * scale
    assert torch.equal(with_features, velocity(layout, image, features)[0])
