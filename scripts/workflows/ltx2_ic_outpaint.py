"""LTX-2.3 outpainting with the in- and outpainting IC-LoRA: a larger canvas, two stages, the source blended back."""

from harness.media import Clip, Video

from . import ltx2_ic_parts as parts
from .builder import Graph

NAME = "LTX_2.3_IC-LoRA_Outpaint"
TITLE = "LTX-2.3 IC-LoRA: widen a video"
DESCRIPTION = (
    "A video on a larger canvas, for example upright to wide: the IC-LoRA fills the green margin, stage 1 at half "
    "size, stage 2 at full size, and a Laplacian blend keeps the source in the middle as it was."
)
HOW_TO = f"""Load a **Source** video, set the size of the **Canvas** (multiples of 64 pixels) and where the source lies on it, and
describe the whole wide picture in **Prompt**. The sound stays as it is.

The mask of the margin grows into the source (`grow` of **Blend the source back**, in 64ths of the long side), which hides the seam.

If the download of the IC-LoRA is refused, accept its terms on its Hugging Face page first. Stage 2 runs without it.

{parts.ENCODER_NOTE}

**Same numbers as the reference**: sigmas and hand-over are those of the IC-LoRA pipeline; the blend is this pack's own."""

LORA = "ltx-2.3-22b-ic-lora-in-outpainting-0.9.safetensors"
PROMPT = (
    "A wide view of a harbour at dusk: in the middle a fisherman mends a net, on both sides wooden boats and gulls on "
    "bollards, warm lamps come on one by one."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, LORA)
    upscaler = parts.load_upscaler(g)
    source = parts.load_video(g, "source", "oner_ic_source.mp4", "Source")
    canvas = g.node(
        "OnerLTXOutpaintGuide",
        "canvas",
        title="Canvas",
        video=source.images,
        width=1536,
        height=896,
        length=0,
        scale="fit inside",
        horizontal=0.5,
        vertical=0.5,
    )

    prompts = parts.encode_prompt(g, models.clip, source.fps, PROMPT)
    size = parts.empty(g, (canvas.out(3), canvas.out(4), canvas.out(5)), source.fps, stages="two", audio=False)
    positive, latent = parts.refer(g, models, prompts, canvas.out(0), size)
    sampled_1 = parts.sample(g, models.ic_model, positive, latent, stage=1)
    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(g, models.model, positive, latent, stage=2)

    blended = g.node(
        "OnerLaplacianBlend",
        "blend",
        title="Blend the source back",
        inside=parts.decode(g, models, parts.each_clip(g, sampled_2)),
        outside=canvas.out(1),
        mask=canvas.out(2),
        grow=5,
        lengths="refuse",
    )
    parts.save(g, blended.out(0), source.fps, source.audio, "ltx-2.3-outpaint")


GROUPS = {
    "Models": ["model", "text_encoder", "ic_lora", "upscaler"],
    "Source and canvas": ["source", "source_frames", "canvas"],
    "Prompt": ["prompt", "frame_rate"],
    "Stage 1: half size, 8 steps, with IC-LoRA": ["size", "reference", *parts.stage_group(1)],
    "Stage 2: full size, 3 steps": ["hand_over", *parts.stage_group(2)],
    "Video": ["output", "decode_video", "blend", "video", "save"],
}
MODELS = {**parts.model_files("In-Outpainting", LORA), **parts.UPSCALER_MODELS}
TINY = {**parts.TINY, **parts.TINY_UPSCALER, "canvas.width": 256, "canvas.height": 128}
TINY_MODELS = [*parts.TINY_MODELS, "upscaler-x2"]
TINY_RESULT = Video(width=256, height=128, length=17, fps=24, audio=None)
INPUTS = {"source.file": Clip(144, 112, 20)}
