"""Scheduled LoRAs on a tiny Wan model: the same numbers as merged weights, and nothing left behind."""

import comfy.model_management
import comfy.samplers
import pytest
import torch

from harness import wan_tiny
from oner.samplers.lora_schedule import KEY, ScheduledLora, add_scheduled_lora
from oner.wan.lora_files import load_any_lora, read_patches

SHAPE = (1, 16, 3, 4, 4)
SIGMAS = torch.linspace(1, 0, 5)
PROMPTS = wan_tiny.prompts()


def lora_file(model, seed, rank=4, alpha=None):
    """A LoRA on every matrix of the blocks, with bias and norm differences as published files have."""
    generator = torch.Generator().manual_seed(seed)
    file = {}
    for name, weight in model.model.diffusion_model.state_dict().items():
        layer = f"diffusion_model.{name.removesuffix('.weight')}"
        if name.startswith("blocks.") and name.endswith(".weight") and weight.ndim == 2:
            file[f"{layer}.lora_down.weight"] = torch.randn(rank, weight.shape[1], generator=generator) * 0.1
            file[f"{layer}.lora_up.weight"] = torch.randn(weight.shape[0], rank, generator=generator) * 0.1
            if alpha is not None:
                file[f"{layer}.alpha"] = torch.tensor(float(alpha))
            file[f"{layer}.diff_b"] = torch.randn(weight.shape[0], generator=generator) * 0.05
        if name.endswith(("norm_q.weight", "norm3.weight")) and name.startswith("blocks."):
            file[f"{layer}.diff"] = torch.randn(weight.shape, generator=generator) * 0.05
    return file


def schedule(model, file, multiplier="1", thresholds=(), **kwargs):
    return add_scheduled_lora(
        model, ScheduledLora("test", read_patches(model, file)[0], multiplier, thresholds, **kwargs)
    )


def sample(model, cfg=3.0, sigmas=SIGMAS, sampler="euler"):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(PROMPTS.positive, PROMPTS.negative)
    guider.set_cfg(cfg)
    return guider.sample(
        wan_tiny.noise(SHAPE), torch.zeros(SHAPE), comfy.samplers.ksampler(sampler), sigmas, disable_pbar=True, seed=0
    )


def test_strength_0_is_bit_equal_to_no_lora():
    model = wan_tiny.load()
    assert torch.equal(sample(schedule(model, lora_file(model, 1), "0")), sample(model))


