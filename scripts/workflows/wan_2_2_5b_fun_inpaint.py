"""Wan 2.2 Fun 5B InP: first and last image at 24 frames a second. VideoX-Fun: Flow, shift 5, CFG 6, 50 steps."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_5B_Fun_First_and_Last_Image"
TITLE = "Wan 2.2 Fun 5B InP: first and last image, 24 frames a second"
DESCRIPTION = "The first image is pinned: its latent frame stays clean and has timestep 0. The last image guides the end of the video."
HOW_TO = f"""Choose the images; sizes must be multiples of 32 (1280 x 704). Disconnect the last image to let the video end
freely. Sample the latent of **Conditioning**: it holds the pinned frame, and its mask keeps it.

{wan.ENCODER_NOTE}"""

FILE = "wan2.2_fun_inpaint_5B_bf16.safetensors"


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 5.0), wan.load_vae(g, wan.VAE_22)
    positive, negative = wan.write_prompts(
        g, "A seed sprouts in the dark soil, grows through the snow and opens its flower."
    )
    first = wan.load_image(g, "first_image", "first.png")
    last = wan.load_image(g, "last_image", "last.png")
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
        start_image=first.out(0),
        end_image=last.out(0),
        **wan.CONDITIONING,
    )
    guider = wan.cfg_guider(g, model.out(0), conditioning.out(0), conditioning.out(1), 6.0)
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=50, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.2-5b-fun-first-and-last", fps=24)


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Images": ["first_image", "last_image"],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", FILE),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_22, "vae", wan.VAE_22),
}
INPUTS = {"first_image.image": wan.PICTURE, "last_image.image": wan.PICTURE}
TINY = {
    "model.unet_name": "tiny-wan-2.2-fun-inp-5b.safetensors",
    "sigmas.steps": 3,
    **wan.TINY_FILES_5B,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-fun-inp-5b", *wan.TINY_BASE_5B]
TINY_RESULT = wan.tiny_result(fps=24)
