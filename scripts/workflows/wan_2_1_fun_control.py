"""Wan 2.1 Fun V1.1 Control with a reference image; a pose and a drawn trajectory steer together."""

from . import wan_parts as wan
from .builder import Graph, Model

NAME = "Wan_2.1_Fun_Control_with_Reference_and_Trajectory"
TITLE = "Wan 2.1 Fun V1.1 Control: reference image, control video and trajectory"
DESCRIPTION = (
    "A control video (pose, depth, edges) and points that move along drawn lines steer the video; the reference image "
    "says who and what is seen."
)
HOW_TO = f"""Write the way of each point into **Trajectory** as JSON, or connect a spline editor. Bypass the merge to use
only one of the two controls. **Check** reports options that do nothing on this model.

The V1.1 Control models know references; V1.0 does not, and **Conditioning** then says so. The file has its name from the
original repository; the 14B model is in
[alibaba-pai/Wan2.1-Fun-V1.1-14B-Control](https://huggingface.co/alibaba-pai/Wan2.1-Fun-V1.1-14B-Control).

{wan.CLIP_NOTE}

{wan.ENCODER_NOTE}"""

FILE = "diffusion_pytorch_model.safetensors"
LINK = f"https://huggingface.co/alibaba-pai/Wan2.1-Fun-V1.1-1.3B-Control/resolve/main/{FILE}"


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 5.0), wan.load_vae(g)
    positive, negative = wan.write_prompts(g, "A dancer in a red coat crosses an empty square in the rain.")
    reference = wan.load_image(g, "reference", "reference.png")
    control = wan.load_frames(g, "control", "pose.mp4", title="Control video")
    trajectory = g.node(
        "OnerWanTrajectoryVideo",
        "trajectory",
        coordinates='[{"x": 100, "y": 300}, {"x": 700, "y": 200}]',
        width=832,
        height=480,
        length=81,
        radius=0.0,
        profile="gauss",
    )
    merged = g.node(
        "OnerWanControlVideoMerge",
        "merge",
        video_1=trajectory.out(0),
        video_2=control.out(0),
        lengths="hold the last frame",
    )
    conditioning = g.node(
        "OnerWanFunConditioning",
        "conditioning",
        model=model.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=832,
        height=480,
        length=81,
        control_video=merged.out(0),
        ref_image=reference.out(0),
        clip_vision_output=wan.image_features(g, reference.out(0)),
        **wan.CONDITIONING | {"end_percent": 0.8},
    )
    check = g.node(
        "OnerWanLint",
        "check",
        model=model.out(0),
        strict=False,
        cfg=6.0,
        positive=conditioning.out(0),
        negative=conditioning.out(1),
    )
    g.node("PreviewAny", "report", source=check.out(1))
    guider = wan.cfg_guider(g, check.out(0), conditioning.out(0), conditioning.out(1), 6.0)
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=50, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.1-fun-control")


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Reference": ["reference", *wan.CLIP],
    "Control": ["control", "control_frames", "trajectory", "merge"],
    "Conditioning": ["conditioning", "check", "report"],
    "Sampling": ["guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model.unet_name": Model(LINK, "diffusion_models"),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_21, "vae", wan.VAE_21),
    "clip_vision.clip_name": wan.file_of(wan.REPACKAGED_21, "clip_vision", wan.CLIP_VISION),
}
INPUTS = {"reference.image": wan.PICTURE, "control.file": wan.control_clip()}
TINY = {
    "model.unet_name": "tiny-wan-2.1-fun-control-1.3b.safetensors",
    "sigmas.steps": 4,
    "trajectory.width": 64,
    "trajectory.height": 64,
    "trajectory.length": 9,
    **wan.TINY_FILES,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-fun-control", *wan.TINY_BASE]
TINY_WITHOUT = wan.CLIP  # see image_features
TINY_RESULT = wan.tiny_result()
