"""LTX-2.3 with the HDR IC-LoRA: an ordinary video as scene-linear light in EXR files, and tone-mapped to look at."""

from harness.media import Clip, Images, Video

from . import ltx2_ic_parts as parts
from .builder import Graph

NAME = "LTX_2.3_IC-LoRA_HDR"
TITLE = "LTX-2.3 IC-LoRA: ordinary video to HDR"
DESCRIPTION = (
    "The IC-LoRA makes a video again as LogC3 pictures with the light that was clipped; they are decoded to linear "
    "light and saved as an EXR sequence, and as a tone-mapped video."
)
HOW_TO = f"""Load a **Source** video; size and length follow it (multiples of 32 pixels, or as the LoRA needs; 8k+1 frames). Describe
the scene and its light in **Prompt**. The EXR files hold linear light with the Rec. 709 primaries, 0.18 for mid grey; `exposure` of
**Decode HDR** changes the video to look at and leaves the files alone.

The frames are decoded in one piece over time, as temporal tiles flicker in bright parts.

If the download of the IC-LoRA is refused, accept its terms on its Hugging Face page first.

{parts.ENCODER_NOTE}

One stage with the sampler of the LoRA's published workflow; the reference pipeline has a tiled second stage."""

LORA = "ltx-2.3-22b-ic-lora-hdr-0.9.safetensors"
PROMPT = (
    "A street at night after rain, neon signs and headlights shine on wet asphalt, deep shadows between the houses."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, LORA)
    source = parts.load_video(g, "source", "oner_ic_source.mp4", "Source")
    fitted = g.node(
        "OnerLTXFitVideo",
        "fit",
        title="Fit the source",
        video=source.images,
        width=0,
        height=0,
        length=0,
        stages="one",
        iclora_parameters=models.factors,
        if_too_short="refuse",
    )

    prompts = parts.encode_prompt(g, models.clip, source.fps, PROMPT)
    size = parts.empty(g, (fitted.out(2), fitted.out(3), fitted.out(4)), source.fps, stages="one", audio=False)
    positive, latent = parts.refer(g, models, prompts, fitted.out(0), size)
    sampled = parts.sample(g, models.ic_model, positive, latent, stage=1, sampler="euler_ancestral")
    clip = parts.each_clip(g, sampled)

    light = g.node(
        "OnerLTXHDRDecode",
        "hdr",
        title="Decode HDR",
        image=parts.decode(g, models, clip),
        exposure=0.0,
        expose="preview",
    )
    g.node(
        "SaveImageAdvanced",
        "save_exr",
        title="Save EXR files",
        images=light.out(1),
        filename_prefix="oner/ltx-2.3-hdr",
        format="exr",
        **{"format.bit_depth": "32-bit float", "format.input_color_space": "linear"},
    )
    parts.save(g, light.out(0), source.fps, source.audio, "ltx-2.3-hdr-preview")


GROUPS = {
    "Models": ["model", "text_encoder", "ic_lora"],
    "Source": ["source", "source_frames", "fit"],
    "Prompt": ["prompt", "frame_rate"],
    "Sample: 8 steps, with IC-LoRA": ["size", "reference", *parts.stage_group(1)],
    "Linear light and video": ["output", "decode_video", "hdr", "save_exr", "video", "save"],
}
MODELS = parts.model_files("HDR", LORA)
TINY = parts.TINY
TINY_MODELS = parts.TINY_MODELS
TINY_RESULT = Video(width=128, height=128, length=17, fps=24, audio=None)
TINY_IMAGES = Images(width=128, height=128, count=17, ending=".exr")
INPUTS = {"source.file": Clip(144, 112, 20)}
