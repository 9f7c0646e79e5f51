"""LongLive 1.0 from a picture: its still fills the first block, which stays in the window as the sink."""

from harness.media import Clip

from .builder import Graph
from .longlive import FILES, MODELS, TINY, TINY_MODELS, models, rollout, tiny_video

__all__ = ["MODELS", "TINY_MODELS"]

NAME = "LongLive_1.0_Image_to_Video"
TITLE = "LongLive 1.0: start from an image or a video"
DESCRIPTION = (
    "A take that begins with your picture. It fills the first block and stays in memory as the sink, so the take keeps "
    "to it. Experimental: the model was not trained for this."
)
HOW_TO = f"""Load a picture and describe what happens in **Prompt**, the whole scene included. It is cropped to width and height of
**Rollout** and held for the first 9 frames. To go on from a video, connect the frames of *Load Video* to `start_image` instead: as
many whole blocks as they fill are taken over.

{FILES}"""
PROMPT = (
    "A red fox stands in tall golden grass at dusk, then turns its head and runs off, the camera follows low and close "
    "behind it in one unbroken shot."
)


def build(g: Graph) -> None:
    model, encoder, vae, chosen = models(g)
    image = g.node("LoadImage", "image", title="First frame", image="example.png")
    prompt = g.node("CLIPTextEncode", "prompt", clip=encoder.out(0), text=PROMPT)
    rollout(g, model, prompt, chosen, 237, vae=vae.out(0), start_image=image.out(0))


GROUPS = {
    "Models": ["model", "text_encoder", "vae"],
    "Picture, prompt and settings": ["image", "prompt", "settings"],
    "Take": ["rollout"],
}
INPUTS = {"image.image": Clip(160, 120)}
TINY = {**TINY, "rollout.length": 33}
TINY_RESULT = tiny_video(33)
