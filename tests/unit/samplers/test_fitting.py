"""What guiders refuse before a step: latents and prompts of other models, with real models of each."""

import math

import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy.nested_tensor import NestedTensor
from nodes import ConditioningConcat

from harness.raised import on_purpose
from oner.ltx.ltx2.solvers import SOLVERS, make_sampler
from oner.nodes.ltx.guider import LTXGuidance, LTXMultimodalGuider
from oner.nodes.ltxv.guidance import STGGuider
from oner.nodes.ltxv.sampler import LTXVSampler
from oner.nodes.wan.experts import WanExpertsGuider
from oner.samplers.flow_solvers import FLOW_SOLVERS, flow_sampler
from tiny import write_models

WIDTHS = {"ltx-2.3": 96, "ltx-2.0": 32, "ltxv-0.9.8": 32, "wan-t2v": 32, "wan-vace": 32}  # of the texts that each reads


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


def run(guider, latent, sampler="euler", sigmas=(1.0, 0.0)):
    sampler = comfy.samplers.ksampler(sampler) if isinstance(sampler, str) else sampler
    return guider.sample(latent, latent, sampler, torch.tensor(sigmas), disable_pbar=True)


@pytest.mark.parametrize(("name", "shape"), [("ltx-2.3", VIDEO), ("ltxv-0.9.8", VIDEO), ("wan-t2v", WAN)])
@pytest.mark.parametrize(
    ("sigmas", "message"),
    [
        (((1.0, 0.5), (0.5, 0.0)), "sigmas is a tensor of shape 2x2, not sigmas: connect a scheduler"),
        ((math.nan, 0.0), "sigmas holds NaN or infinite values"),
        ((1.0, -0.5), "sigmas go down to -0.5"),
    ],
)
def test_sigmas_that_are_none_are_refused_by_every_guider(models, name, shape, sigmas, message):
    guider = make(models, name, prompt(WIDTHS[name]))
    assert sentence(run, guider, torch.zeros(shape), sigmas=sigmas).startswith(message)


SAMPLERS = {
    "flow": flow_sampler("flow UniPC"),
    "masked": make_sampler("euler"),
    "ltxv": LTXVSampler.execute(0.0, False).result[0],
}


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize(
    ("shape", "text", "sigmas", "message"),
    [
        (WAN, 32, ((1.0, 0.5), (0.5, 0.0)), "sigmas is a tensor of shape 2x2"),
        ((1, 16, 0, 4, 4), 32, (1.0, 0.0), "the latent has shape (1, 16, 0, 4, 4) and so no content"),
        (WAN, 33, (1.0, 0.0), "positive has texts 33 wide, this WAN21 reads 32"),
        (WAN, 32, (0.7, 0.0, 0.0), "sigma 2 of 3 is 0, where no noise is left"),
    ],
)
def test_every_sampler_of_the_pack_refuses_them_in_guiders_of_comfyui(models, sampler, shape, text, sigmas, message):
    guider = comfy.samplers.CFGGuider(models["wan-t2v"])
    guider.set_conds(prompt(text), prompt(text))
    assert sentence(run, guider, torch.zeros(shape), sampler, sigmas).startswith(message)


@pytest.mark.parametrize("size", [(2, 8, 8), (5, 6, 8), (5, 8, 9)])
def test_control_frames_of_another_size_than_the_latent_are_refused(models, size):
    frames = torch.zeros(1, 32, 5, 8, 8)
    text, options = prompt(32)[0]
    given = [[text, {**options, "vace_frames": [frames], "vace_mask": [torch.ones(1, 64, 5, 8, 8)]}]]
    guider = comfy.samplers.CFGGuider(models["wan-vace"])
    guider.set_conds(given, given)
    said = sentence(run, guider, torch.zeros(1, 16, *size), SAMPLERS["flow"])
    t, height, width = size
    assert said.startswith(
        f"positive has control frames of 8x8 in 5 latent frames, and the latent is {width}x{height} in {t}: connect"
    )
    assert run(guider, torch.zeros(1, 16, 5, 8, 8), SAMPLERS["flow"]).isfinite().all()


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


def test_a_mask_for_another_number_of_tokens_is_refused_for_ltx_video(models):
    both = ConditioningConcat().concat(prompt(32), prompt(32))[0]
    said = sentence(make, models, "ltxv-0.9.8", both)
    assert said.startswith("positive has 256 tokens and an attention_mask of 128: ComfyUI's Conditioning (Concat)")
    guider = make(models, "ltx-2.0", both)  # cuts the padding out by it first
    assert guider is not None


def test_prompts_of_appended_frames_without_their_latent(models):
    text, options = prompt(32)[0]
    guider = make(models, "ltxv-0.9.8", [[text, {**options, "keyframe_idxs": torch.zeros(1, 3, 4, 2)}]])
    said = sentence(run, guider, torch.zeros(VIDEO))
    assert said.startswith("positive tells of appended frames, and the latent has none")


@pytest.mark.parametrize("sampler", [SAMPLERS["flow"], SAMPLERS["ltxv"], SAMPLERS["masked"], make_sampler("res2s")])
def test_sigmas_that_rise_from_0_are_refused_by_every_sampler_of_the_pack(models, sampler):
    guider = make(models, "ltxv-0.9.8", prompt(32))
    said = sentence(run, guider, torch.zeros(VIDEO), sampler, (0.0, 0.5, 1.0))
    assert said == "sigma 1 of 3 is 0, where no noise is left to take away: only the last may be 0"


@pytest.mark.parametrize(("name", "shape"), [("ltx-2.3", VIDEO), ("ltxv-0.9.8", VIDEO), ("wan-t2v", WAN)])
def test_a_seed_of_1_0_draws_as_1(models, name, shape):
    """A link may give a float; ComfyUI's ancestral solvers cannot draw from one."""
    latent = torch.zeros(shape)

    def sample(seed):
        guider = make(models, name, prompt(WIDTHS[name]))
        sampler = comfy.samplers.ksampler("euler_ancestral")
        return guider.sample(latent, latent, sampler, torch.tensor([1.0, 0.5, 0.0]), disable_pbar=True, seed=seed)

    assert torch.equal(sample(1.0), sample(1))
    assert not torch.equal(sample(2), sample(1))


@pytest.mark.parametrize("sampler", [*map(flow_sampler, FLOW_SOLVERS), make_sampler("res2s")])
def test_a_step_that_goes_nowhere_is_refused_by_solvers_that_need_its_slope(models, sampler):
    guider = make(models, "ltxv-0.9.8", prompt(32))
    said = sentence(run, guider, torch.zeros(VIDEO), sampler, (0.7, 0.5, 0.5, 0.0))
    assert said == "sigmas 2 and 3 are both 0.5: this solver needs levels that differ"


@pytest.mark.parametrize("name", SOLVERS)
def test_the_ltx_samplers_refuse_models_of_others(models, name):
    guider = make(models, "wan-t2v", prompt(32))
    said = sentence(run, guider, torch.zeros(WAN), make_sampler(name))
    assert said.startswith("this sampler takes LTX-Video and LTX-2, the guider's model is WAN21: choose one of")
