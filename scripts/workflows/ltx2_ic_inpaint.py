"""LTX-2.3 inpainting with the in- and outpainting IC-LoRA: green key, two stages, blended back into the source."""

from harness.media import Clip, Video

from . import ltx2_ic_parts as parts
from .builder import Graph

NAME = "LTX_2.3_IC-LoRA_Inpaint"
TITLE = "LTX-2.3 IC-LoRA: replace something in a video"
DESCRIPTION = (
    "What a mask covers is made anew as the prompt says. The IC-LoRA sees the source with the masked part in green, "
    "stage 1 samples at half size, stage 2 refines, and a Laplacian blend puts the result into the untouched source."
)
HOW_TO = f"""Load a **Source** video and a **Mask** video of the same size, white where something is to be made anew (a segmenter
makes one; for a mask that stays in place connect the mask of *Load Image* to **Fit source and mask**). Write into **Prompt** how the whole picture shall look. Size and length follow the source:
multiples of 64 pixels and 8k+1 frames; the sound stays as it is.

**Grow the mask** if outlines or shadows of the old content remain; `grow` of **Blend into the source** hides seams.

If the download of the IC-LoRA is refused, accept its terms on its Hugging Face page first. Stage 2 runs without it.

{parts.ENCODER_NOTE}

**Same numbers as the reference**: sigmas and hand-over are those of the IC-LoRA pipeline; the blend is this pack's own."""

LORA = "ltx-2.3-22b-ic-lora-in-outpainting-0.9.safetensors"
PROMPT = (
    "A quiet cobbled square in morning light, an old stone fountain stands where the car was, pigeons walk around it, "
    "the camera moves slowly past."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, LORA)
    upscaler = parts.load_upscaler(g)

    source = parts.load_video(g, "source", "oner_ic_source.mp4", "Source")
    mask = parts.load_video(g, "mask", "oner_ic_mask.mp4", "Mask")
    white = g.node("ImageToMask", "mask_white", title="White is the mask", image=mask.images, channel="red")
    fitted = g.node(
        "OnerLTXFitVideo",
        "fit",
        title="Fit source and mask",
        video=source.images,
        width=0,
        height=0,
        length=0,
        stages="two",
        mask=white.out(0),
        iclora_parameters=models.factors,
        if_too_short="refuse",
    )
    grown = g.node("OnerLTXGrowMask", "grow", title="Grow the mask", mask=fitted.out(1), grow=5, grow_frames=0)
    guide = g.node("OnerLTXInpaintGuide", "guide", title="Paint it green", video=fitted.out(0), mask=grown.out(0))

    prompts = parts.encode_prompt(g, models.clip, source.fps, PROMPT)
    size = parts.empty(g, (fitted.out(2), fitted.out(3), fitted.out(4)), source.fps, stages="two", audio=False)
    positive, latent = parts.refer(g, models, prompts, guide.out(0), size)
    sampled_1 = parts.sample(g, models.ic_model, positive, latent, stage=1)
    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(g, models.model, positive, latent, stage=2)

    blended = g.node(
        "OnerLaplacianBlend",
        "blend",
        title="Blend into the source",
        inside=parts.decode(g, models, parts.each_clip(g, sampled_2)),
        outside=fitted.out(0),
        mask=grown.out(0),
        grow=5,
        lengths="refuse",
    )
    parts.save(g, blended.out(0), source.fps, source.audio, "ltx-2.3-inpaint")


GROUPS = {
    "Models": ["model", "text_encoder", "ic_lora", "upscaler"],
    "Source and mask": ["source", "source_frames", "mask", "mask_frames", "mask_white", "fit"],
    "Guide": ["grow", "guide"],
    "Prompt": ["prompt", "frame_rate"],
    "Stage 1: half size, 8 steps, with IC-LoRA": ["size", "reference", *parts.stage_group(1)],
    "Stage 2: full size, 3 steps": ["hand_over", *parts.stage_group(2)],
    "Video": ["output", "decode_video", "blend", "video", "save"],
}
MODELS = {**parts.model_files("In-Outpainting", LORA), **parts.UPSCALER_MODELS}
TINY = {**parts.TINY, **parts.TINY_UPSCALER}
TINY_MODELS = [*parts.TINY_MODELS, "upscaler-x2"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24, audio=None)
INPUTS = {"source.file": Clip(144, 112, 20), "mask.file": Clip(144, 112, 20)}
