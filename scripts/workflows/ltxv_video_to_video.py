"""LTX-Video 13B 0.9.8 dev: video to video. Guidance of the first pass, started below full noise."""

from harness.media import Clip, Video

from . import ltxv
from .builder import Graph

NAME = "LTX-Video_0.9.8_Video_to_Video"
TITLE = "LTX-Video 13B 0.9.8 dev: video to video"
DESCRIPTION = (
    "Repaints a video of any size: it is padded to a legal size, noised part of the way, sampled with guidance that "
    "follows the noise level, kept at the colours of the source, and cropped back."
)
HOW_TO = f"""Load a **Video** and describe what it shall become. **Sigmas** decide how much changes: fewer skipped initial steps change more
(0 = everything, 17 of 30 = details). **Colours of the source** can be bypassed for another palette.

**Models**
- `checkpoints`: LTX-Video 13B 0.9.8 dev
{ltxv.ENCODER_NOTE}"""

CHECKPOINT = "ltxv-13b-0.9.8-dev-fp8.safetensors"
PROMPT = "The same scene as a hand-painted oil animation, thick brush strokes, warm evening light, one unbroken take."


def build(g: Graph) -> None:
    model, encoder = ltxv.load(g, CHECKPOINT)
    conds, _ = ltxv.prompts(g, encoder, PROMPT, 24.0)
    source = g.node("LoadVideo", "source", title="Video", file="input.mp4", **{"video-preview": ""})
    parts = g.node("GetVideoComponents", "parts", title="Frames of the video", video=source.out(0))
    padded = g.node("OnerLTXVPadFrames", "pad", title="Pad to a legal size", image=parts.out(0))
    encoded = g.node(
        "VAEEncodeTiled",
        "encode",
        pixels=padded.out(0),
        vae=model.out(1),
        tile_size=768,
        overlap=64,
        temporal_size=4096,
        temporal_overlap=8,
    )
    coloured = g.node(
        "OnerPerStepAdaIN",
        "colours",
        title="Colours of the source",
        model=model.out(0),
        factors="0.9, 0.75, 0.0",
        reference=encoded.out(0),
        per_frame=False,
    )
    guider = g.node(
        "OnerSTGScheduleGuider",
        "guider",
        title="Guidance",
        model=coloured.out(0),
        positive=conds.out(0),
        negative=conds.out(1),
        sigmas="1, 0.996, 0.9933, 0.985, 0.9767, 0.9008, 0.618",
        cfg="1, 1, 6, 8, 6, 1, 1",
        stg="0, 0, 4, 4, 4, 2, 1",
        rescale="1, 1, 0.5, 0.5, 1, 1, 1",
        blocks="[], [11, 25, 35, 39], [22, 35, 39], [28], [28], [28], [28]",
        mode="attention values",
        cfg_star_rescale=True,
        lookup="reference",
        skip_above=1.0,
    )
    sampler = g.node("OnerLTXVSampler", "sampler", image_noise=0.0, stochastic=False)
    sigmas = g.node(
        "OnerLinearQuadraticSigmas", "sigmas", steps=30, skip_initial_steps=10, skip_final_steps=0, threshold=0.025
    )
    sampled = ltxv.sample(g, "sample", "Sample", 7, guider.out(0), sampler.out(0), sigmas.out(0), encoded.out(0))
    frames = ltxv.decode(g, model, sampled.out(0))
    fitted = g.node(
        "OnerLTXVFitFrames",
        "fit",
        title="Crop the padding",
        images=frames.out(0),
        width=padded.out(1),
        height=padded.out(2),
        length=padded.out(3),
    )
    ltxv.save(g, fitted.out(0), parts.out(2), "ltx-video-v2v")


GROUPS = {
    "Models": ["model", "text_encoder"],
    "Prompt": ltxv.PROMPT_GROUP,
    "Source": ["source", "parts", "pad", "encode"],
    "Sample": ["colours", "guider", "sampler", "sigmas", "noise_sample", "sample"],
    "Video": ["decode_settings", "decode", "fit", "video", "save"],
}
MODELS = ltxv.models(CHECKPOINT)
INPUTS = {"source.file": Clip(100, 60, length=11)}
TINY = {"model.model_name": "tiny-ltx-video-13b-0.9.8.safetensors", "text_encoder.folder": "tiny-t5"}
TINY_MODELS = ["ltxv-13b", "t5"]
TINY_RESULT = Video(width=100, height=60, length=11, fps=24, audio=None)
