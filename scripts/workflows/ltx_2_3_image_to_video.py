"""LTX-2.3, two stages with guidance: image to video with audio. Reference: ltx-pipelines TI2VidTwoStagesPipeline."""

from harness.media import Clip, Video

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_Image_to_Video"
TITLE = "LTX-2.3 in two stages: image to video with audio"
DESCRIPTION = (
    "The clip begins with your image. Stage 1 samples at half size with full guidance, stage 2 refines at full size in "
    "3 steps with the distilled LoRA; both get the image at their own size."
)
HOW_TO = f"""Choose **Start image**, write what happens and is heard into **Prompt**, set **Size and length** (multiples of 64;
8k+1 frames) and run. The image is scaled to fill the frame and cropped around its centre.

`strength` of the two **Begin with the image** nodes: 1 keeps the image, less lets the model change it. **Noise** and **Sampler** are
those that are exact for such strengths.

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}"""

PROMPT = (
    "The picture comes to life: wind moves through it, the light shifts slowly, and the camera pushes in. Soft wind "
    "and distant birds are heard."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DEV)
    refined = parts.load_lora(g, models.model, 1.0)
    upscaler = parts.load_upscaler(g)
    fps = parts.set_fps(g)
    positive, negative = parts.encode_prompts(g, models.clip, fps, PROMPT, parts.NEGATIVE)
    image = parts.load_image(g, "start_image", "start_image.png")

    sampler = parts.euler(g, exact=True)
    sampled_1 = parts.sample(
        g,
        guider=parts.multimodal_guider(g, models.model, positive, negative, stage=1),
        sampler=sampler,
        sigmas=parts.scheduled_sigmas(g, stage=1, model=models.model),
        latent=begin_with(g, models, image, parts.set_size(g, fps, stages="two"), stage=1),
        stage=1,
        exact=True,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, refined, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        latent=begin_with(g, models, image, latent, stage=2),
        stage=2,
        exact=True,
    )
    parts.save_video(g, models, fps, sampled_2, "ltx-2.3-image", stage_1=sampled_1)


def begin_with(
    g: Graph, models: parts.Models, image: parts.Link, latent: parts.Link, stage: int, strength: float = 1.0
) -> parts.Link:
    """The latent with the image as its first frame; node image."""
    return g.node(
        "OnerLTXImageToVideo",
        f"image_{stage}",
        title=f"Begin with the image {stage}",
        vae=models.vae,
        start_image=image,
        latent=latent,
        strength=strength,
    ).out(0)


GROUPS = {
    "Models": ["model", "text_encoder", "distilled_lora", "upscaler"],
    "Image": ["start_image", "start_image_compressed"],
    "Prompts": ["prompt", "negative_prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "Stage 1: half size, 30 steps with guidance": ["image_1", "noise_1", "guider_1", "sampler", "sigmas_1", "stage_1"],
    "Stage 2: full size, 3 steps": ["hand_over", "image_2", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": parts.SAVE_GROUP,
}
MODELS = {**parts.model_files(parts.DEV), **parts.UPSCALER_MODELS, "distilled_lora.lora_name": parts.LORA_MODEL}
TINY = {
    **parts.TINY_DEEP,
    **parts.TINY_SIZE,
    **parts.TINY_UPSCALER,
    "distilled_lora.lora_name": parts.TINY_LORA,
    "sigmas_1.steps": 3,
    "image_1.strength": 0.7,
    "image_2.strength": 0.7,
}
TINY_MODELS = ["ltx-2.3-deep", "gemma-3", "upscaler-x2", "lora-ltx-2.3"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
INPUTS = {"start_image.image": Clip(200, 120)}
