"""What the lint says about options that do nothing, and that it is silent where all is well."""

import re

import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras.nodes_model_downscale import PatchModelAddDownscale
from comfy_extras.nodes_nag import NAGuidance
from comfy_extras.nodes_sag import SelfAttentionGuidance

from harness import wan_tiny
from oner.nodes.wan.conditioning import WanFunConditioning
from oner.nodes.wan.experts import WanExpertsGuider
from oner.nodes.wan.lint import WanLint
from tiny import ltx

PROMPTS = wan_tiny.prompts()


def ltx_model():
    state, metadata = ltx.ltx23_checkpoint(0)
    prefix = "model.diffusion_model."
    transformer = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return comfy.sd.load_diffusion_model_state_dict(
        transformer, model_options={"dtype": torch.float32}, metadata=metadata
    )


def test_lint_finds_a_nag_that_does_nothing_on_ltx():
    (model,) = NAGuidance.execute(ltx_model(), 5.0, 0.5, 1.5).args
    assert "never calls" in WanLint.execute(model, False, 0.0).args[1]


def test_lint_finds_attention_patches_that_only_wan_calls():
    for model, found in ((wan_tiny.load(), False), (ltx_model(), True)):
        patched = model.clone()
        patched.set_model_attn1_patch(lambda q, k, v, extra: (q, k, v))
        assert ("attn1_patch" in WanLint.execute(patched, False, 0.0).args[1]) == found


def test_guider_of_experts_says_what_the_lint_says(caplog):
    (model,) = NAGuidance.execute(wan_tiny.load(), 5.0, 0.5, 1.5).args
    widgets = {
        "phases": 1,
        "cfg_1": 3.5,
        "cfg_2": 3.5,
        "cfg_3": 1.0,
        "threshold_1": 0.0,
        "threshold_2": 0.0,
        "low_from": "phase 2",
        "zero_init_steps": 0,
        "cfg_zero_star": "",
        "apg": "",
        "slg": "",
        "slg_layers": "1",
        "slg_start_percent": 0.0,
        "slg_end_percent": 1.0,
    }
    info = WanExpertsGuider.execute(model, PROMPTS.positive, PROMPTS.negative, **widgets).args[1]
    assert "never calls" in info
    assert "never calls" in caplog.text


def test_lint_finds_a_nag_that_does_nothing():
    (model,) = NAGuidance.execute(wan_tiny.load(), 5.0, 0.5, 1.5).args
    (_, report) = WanLint.execute(model, False, 0.0).args
    assert "never calls" in report
    assert "costs twice" in report
    with pytest.raises(ValueError, match="never calls"):
        WanLint.execute(model, True, 0.0)


def test_canary_nag_still_does_nothing_on_wan():
    model = wan_tiny.load()
    (patched,) = NAGuidance.execute(model, 5.0, 0.5, 1.5).args
    outs = []
    for each in (model, patched):
        guider = comfy.samplers.CFGGuider(each)
        guider.set_conds(PROMPTS.positive, PROMPTS.negative)
        outs.append(
            guider.sample(
                wan_tiny.noise((1, 16, 2, 4, 4)),
                torch.zeros(1, 16, 2, 4, 4),
                comfy.samplers.ksampler("euler"),
                torch.tensor([1.0, 0.0]),
                disable_pbar=True,
                seed=0,
            )
        )
    torch.testing.assert_close(outs[0], outs[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        ("text", {"camera_conditions": torch.zeros(1)}, "camera conditioning"),
        ("2.2 control", {"reference_latents": [torch.zeros(1)]}, "no reference convolution"),
        ("text", {"concat_latent_image": torch.zeros(1, 16)}, "text only"),
        ("2.2 inpaint", {"concat_latent_image": torch.zeros(1, 32)}, "2 image or control videos.*the model reads 1"),
        ("2.1 control", {"concat_latent_image": torch.zeros(1, 16)}, "1 image or control videos.*the model reads 2"),
        ("text", {"audio_embed": torch.zeros(1)}, "an audio embedding"),
        ("text", {"control": object()}, "a ControlNet, which no Wan or LTX model reads"),
        ("text", {"guidance": 3.5}, "FluxGuidance"),
        ("2.2 inpaint", {"clip_vision_output": 1}, "no image embedding"),
        ("text", {"vace_frames": []}, "load a VACE model"),
    ],
)
def test_lint_finds_conditioning_nobody_reads(layout, options, message):
    conditioning = [[PROMPTS.positive[0][0], options]]
    report = WanLint.execute(wan_tiny.load(layout), False, 0.0, conditioning).args[1]
    assert re.search(message, report)


@pytest.mark.parametrize("layout", [name for name in wan_tiny.LAYOUTS if name != "vace"])
def test_lint_has_nothing_to_say_of_our_own_conditioning(layout):
    model = wan_tiny.load(layout)
    vae = wan_tiny.MeanVAE(model.model.latent_format.latent_channels)
    positive, negative, *_ = WanFunConditioning.execute(model, PROMPTS.positive, PROMPTS.negative, vae, 64, 64, 9).args
    assert WanLint.execute(model, True, 5.0, positive, negative).args[1] == ""


def downscale(model):
    return PatchModelAddDownscale.execute(model, 3, 2.0, 0.0, 0.35, True, "bicubic", "bicubic").args[0]


def attend(model):
    return SelfAttentionGuidance.execute(model, 0.5, 2.0).args[0]


@pytest.mark.parametrize(("node", "found"), [(attend, "attention replacements"), (downscale, "input_block_patch")])
def test_lint_finds_nodes_for_image_models(node, found):
    report = WanLint.execute(node(wan_tiny.load()), False, 0.0).args[1]
    assert found in report
    assert "remove that node" in report


def test_lint_finds_a_negative_prompt_that_never_runs():
    model = wan_tiny.load()
    assert (
        "negative prompt does not run" in WanLint.execute(model, False, 1.0, PROMPTS.positive, PROMPTS.negative).args[1]
    )
    assert WanLint.execute(model, False, 5.0, PROMPTS.positive, PROMPTS.negative).args[1] == ""
    zeros = [[torch.zeros_like(PROMPTS.negative[0][0]), {}]]
    assert WanLint.execute(model, False, 1.0, PROMPTS.positive, zeros).args[1] == ""
