"""LTX-2.3 distilled, one stage: a saved clip goes on from its last second of picture and sound."""

from harness.media import SavedClip, Video

from . import ltx2_parts as parts
from . import ltx_2_3_go_on as base
from .builder import Graph

NAME = "LTX_2.3_Go_On_from_File"
TITLE = "LTX-2.3: a saved clip that goes on"
DESCRIPTION = (
    "A clip that was saved as a latent, picture and sound, goes on from its last second with a new prompt; the longer "
    "clip is saved again, so that the same workflow goes on from there."
)
HOW_TO = f"""Choose **Saved clip** (a file of *LTX Save Latent*; press R to read the folders again), write what follows into **Next
prompt**, set the **New part** to the size of the clip, and run. **Frames a second** is that of the saved clip.

Where several clips were saved at once, **Which clip** takes one of them.

{base.LATENT_NOTE}

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}"""


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DISTILLED)
    fps = parts.set_fps(g)
    saved = g.node("OnerLTXLoadLatent", "saved_clip", file="clip.latent").out(0)
    chosen = g.node(
        "OnerLTXPickFromBatch", "chosen_clip", title="Which clip", latent=saved, start=0, count=1, repeat=1
    ).out(0)
    base.go_on(g, models, fps, chosen, parts.euler(g), parts.distilled_sigmas(g), "ltx-2.3-goes-on")


GROUPS = {
    "Models": ["model", "text_encoder"],
    "Saved clip": ["fps", "saved_clip", "chosen_clip"],
    "Sampling": ["sampler", "sigmas"],
    **base.GO_ON,
}
MODELS = parts.model_files(parts.DISTILLED)
TINY = {**parts.TINY, **base.TINY_PART}
TINY_MODELS = ["ltx-2.3", "gemma-3"]
TINY_RESULT = Video(width=128, height=128, length=33, fps=24)
INPUTS = {"saved_clip.file": SavedClip(128, 128, length=17, fps=24)}
