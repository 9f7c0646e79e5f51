"""LTX-Video 2B dev: from a first to a last image. Source: the settings of the 2B 0.9.6 dev pipeline."""

from harness.media import Clip, Video

from . import ltxv
from .builder import Graph

NAME = "LTX-Video_2B_Keyframes"
TITLE = "LTX-Video 2B: from a first to a last image"
DESCRIPTION = (
    "The small model in one pass: CFG and STG with rescale, a first image written into the video and a last one given "
    "as a keyframe with a strength of its own."
)
HOW_TO = f"""Load the **First image** and the **Last image**, describe how one becomes the other, set the size in **Empty video**. For more
keyframes put another *LTXV Image Guide* behind **Last frame** with the frame you want. A strength below 1 lets the model
change the picture.

**Models**
- `checkpoints`: LTX-Video 2B 0.9.6 dev; 13B dev works too: set block 28 in **Guidance**
{ltxv.ENCODER_NOTE}"""

CHECKPOINT = "ltxv-2b-0.9.6-dev-04-25.safetensors"
PROMPT = (
    "A slow dolly through the scene, the light changes from early morning to evening as the camera moves, every object "
    "stays where it is, one unbroken take."
)


def build(g: Graph) -> None:
    model, encoder = ltxv.load(g, CHECKPOINT)
    conds, fps = ltxv.prompts(g, encoder, PROMPT, 25.0)
    empty = g.node(
        "EmptyLTXVLatentVideo", "latent", title="Empty video", width=768, height=512, length=97, batch_size=1
    )
    first = g.node("LoadImage", "first_image", image="example.png")
    last = g.node("LoadImage", "last_image", image="example.png")
    given = g.node(
        "OnerLTXVImageGuide",
        "first_frame",
        positive=conds.out(0),
        negative=conds.out(1),
        vae=model.out(1),
        latent=empty.out(0),
        image=first.out(0),
        frame=0,
        strength=1.0,
    )
    given = g.node(
        "OnerLTXVImageGuide",
        "last_frame",
        positive=given.out(0),
        negative=given.out(1),
        vae=model.out(1),
        latent=given.out(2),
        image=last.out(0),
        frame=-1,
        strength=0.9,
    )
    guider = g.node(
        "OnerSTGGuider",
        "guider",
        title="Guidance",
        model=model.out(0),
        positive=given.out(0),
        negative=given.out(1),
        cfg=3.0,
        stg=1.0,
        rescale=0.7,
        blocks="19",
        mode="attention values",
        cfg_star_rescale=False,
    )
    sampler = g.node("OnerLTXVSampler", "sampler", image_noise=0.15, stochastic=False)
    sigmas = g.node(
        "OnerLinearQuadraticSigmas", "sigmas", steps=40, skip_initial_steps=0, skip_final_steps=0, threshold=0.025
    )
    sampled = ltxv.sample(g, "sample", "Sample", 7, guider.out(0), sampler.out(0), sigmas.out(0), given.out(2))
    cropped = g.node(
        "LTXVCropGuides",
        "crop_guides",
        title="Take off the keyframe",
        positive=given.out(0),
        negative=given.out(1),
        latent=sampled.out(0),
    )
    frames = ltxv.decode(g, model, cropped.out(2))
    ltxv.save(g, frames.out(0), fps.out(0), "ltx-video-keyframes")


GROUPS = {
    "Models": ["model", "text_encoder"],
    "Prompt and size": [*ltxv.PROMPT_GROUP, "latent"],
    "Images": ["first_image", "first_frame", "last_image", "last_frame"],
    "Sample": ["guider", "sampler", "sigmas", "noise_sample", "sample", "crop_guides"],
    "Video": ["decode_settings", "decode", "video", "save"],
}
MODELS = ltxv.models(CHECKPOINT)
INPUTS = {"first_image.image": Clip(160, 120), "last_image.image": Clip(160, 120)}
TINY = {
    "model.model_name": "tiny-ltx-video-13b-0.9.8.safetensors",
    "text_encoder.folder": "tiny-t5",
    "latent.width": 96,
    "latent.height": 64,
    "latent.length": 17,
    "sigmas.steps": 6,
}
TINY_MODELS = ["ltxv-13b", "t5"]
TINY_RESULT = Video(width=96, height=64, length=17, fps=25, audio=None)
