"""LongLive 1.0: prompts that change while the take runs. Reference: LongLive configs/longlive_interactive_inference.yaml."""

""

from .builder import Graph
from .longlive import FILES, MODELS, TINY, TINY_MODELS, models, rollout, schedule, tiny_video

__all__ = ["MODELS", "TINY_MODELS"]

NAME = "LongLive_1.0_Interactive"
TITLE = "LongLive 1.0: prompts that change"
DESCRIPTION = (
    "A take whose story changes every ten seconds, with the frames in memory re-encoded under each new prompt."
)
HOW_TO = f"""One line a change in **Prompts**: time, then the whole scene again with what is new. `[new sink]` re-anchors the take on its
newest frames, `[blend 4]` lets the text change over four blocks. Changing a later line leaves what comes before as it was.

{FILES}"""
PROMPTS = """0s: A red fox runs through tall golden grass at dusk, low camera close behind it, warm light.
10s: A red fox runs through tall golden grass at dusk, low camera close behind it, it starts to snow.
20s: A red fox stops on a snowy hill, low camera close behind it, it looks over a frozen lake.
30s [new sink]: A red fox walks over a frozen lake, low camera close behind it, a village glows on the far shore."""


def build(g: Graph) -> None:
    model, encoder, vae, chosen = models(g)
    prompts = schedule(g, encoder, chosen, PROMPTS)
    rollout(g, model, prompts, chosen, 645, vae=vae.out(0))


GROUPS = {
    "Models": ["model", "text_encoder", "vae"],
    "Prompts and settings": ["prompt", "settings"],
    "Take": ["rollout"],
}
TINY = {
    **TINY,
    "prompt.text": "0s: a red circle\n1s: a red circle and a blue square\n2s [new sink]: a blue square [hard light]",
    "rollout.length": 45,
}
TINY_RESULT = tiny_video(45)