def test_one_schedule_equals_merged_weights():
    model = wan_tiny.load()
    file = lora_file(model, 1, alpha=2)
    merged = sample(load_any_lora(model, file, 0.7)[0])
    torch.testing.assert_close(sample(schedule(model, file, "0.7")), merged, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(merged, sample(model), atol=1e-2)


def velocity(model):
    """The model's output for one prompt: no sampler between the comparison and the weights."""
    seen = []

    def wrapper(executor, *args, **kwargs):
        seen.append(executor(*args, **kwargs))
        return seen[-1]

    model = model.clone()
    model.add_wrapper_with_key("diffusion_model", "velocity", wrapper)
    sample(model, cfg=1.0, sigmas=torch.tensor([0.6, 0.0]))
    return seen[0]


def test_two_schedules_add_up_to_merged_weights():
    model = wan_tiny.load()
    one, two = lora_file(model, 1), lora_file(model, 2, alpha=8)
    both = schedule(schedule(model, one, "0.7"), two, "-0.4")
    merged = load_any_lora(load_any_lora(model, one, 0.7)[0], two, -0.4)[0]
    expected, actual = velocity(merged), velocity(both)
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (expected - velocity(model)).abs().max() > 1e-2 * expected.abs().max()


def test_schedules_share_one_injection():
    model = wan_tiny.load()
    both = schedule(schedule(model, lora_file(model, 1)), lora_file(model, 2))
    assert len([key for key in both.injections if key.startswith(KEY)]) == 1
    assert len(both.get_attachment(KEY)[1]) == 2


def forwards(model):
    return {name: module.__dict__.get("forward") for name, module in model.model.named_modules()}


def test_applying_and_removing_twice_leaves_every_forward_as_it_was():
    model = wan_tiny.load()
    before = forwards(model)
    both = schedule(schedule(model, lora_file(model, 1)), lora_file(model, 2), "0.5")
    first = sample(both)
    comfy.model_management.unload_all_models()
    assert forwards(model) == before
    assert torch.equal(sample(both), first)
    comfy.model_management.unload_all_models()
    assert forwards(model) == before


def test_models_with_and_without_schedule_may_alternate():
    model = wan_tiny.load()
    plain = sample(model)
    one, two = schedule(model, lora_file(model, 1)), schedule(model, lora_file(model, 2))
    with_one, with_two = sample(one), sample(two)
    assert torch.equal(sample(model), plain)
    assert torch.equal(sample(one), with_one)
    more = schedule(one, lora_file(model, 2), "0")  # cloned while its parent is loaded
    assert torch.equal(sample(more), with_one)
    assert torch.equal(sample(two), with_two)


def test_strength_follows_the_steps():
    model = wan_tiny.load()
    file = lora_file(model, 1)
    merged = load_any_lora(model, file, 1.0)[0]
    scheduled = schedule(model, file, "0,1")
    first = sample(model, sigmas=SIGMAS[:3])
    guider = comfy.samplers.CFGGuider(merged)
    guider.set_conds(PROMPTS.positive, PROMPTS.negative)
    guider.set_cfg(3.0)
    euler = comfy.samplers.ksampler("euler")
    expected = guider.sample(torch.zeros(SHAPE), first, euler, SIGMAS[2:], disable_pbar=True, seed=0)
    torch.testing.assert_close(sample(scheduled), expected, rtol=1e-3, atol=1e-3)


def test_samplers_with_substeps_stay_in_their_step():
    model = wan_tiny.load()
    seen = []
    scheduled = schedule(model, lora_file(model, 1), "0,1").clone()

    def look(executor, *args, **kwargs):
        key, _ = scheduled.get_attachment(KEY)
        seen.append(scheduled.injections[key][0].inject.__self__.now.strengths[0])
        return executor(*args, **kwargs)

    scheduled.add_wrapper_with_key("diffusion_model", "look", look)
    sample(scheduled, cfg=1.0, sampler="dpm_2")
    assert seen == [0.0] * 4 + [1.0] * 3


def test_phases_follow_the_noise_level():
    model = wan_tiny.load()
    lora = ScheduledLora("test", read_patches(model, lora_file(model, 1))[0], "1;0.5", (0.6,))
    assert lora.strengths(SIGMAS) == [1.0, 1.0, 0.5, 0.5]


def test_branches_reach_only_their_prompt():
    model = wan_tiny.load()
    file = lora_file(model, 1)
    plain, on = sample(model, cfg=1.0), sample(schedule(model, file, "1"), cfg=1.0)
    torch.testing.assert_close(sample(schedule(model, file, "1:0"), cfg=1.0), on)
    assert torch.equal(sample(schedule(model, file, "0:1"), cfg=1.0), plain)
    both = sample(schedule(model, file, "1:0"), cfg=3.0)
    assert not torch.allclose(both, sample(schedule(model, file, "1"), cfg=3.0), atol=1e-3)
    assert not torch.allclose(both, sample(model, cfg=3.0), atol=1e-3)


def test_weights_are_never_touched():
    model = wan_tiny.load()
    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    sample(schedule(model, lora_file(model, 1)))
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "multiplier", "message"),
    [
        ({"dora_scale": torch.ones(48, 1)}, "1", "DoRA"),
        ({}, "1;0.5", "2 phases, but there are 0"),
        ({}, "x", "is no number"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(change, multiplier, message):
    model = wan_tiny.load()
    file = lora_file(model, 1)
    file |= {f"diffusion_model.blocks.0.self_attn.q.{key}": value for key, value in change.items()}
    with pytest.raises(ValueError, match=message):
        schedule(model, file, multiplier)


def test_modulation_differences_are_refused():
    model = wan_tiny.load()
    modulation = torch.zeros(1, 6, 48)
    with pytest.raises(ValueError, match="cannot be scheduled"):
        add_scheduled_lora(model, ScheduledLora("x", {"diffusion_model.blocks.0.modulation": ("diff", (modulation,))}))


def test_schedule_works_on_quantised_weights_and_leaves_them_quantised():
    from harness.wan_tiny import LAYOUTS, wan

    state, metadata = wan.transformer(0, **LAYOUTS["text"])
    import comfy.sd

    model = comfy.sd.load_diffusion_model_state_dict(
        state, model_options={"dtype": torch.float8_e4m3fn}, metadata=metadata
    )
    layer = model.model.diffusion_model.blocks[0].self_attn.q
    assert layer.weight.dtype == torch.float8_e4m3fn
    before = layer.weight.detach().view(torch.uint8).clone()
    file = lora_file(wan_tiny.load(), 1)
    plain, scheduled = velocity(model), velocity(schedule(model, file, "0.8"))
    assert torch.equal(layer.weight.view(torch.uint8), before)
    # the change is the one of the exact LoRA on the same quantised base: merged into it in full precision
    exact = wan_tiny.load()
    with torch.no_grad():
        for name, weight in exact.model.diffusion_model.state_dict().items():
            weight.copy_(model.model.diffusion_model.state_dict()[name].to(weight.dtype))
    expected = velocity(load_any_lora(exact, file, 0.8)[0])
    assert (scheduled - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert (scheduled - plain).abs().max() > 1e-2 * plain.abs().max()


def test_schedule_serves_other_families_too():
    import json

    import comfy.sd

    from oner.wan.experts import fill_thresholds
    from tiny import loras, ltx

    state, metadata = ltx.ltx23_checkpoint(0)
    prefix = "model.diffusion_model."
    transformer = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    assert "transformer" in json.loads(metadata["config"])
    model = comfy.sd.load_diffusion_model_state_dict(
        transformer, model_options={"dtype": torch.float32}, metadata=metadata
    )
    patches, report = read_patches(model, loras.ltx2_lora(0)[0])
    assert report.unmatched == []
    layer = next(key for key in patches if key.endswith(".weight"))
    scheduled = add_scheduled_lora(model, ScheduledLora("test", patches))
    comfy.model_management.load_models_gpu([scheduled])
    assert "forward" in scheduled.get_model_object(layer.removesuffix(".weight")).__dict__
    comfy.model_management.unload_all_models()
    with pytest.raises(ValueError, match="has no trained boundary: set the threshold"):
        fill_thresholds(model, (0.0, 0.0), 2)
    assert fill_thresholds(model, (0.7, 0.0), 2) == (0.7,)
