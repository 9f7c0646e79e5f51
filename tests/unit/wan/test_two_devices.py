"""Core's CFG split over devices: two clones on one CPU, in two threads, give what one model gives."""

import threading

import comfy.model_management
import comfy.multigpu
import comfy.samplers
import pytest
import torch

from harness import wan_tiny
from oner.nodes.wan.conditioning import WanFunConditioning
from oner.nodes.wan.riflex import WanRIFLEx
from oner.nodes.wan.vace import WanVACEComposer
from oner.samplers.lora_schedule import KEY, ScheduledLora, add_scheduled_lora
from oner.samplers.phase_guider import Phase, PhaseGuider, PhasePlan
from oner.wan import camera, pluecker
from oner.wan.lora_files import read_patches

PROMPTS = wan_tiny.prompts()
SHAPE = (1, 16, 3, 4, 4)
SIGMAS = torch.linspace(1, 0, 5)
SECOND_DEVICE = torch.device("cpu", 0)  # to core another device than torch.device("cpu")


def load(layout="text", seed=0):
    model = wan_tiny.load(layout, seed)
    model.cached_patcher_init = (lambda: wan_tiny.load(layout, seed), ())
    return model


def on_two_devices(model):
    """What core's node makes of a model where there are two devices."""
    model = model.clone()
    clone = model.deepclone_multigpu(new_load_device=SECOND_DEVICE)
    clone.is_multigpu_base_clone = True
    model.set_additional_models("multigpu", [clone])
    return model


def watch(model):
    """A clone that notes on which model object, and with which prompts, each forward ran."""
    seen = []

    def wrapper(executor, x, *args, **kwargs):
        options = next(a for a in args if isinstance(a, dict) and "cond_or_uncond" in a)
        seen.append((id(executor.class_obj), tuple(options["cond_or_uncond"])))
        return executor(x, *args, **kwargs)

    model = model.clone()
    model.add_wrapper_with_key("diffusion_model", "watch", wrapper)
    return model, seen


def sample(guider, positive=PROMPTS.positive, negative=PROMPTS.negative, latent=None, mask=None):
    guider.set_conds(positive, negative)
    latent = torch.zeros(SHAPE) if latent is None else latent
    return guider.sample(
        wan_tiny.noise(latent.shape), latent, comfy.samplers.ksampler("euler"), SIGMAS, mask, disable_pbar=True, seed=0
    )


def cfg(model, value=4.0):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_cfg(value)
    return guider


def lora(model, multiplier):
    generator = torch.Generator().manual_seed(5)
    file = {
        "diffusion_model.blocks.1.ffn.0.lora_down.weight": torch.randn(4, 48, generator=generator),
        "diffusion_model.blocks.1.ffn.0.lora_up.weight": torch.randn(96, 4, generator=generator),
    }
    return ScheduledLora("test", read_patches(model, file)[0], multiplier)


def test_the_work_is_split():
    model, seen = watch(load())
    sample(cfg(on_two_devices(model)))
    assert len({name for name, _ in seen}) == 2
    assert sorted({chunks for _, chunks in seen}) == [(0,), (1,)]


@pytest.mark.parametrize("multiplier", ["0.7", "1,0", "1:0,0:0.5"])
def test_lora_schedule(multiplier):
    model = load()
    scheduled = add_scheduled_lora(model, lora(model, multiplier))
    one, plain = sample(cfg(scheduled)), sample(cfg(model))
    split = on_two_devices(scheduled)
    torch.testing.assert_close(sample(cfg(split)), one, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sample(cfg(split)), one, rtol=1e-4, atol=1e-4)  # again, with both models loaded
    assert not torch.allclose(one, plain, atol=1e-2)


@pytest.mark.parametrize(
    "phase",
    [Phase(4.0), Phase(4.0, zero_star=True), Phase(4.0, projected=True), Phase(4.0, skip_layers=(0, 2))],
    ids=["cfg", "zero star", "apg", "slg"],
)
def test_guidance(phase):
    plan = PhasePlan((phase,))
    torch.testing.assert_close(
        sample(PhaseGuider(on_two_devices(load()), plan)), sample(PhaseGuider(load(), plan)), rtol=1e-4, atol=1e-4
    )


def test_experts_with_a_lora_each():
    plan = PhasePlan((Phase(4.0), Phase(3.0)), (0.6,))
    models = [add_scheduled_lora(model, lora(model, "0.5")) for model in (load(seed=0), load(seed=1))]
    one = sample(PhaseGuider(models[0], plan, models[1]))
    split = sample(PhaseGuider(on_two_devices(models[0]), plan, on_two_devices(models[1])))
    torch.testing.assert_close(split, one, rtol=1e-4, atol=1e-4)


