"""LTX-Video 2B 0.9.8 distilled: text to video at twice the frame rate, with a temporal latent upsampler."""

from harness.media import Video

from . import ltxv
from .builder import Graph

NAME = "LTX-Video_2B_Double_Frame_Rate"
TITLE = "LTX-Video 2B 0.9.8 distilled: twice the frame rate"
DESCRIPTION = (
    "Samples a clip in 7 steps, doubles its frames with the temporal latent upsampler, and refines them in 3 steps at "
    "the doubled rate, with contrast held in check."
)
HOW_TO = f"""Write the **Prompt** and set the size in **Empty video**. **Frames a second** is the rate of the first pass; the file has twice
that. **Contrast** while refining and **Tone map** can be bypassed.

**Models**
- `checkpoints`: LTX-Video 2B 0.9.8 distilled
- `latent_upscale_models`: LTX-Video temporal upscaler 0.9.8
{ltxv.ENCODER_NOTE}"""

CHECKPOINT = "ltxv-2b-0.9.8-distilled.safetensors"
UPSCALER = "ltxv-temporal-upscaler-0.9.8.safetensors"
PRESET = "2B 0.9.8 distilled"
PROMPT = "A hummingbird hovers in front of a red flower, wings a blur, then darts away; macro shot, soft background."


def build(g: Graph) -> None:
    model, encoder = ltxv.load(g, CHECKPOINT)
    upscaler = g.node("LatentUpscaleModelLoader", "upscaler", title="Temporal upscaler", model_name=UPSCALER)
    conds, fps = ltxv.prompts(g, encoder, PROMPT, 24.0)
    empty = g.node(
        "EmptyLTXVLatentVideo", "latent", title="Empty video", width=768, height=512, length=97, batch_size=1
    )
    first = ltxv.preset(g, "preset_1", "First pass settings", model, conds, PRESET, "first pass")
    slow = ltxv.sample(g, "pass_1", "First pass", 7, *(first.out(i) for i in range(3)), empty.out(0))

    even = g.node(
        "OnerLatentNormalise",
        "normalise",
        title="Even out the contrast",
        latent=slow.out(0),
        mean=0.0,
        std=1.0,
        percentile=95.0,
        factor=0.25,
        clip_outliers=False,
    )
    doubled = g.node(
        "OnerLatentTemporalUpsample",
        "upsample",
        title="Twice the frames",
        latent=even.out(0),
        upscale_model=upscaler.out(0),
        vae=model.out(1),
        fps=fps.out(0),
    )
    timed = g.node(
        "LTXVConditioning",
        "doubled_rate",
        title="Tell the model the doubled rate",
        positive=conds.out(0),
        negative=conds.out(1),
        frame_rate=doubled.out(1),
    )
    steady = g.node(
        "OnerPerStepNormalise",
        "contrast",
        title="Contrast while refining",
        model=model.out(0),
        factors="0.5, 0.25, 0.0",
        mean=0.0,
        std=1.0,
        percentile=95.0,
        clip_outliers=False,
    )
    second = ltxv.preset(g, "preset_2", "Second pass settings", steady, timed, PRESET, "second pass")
    fine = ltxv.sample(g, "pass_2", "Second pass", 8, *(second.out(i) for i in range(3)), doubled.out(0))
    mapped = g.node("OnerLatentToneMap", "tone_map", latent=fine.out(0), compression=0.3)

    frames = ltxv.decode(g, model, mapped.out(0))
    ltxv.save(g, frames.out(0), doubled.out(1), "ltx-video-double-rate")


GROUPS = {
    "Models": ["model", "text_encoder", "upscaler"],
    "Prompt and size": [*ltxv.PROMPT_GROUP, "latent"],
    "First pass: 7 steps": ["preset_1", "noise_pass_1", "pass_1"],
    "Twice the frames, 3 steps": [
        "normalise",
        "upsample",
        "doubled_rate",
        "contrast",
        "preset_2",
        "noise_pass_2",
        "pass_2",
    ],
    "Video": ["tone_map", "decode_settings", "decode", "video", "save"],
}
MODELS = ltxv.models(CHECKPOINT, upscaler=UPSCALER)
TINY = {
    "model.model_name": "tiny-ltx-video-0.9.8.safetensors",
    "text_encoder.folder": "tiny-t5",
    "upscaler.model_name": "tiny-ltx-2.3-temporal-upscaler-x2.safetensors",
    "latent.width": 96,
    "latent.height": 64,
    "latent.length": 17,
}
TINY_MODELS = ["ltxv-0.9.8", "t5", "upscaler-temporal-x2"]
TINY_RESULT = Video(width=96, height=64, length=33, fps=48, audio=None)
