"""LTX-2.3, two stages with guidance: a video through images. Reference: ltx-pipelines KeyframeInterpolationPipeline."""

from harness.media import Clip, Video

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_Keyframes_to_Video"
TITLE = "LTX-2.3: first and last frame to video with audio"
DESCRIPTION = (
    "The clip goes from the first image to the last. Images are appended to the latent as frames of their own that the "
    "model looks at, in both stages."
)
HOW_TO = f"""Choose **First image** and **Last image**, say in **Prompt** how one becomes the other, set **Size and length** (multiples
of 64; 8k+1 frames) and run.

For more images chain further *LTX Keyframe* nodes in both stages; `frame` counts from 0, -1 is the last. `strength` says how
clean an image is given: 1 keeps it, less lets the model change it.

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}"""

PROMPT = (
    "One unbroken camera move from the first view to the last, the light changing from morning to dusk on the way. "
    "City sounds give way to crickets."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DEV)
    refined = parts.load_lora(g, models.model, 1.0)
    upscaler = parts.load_upscaler(g)
    fps = parts.set_fps(g)
    positive, negative = parts.encode_prompts(g, models.clip, fps, PROMPT, parts.NEGATIVE)
    images = {
        "first": (parts.load_image(g, "first_image", "first_frame.png"), 0),
        "last": (parts.load_image(g, "last_image", "last_frame.png"), -1),
    }

    sampler = parts.euler(g, exact=True)
    empty = parts.set_size(g, fps, stages="two")
    positive, negative, latent = add_keyframes(g, models, images, positive, negative, empty, stage=1)
    sampled_1 = parts.sample(
        g,
        guider=parts.multimodal_guider(g, models.model, positive, negative, stage=1),
        sampler=sampler,
        sigmas=parts.scheduled_sigmas(g, stage=1, model=models.model),
        latent=latent,
        stage=1,
        exact=True,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    positive, _, latent = add_keyframes(g, models, images, positive, positive, latent, stage=2)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, refined, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        latent=latent,
        stage=2,
        exact=True,
    )
    parts.save_video(g, models, fps, parts.crop(g, positive, sampled_2), "ltx-2.3-keyframes")


def add_keyframes(
    g: Graph,
    models: parts.Models,
    images: dict[str, tuple[parts.Link, int]],
    positive: parts.Link,
    negative: parts.Link,
    latent: parts.Link,
    stage: int | None = None,
    strength: float = 1.0,
) -> tuple[parts.Link, parts.Link, parts.Link]:
    """Prompts and latent with (image, frame) of every name; nodes NAME_STAGE, or NAME where there is one stage."""
    for name, (image, frame) in images.items():
        node = g.node(
            "OnerLTXKeyframe",
            f"{name}_{stage}" if stage else name,
            title=f"{name.capitalize()} frame" + (f" {stage}" if stage else ""),
            positive=positive,
            negative=negative,
            vae=models.vae,
            image=image,
            latent=latent,
            frame=frame,
            strength=strength,
        )
        positive, negative, latent = node.out(0), node.out(1), node.out(2)
    return positive, negative, latent


GROUPS = {
    "Models": ["model", "text_encoder", "distilled_lora", "upscaler"],
    "Images": ["first_image", "first_image_compressed", "last_image", "last_image_compressed"],
    "Prompts": ["prompt", "negative_prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "Stage 1: half size, 30 steps with guidance": [
        "first_1",
        "last_1",
        "noise_1",
        "guider_1",
        "sampler",
        "sigmas_1",
        "stage_1",
    ],
    "Stage 2: full size, 3 steps": ["hand_over", "first_2", "last_2", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": ["crop", *parts.SAVE_GROUP],
}
MODELS = {**parts.model_files(parts.DEV), **parts.UPSCALER_MODELS, "distilled_lora.lora_name": parts.LORA_MODEL}
TINY = {
    **parts.TINY_DEEP,
    **parts.TINY_SIZE,
    **parts.TINY_UPSCALER,
    "distilled_lora.lora_name": parts.TINY_LORA,
    "sigmas_1.steps": 3,
    "last_1.strength": 0.8,
    "last_2.strength": 0.8,
}
TINY_MODELS = ["ltx-2.3-deep", "gemma-3", "upscaler-x2", "lora-ltx-2.3"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
INPUTS = {"first_image.image": Clip(200, 120), "last_image.image": Clip(96, 128)}
