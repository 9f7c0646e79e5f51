"""Where core's own nodes deviate from how each Wan Fun checkpoint was trained, and where they agree: a row each.

That our side is the reference's is shown by the golden files (`make parity`). A canary that fails says that core has
caught up: the help of the node then wants a change.
"""

from dataclasses import dataclass, field
from typing import Any

import comfy.clip_vision
import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_camera_trajectory import WanCameraEmbedding
from comfy_extras.nodes_wan import (
    Wan22FunControlToVideo,
    Wan22ImageToVideoLatent,
    WanCameraImageToVideo,
    WanFunControlToVideo,
    WanFunInpaintToVideo,
    WanVaceToVideo,
)

from harness import wan_models, wan_tiny
from oner.nodes.wan.conditioning import WanFunConditioning
from oner.wan import camera, pluecker

WIDTH, HEIGHT, LENGTH = 64, 64, 9
SIZE = (WIDTH, HEIGHT, LENGTH, 1)
PROMPTS = wan_tiny.prompts()
IMAGE, LAST = wan_tiny.pixels(1, HEIGHT, WIDTH), wan_tiny.pixels(1, HEIGHT, WIDTH, seed=4)
VIDEO = wan_tiny.pixels(LENGTH, HEIGHT, WIDTH, seed=5)
CLIP = comfy.clip_vision.Output()
CLIP.penultimate_hidden_states = wan_tiny.noise((1, 257, 1280))
PAN = pluecker.embed(camera.move(["Pan Left"], LENGTH), WIDTH, HEIGHT)


def core_camera(**intrinsics):
    return WanCameraEmbedding.execute("Pan Left", WIDTH, HEIGHT, LENGTH, **intrinsics).args[0]


@dataclass(frozen=True)
class Row:
    """One graph built with core's node and with ours; `why` says how core deviates, empty where it does not."""

    layout: str
    node: Any
    inputs: dict[str, Any]
    core: dict[str, Any] = field(default_factory=dict)  # what core's node gets instead
    why: str = ""


TRAINED = {"fx": camera.INTRINSICS[0], "fy": camera.INTRINSICS[1]}
ROWS = {
    "2.1 InP, start image": Row("2.1 inpaint", WanFunInpaintToVideo, {"start_image": IMAGE}, why="no zero features"),
    "2.1 InP, features": Row("2.1 inpaint", WanFunInpaintToVideo, {"start_image": IMAGE, "clip_vision_output": CLIP}),
    "2.1 Control 1.0": Row("2.1 control", WanFunControlToVideo, {"control_video": VIDEO}, why="no zero features"),
    "2.1 Control 1.0, features": Row(
        "2.1 control", WanFunControlToVideo, {"control_video": VIDEO, "clip_vision_output": CLIP}
    ),
    "2.1 Control 1.1, features": Row(
        "2.1 control with reference",
        WanFunControlToVideo,
        {"control_video": VIDEO, "clip_vision_output": CLIP},
        why="no zero reference",
    ),
    "2.1 Camera, default intrinsics": Row(
        "2.1 camera",
        WanCameraImageToVideo,
        {"start_image": IMAGE, "clip_vision_output": CLIP, "camera": PAN},
        {"camera_conditions": core_camera()},
        why="focal length half the picture",
    ),
    "2.1 Camera, trained intrinsics": Row(
        "2.1 camera",
        WanCameraImageToVideo,
        {"start_image": IMAGE, "clip_vision_output": CLIP, "camera": PAN},
        {"camera_conditions": core_camera(**TRAINED)},
    ),
    "2.2 InP, start and end": Row("2.2 inpaint", WanFunInpaintToVideo, {"start_image": IMAGE, "end_image": LAST}),
    "2.2 InP, no image": Row("2.2 inpaint", WanFunInpaintToVideo, {}, why="grey is encoded where nothing is kept"),
    "2.2 Control": Row("2.2 control", Wan22FunControlToVideo, {"control_video": VIDEO}),
    "2.2 Control, start image": Row(
        "2.2 control",
        Wan22FunControlToVideo,
        {"control_video": VIDEO, "start_image": IMAGE},
        why="zero, not grey, after the start image",
    ),
    "2.2 Control with reference convolution": Row(
        "2.2 control with reference", Wan22FunControlToVideo, {"control_video": VIDEO}, why="no zero reference"
    ),
    "2.2 Control, reference": Row(
        "2.2 control with reference", Wan22FunControlToVideo, {"control_video": VIDEO, "ref_image": IMAGE}
    ),
    "2.2 Camera": Row(
        "2.2 camera",
        WanCameraImageToVideo,
        {"start_image": IMAGE, "camera": PAN},
        {"camera_conditions": core_camera(**TRAINED)},
        why="zero, not grey, after the start image",
    ),
    "5B InP": Row("5B inpaint", WanFunInpaintToVideo, {"start_image": IMAGE}, why="first frame not pinned"),
    "5B Control, reference": Row(
        "5B control with reference",
        Wan22FunControlToVideo,
        {"control_video": VIDEO, "ref_image": IMAGE, "start_image": IMAGE},
        why="first frame not pinned",
    ),
}


