"""The Wan Fun conditioning node against formulas written down here."""

import hashlib

import comfy.clip_vision
import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_context_windows import WanContextWindowsManualNode

from harness import wan_models, wan_tiny
from oner.nodes.wan.conditioning import WanFunConditioning
from oner.wan import camera, pluecker

WIDTH, HEIGHT, LENGTH = 64, 32, 9
T, h, w = 3, 4, 8
PROMPTS = wan_tiny.prompts()


def build(layout, vae=None, length=LENGTH, width=WIDTH, height=HEIGHT, **inputs):
    model = wan_tiny.load(layout)
    vae = vae or wan_tiny.MeanVAE(model.model.latent_format.latent_channels)
    out = WanFunConditioning.execute(model, PROMPTS.positive, PROMPTS.negative, vae, width, height, length, **inputs)
    return model, out.args


def channels(model, values, frames=T, rows=h, columns=w):
    """The channels core puts after the noise."""
    base = model.model
    noise = torch.zeros(1, base.latent_format.latent_channels, frames, rows, columns)
    return base.concat_cond(
        noise=noise, device=torch.device("cpu"), **{k: v for k, v in values.items() if "concat" in k}
    )


def normalised(model, pixels):
    vae = wan_tiny.MeanVAE(model.model.latent_format.latent_channels)
    return model.model.latent_format.process_in(vae.encode(pixels))


def grey(frames=LENGTH):
    return torch.full((frames, HEIGHT, WIDTH, 3), 0.5)


def test_inpaint_is_mask_then_masked_video_with_grey_between():
    start, end = wan_tiny.pixels(1, HEIGHT, WIDTH), wan_tiny.pixels(1, HEIGHT, WIDTH, seed=4)
    model, (positive, *_) = build("2.2 inpaint", start_image=start, end_image=end)
    y = channels(model, positive[0][1])
    mask = torch.zeros(1, 4, T, h, w)
    mask[:, :, 0] = 1
    mask[:, 3, 2] = 1  # the end image is the last frame of the last group
    assert torch.equal(y[:, :4], mask)
    video = torch.cat([start, grey(LENGTH - 2), end])
    torch.testing.assert_close(y[:, 4:], normalised(model, video), rtol=1e-5, atol=1e-5)


