"""LTX-2.3, one stage with guidance: sound alone. Reference: the audio-only pipeline of ltx-pipelines, August 2026."""

from harness.media import Recording

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_Text_to_Audio"
TITLE = "LTX-2.3: text to audio"
DESCRIPTION = (
    "Sound without a picture: speech, music or effects from the audio half of the model, at a fraction of the time."
)
HOW_TO = f"""Write what is heard into **Prompt**, set **Length** (8k+1 frames; 241 at 24 frames a second are 10 s) and run.

**Audio only** switches the video half of the model off; the latent holds a video of the smallest size, which is kept as
it is.

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}"""

PROMPT = (
    "A radio play: a door creaks open, boots on a wooden floor, thunder far away. An old man says in a hoarse voice: "
    "'You are late. Sit down, the soup is still warm.'"
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DEV)
    model = g.node("OnerLTXAudioOnly", "audio_only", model=models.model).out(0)
    fps = parts.set_fps(g)
    positive, negative = parts.encode_prompts(g, models.clip, fps, PROMPT, NEGATIVE)
    empty = parts.set_size(g, fps, stages="one", width=32, height=32, length=241)
    sampled = parts.sample(
        g,
        guider=parts.multimodal_guider(g, model, positive, negative),
        sampler=parts.euler(g),
        sigmas=parts.scheduled_sigmas(g, model=model),
        latent=parts.freeze(g, empty, "video"),
    )
    output = g.node("OnerLTXStageOutput", "output", title="Take the audio", latent=sampled, audio_source="last stage")
    sound = g.node("LTXVAudioVAEDecode", "decode_audio", samples=output.out(1), audio_vae=models.audio_vae)
    g.node("SaveAudioAdvanced", "save", audio=sound.out(0), filename_prefix="oner/ltx-2.3-audio", format="flac")


NEGATIVE = "muffled, distorted, echo, hiss, clipping, robotic voice"
GROUPS = {
    "Models": ["model", "text_encoder", "audio_only"],
    "Prompts": ["prompt", "negative_prompt"],
    "Length": ["fps", "size", "frame_rate"],
    "Sampling: 30 steps with guidance": ["keep", "noise", "guider", "sampler", "sigmas", "stage"],
    "Sound": ["output", "decode_audio", "save"],
}
MODELS = parts.model_files(parts.DEV)
TINY = {**parts.TINY_DEEP, "size.length": 25, "sigmas.steps": 3}
TINY_MODELS = ["ltx-2.3-deep", "gemma-3"]
TINY_RESULT = Recording(seconds=25 / 24)
