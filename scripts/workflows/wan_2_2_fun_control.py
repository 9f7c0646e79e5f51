"""Wan 2.2 Fun A14B Control: start and end image together with a control video, and a reference where the model has one."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_Fun_Control_Start_End"
TITLE = "Wan 2.2 Fun Control: start image, end image and a control video"
DESCRIPTION = (
    "The control video says how things move, the two images how the video begins and ends. Both experts in one run."
)
HOW_TO = f"""Choose the images and the control video (pose, depth, edges; a frame for each of the video).
`end_percent` below 1 lets the model finish freely. CFG-Zero* runs in the first phase.

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_fun_control_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_fun_control_low_noise_14B_fp8_scaled.safetensors"


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    high = wan.load_model(g, "model_high", HIGH, 5.0, title="High-noise expert")
    low = wan.load_model(g, "model_low", LOW, 5.0, title="Low-noise expert")
    positive, negative = wan.write_prompts(g, "A skater turns on the frozen lake and stops before the camera.")
    start = wan.load_image(g, "start_image", "start.png")
    end = wan.load_image(g, "end_image", "end.png")
    control = wan.load_frames(g, "control", "pose.mp4", title="Control video")
    conditioning = g.node(
        "OnerWanFunConditioning",
        "conditioning",
        model=high.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=832,
        height=480,
        length=81,
        start_image=start.out(0),
        end_image=end.out(0),
        control_video=control.out(0),
        **wan.CONDITIONING,
    )
    guider = g.node(
        "OnerWanExpertsGuider",
        "guider",
        model_high=high.out(0),
        model_low=low.out(0),
        positive=conditioning.out(0),
        negative=conditioning.out(1),
        phases=2,
        cfg_1=5.0,
        cfg_2=4.0,
        **wan.GUIDER | {"cfg_zero_star": "1"},
    )
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=40, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.2-fun-control")


GROUPS = {
    "Models": ["model_high", "model_high_shift", "model_low", "model_low_shift", "vae"],
    "Prompt": wan.TEXT,
    "Images and control": ["start_image", "end_image", "control", "control_frames"],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model_high.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", HIGH),
    "model_low.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", LOW),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_22, "vae", wan.VAE_21),
}
INPUTS = {"start_image.image": wan.PICTURE, "end_image.image": wan.PICTURE, "control.file": wan.control_clip()}
TINY = {
    "model_high.unet_name": "tiny-wan-2.2-fun-control-a14b-high-noise.safetensors",
    "model_low.unet_name": "tiny-wan-2.2-fun-control-a14b-low-noise.safetensors",
    "sigmas.steps": 4,
    **wan.TINY_FILES,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-fun-control-a14b-high", "wan-fun-control-a14b-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