def test_moving_mask_is_resized_with_its_first_frame_apart():
    mask = torch.zeros(LENGTH, HEIGHT, WIDTH)
    mask[0, :, : WIDTH // 2] = 1
    mask[1:, : HEIGHT // 2] = 1
    video = wan_tiny.pixels(LENGTH, HEIGHT, WIDTH)
    model, (positive, *_) = build("2.2 inpaint", inpaint_video=video, inpaint_mask=mask)
    y = channels(model, positive[0][1])
    assert torch.equal(y[0, :4, 0, 0], torch.tensor([0.0] * 4 + [1.0] * 4).expand(4, -1))
    assert torch.equal(y[0, :4, 1:, :, 0], torch.tensor([0.0, 0, 1, 1]).expand(4, 2, -1))
    kept = torch.where(mask.unsqueeze(-1) > 0.5, torch.tensor(0.5), video)
    torch.testing.assert_close(y[:, 4:], normalised(model, kept), rtol=1e-5, atol=1e-5)


def test_nothing_kept_is_zero_and_not_encoded_grey():
    vae = wan_tiny.MeanVAE()
    model, (positive, *_) = build("2.2 inpaint", vae)
    assert not channels(model, positive[0][1]).any()
    assert not vae.encoded


def test_control_21_is_control_then_start_in_the_first_latent_frame():
    start, video = wan_tiny.pixels(1, HEIGHT, WIDTH), wan_tiny.pixels(LENGTH, HEIGHT, WIDTH, seed=4)
    model, (positive, *_) = build("2.1 control", start_image=start, control_video=video)
    y = channels(model, positive[0][1])
    torch.testing.assert_close(y[:, :16], normalised(model, video), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(y[:, 16:, :1], normalised(model, start), rtol=1e-5, atol=1e-5)
    assert not y[:, 16:, 1:].any()


def test_control_22_takes_start_end_and_control_together():
    start, end = wan_tiny.pixels(1, HEIGHT, WIDTH), wan_tiny.pixels(1, HEIGHT, WIDTH, seed=5)
    video = wan_tiny.pixels(LENGTH, HEIGHT, WIDTH, seed=4)
    model, (positive, _, _, info) = build("2.2 control", start_image=start, end_image=end, control_video=video)
    y = channels(model, positive[0][1])
    torch.testing.assert_close(y[:, :16], normalised(model, video), rtol=1e-5, atol=1e-5)
    assert y[0, 16:20, 0].all()
    assert y[0, 19, 2].all()
    assert not y[0, 16:19, 2].any()
    torch.testing.assert_close(
        y[:, 20:], normalised(model, torch.cat([start, grey(LENGTH - 2), end])), rtol=1e-5, atol=1e-5
    )
    assert "warning" not in info


def test_end_image_on_21_control_is_taken_with_a_warning():
    end = wan_tiny.pixels(1, HEIGHT, WIDTH)
    model, (positive, _, _, info) = build("2.1 control", end_image=end)
    assert "not trained on end frames" in info
    assert channels(model, positive[0][1])[:, 16:, -1].any()


def test_of_several_end_images_21_control_takes_the_last():
    end = wan_tiny.pixels(3, HEIGHT, WIDTH)
    model, (positive, *_) = build("2.1 control", end_image=end)
    y = channels(model, positive[0][1])
    torch.testing.assert_close(y[:, 16:, -1:], normalised(model, end[2:]), rtol=1e-5, atol=1e-5)
    assert not y[:, 16:, :-1].any()


def test_zero_reference_is_sent_when_there_is_none():
    for layout in ("2.1 control with reference", "2.2 control with reference"):
        model, (positive, negative, *_) = build(layout)
        for conditioning in (positive, negative):
            (reference,) = conditioning[0][1]["reference_latents"]
            assert not model.model.latent_format.process_in(reference).any()
    assert "reference_latents" not in build("2.2 control")[1][0][0][1]


def test_zero_image_features_are_sent_when_there_are_none():
    _, (positive, *_) = build("2.1 inpaint")
    features = positive[0][1]["clip_vision_output"].penultimate_hidden_states
    assert features.shape == (1, 257, 1280)
    assert not features.any()
    assert "clip_vision_output" not in build("2.2 inpaint")[1][0][0][1]


def test_5b_pins_the_first_latent_frame_and_gives_reference_tokens_the_full_timestep():
    start = wan_tiny.pixels(1, 64, 64)
    model, (positive, _, latent, _) = build("5B control with reference", width=64, height=64, start_image=start)
    pinned = model.model.latent_format.process_in(latent["samples"].clone())
    vae = wan_tiny.MeanVAE(48)
    expected = model.model.latent_format.process_in(vae.encode(start))
    torch.testing.assert_close(pinned[:, :, :1], expected, rtol=1e-5, atol=1e-5)
    assert not pinned[:, :, 1:].any()
    assert latent["noise_mask"][0, 0, :, 0, 0].tolist() == [0, 1, 1]
    assert timesteps(model, positive, latent) == [[600, 0, 600, 600]]


def timesteps(model, conditioning, latent, sigma=0.6):
    """The timestep of each frame, reference tokens first, in every forward of one step."""
    seen = []
    guider = comfy.samplers.CFGGuider(wan_models.record_velocities(model, lambda _, t, __: seen.append(t)))
    guider.set_conds(conditioning, conditioning)
    guider.sample(
        wan_tiny.noise(latent["samples"].shape),
        latent["samples"],
        comfy.samplers.ksampler("euler"),
        torch.tensor([sigma, 0.0]),
        latent["noise_mask"],
        disable_pbar=True,
        seed=0,
    )
    return [t[0].round().int().tolist() for t in seen]


def test_context_windows_keep_the_timesteps_of_reference_and_pinned_frame():
    model = wan_tiny.load("5B control with reference")
    window = {"context_overlap": 4, "context_schedule": "standard_static", "context_stride": 1, "closed_loop": False}
    (windowed,) = WanContextWindowsManualNode.execute(model, 17, fuse_method="pyramid", freenoise=False, **window).args
    image = wan_tiny.pixels(1, 64, 64)
    positive, _, latent, _ = WanFunConditioning.execute(
        model, PROMPTS.positive, PROMPTS.negative, wan_tiny.MeanVAE(48), 64, 64, 33, start_image=image, ref_image=image
    ).args
    first, *others = timesteps(windowed, positive, latent)
    assert first == [600, 0, 600, 600, 600, 600]
    assert others
    assert all(set(row[:1] + row[2:]) == {600} for row in others)  # the second may be the pinned frame, as an anchor
    assert timesteps(model, positive, latent) == [[600, 0] + [600] * 8]


def test_5b_without_start_image_is_not_pinned():
    _, (positive, _, latent, _) = build("5B inpaint", width=64, height=64)
    assert "noise_mask" not in latent
    assert "model_conds" not in positive[0][1]


def test_plain_5b_pins_its_start_image():
    _, (positive, _, latent, _) = build("5B text", width=64, height=64, start_image=wan_tiny.pixels(1, 64, 64))
    assert latent["noise_mask"][0, 0, :, 0, 0].tolist() == [0, 1, 1]
    assert "concat_latent_image" not in positive[0][1]


def test_strength_zero_is_the_trained_absence_of_control():
    video = wan_tiny.pixels(LENGTH, HEIGHT, WIDTH)
    model, (off, *_) = build("2.2 control", control_video=video, control_strength=0.0)
    _, (none, *_) = build("2.2 control")
    assert torch.equal(channels(model, off[0][1]), channels(model, none[0][1]))
    _, (half, *_) = build("2.2 control", control_video=video, control_strength=0.5)
    expected = 0.5 * normalised(model, video)
    torch.testing.assert_close(channels(model, half[0][1])[:, :16], expected, rtol=1e-5, atol=1e-5)


def sample(model, positive, negative, latent, steps=4, cfg=6.0):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    sigmas = torch.linspace(1, 0, steps + 1)
    noise = wan_tiny.noise(latent["samples"].shape)
    mask = latent.get("noise_mask")
    euler = comfy.samplers.ksampler("euler")
    return guider.sample(noise, latent["samples"], euler, sigmas, mask, disable_pbar=True, seed=0)


def test_control_range_switches_control_off_and_costs_no_forward():
    video = wan_tiny.pixels(LENGTH, HEIGHT, WIDTH)
    model, (positive, negative, latent, _) = build(
        "2.2 control", control_video=video, start_percent=0.25, end_percent=0.75
    )
    seen = []

    def look(executor, x, *args, **kwargs):
        seen.append(bool(x[:, 16:32].any()))
        return executor(x, *args, **kwargs)

    counted, calls = wan_tiny.count_forwards(model)
    counted.add_wrapper_with_key("diffusion_model", "look", look)
    percent = [model.model.model_sampling.percent_to_sigma(p) for p in (0.25, 0.75)]
    sample(counted, positive, negative, latent, steps=8, cfg=1.0)
    sigmas = torch.linspace(1, 0, 9)[:-1].tolist()
    assert seen == [percent[1] <= sigma <= percent[0] for sigma in sigmas]
    assert any(seen)
    assert not all(seen)
    assert len(calls) == 8


def test_camera_reaches_the_model_and_may_be_scaled_and_limited():
    embedding = pluecker.embed(camera.move(["Pan Left"], LENGTH), WIDTH, HEIGHT)
    _, (positive, *_) = build("2.2 camera", camera=embedding, control_strength=0.5, end_percent=0.5)
    (camera_on,) = (o for _, o in positive if "camera_conditions" in o)
    assert torch.equal(camera_on["camera_conditions"], embedding * 0.5)
    assert [o.get("camera_conditions") is None for _, o in positive] == [False, True]


@pytest.mark.parametrize("layout", ["2.1 camera", "2.2 camera", "5B camera"])
def test_camera_of_strength_0_is_no_camera(layout):
    embedding = pluecker.embed(camera.move(["Pan Left"], LENGTH), 64, 64)
    positive = build(layout, width=64, height=64, camera=embedding, control_strength=0.0, end_percent=0.5)[1][0]
    assert [{"camera_conditions", "model_conds"} & options.keys() for _, options in positive] == [set()]


def test_short_control_video_is_held_and_reported():
    video = wan_tiny.pixels(5, HEIGHT, WIDTH)
    vae = wan_tiny.MeanVAE()
    _, (_, _, _, info) = build("2.2 control", vae, control_video=video)
    assert torch.equal(vae.encoded[-1], torch.cat([video, video[-1:].expand(4, -1, -1, -1)]))
    assert "control_video has 5 frames" in info


def test_batch_size_sets_the_latent():
    assert build("2.2 inpaint", batch_size=3)[1][2]["samples"].shape == (3, 16, T, h, w)


CLIP = comfy.clip_vision.Output()
CLIP.penultimate_hidden_states = torch.zeros(1, 257, 1280)
IMAGE = wan_tiny.pixels(1, HEIGHT, WIDTH)
CAMERA = torch.zeros(1, 24, T, HEIGHT, WIDTH)


def refuse(layout, message, **inputs):
    """The node refuses the inputs with a message, before anything is encoded or sampled."""
    vae = inputs.pop("vae", None) or wan_tiny.MeanVAE(48 if "5B" in layout else 16)
    with pytest.raises(ValueError, match=message):
        build(layout, vae, **inputs)
    assert not vae.encoded


NO_CAMERA = [name for name in wan_tiny.LAYOUTS if "camera" not in name and name != "vace"]
NO_CONTROL = [name for name in wan_tiny.LAYOUTS if "control" not in name and name != "vace"]
NO_REFERENCE = [name for name in wan_tiny.LAYOUTS if "reference" not in name and name != "vace"]


@pytest.mark.parametrize("layout", NO_CAMERA)
def test_a_camera_is_refused_without_an_adapter(layout):
    camera = torch.zeros(1, 24, T, 64, 64)
    refuse(layout, "no control adapter: load a Fun Control-Camera model", width=64, height=64, camera=camera)


@pytest.mark.parametrize("layout", NO_CONTROL)
def test_a_control_video_is_refused_without_control_channels(layout):
    refuse(layout, "no control channels: load a Fun Control model", width=64, height=64, control_video=IMAGE)


@pytest.mark.parametrize("layout", NO_REFERENCE)
def test_a_reference_is_refused_without_a_reference_convolution(layout):
    refuse(layout, "no reference convolution: load a Fun V1.1 or 2.2", width=64, height=64, ref_image=IMAGE)


@pytest.mark.parametrize("layout", ["2.1 control", "2.1 control with reference", "2.1 camera"])
def test_an_end_image_is_warned_of_where_none_was_trained(layout):
    assert "warning: end_image" in build(layout, end_image=IMAGE)[1][3]


@pytest.mark.parametrize(
    ("layout", "inputs", "message"),
    [
        ("2.2 control", {"clip_vision_output": CLIP}, "no image embedding"),
        ("text", {"start_image": IMAGE}, "no channels for images"),
        ("5B text", {"end_image": IMAGE, "width": 64, "height": 64}, "no channels for images"),
        ("2.1 control", {"inpaint_video": IMAGE, "inpaint_mask": CAMERA[0, 0, :1]}, "no mask channels"),
        ("2.2 inpaint", {"inpaint_video": IMAGE}, "belong together"),
        ("2.1 camera", {"start_image": wan_tiny.pixels(5, HEIGHT, WIDTH)}, "has 5 frames"),
        ("2.2 camera", {"camera": CAMERA[:, :, :1]}, "same width, height and length"),
        ("2.2 inpaint", {"width": 72}, "width is 72.*use 64 or 80"),
        ("5B inpaint", {"width": 80, "height": 64}, "multiples of 32: use 64 or 96"),
        ("2.2 inpaint", {"length": 10}, "length is 10.*use 9 or 13"),
        ("2.2 inpaint", {"vae": wan_tiny.MeanVAE(48)}, "48 latent channels.*needs 16"),
        ("2.2 inpaint", {"start_image": wan_tiny.pixels(10, HEIGHT, WIDTH)}, "10 frames together; length is 9"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_encoded(layout, inputs, message):
    refuse(layout, message, **inputs)


def digest(value):
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in value)).hexdigest()


def test_inputs_are_left_as_they_were():
    start, video = wan_tiny.pixels(1, HEIGHT, WIDTH), wan_tiny.pixels(LENGTH, HEIGHT, WIDTH)
    positive = [[wan_tiny.prompts(7).positive[0][0], {"reference_latents": [], "kept": 1}]]
    before = digest([start, video, positive[0][0]]), repr(positive[0][1])
    model = wan_tiny.load("2.2 control with reference")
    WanFunConditioning.execute(
        model, positive, positive, wan_tiny.MeanVAE(), WIDTH, HEIGHT, LENGTH, start_image=start, control_video=video
    )
    assert (digest([start, video, positive[0][0]]), repr(positive[0][1])) == before
