"""What guiders refuse before a step: latents and prompts of other models, with real models of each."""

import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy.nested_tensor import NestedTensor

from harness.raised import on_purpose
from oner.nodes.ltx.guider import LTXGuidance, LTXMultimodalGuider
from oner.nodes.ltxv.guidance import STGGuider
from oner.nodes.wan.experts import WanExpertsGuider
from tiny import write_models

WIDTHS = {"ltx-2.3": 96, "ltx-2.0": 32, "ltxv-0.9.8": 32, "wan-t2v": 32}  # of the texts that each reads


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    paths = write_models(tmp_path_factory.mktemp("models"), WIDTHS)
    with torch.inference_mode():
        return {
            name: comfy.sd.load_checkpoint_guess_config(str(path), output_vae=False, output_clip=False)[0]
            if name.startswith("ltx")
            else comfy.sd.load_diffusion_model(str(path), model_options={"dtype": torch.float32})
            for name, path in paths.items()
        }


def prompt(width):
    text = torch.rand(1, 128, width, generator=torch.Generator().manual_seed(0)) - 0.5
    return [[text, {"attention_mask": torch.ones(1, 128, dtype=torch.int), "frame_rate": 24.0}]]


def make(models, name, given):
    if name.startswith("ltx-"):
        guidance = LTXGuidance.execute(3.0, 1.0, "1", 0.7, 3.0).result[0]
        node, values = LTXMultimodalGuider, {"preset": "LTX-2.3", "video": guidance, "audio": guidance}
    elif name.startswith("ltxv"):
        node, values = STGGuider, {"cfg": 3.0, "stg": 1.0, "rescale": 0.7, "blocks": "1"}
    else:
        defaults = {each.id: getattr(each, "default", None) for each in WanExpertsGuider.define_schema().inputs}
        node, values = WanExpertsGuider, {**defaults, "low_from": "phase 2"}
    model = "model_high" if node is WanExpertsGuider else "model"
    return node.execute(**{**values, model: models[name], "positive": given, "negative": given}).result[0]


def sentence(call, *values, **more):
    with pytest.raises(ValueError, match=r"\w") as error:
        call(*values, **more)
    assert on_purpose(error.value)
    return str(error.value)


VIDEO, SOUND, WAN = (1, 128, 2, 2, 2), (1, 8, 9, 16), (1, 16, 2, 4, 4)


@pytest.mark.parametrize(
    ("name", "shapes", "message"),
    [
        ("ltx-2.3", [WAN], "the latent has shape (1, 16, 2, 4, 4); LTXAV makes 5 dimensions with 128 channels"),
        ("ltx-2.3", [SOUND, VIDEO], "the latent has shape (1, 8, 9, 16); LTXAV makes"),
        ("ltxv-0.9.8", [VIDEO, SOUND], "the latent holds 2 parts, and LTXV makes video alone"),
        ("ltxv-0.9.8", [VIDEO[1:]], "the latent has shape (128, 2, 2, 2); LTXV makes 5 dimensions"),
        ("wan-t2v", [VIDEO], "the latent has shape (1, 128, 2, 2, 2); WAN21 makes 5 dimensions with 16 channels"),
        ("wan-t2v", [VIDEO, SOUND], "the latent holds 2 parts, and WAN21 makes video alone"),
    ],
)
def test_a_latent_of_another_model_is_refused_before_the_first_step(models, name, shapes, message):
    guider, steps = make(models, name, prompt(WIDTHS[name])), []
    parts = [torch.zeros(shape) for shape in shapes]
    latent = parts[0] if len(parts) == 1 else NestedTensor(parts)
    said = sentence(
        guider.sample,
        latent,
        latent,
        comfy.samplers.ksampler("euler"),
        torch.tensor([1.0, 0.0]),
        callback=lambda *step: steps.append(step),
        disable_pbar=True,
    )
    assert said.startswith(message)
    assert steps == []


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        ("ltx-2.3", 32, "positive has texts 32 wide, this LTXAV reads"),
        ("ltx-2.0", 96, "positive has texts 96 wide, this LTXAV reads"),
        ("ltxv-0.9.8", 96, "positive has texts 96 wide, LTX-Video reads 32: encode it with the text encoder"),
    ],
)
def test_a_prompt_of_another_generation_is_refused_when_the_guider_is_made(models, name, width, message):
    assert sentence(make, models, name, prompt(width)).startswith(message)
    assert make(models, name, prompt(WIDTHS[name])) is not None


def test_a_prompt_without_its_mask_is_refused_for_ltx_video_alone(models):
    bare = {name: [[prompt(width)[0][0], {}]] for name, width in WIDTHS.items()}
    said = sentence(make, models, "ltxv-0.9.8", bare["ltxv-0.9.8"])
    assert said.startswith("positive has no attention_mask, which tells LTX-Video the words from the padding")
    for name in ("ltx-2.3", "wan-t2v"):
        assert make(models, name, bare[name]) is not None
