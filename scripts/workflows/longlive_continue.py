"""LongLive: a take that is loaded, taken back a little and continued with another prompt."""

from .builder import Graph
from .longlive import FILES, MODELS, OPTIONS, TINY, TINY_MODELS, models, rollout, tiny_video

__all__ = ["MODELS", "TINY_MODELS"]

NAME = "LongLive_1.0_Continue"
TITLE = "LongLive 1.0: continue, extend and fork"
DESCRIPTION = (
    "Makes a take without decoding it, goes back to an earlier block and continues from there with another prompt and "
    "the VAE."
)
HOW_TO = f"""For a take of yesterday delete **Rollout** and write the name of its folder in `output/takes` into **Load take**. To continue where it
ended, connect **Load take** to **Continue** and leave out **Fork**: then the take goes on exactly as if it had never stopped.

{FILES}"""
FIRST = "A red fox runs through tall golden grass at dusk, the camera follows low and close behind it."
THEN = f"{FIRST.removesuffix('.')}, heavy rain sets in."


def build(g: Graph) -> None:
    model, encoder, vae, chosen = models(g)
    prompt = g.node("CLIPTextEncode", "prompt", clip=encoder.out(0), text=FIRST)
    later = g.node("CLIPTextEncode", "new_prompt", clip=encoder.out(0), text=THEN)
    first = rollout(g, model, prompt, chosen, 237)
    loaded = g.node("OnerLongLiveLoadTake", "load", title="Load take", name=first.out(4))
    fork = g.node("OnerLongLiveForkTake", "fork", title="Fork", take=loaded.out(0), length=117)
    g.node(
        "OnerLongLiveContinue",
        "continue",
        title="Continue",
        take=fork.out(0),
        model=model.out(0),
        positive=later.out(0),
        length=357,
        filename_prefix="longlive_rain",
        vae=vae.out(0),
        **OPTIONS,
    )


GROUPS = {
    "Models": ["model", "text_encoder", "vae"],
    "First take": ["prompt", "settings", "rollout"],
    "Go on from an earlier block": ["new_prompt", "load", "fork", "continue"],
}
TINY = {**TINY, "rollout.length": 57, "fork.length": 33, "continue.length": 69}
TINY_RESULT = tiny_video(69)