def velocity(model, conditioning, latent, sigma=0.6):
    """The model's velocity for one prompt at one noise level."""
    seen = []
    guider = comfy.samplers.CFGGuider(wan_models.record_velocities(model, lambda v, *_: seen.append(v)))
    guider.set_conds(conditioning, conditioning)
    noise = wan_tiny.noise(latent["samples"].shape)
    guider.sample(
        noise,
        latent["samples"],
        comfy.samplers.ksampler("euler"),
        torch.tensor([sigma, 0.0]),
        latent.get("noise_mask"),
        disable_pbar=True,
        seed=0,
    )
    return seen[0]


def ours(model, **inputs):
    vae = wan_tiny.MeanVAE(model.model.latent_format.latent_channels)
    out = WanFunConditioning.execute(model, PROMPTS.positive, PROMPTS.negative, vae, *SIZE, **inputs).args
    return out[0], out[2]


def theirs(model, node, **inputs):
    vae = wan_tiny.MeanVAE(model.model.latent_format.latent_channels)
    out = node.execute(PROMPTS.positive, PROMPTS.negative, vae, *SIZE, **inputs).args
    return out[0], out[2]


def deviation(model, theirs, ours):
    a, b = velocity(model, *theirs), velocity(model, *ours)
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("name", ROWS)
def test_core_against_the_trained_conditioning(name):
    row = ROWS[name]
    model = wan_tiny.load(row.layout)
    given = {key: value for key, value in row.inputs.items() if key != "camera"}
    found = deviation(model, theirs(model, row.node, **given, **row.core), ours(model, **row.inputs))
    if row.why:
        assert found > 1e-3, f"core no longer deviates here ({row.why}): say so in the node's help and drop the reason"
    else:
        assert found < 1e-5


def test_5b_reference_beside_cores_pinned_latent_has_the_wrong_timesteps():
    """The best graph core allows: its control conditioning with its pinned latent. Reference tokens get no row."""
    model = wan_tiny.load("5B control with reference")
    inputs = {"control_video": VIDEO, "ref_image": IMAGE, "start_image": IMAGE}
    conditioning, _ = theirs(model, Wan22FunControlToVideo, **inputs)
    (latent,) = Wan22ImageToVideoLatent.execute(wan_tiny.MeanVAE(48), *SIZE, start_image=IMAGE).args
    assert deviation(model, (conditioning, latent), ours(model, **inputs)) > 1e-3


@pytest.mark.parametrize("name", ["start_image", "end_image", "mask"])
def test_core_offers_no_image_inputs_for_2_2_control(name):
    assert name not in {each.id for each in Wan22FunControlToVideo.define_schema().inputs}


def test_core_offers_one_vace_reference_and_no_positions():
    found = [each.id for each in WanVaceToVideo.define_schema().inputs if each.get_io_type() in ("IMAGE", "MASK")]
    assert found == ["control_video", "control_masks", "reference_image"]
