"""LTX-2.3, two stages with guidance: text to video with audio. Reference: ltx-pipelines TI2VidTwoStagesPipeline."""

from harness.media import Video

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_Two_Stage_Text_to_Video"
TITLE = "LTX-2.3 in two stages: text to video with audio"
DESCRIPTION = (
    "Stage 1 samples at half size with full guidance, the latent upsampler doubles the picture, stage 2 refines it in "
    "3 steps with the distilled LoRA. The sound is that of stage 1."
)
HOW_TO = f"""Write what is seen and heard into **Prompt**, set **Size and length** (multiples of 64; 8k+1 frames) and run.

The strength of **Distilled LoRA** is that of stage 2 alone: 1 is the reference's default, 0.8 its documented example.
Until July 2026 the reference shipped the sound of stage 2: for that set **Choose the audio** to `last stage`.

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}"""

PROMPT = (
    "Morning in a harbour market: a fishmonger lays out the catch on crushed ice and calls out prices while gulls cry "
    "overhead. The camera glides past the stall towards the masts in the mist."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DEV)
    refined = parts.load_lora(g, models.model, 1.0)
    upscaler = parts.load_upscaler(g)
    fps = parts.set_fps(g)
    positive, negative = parts.encode_prompts(g, models.clip, fps, PROMPT, parts.NEGATIVE)

    sampler = parts.euler(g)
    sampled_1 = parts.sample(
        g,
        guider=parts.multimodal_guider(g, models.model, positive, negative, stage=1),
        sampler=sampler,
        sigmas=parts.scheduled_sigmas(g, stage=1, model=models.model),
        latent=parts.set_size(g, fps, stages="two"),
        stage=1,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, refined, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        latent=latent,
        stage=2,
    )
    parts.save_video(g, models, fps, sampled_2, "ltx-2.3-two-stage", stage_1=sampled_1)


GROUPS = {
    "Models": ["model", "text_encoder", "distilled_lora", "upscaler"],
    "Prompts": ["prompt", "negative_prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "Stage 1: half size, 30 steps with guidance": ["noise_1", "guider_1", "sampler", "sigmas_1", "stage_1"],
    "Stage 2: full size, 3 steps": ["hand_over", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": parts.SAVE_GROUP,
}
MODELS = {**parts.model_files(parts.DEV), **parts.UPSCALER_MODELS, "distilled_lora.lora_name": parts.LORA_MODEL}
TINY = {
    **parts.TINY_DEEP,
    **parts.TINY_SIZE,
    **parts.TINY_UPSCALER,
    "distilled_lora.lora_name": parts.TINY_LORA,
    "sigmas_1.steps": 3,
}
TINY_MODELS = ["ltx-2.3-deep", "gemma-3", "upscaler-x2", "lora-ltx-2.3"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
