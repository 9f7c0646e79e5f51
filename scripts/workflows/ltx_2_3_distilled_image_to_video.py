"""LTX-2.3 distilled, two stages: image to video with audio. Reference: ltx-pipelines DistilledPipeline with images."""

from harness.media import Clip, Video

from . import ltx2_parts as parts
from .builder import Graph
from .ltx_2_3_image_to_video import begin_with

NAME = "LTX_2.3_Distilled_Image_to_Video"
TITLE = "LTX-2.3 distilled: image to video with audio"
DESCRIPTION = (
    "The fastest way from an image to a video: 8 steps at half size, 3 at full size, without guidance. Both stages get "
    "the image at their own size."
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
    models = parts.load_models(g, parts.DISTILLED)
    upscaler = parts.load_upscaler(g)
    fps = parts.set_fps(g)
    positive, _ = parts.encode_prompts(g, models.clip, fps, PROMPT)
    image = parts.load_image(g, "start_image", "start_image.png")

    sampler = parts.euler(g, exact=True)
    sampled_1 = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=1),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=1),
        latent=begin_with(g, models, image, parts.set_size(g, fps, stages="two"), stage=1),
        stage=1,
        exact=True,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        latent=begin_with(g, models, image, latent, stage=2),
        stage=2,
        exact=True,
    )
    parts.save_video(g, models, fps, sampled_2, "ltx-2.3-distilled-image")


GROUPS = {
    "Models": ["model", "text_encoder", "upscaler"],
    "Image": ["start_image", "start_image_compressed"],
    "Prompt": ["prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "Stage 1: half size, 8 steps": ["image_1", "noise_1", "guider_1", "sampler", "sigmas_1", "stage_1"],
    "Stage 2: full size, 3 steps": ["hand_over", "image_2", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": parts.SAVE_GROUP,
}
MODELS = {**parts.model_files(parts.DISTILLED), **parts.UPSCALER_MODELS}
TINY = {**parts.TINY, **parts.TINY_SIZE, **parts.TINY_UPSCALER, "image_1.strength": 0.7, "image_2.strength": 0.7}
TINY_MODELS = ["ltx-2.3", "gemma-3", "upscaler-x2"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
INPUTS = {"start_image.image": Clip(200, 120)}
