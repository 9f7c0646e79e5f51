"""Wan VACE: several references to a video, nothing else. Reference: Wan VACE, UniPC, shift 16, CFG 5, 40 steps."""

from harness.media import Clip

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_VACE_Several_References"
TITLE = "Wan VACE: a video from several reference images"
DESCRIPTION = "Up to four subjects, each shown to the model whole on white and as a latent frame of its own."
HOW_TO = f"""Choose the subjects and write how they meet; name each one in the prompt. A batch of images in one input gives
several. A `background` fills the picture instead. The reference frames come first in the latent: **Cut the references** takes
them off before decoding.

{wan.ENCODER_NOTE}"""

FILE = "wan2.1_vace_14B_fp16.safetensors"
SUBJECTS = ("woman", "dog", "bicycle")


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 16.0), wan.load_vae(g)
    positive, negative = wan.write_prompts(
        g, "A woman pushes a blue bicycle over a bridge, a small dog runs ahead of her."
    )
    subjects = {
        f"reference_{number}": wan.load_image(g, name, f"{name}.png").out(0) for number, name in enumerate(SUBJECTS, 1)
    }
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
        **subjects,
        **wan.VACE,
    )
    guider = wan.cfg_guider(g, model.out(0), composed.out(0), composed.out(1), 5.0)
    sampled = wan.sample(g, guider.out(0), composed.out(2), steps=40, shift=16.0, schedule="unipc")
    trimmed = g.node(
        "TrimVideoLatent", "trim", title="Cut the references", samples=sampled.out(0), trim_amount=composed.out(3)
    )
    wan.save(g, trimmed.out(0), vae, "wan-vace-references")


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Subjects": list(SUBJECTS),
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": ["trim", *wan.VIDEO],
}
MODELS = {
    "model.unet_name": wan.file_of(wan.REPACKAGED_21, "diffusion_models", FILE),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_21, "vae", wan.VAE_21),
}
INPUTS = {"woman.image": Clip(32, 64), "dog.image": Clip(64, 32), "bicycle.image": wan.PICTURE}
TINY = {"model.unet_name": "tiny-wan-2.1-vace-1.3b.safetensors", "sigmas.steps": 3, **wan.TINY_FILES, **wan.TINY_SIZE}
TINY_MODELS = ["wan-vace", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
