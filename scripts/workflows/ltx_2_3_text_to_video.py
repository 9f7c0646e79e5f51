"""LTX-2.3, one stage with guidance: text to video with audio. Reference: ltx-pipelines TI2VidOneStagePipeline."""

from harness.media import Video

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_Text_to_Video"
TITLE = "LTX-2.3: text to video with audio"
DESCRIPTION = (
    "The full model in one stage, with guidance by prompt, by perturbed attention and between picture and sound, for "
    "each of the two by its own numbers."
)
HOW_TO = f"""Write what is seen and heard into **Prompt**, what is unwanted into **Negative prompt**, set **Size and length**
(multiples of 32; 8k+1 frames) and run. All four passes of a step run in one batch if memory allows.

To change the guidance connect an *LTX Guidance* to `video` or `audio` of **Guider**.

**LTX Exact Block** is there to compare: *as ComfyUI computes it* gives what your ComfyUI gives by itself. Everything of this
pack is exact without it.

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}"""

PROMPT = (
    "A street musician plays a slow melody on a cello under a railway bridge at night. Rain drips from the arch, a "
    "train rumbles overhead, and the strings echo from the bricks."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DEV)
    exact = g.node("OnerLTXExactBlock", "exact_block", model=models.model, block="as the reference").out(0)
    fps = parts.set_fps(g)
    positive, negative = parts.encode_prompts(g, models.clip, fps, PROMPT, parts.NEGATIVE)
    sampled = parts.sample(
        g,
        guider=parts.multimodal_guider(g, exact, positive, negative),
        sampler=parts.euler(g),
        sigmas=parts.scheduled_sigmas(g, model=models.model),
        latent=parts.set_size(g, fps, stages="one", width=768, height=512),
    )
    parts.save_video(g, models, fps, sampled, "ltx-2.3")


GROUPS = {
    "Models": ["model", "text_encoder", "exact_block"],
    "Prompts": ["prompt", "negative_prompt"],
    "Size and length": ["fps", "size", "frame_rate"],
    "Sampling: 30 steps with guidance": ["noise", "guider", "sampler", "sigmas", "stage"],
    "Video": parts.SAVE_GROUP,
}
MODELS = parts.model_files(parts.DEV)
TINY = {**parts.TINY_DEEP, **parts.TINY_SIZE, "sigmas.steps": 3}
TINY_MODELS = ["ltx-2.3-deep", "gemma-3"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
