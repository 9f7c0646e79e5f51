"""LTX-2.3, two stages with Res2s: text to video with audio. Reference: ltx-pipelines TI2VidTwoStagesHQPipeline."""

from harness.media import Video

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_HQ_Text_to_Video"
TITLE = "LTX-2.3 HQ: text to video with audio at 1920x1088"
DESCRIPTION = (
    "The best pictures of the two-stage pipelines: a second-order sampler in both stages, 15 and 3 steps, with the "
    "distilled LoRA at 0.25 and 0.5, and a schedule that depends on the size."
)
HOW_TO = f"""Write what is seen and heard into **Prompt**, set **Size and length** (multiples of 64; 8k+1 frames) and run.

**Sampler** adds the same step noise for every seed, as the reference does; `step_seed` other than -1 varies it too. A step
is two evaluations, so the stages take 31 and 7.

{parts.ENCODER_NOTE}"""

PROMPT = (
    "Close-up of a watchmaker at a bench by a window. Tweezers set a tiny wheel into a movement, dust floats in the "
    "sunlight, clocks tick in the background. He murmurs: 'There you are.'"
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DEV)
    model_1 = parts.load_lora(g, models.model, 0.25, "distilled_lora_1", "Distilled LoRA, stage 1")
    model_2 = parts.load_lora(g, models.model, 0.5, "distilled_lora_2", "Distilled LoRA, stage 2")
    upscaler = parts.load_upscaler(g)
    fps = parts.set_fps(g)
    positive, negative = parts.encode_prompts(g, models.clip, fps, PROMPT, parts.NEGATIVE)
    empty = parts.set_size(g, fps, stages="two", width=1920, height=1088)

    sampler = g.node("OnerLTXRes2sSampler", "sampler", step_seed=-1, eta=0.5, anchor_refinement=True).out(0)
    sampled_1 = parts.sample(
        g,
        guider=parts.multimodal_guider(g, model_1, positive, negative, stage=1, preset="LTX-2.3 HQ"),
        sampler=sampler,
        sigmas=parts.scheduled_sigmas(g, stage=1, steps=15, latent=empty),
        latent=empty,
        stage=1,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, model_2, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        latent=latent,
        stage=2,
    )
    parts.save_video(g, models, fps, sampled_2, "ltx-2.3-hq", stage_1=sampled_1)


GROUPS = {
    "Models": ["model", "text_encoder", "distilled_lora_1", "distilled_lora_2", "upscaler"],
    "Prompts": ["prompt", "negative_prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "Stage 1: half size, 15 steps with guidance": ["noise_1", "guider_1", "sampler", "sigmas_1", "stage_1"],
    "Stage 2: full size, 3 steps": ["hand_over", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": parts.SAVE_GROUP,
}
MODELS = {
    **parts.model_files(parts.DEV),
    **parts.UPSCALER_MODELS,
    "distilled_lora_1.lora_name": parts.LORA_MODEL,
    "distilled_lora_2.lora_name": parts.LORA_MODEL,
}
TINY = {
    **parts.TINY,
    **parts.TINY_SIZE,
    **parts.TINY_UPSCALER,
    "distilled_lora_1.lora_name": parts.TINY_LORA,
    "distilled_lora_2.lora_name": parts.TINY_LORA,
    "sigmas_1.steps": 3,
}
TINY_MODELS = ["ltx-2.3", "gemma-3", "upscaler-x2", "lora-ltx-2.3"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
