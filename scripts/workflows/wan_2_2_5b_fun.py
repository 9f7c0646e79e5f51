"""Wan 2.2 Fun 5B Control: a control video, a reference and a pinned start image at 24 frames a second."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_5B_Fun_Control"
TITLE = "Wan 2.2 Fun 5B Control: one small model, 24 frames a second"
DESCRIPTION = (
    "The first frame is pinned: it stays clean while the rest is made. The same graph runs the 5B inpaint model with "
    "the control video and the reference disconnected."
)
HOW_TO = f"""Sizes must be multiples of 32 (1280 x 704). Sample the latent of **Conditioning**: it holds the pinned frame.

{wan.ENCODER_NOTE}"""

FILE = "wan2.2_fun_control_5B_bf16.safetensors"


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 5.0), wan.load_vae(g, wan.VAE_22)
    positive, negative = wan.write_prompts(g, "A paper boat drifts down the gutter after the rain.")
    start = wan.load_image(g, "start_image", "start.png")
    reference = wan.load_image(g, "reference", "reference.png")
    control = wan.load_frames(g, "control", "depth.mp4", title="Control video")
    conditioning = g.node(
        "OnerWanFunConditioning",
        "conditioning",
        model=model.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=1280,
        height=704,
        length=121,
        start_image=start.out(0),
        ref_image=reference.out(0),
        control_video=control.out(0),
        **wan.CONDITIONING,
    )
    guider = wan.cfg_guider(g, model.out(0), conditioning.out(0), conditioning.out(1), 6.0)
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=40, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.2-5b-fun-control", fps=24)


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Images and control": ["start_image", "reference", "control", "control_frames"],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", FILE),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_22, "vae", wan.VAE_22),
}
INPUTS = {"start_image.image": wan.PICTURE, "reference.image": wan.PICTURE, "control.file": wan.control_clip(24)}
TINY = {
    "model.unet_name": "tiny-wan-2.2-fun-control-5b.safetensors",
    "sigmas.steps": 4,
    **wan.TINY_FILES_5B,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-fun-control-5b", *wan.TINY_BASE_5B]
TINY_RESULT = wan.tiny_result(fps=24)
