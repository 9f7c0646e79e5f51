"""Wan VACE: outpaint a video to a wider picture, with an image injected at its end."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_VACE_Outpaint"
TITLE = "Wan VACE: a wider picture around a video"
DESCRIPTION = "The video is kept in the middle; a quarter of its width is made anew on each side."
HOW_TO = f"""Write the margins into **outpaint** as percent of the source: top bottom left right. The last frame is taken from
an image; disconnect it to keep the video's own.

{wan.ENCODER_NOTE}"""

FILE = "wan2.1_vace_14B_fp16.safetensors"


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 16.0), wan.load_vae(g)
    positive, negative = wan.write_prompts(g, "A narrow street widens into a market square full of people.")
    source = wan.load_frames(g, "source", "street.mp4", title="Video")
    last = wan.load_image(g, "last_image", "last.png")
    composed = g.node(
        "OnerWanVACEComposer",
        "conditioning",
        title="Compose",
        model=model.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=832,
        height=480,
        length=81,
        control_video=source.out(0),
        images=last.out(0),
        **wan.VACE | {"outpaint": "0 0 25 25", "positions": "L"},
    )
    guider = wan.cfg_guider(g, model.out(0), composed.out(0), composed.out(1), 5.0)
    sampled = wan.sample(g, guider.out(0), composed.out(2), steps=40, shift=16.0, schedule="unipc")
    wan.save(g, sampled.out(0), vae, "wan-vace-outpaint")


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Video to widen": ["source", "source_frames", "last_image"],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model.unet_name": wan.file_of(wan.REPACKAGED_21, "diffusion_models", FILE),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_21, "vae", wan.VAE_21),
}
INPUTS = {"source.file": wan.control_clip(), "last_image.image": wan.PICTURE}
TINY = {
    "model.unet_name": "tiny-wan-2.1-vace-1.3b.safetensors",
    "sigmas.steps": 2,
    **wan.TINY_FILES,
    **wan.TINY_SIZE,
    "conditioning.width": 96,
}
TINY_MODELS = ["wan-vace", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result(width=96)
