"""The 5B camera model: its loader, and its camera against core's own camera class."""

import comfy.model_management
import comfy.samplers
import comfy.sd
import folder_paths
import pytest
import torch
from safetensors.torch import save_file

from harness import wan_models, wan_tiny
from oner.nodes.wan.camera_5b import Wan5BCameraLoader
from oner.nodes.wan.conditioning import WanFunConditioning
from oner.wan import camera, camera_5b, pluecker
from oner.wan.layouts import read_layout
from tiny import wan

PROMPTS = wan_tiny.prompts()
WIDTH, HEIGHT, LENGTH = 64, 64, 9
PAN = pluecker.embed(camera.move(["Pan Left", "Zoom In"], LENGTH), WIDTH, HEIGHT)


def condition(model, **inputs):
    vae = wan_tiny.MeanVAE(model.model.latent_format.latent_channels)
    return WanFunConditioning.execute(
        model, PROMPTS.positive, PROMPTS.negative, vae, WIDTH, HEIGHT, LENGTH, **inputs
    ).args


def velocities(model, positive, latent, sigmas=(0.6, 0.0)):
    """The velocity and the timestep of each forward."""
    seen = []
    guider = comfy.samplers.CFGGuider(wan_models.record_velocities(model, lambda v, t, _: seen.append((v, t))))
    guider.set_conds(positive, positive)
    guider.sample(
        wan_tiny.noise(latent["samples"].shape),
        latent["samples"],
        comfy.samplers.ksampler("euler"),
        torch.tensor(sigmas),
        latent.get("noise_mask"),
        disable_pbar=True,
        seed=0,
    )
    return seen


def test_core_still_does_not_know_the_model():
    state, metadata = wan.transformer(0, **wan_tiny.LAYOUTS["5B camera"])
    assert comfy.sd.load_diffusion_model_state_dict(state, metadata=metadata) is None, (
        "core knows the 5B camera model now: say so in the loader's help"
    )


def test_layout_is_read():
    layout = read_layout(wan_tiny.load("5B camera"))
    assert layout.name == "Wan 2.2 5B control camera"
    assert (layout.blocks, layout.camera, layout.multiple) == (("mask", "masked"), True, 32)


def test_camera_goes_in_as_in_cores_camera_class():
    """The same weights once as core's camera model of the 2.2 pair, once as its inpaint model with our adapter."""
    state, metadata = wan.transformer(0, **wan_tiny.LAYOUTS["2.2 camera"])
    theirs = wan_tiny.load("2.2 camera")
    own = {key.removeprefix("control_adapter."): state.pop(key) for key in list(state) if "control_adapter" in key}
    plain = comfy.sd.load_diffusion_model_state_dict(state, model_options={"dtype": torch.float32}, metadata=metadata)
    ours = camera_5b.attach_adapter(plain, camera_5b.build_adapter(own))
    positive, _, latent, _ = condition(theirs, camera=PAN, start_image=wan_tiny.pixels(1, HEIGHT, WIDTH))
    ((expected, _),) = velocities(theirs, positive, latent)
    values = positive[0][1]["camera_conditions"]
    handed = [[positive[0][0], {**positive[0][1], "model_conds": {"camera_conditions": camera_5b.regular(values)}}]]
    ((found, _),) = velocities(ours, handed, latent)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    ((without, _),) = velocities(ours, positive, latent)
    assert (without - expected).norm() > 1e-2 * expected.norm()


def test_adapter_sees_blocks_of_16_pixels():
    adapter = camera_5b.build_adapter(
        {key.removeprefix("control_adapter."): value for key, value in wan.camera_adapter(0, 48, 16).items()}
    )
    assert adapter(torch.zeros(1, 24, 3, HEIGHT, WIDTH)).shape == (1, 48, 3, HEIGHT // 32, WIDTH // 32)


def test_pinned_start_image_and_camera_go_together():
    model = wan_tiny.load("5B camera")
    image = wan_tiny.pixels(1, HEIGHT, WIDTH)
    positive, _, latent, info = condition(model, camera=PAN, start_image=image)
    assert info.startswith("Wan 2.2 5B control camera")
    ((moved, timestep),) = velocities(model, positive, latent)
    assert timestep.round().tolist() == [[0, 600, 600]]
    ((still, _),) = velocities(model, *(condition(model, start_image=image)[i] for i in (0, 2)))
    assert (moved - still).norm() > 1e-2 * still.norm()


def test_without_a_camera_it_is_the_inpaint_model():
    state, metadata = wan.transformer(0, **wan_tiny.LAYOUTS["5B camera"])
    plain = {key: value for key, value in state.items() if "control_adapter" not in key}
    plain = comfy.sd.load_diffusion_model_state_dict(plain, model_options={"dtype": torch.float32}, metadata=metadata)
    positive, _, latent, _ = condition(plain, start_image=wan_tiny.pixels(1, HEIGHT, WIDTH))
    ((expected, _),) = velocities(plain, positive, latent)
    ((found, _),) = velocities(wan_tiny.load("5B camera"), positive, latent)
    assert torch.equal(found, expected)


def test_camera_may_be_limited_to_a_part_of_the_run():
    model = wan_tiny.load("5B camera")
    positive, _, latent, _ = condition(model, camera=PAN, end_percent=0.5)
    seen = []

    def look(executor, *args, camera_conditions=None, **kwargs):
        seen.append(camera_conditions is not None)
        return executor(*args, camera_conditions=camera_conditions, **kwargs)

    watched = model.clone()
    watched.wrappers = {"diffusion_model": {"look": [look], **watched.wrappers["diffusion_model"]}}
    sigma = model.model.model_sampling.percent_to_sigma(0.5)
    velocities(watched, positive, latent, (1.0, sigma + 0.01, sigma - 0.01, 0.0))
    assert seen == [True, True, False]


def test_loader_reads_the_file_and_core_moves_the_adapter(tmp_path, monkeypatch):
    state, metadata = wan.transformer(0, **wan_tiny.LAYOUTS["5B camera"])
    save_file(state, tmp_path / "camera.safetensors", metadata)
    save_file(wan.transformer(0, in_dim=36)[0], tmp_path / "other.safetensors", metadata)
    folder = ([str(tmp_path)], {".safetensors"})
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "diffusion_models", folder)
    (model,) = Wan5BCameraLoader.execute("camera.safetensors", "default").args
    weights = sum(value.numel() * value.element_size() for value in state.values())
    assert model.model_size() == pytest.approx(weights, rel=0.01)
    clone = model.deepclone_multigpu(new_load_device=torch.device("cpu", 0))
    assert clone.model.diffusion_model.control_adapter is not model.model.diffusion_model.control_adapter
    with pytest.raises(ValueError, match=r"takes 36 input channels and has no camera adapter.*Load Diffusion Model"):
        Wan5BCameraLoader.execute("other.safetensors", "default")


def test_fp8_weights_sample():
    state, metadata = wan.transformer(0, **wan_tiny.LAYOUTS["5B camera"])
    model = camera_5b.load_state_dict(state, metadata, {"dtype": torch.float8_e4m3fn})
    positive, _, latent, _ = condition(model, camera=PAN)
    ((velocity, _),) = velocities(model, positive, latent)
    assert velocity.isfinite().all()
    assert model.model.diffusion_model.blocks[0].self_attn.q.weight.dtype == torch.float8_e4m3fn
