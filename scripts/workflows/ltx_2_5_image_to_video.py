"""LTX-2.5 distilled, two stages: image to video with audio. Source: ComfyUI's template video_ltx2_5_i2v."""

from harness.media import Clip, Video

from . import ltx2_parts as parts
from . import ltx25_parts as ltx25
from .builder import Graph
from .ltx_2_3_image_to_video import begin_with

NAME = "LTX_2.5_Distilled_Image_to_Video"
TITLE = "LTX-2.5 distilled: image to video with audio"
DESCRIPTION = (
    "A clip that begins with your image: loosely at half size (strength 0.7), exactly at full size. 8 steps, the latent "
    "upsampler, 3 steps, and a diffusion decoder makes the frames."
)
HOW_TO = f"""Choose **Start image**, write what happens and is heard into **Prompt**, set **Size and length** (multiples of 64;
8k+1 frames) and run. The image is scaled to fill the frame and cropped around its centre.

`strength` of the two **Begin with the image** nodes: 1 keeps the image, less lets the model change it. **Noise** and **Sampler** are
those that are exact for such strengths.

{ltx25.FILES_NOTE}

{ltx25.DECODE_NOTE}

Sigmas, strengths, guidance and tiles are those of ComfyUI's template `video_ltx2_5_i2v`. For its sampler too put *RandomNoise*
and *KSamplerSelect* with `euler_ancestral` in place of **Noise** and **Sampler**: it treats partly given images in a way of its
own."""

PROMPT = (
    "The picture comes to life: the light shifts, leaves and cloth move in the wind, and the camera drifts slowly to the "
    "side. Soft wind and distant birds are heard."
)


def build(g: Graph) -> None:
    models = ltx25.load_models(g)
    upscaler = ltx25.load_upscaler(g)
    fps = parts.set_fps(g)
    positive, _ = parts.encode_prompts(g, models.clip, fps, PROMPT)
    image = ltx25.load_image(g, "start_image", "start_image.png")

    sampler = ltx25.ancestral(g, exact=True)
    sampled_1 = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=1),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=1),
        latent=begin_with(g, models, image, ltx25.set_size(g, fps, stages="two"), stage=1, strength=0.7),
        stage=1,
        exact=True,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=2),
        sampler=sampler,
        sigmas=ltx25.stage_2_sigmas(g),
        latent=begin_with(g, models, image, latent, stage=2),
        stage=2,
        exact=True,
    )
    ltx25.save_video(g, models, fps, sampled_2, "ltx-2.5-distilled-image")


GROUPS = {
    "Models": ["model", "text_encoder", "upscaler"],
    "Image": ["start_image", "start_image_compressed"],
    "Prompt": ["prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "Stage 1: half size, 8 steps": ["image_1", "noise_1", "guider_1", "sampler", "sigmas_1", "stage_1"],
    "Stage 2: full size, 3 steps": ["hand_over", "image_2", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": ltx25.SAVE_GROUP,
}
CORE = ltx25.CORE
MODELS = {**ltx25.MODELS, **ltx25.UPSCALER_MODELS}
TINY = {**ltx25.TINY, **ltx25.TINY_SIZE, **ltx25.TINY_UPSCALER}
TINY_NODES = ltx25.TINY_NODES
TINY_MODELS = [*ltx25.TINY_MODELS, "upscaler-2.5-x2"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
INPUTS = {"start_image.image": Clip(200, 120)}
