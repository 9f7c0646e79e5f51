"""Wan 2.1 Fun InP: first and last image to video. Reference: VideoX-Fun predict_i2v, Flow scheduler, shift 5, CFG 6."""

from harness.media import Clip

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.1_Fun_First_and_Last_Image"
TITLE = "Wan 2.1 Fun InP: first and last image"
DESCRIPTION = "Makes the video between a first and a last image, at a size the model was trained on."
HOW_TO = f"""Choose the two images and write what happens between them. **Size** takes the shape of the first image.

{wan.CLIP_NOTE}

{wan.ENCODER_NOTE}"""

FILE = "wan2.1_fun_inp_1.3B_bf16.safetensors"


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 5.0), wan.load_vae(g)
    positive, negative = wan.write_prompts(
        g, "The camera flies from the harbour at dawn up to the lighthouse at night."
    )
    first = wan.load_image(g, "first_image", "wide.png")
    last = wan.load_image(g, "last_image", "last.png")
    size = g.node("OnerWanSize", "size", image=first.out(0), aspect="16:9", base="640", multiple="16", length=81)
    conditioning = g.node(
        "OnerWanFunConditioning",
        "conditioning",
        model=model.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=size.out(0),
        height=size.out(1),
        length=size.out(2),
        start_image=first.out(0),
        end_image=last.out(0),
        clip_vision_output=wan.image_features(g, first.out(0)),
        **wan.CONDITIONING,
    )
    guider = wan.cfg_guider(g, model.out(0), conditioning.out(0), conditioning.out(1), 6.0)
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=50, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.1-fun-first-and-last")


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Images and size": ["first_image", "last_image", "size", *wan.CLIP],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model.unet_name": wan.file_of(wan.REPACKAGED_21, "diffusion_models", FILE),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_21, "vae", wan.VAE_21),
    "clip_vision.clip_name": wan.file_of(wan.REPACKAGED_21, "clip_vision", wan.CLIP_VISION),
}
# the smallest bucket: four times as wide as high
INPUTS = {"first_image.image": Clip(256, 64), "last_image.image": wan.PICTURE}
TINY = {
    "model.unet_name": "tiny-wan-2.1-fun-inp-1.3b.safetensors",
    "size.base": "256",
    "size.length": 5,
    "sigmas.steps": 2,
    **wan.TINY_FILES,
}
TINY_MODELS = ["wan-fun-inp", *wan.TINY_BASE]
TINY_WITHOUT = wan.CLIP  # see image_features
TINY_RESULT = wan.tiny_result(width=512, height=128, length=5)
