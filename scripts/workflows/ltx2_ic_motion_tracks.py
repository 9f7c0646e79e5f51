"""LTX-2.3 with the motion-track IC-LoRA: an image whose parts move along drawn tracks, with sound, two stages."""

from harness.media import Clip, Video

from . import ltx2_ic_parts as parts
from .builder import Graph

NAME = "LTX_2.3_IC-LoRA_Motion_Tracks"
TITLE = "LTX-2.3 IC-LoRA: move things along tracks"
DESCRIPTION = (
    "An image comes alive along the tracks you give: each is a few points in the image, joined by a smooth curve. A "
    "point alone holds its place. Picture and sound, two stages."
)
HOW_TO = f"""Load a **Start image**, set **Width** and **Height** (multiples of 128) and **Length** (8k+1 frames), and write the tracks:
JSON with x and y in pixels, from a spline editor or by hand. If they were made on a picture of another size, give that size in
**Draw the tracks**. Say in **Prompt** what moves and how.

Without a track a part moves as the model likes; put single points on what must stay.

The IC-LoRA says in its file that references are half as large; the loader hands that on. If its download is refused, accept its
terms on its Hugging Face page first.

{parts.ENCODER_NOTE}

**Same numbers as the reference**: sigmas, audio length and hand-over are those of the IC-LoRA pipeline."""

LORA = "ltx-2.3-22b-ic-lora-motion-track-control-ref0.5.safetensors"
PROMPT = (
    "A paper boat drifts in a curve across a puddle and turns at the far edge while rain drops make rings around it. "
    "Soft rain patters, water gurgles in a drain."
)
POINTS = """[[{"x": 300, "y": 760}, {"x": 700, "y": 560}, {"x": 1150, "y": 640}, {"x": 1300, "y": 420}],
 [{"x": 760, "y": 140}]]"""


def start(g: Graph, models: parts.Models, image: parts.Link, latent: parts.Link, stage: int) -> parts.Link:
    """Node start_N."""
    return g.node(
        "OnerLTXImageToVideo",
        f"start_{stage}",
        title=f"Start with the image {stage}",
        vae=models.vae,
        start_image=image,
        latent=latent,
        strength=1.0,
    ).out(0)


def build(g: Graph) -> None:
    models = parts.load_models(g, LORA)
    upscaler = parts.load_upscaler(g)
    fps = g.node("PrimitiveFloat", "fps", title="Frames a second", value=24.0).out(0)
    width = g.node("PrimitiveInt", "width", value=1536).out(0)
    height = g.node("PrimitiveInt", "height", value=1024).out(0)
    length = g.node("PrimitiveInt", "length", value=121).out(0)

    loaded = g.node("LoadImage", "start_image", image="oner_ic_start.png")
    image = g.node(
        "OnerLTXPrepareImage", "prepare", title="Compress the image", image=loaded.out(0), crf=33, width=0, height=0
    ).out(0)
    tracks = g.node(
        "OnerLTXTracks", "tracks", points=POINTS, length=length, curve="smooth curve", pace="same time between points"
    )
    drawn = g.node(
        "OnerLTXDrawTracks",
        "draw",
        title="Draw the tracks",
        tracks=tracks.out(0),
        width=width,
        height=height,
        source_width=1536,
        source_height=1024,
    )

    prompts = parts.encode_prompt(g, models.clip, fps, PROMPT)
    size = parts.empty(g, (width, height, length), fps, stages="two", audio=True)
    positive, latent = parts.refer(g, models, prompts, drawn.out(0), start(g, models, image, size, 1))
    sampled_1 = parts.sample(g, models.ic_model, positive, latent, stage=1)
    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(g, models.model, positive, start(g, models, image, latent, 2), stage=2)

    output = g.node(
        "OnerLTXStageOutput", "output", title="Choose the audio", latent=sampled_2, audio_source="last stage"
    )
    sound = g.node("LTXVAudioVAEDecode", "decode_audio", samples=output.out(1), audio_vae=models.audio_vae)
    parts.save(g, parts.decode(g, models, output.out(0)), fps, sound.out(0), "ltx-2.3-motion-tracks")


GROUPS = {
    "Models": ["model", "text_encoder", "ic_lora", "upscaler"],
    "Size and length": ["fps", "width", "height", "length", "size"],
    "Image and tracks": ["start_image", "prepare", "tracks", "draw"],
    "Prompt": ["prompt", "frame_rate"],
    "Stage 1: half size, 8 steps, with IC-LoRA": ["start_1", "reference", *parts.stage_group(1)],
    "Stage 2: full size, 3 steps": ["hand_over", "start_2", *parts.stage_group(2)],
    "Video": ["output", "decode_video", "decode_audio", "video", "save"],
}
MODELS = {**parts.model_files("Motion-Track-Control", LORA), **parts.UPSCALER_MODELS}
TINY = {**parts.TINY, **parts.TINY_UPSCALER, "width.value": 128, "height.value": 128, "length.value": 17}
TINY_MODELS = [*parts.TINY_MODELS, "upscaler-x2"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
INPUTS = {"start_image.image": Clip(192, 128)}