def test_riflex_and_pinned_5b_conditioning():
    (model,) = WanRIFLEx.execute(load("5B control with reference"), 9, 2, "paper").args
    image = wan_tiny.pixels(1, 64, 64)
    positive, negative, latent, _ = WanFunConditioning.execute(
        model, PROMPTS.positive, PROMPTS.negative, wan_tiny.MeanVAE(48), 64, 64, 9, start_image=image, ref_image=image
    ).args
    args = (positive, negative, latent["samples"], latent["noise_mask"])
    one, two = sample(cfg(model), *args), sample(cfg(on_two_devices(model)), *args)
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-4)


VIDEO, IMAGE = wan_tiny.pixels(9, 64, 64), wan_tiny.pixels(1, 64, 64)
INPUTS = {
    "2.1 inpaint": {"start_image": IMAGE, "end_image": IMAGE},
    "2.1 control with reference": {"control_video": VIDEO, "start_percent": 0.2, "end_percent": 0.7},
    "2.1 camera": {"camera": pluecker.embed(camera.move(["Pan Left"], 9), 64, 64), "end_percent": 0.5},
    "2.2 control": {"control_video": VIDEO, "start_image": IMAGE, "control_strength": 0.7},
    "2.2 camera": {"camera": pluecker.embed(camera.move(["Zoom In"], 9), 64, 64), "start_image": IMAGE},
    "5B inpaint": {"start_image": IMAGE},
    "5B camera": {"camera": pluecker.embed(camera.move(["Pan Up"], 9), 64, 64), "start_image": IMAGE},
}


@pytest.mark.parametrize("layout", INPUTS)
def test_conditioning_of_each_layout(layout):
    model = load(layout)
    channels = model.model.latent_format.latent_channels
    positive, negative, latent, _ = WanFunConditioning.execute(
        model, PROMPTS.positive, PROMPTS.negative, wan_tiny.MeanVAE(channels), 64, 64, 9, **INPUTS[layout]
    ).args
    args = (positive, negative, latent["samples"], latent.get("noise_mask"))
    watched, seen = watch(model)
    one, two = sample(cfg(model), *args), sample(cfg(on_two_devices(watched)), *args)
    assert len({name for name, _ in seen}) == 2
    assert (two - one).abs().max() <= 1e-4 * one.abs().max()  # four steps grow the rounding of other batch sizes


def test_vace():
    model = load("vace")
    widgets = {
        "batch_size": 1,
        "strength": 0.8,
        "strength_2": 0.5,
        "mask_grow": 0,
        "mask_negate": False,
        "mask_box": False,
        "keep_frames": "",
        "positions": "1",
        "outpaint": "",
    }
    positive, negative, latent, *_ = WanVACEComposer.execute(
        model,
        PROMPTS.positive,
        PROMPTS.negative,
        wan_tiny.MeanVAE(),
        64,
        64,
        9,
        **widgets,
        control_video=VIDEO,
        control_video_2=VIDEO.flip(0),
        reference_1=IMAGE,
    ).args
    args = (positive, negative, latent["samples"])
    one, two = sample(cfg(model), *args), sample(cfg(on_two_devices(model)), *args)
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-4)


def test_each_device_has_its_own_state_and_gives_it_back():
    """The adapters of a schedule are copies a model, their strengths a thread's, and both models' forwards return."""
    model = load()
    scheduled = add_scheduled_lora(model, lora(model, "0.7"))
    split = on_two_devices(scheduled)
    (clone,) = split.get_additional_models_with_key("multigpu")
    layers = [each.model.diffusion_model.blocks[1].ffn[0] for each in (split, clone)]
    before = [layer.__dict__.get("forward") for layer in layers]
    key, _ = split.get_attachment(KEY)
    now = split.injections[key][0].inject.__self__.now
    seen = {}

    def look(executor, *args, **kwargs):
        seen[threading.get_ident()] = (id(executor.class_obj), now.strengths)
        return executor(*args, **kwargs)

    for each in (split, clone):
        each.add_wrapper_with_key("diffusion_model", "look", look)
    expected = sample(cfg(scheduled))
    for _ in range(2):
        torch.testing.assert_close(sample(cfg(split)), expected, rtol=1e-4, atol=1e-4)
        assert len({model_id for model_id, _ in seen.values()}) == len(seen) == 2
        assert [strengths for _, strengths in seen.values()] == [[0.7], [0.7]]
        seen.clear()
        first, second = (layer.forward.__closure__ for layer in layers)
        shared = {id(cell.cell_contents) for cell in first} & {id(cell.cell_contents) for cell in second}
        assert all(id(own) not in shared for closure in (first, second) for own in deltas_of(closure))
        for device in (torch.device("cpu"), SECOND_DEVICE):
            comfy.model_management.free_memory(1e30, device)
        assert [layer.__dict__.get("forward") for layer in layers] == before


def deltas_of(closure):
    """The adapters behind a scheduled forward."""
    (deltas,) = (cell.cell_contents for cell in closure if isinstance(cell.cell_contents, list))
    return [inner.cell_contents for _, delta in deltas for inner in delta.__closure__]
