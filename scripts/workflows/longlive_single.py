"""LongLive 1.0: one prompt, one long take. Reference: LongLive configs/longlive_inference.yaml."""

from .builder import Graph
from .longlive import FILES, MODELS, TINY, TINY_MODELS, models, rollout, tiny_video

__all__ = ["MODELS", "TINY_MODELS"]

NAME = "LongLive_1.0_Text_to_Video"
TITLE = "LongLive 1.0: one prompt, one long take"
DESCRIPTION = (
    "A minute of video made block by block in constant memory. The MP4 grows on disk while it runs and plays whenever "
    "you cancel."
)
HOW_TO = f"""Write a long, detailed prompt into **Prompt**, choose the length in **Rollout** (12k - 3 frames, 16 a second) and run. The
take lands in `output/takes`. **Budget** says what it needs before it starts.

{FILES}"""
PROMPT = (
    "A red fox runs through tall golden grass at dusk, the camera follows low and close behind it in one unbroken "
    "shot, warm light, shallow depth of field, the grass sways in the wind."
)


def build(g: Graph) -> None:
    model, encoder, vae, chosen = models(g)
    prompt = g.node("CLIPTextEncode", "prompt", clip=encoder.out(0), text=PROMPT)
    g.node(
        "OnerLongLiveBudget",
        "budget",
        model=model.out(0),
        settings=chosen.out(0),
        width=832,
        height=480,
        length=957,
        batch_size=1,
        cache_storage="model",
        cache_device="gpu",
        vae=vae.out(0),
    )
    rollout(g, model, prompt, chosen, 957, vae=vae.out(0))


GROUPS = {
    "Models": ["model", "text_encoder", "vae"],
    "Prompt and settings": ["prompt", "settings", "budget"],
    "Take": ["rollout"],
}
TINY = {**TINY, "rollout.length": 33, "budget.width": 32, "budget.height": 32, "budget.length": 33}
TINY_RESULT = tiny_video(33)
