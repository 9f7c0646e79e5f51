"""LongLive 1.0 with positions within the window: takes without end. Reference: longlive_inference_infinity.yaml."""

from .builder import Graph
from .longlive import FILES, MODELS, TINY, TINY_MODELS, models, rollout, tiny_video

__all__ = ["MODELS", "TINY_MODELS"]

NAME = "LongLive_1.0_Endless"
TITLE = "LongLive 1.0: endless"
DESCRIPTION = (
    "Positions are counted within the window instead of from the start, so a take may run for hours. Cancel when you "
    "have enough."
)
HOW_TO = f"""Set a length far beyond what you need in **Rollout** (16 frames a second) and cancel: everything finished is on disk, and the
take can be continued. The cache is kept as int8 here, which halves it.

{FILES}"""
PROMPT = (
    "Slow aerial flight along an endless rocky coast, waves break far below, gulls cross the frame, soft morning "
    "light, one unbroken shot."
)


def build(g: Graph) -> None:
    model, encoder, vae, chosen = models(g, "LongLive 1.0 endless")
    prompt = g.node("CLIPTextEncode", "prompt", clip=encoder.out(0), text=PROMPT)
    rollout(g, model, prompt, chosen, 57597, vae=vae.out(0), cache_storage="int8")


GROUPS = {
    "Models": ["model", "text_encoder", "vae"],
    "Prompt and settings": ["prompt", "settings"],
    "Take": ["rollout"],
}
TINY = {**TINY, "rollout.length": 69}
TINY_RESULT = tiny_video(69)
