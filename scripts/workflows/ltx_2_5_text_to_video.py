"""LTX-2.5 distilled, two stages: text to video with audio. Source: ComfyUI's template video_ltx2_5_t2v."""

from harness.media import Video

from . import ltx2_parts as parts
from . import ltx25_parts as ltx25
from .builder import Graph

NAME = "LTX_2.5_Distilled_Text_to_Video"
TITLE = "LTX-2.5 distilled: text to video with audio"
DESCRIPTION = (
    "Stage 1 samples picture and sound at half size in 8 steps, the latent upsampler doubles the picture, stage 2 refines "
    "both in 3 steps, and a diffusion decoder makes the frames."
)
HOW_TO = f"""Write what is seen and heard into **Prompt**, set **Size and length** (multiples of 64; 8k+1 frames) and run.

{ltx25.FILES_NOTE}

{ltx25.DECODE_NOTE}

Sigmas, sampler, guidance and tiles are those of ComfyUI's template `video_ltx2_5_t2v`."""

PROMPT = (
    "A glassblower turns a glowing vase at the furnace in a dark workshop, sparks drift past, the camera circles her "
    "slowly. The furnace roars, glass rings softly as she sets it down, and she hums to herself."
)


def build(g: Graph) -> None:
    models = ltx25.load_models(g)
    upscaler = ltx25.load_upscaler(g)
    fps = parts.set_fps(g)
    positive, _ = parts.encode_prompts(g, models.clip, fps, PROMPT)

    sampler = ltx25.ancestral(g)
    sampled_1 = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=1),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=1),
        latent=ltx25.set_size(g, fps, stages="two"),
        stage=1,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=2),
        sampler=sampler,
        sigmas=ltx25.stage_2_sigmas(g),
        latent=latent,
        stage=2,
    )
    ltx25.save_video(g, models, fps, sampled_2, "ltx-2.5-distilled")


GROUPS = {
    "Models": ["model", "text_encoder", "upscaler"],
    "Prompt": ["prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "Stage 1: half size, 8 steps": ["noise_1", "guider_1", "sampler", "sigmas_1", "stage_1"],
    "Stage 2: full size, 3 steps": ["hand_over", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": ltx25.SAVE_GROUP,
}
CORE = ltx25.CORE
MODELS = {**ltx25.MODELS, **ltx25.UPSCALER_MODELS}
TINY = {**ltx25.TINY, **ltx25.TINY_SIZE, **ltx25.TINY_UPSCALER}
TINY_NODES = ltx25.TINY_NODES
TINY_MODELS = [*ltx25.TINY_MODELS, "upscaler-2.5-x2"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
