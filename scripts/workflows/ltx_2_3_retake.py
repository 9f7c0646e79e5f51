"""LTX-2.3 distilled, one stage: a time window of a video made anew. Reference: ltx-pipelines RetakePipeline."""

from harness.media import Clip, Video

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_Retake"
TITLE = "LTX-2.3 retake: a part of a video made anew"
DESCRIPTION = (
    "Between two moments of your video picture, sound or both are generated anew from the prompt; the rest is kept, "
    "and the seams fit. One stage of 8 steps at the video's own size."
)
HOW_TO = f"""Choose **Video** (with sound), set **Time window** in seconds and what to `generate`, say in **Prompt** what happens in the
whole clip with the change, and run. With **Size and length** at 0 the clip has the size of the video, in multiples of 32, and its
length, cut to 8k+1 frames; the frame rate is that of the video.

The whole clip passes through the VAEs, so the kept part changes a little too. For a video without sound remove
**Encode the sound**, **Join**, **Choose the audio** and **Decode audio**, and decode the sampled latent itself.

{parts.ENCODER_NOTE}"""

PROMPT = (
    "A woman at a kitchen table reads a letter, looks up, and bursts into laughter. Her laughter fills the room while "
    "rain taps on the window."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DISTILLED)
    source = parts.load_video(g, "video.mp4", "one")
    positive, _ = parts.encode_prompts(g, models.clip, source.fps, PROMPT)

    video = g.node(
        "VAEEncodeTiled",
        "encode_video",
        title="Encode the video",
        pixels=source.frames,
        vae=models.vae,
        tile_size=768,
        overlap=64,
        temporal_size=80,
        temporal_overlap=24,
    ).out(0)
    clip = parts.join(g, video, parts.encode_audio(g, models, source.audio, source.size[2], source.fps))
    window = g.node(
        "OnerLTXTimeWindow",
        "window",
        title="Time window",
        latent=clip,
        start_seconds=1.0,
        end_seconds=3.0,
        fps=source.fps,
        generate="video and audio",
    ).out(0)
    sampled = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive),
        sampler=parts.euler(g),
        sigmas=parts.distilled_sigmas(g),
        latent=window,
    )
    parts.save_video(g, models, source.fps, sampled, "ltx-2.3-retake")


GROUPS = {
    "Models": ["model", "text_encoder"],
    "Video to change": [*parts.SOURCE_GROUP, "encode_video", "encode_audio", "join"],
    "Prompt": ["prompt", "frame_rate"],
    "Sampling: 8 steps": ["window", "noise", "guider", "sampler", "sigmas", "stage"],
    "New video": parts.SAVE_GROUP,
}
MODELS = parts.model_files(parts.DISTILLED)
TINY = {**parts.TINY, "fit.width": 128, "fit.height": 96, "window.start_seconds": 0.2, "window.end_seconds": 0.5}
TINY_MODELS = ["ltx-2.3", "gemma-3"]
TINY_RESULT = Video(width=128, height=96, length=17, fps=24)
INPUTS = {"source.file": Clip(160, 120, length=20, sound=True)}
