"""LTX-Video 13B 0.9.8 distilled, multi-scale: text to video. Source: the 0.9.8 multi-scale pipeline and its settings."""

from harness.media import Video

from . import ltxv
from .builder import Graph

NAME = "LTX-Video_0.9.8_Distilled_Text_to_Video"
TITLE = "LTX-Video 13B 0.9.8 distilled: text to video"
DESCRIPTION = (
    "Multi-scale: 7 steps at two thirds of the size, the latent upsampler, AdaIN to the first pass, 3 steps at twice "
    "that size, tone mapping, and a resize to exactly the size you set."
)
HOW_TO = f"""Write the **Prompt** and set **Width**, **Height** and **Length** to any size: *LTXV Sizes* finds the legal ones, and *LTXV Fit
Frames* crops the result back.

**Models**
- `checkpoints`: LTX-Video 13B 0.9.8 distilled. For the 2B distilled model choose its preset in both passes and set the tone map of
  **Decode settings** to 0.
- `latent_upscale_models`: LTX-Video spatial upscaler 0.9.8
{ltxv.ENCODER_NOTE}

**Same numbers as the reference**: sizes, sigmas, AdaIN, tone map and decode noise are those of its distilled pipeline."""

CHECKPOINT = "ltxv-13b-0.9.8-distilled-fp8.safetensors"
PRESET = "13B 0.9.8 distilled"
PROMPT = (
    "A paper boat drifts down a rain-filled gutter at dusk, the camera glides just above the water behind it, street "
    "lamps stretch into long reflections, shallow depth of field."
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

    first = ltxv.preset(g, "preset_1", "First pass settings", model, conds, PRESET, "first pass")
    small = ltxv.sample(g, "pass_1", "First pass", 171198, *(first.out(i) for i in range(3)), empty.out(0))

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
    second = ltxv.preset(g, "preset_2", "Second pass settings", model, conds, PRESET, "second pass")
    fine = ltxv.sample(g, "pass_2", "Second pass", 171199, *(second.out(i) for i in range(3)), matched.out(0))

    frames = ltxv.decode(g, model, fine.out(0), tone_map=0.6)
    fitted = g.node(
        "OnerLTXVFitFrames",
        "fit",
        title="To the size you set",
        images=frames.out(0),
        width=width.out(0),
        height=height.out(0),
        length=length.out(0),
    )
    ltxv.save(g, fitted.out(0), fps.out(0), "ltx-video-distilled")


GROUPS = {
    "Models": ["model", "text_encoder", "upscaler"],
    "Prompt and size": [*ltxv.PROMPT_GROUP, "width", "height", "length", "sizes", "latent"],
    "First pass: two thirds of the size, 7 steps": ["preset_1", "noise_pass_1", "pass_1"],
    "Second pass: 3 steps": ["upsample", "adain", "preset_2", "noise_pass_2", "pass_2"],
    "Video": ["decode_settings", "decode", "fit", "video", "save"],
}
MODELS = ltxv.models(CHECKPOINT, upscaler=ltxv.UPSCALER)
TINY = {
    "model.model_name": "tiny-ltx-video-0.9.8.safetensors",
    "text_encoder.folder": "tiny-t5",
    "upscaler.model_name": "tiny-ltx-2.3-spatial-upscaler-x2.safetensors",
    "width.value": 180,
    "height.value": 90,
    "length.value": 14,
}
TINY_MODELS = ["ltxv-0.9.8", "t5", "upscaler-x2"]
TINY_RESULT = Video(width=180, height=90, length=14, fps=30, audio=None)
