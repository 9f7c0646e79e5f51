"""LTX-2.5 distilled, one stage: a video from a first to a last image. Source: ComfyUI's template video_ltx2_5_flf2v."""

from harness.media import Clip, Video

from . import ltx2_parts as parts
from . import ltx25_parts as ltx25
from .builder import Graph
from .ltx_2_3_keyframes import add_keyframes

NAME = "LTX_2.5_Distilled_First_and_Last_Frame"
TITLE = "LTX-2.5 distilled: first and last frame to video with audio"
DESCRIPTION = (
    "The clip goes from the first image to the last, which the model looks at as frames of their own. 8 steps at full size, "
    "and a diffusion decoder makes the frames."
)
HOW_TO = f"""Choose **First image** and **Last image**, say in **Prompt** how one becomes the other, set **Size and length** (multiples
of 32; 8k+1 frames) and run.

For more images chain further *LTX Keyframe* nodes; `frame` counts from 0, -1 is the last. `strength` says how clean an image is
given, 0.7 as in ComfyUI's template: 1 keeps it, less lets the model change it. In that template the same number also weakens
how much the clip looks at the images; here it does not.

{ltx25.FILES_NOTE}

{ltx25.DECODE_NOTE}"""

PROMPT = (
    "One unbroken camera move from the first view to the last, people passing by, the light changing from noon to "
    "evening on the way. Street sounds give way to a quiet guitar."
)


def build(g: Graph) -> None:
    models = ltx25.load_models(g)
    fps = parts.set_fps(g)
    positive, _ = parts.encode_prompts(g, models.clip, fps, PROMPT)
    images = {
        "first": (ltx25.load_image(g, "first_image", "first_frame.png"), 0),
        "last": (ltx25.load_image(g, "last_image", "last_frame.png"), -1),
    }

    empty = ltx25.set_size(g, fps, stages="one")
    positive, _, latent = add_keyframes(g, models, images, positive, positive, empty, strength=0.7)
    sampled = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive),
        sampler=parts.euler(g, exact=True),
        sigmas=parts.distilled_sigmas(g),
        latent=latent,
        exact=True,
    )
    ltx25.save_video(g, models, fps, parts.crop(g, positive, sampled), "ltx-2.5-first-last")


GROUPS = {
    "Models": ["model", "text_encoder"],
    "Images": ["first_image", "first_image_compressed", "last_image", "last_image_compressed"],
    "Prompt": ["prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "8 steps": ["first", "last", "noise", "guider", "sampler", "sigmas", "stage"],
    "Video": ["crop", *ltx25.SAVE_GROUP],
}
CORE = ltx25.CORE
MODELS = ltx25.MODELS
TINY = {**ltx25.TINY, **ltx25.TINY_SIZE}
TINY_NODES = ltx25.TINY_NODES
TINY_MODELS = ltx25.TINY_MODELS
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
INPUTS = {"first_image.image": Clip(200, 120), "last_image.image": Clip(96, 128)}
