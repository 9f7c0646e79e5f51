"""LTX-Video 13B 0.9.8 dev, multi-scale: image to video. Source: the 0.9.8 multi-scale pipeline and its settings."""

from harness.media import Clip, Video

from . import ltxv
from .builder import Graph

NAME = "LTX-Video_0.9.8_Dev_Image_to_Video"
TITLE = "LTX-Video 13B 0.9.8 dev: image to video"
DESCRIPTION = (
    "The full model in two passes. CFG, STG, rescale and the perturbed blocks follow the noise level; the first pass "
    "leaves out its last 3 of 30 steps, the second one starts at step 18."
)
HOW_TO = f"""Load an **Image**, describe what happens in the **Prompt**, set **Width**, **Height** and **Length**. The image is cropped to
the shape of the video.

**Models**
- `checkpoints`: LTX-Video 13B 0.9.8 dev
- `latent_upscale_models`: LTX-Video spatial upscaler 0.9.8
{ltxv.ENCODER_NOTE}

For more motion raise `image_noise` of the presets, or lower the strength of the image. **Same numbers as the reference**:
blur and compression of the image, guidance, sigmas, token times and AdaIN are those of its dev pipeline."""

CHECKPOINT = "ltxv-13b-0.9.8-dev-fp8.safetensors"
PRESET = "13B 0.9.8 dev"
PROMPT = (
    "The camera slowly pushes in while wind moves through the scene, light flickers, and small details come alive; "
    "natural motion, one unbroken shot."
)


def build(g: Graph) -> None:
    model, encoder = ltxv.load(g, CHECKPOINT)
    upscaler = g.node("LatentUpscaleModelLoader", "upscaler", title="Latent upscaler", model_name=ltxv.UPSCALER)
    conds, fps = ltxv.prompts(g, encoder, PROMPT, 30.0)
    width = g.node("PrimitiveInt", "width", value=1216)
    height = g.node("PrimitiveInt", "height", value=704)
    length = g.node("PrimitiveInt", "length", value=121)
    sizes = g.node(
        "OnerLTXVSizes",
        "sizes",
        title="Legal sizes",
        width=width.out(0),
        height=height.out(0),
        length=length.out(0),
        downscale_factor=0.6666666,
    )
    empty = g.node(
        "EmptyLTXVLatentVideo",
        "latent",
        title="Empty video",
        width=sizes.out(3),
        height=sizes.out(4),
        length=sizes.out(2),
        batch_size=1,
    )

    image = g.node("LoadImage", "image", image="example.png")
    soft = g.node("ImageBlur", "blur", title="Soften as in training", image=image.out(0), blur_radius=1, sigma=1.0)
    worn = g.node("LTXVPreprocess", "compress", title="Compress as in training", image=soft.out(0), img_compression=29)

    given_1 = guide(g, "guide_1", "Start of the first pass", conds, model, empty.out(0), worn)
    first = ltxv.preset(g, "preset_1", "First pass settings", model, given_1, PRESET, "first pass")
    small = ltxv.sample(g, "pass_1", "First pass", 171198, *(first.out(i) for i in range(3)), given_1.out(2))

    large = g.node(
        "LTXVLatentUpsampler",
        "upsample",
        title="Twice the size",
        samples=small.out(0),
        upscale_model=upscaler.out(0),
        vae=model.out(1),
    )
    matched = g.node(
        "OnerLatentAdaIN",
        "adain",
        title="Colours of the first pass",
        latent=large.out(0),
        reference=small.out(0),
        factor=1.0,
        per_frame=False,
    )
    given_2 = guide(g, "guide_2", "Start of the second pass", conds, model, matched.out(0), worn)
    second = ltxv.preset(g, "preset_2", "Second pass settings", model, given_2, PRESET, "second pass")
    fine = ltxv.sample(g, "pass_2", "Second pass", 171199, *(second.out(i) for i in range(3)), given_2.out(2))

    frames = ltxv.decode(g, model, fine.out(0))
    fitted = g.node(
        "OnerLTXVFitFrames",
        "fit",
        title="To the size you set",
        images=frames.out(0),
        width=width.out(0),
        height=height.out(0),
        length=length.out(0),
    )
    ltxv.save(g, fitted.out(0), fps.out(0), "ltx-video-dev")


def guide(g, id, title, conds, model, latent, image):
    return g.node(
        "OnerLTXVImageGuide",
        id,
        title=title,
        positive=conds.out(0),
        negative=conds.out(1),
        vae=model.out(1),
        latent=latent,
        image=image.out(0),
        frame=0,
        strength=1.0,
    )


GROUPS = {
    "Models": ["model", "text_encoder", "upscaler"],
    "Prompt and size": [*ltxv.PROMPT_GROUP, "width", "height", "length", "sizes", "latent"],
    "Image": ["image", "blur", "compress"],
    "First pass: two thirds of the size, 27 steps": ["guide_1", "preset_1", "noise_pass_1", "pass_1"],
    "Second pass: 13 steps": ["upsample", "adain", "guide_2", "preset_2", "noise_pass_2", "pass_2"],
    "Video": ["decode_settings", "decode", "fit", "video", "save"],
}
MODELS = ltxv.models(CHECKPOINT, upscaler=ltxv.UPSCALER)
INPUTS = {"image.image": Clip(160, 120)}
TINY = {
    "model.model_name": "tiny-ltx-video-13b-0.9.8.safetensors",
    "text_encoder.folder": "tiny-t5",
    "upscaler.model_name": "tiny-ltx-2.3-spatial-upscaler-x2.safetensors",
    "width.value": 96,
    "height.value": 96,
    "length.value": 9,
}
TINY_MODELS = ["ltxv-13b", "t5", "upscaler-x2"]
TINY_RESULT = Video(width=96, height=96, length=9, fps=30, audio=None)
