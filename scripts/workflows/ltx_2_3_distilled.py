"""LTX-2.3 distilled, two stages: text to video with audio. Reference: ltx-pipelines DistilledPipeline, August 2026."""

from harness.media import Video

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_Distilled_Text_to_Video"
TITLE = "LTX-2.3 distilled: text to video with audio"
DESCRIPTION = (
    "The fastest LTX-2 pipeline. Stage 1 samples picture and sound at half size in 8 steps, the latent upsampler "
    "doubles the picture, stage 2 refines both in 3 steps."
)
HOW_TO = f"""Write what is seen and heard into **Prompt**, set **Size and length** (multiples of 64; 8k+1 frames) and run.

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}

**Same numbers as the reference**: sigmas, audio length and hand-over are those of its distilled pipeline, which ships the
audio of stage 2."""

PROMPT = (
    "A lighthouse keeper climbs a spiral staircase with a lantern, the camera follows close behind in one unbroken "
    "take. Footsteps ring on iron, wind howls outside, a low foghorn answers from the sea."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DISTILLED)
    upscaler = parts.load_upscaler(g)
    fps = parts.set_fps(g)
    positive, _ = parts.encode_prompts(g, models.clip, fps, PROMPT)

    sampler = parts.euler(g)
    sampled_1 = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=1),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=1),
        latent=parts.set_size(g, fps, stages="two"),
        stage=1,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        latent=latent,
        stage=2,
    )
    parts.save_video(g, models, fps, sampled_2, "ltx-2.3-distilled", stage_1=sampled_1, audio_source="last stage")


GROUPS = {
    "Models": ["model", "text_encoder", "upscaler"],
    "Prompt": ["prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "Stage 1: half size, 8 steps": ["noise_1", "guider_1", "sampler", "sigmas_1", "stage_1"],
    "Stage 2: full size, 3 steps": ["hand_over", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": parts.SAVE_GROUP,
}
MODELS = {**parts.model_files(parts.DISTILLED), **parts.UPSCALER_MODELS}
TINY = {**parts.TINY, **parts.TINY_SIZE, **parts.TINY_UPSCALER}
TINY_MODELS = ["ltx-2.3", "gemma-3", "upscaler-x2"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
