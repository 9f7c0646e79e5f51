"""LTX-2.3 distilled, one stage: a clip, and how it goes on from its last second of picture and sound."""

from harness.media import Video

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_Go_On"
TITLE = "LTX-2.3: a clip that goes on from its last second"
DESCRIPTION = (
    "A clip with sound is made, and then goes on: its last second of picture and sound is kept as the start of the next "
    "clip, the rest is generated from a second prompt, and both are joined with a cross-fade."
)
LATENT_NOTE = (
    "**Keep the clip** saves it as a latent, bit for bit and with its sound: the workflow *Go On from File* goes on from "
    "there, as often as you like."
)
HOW_TO = f"""Write what is seen and heard into **Prompt** and, for what follows, into **Next prompt**; set **Size and length** of the
first clip (multiples of 32; 8k+1 frames) and the same size with the length of the **New part**, and run.

**Last second** cuts the part that is shown again: `from_seconds` of -2 takes two seconds. More of it keeps movement and voices steadier, and
costs time.

{LATENT_NOTE}

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}"""

PROMPT = (
    "A street violinist plays under a stone arch while passers-by slow down to listen, handheld camera at eye level. "
    "The melody echoes from the walls, footsteps come and go."
)
NEXT_PROMPT = (
    "The street violinist closes the eyes and plays faster as the camera circles around, a child begins to dance beside. "
    "The melody rises, people clap along."
)
SIZE = {"width": 768, "height": 512}


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DISTILLED)
    fps = parts.set_fps(g)
    positive, _ = parts.encode_prompts(g, models.clip, fps, PROMPT)
    sampler, sigmas = parts.euler(g), parts.distilled_sigmas(g)
    first = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=1),
        sampler=sampler,
        sigmas=sigmas,
        latent=parts.set_size(g, fps, stages="one", **SIZE),
        stage=1,
    )
    go_on(g, models, fps, first, sampler, sigmas, "ltx-2.3-go-on")


def go_on(
    g: Graph,
    models: parts.Models,
    fps: parts.Link,
    first: parts.Link,
    sampler: parts.Link,
    sigmas: parts.Link,
    name: str,
) -> None:
    """The clip `first` and what follows, saved; nodes of the groups GO_ON and what sample, save_video make."""
    tail = g.node(
        "OnerLTXCutClip", "tail", title="Last second", latent=first, from_seconds=-1.0, to_seconds=0.0, fps=fps
    )
    picture = g.node("OnerLTXFreeze", "keep_picture", title="Keep its picture", latent=tail.out(0), keep="video")
    sound = g.node("OnerLTXFreeze", "keep_sound", title="Keep its sound", latent=picture.out(0), keep="audio")
    new = g.node(
        "OnerLTXEmptyLatent",
        "new_part",
        title="New part",
        **SIZE,
        length=121,
        fps=fps,
        batch_size=1,
        stages="one",
        audio=True,
    )
    start = g.node(
        "OnerLTXJoinClips",
        "start",
        title="What is kept, then what is new",
        first=sound.out(0),
        second=new.out(0),
        overlap=0,
        fps=fps,
    )
    text = g.node("CLIPTextEncode", "next_prompt", clip=models.clip, text=NEXT_PROMPT)
    timed = g.node(
        "LTXVConditioning",
        "next_frame_rate",
        title="Tell the model the frame rate again",
        positive=text.out(0),
        negative=text.out(0),
        frame_rate=fps,
    )
    second = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, timed.out(0), stage=2),
        sampler=sampler,
        sigmas=sigmas,
        latent=start.out(0),
        stage=2,
    )
    whole = g.node(
        "OnerLTXJoinClips",
        "whole",
        title="Join with a cross-fade",
        first=first,
        second=second,
        overlap=tail.out(1),
        fps=fps,
    )
    kept = g.node(
        "OnerLTXSaveLatent", "keep_clip", title="Keep the clip", latent=whole.out(0), filename_prefix=f"latents/{name}"
    )
    parts.save_video(g, models, fps, kept.out(0), name)


GO_ON = {
    "What goes on": ["tail", "keep_picture", "keep_sound", "new_part", "start"],
    "Next clip: 8 steps": ["next_prompt", "next_frame_rate", "noise_2", "guider_2", "stage_2"],
    "Whole clip": ["whole", "keep_clip", *parts.SAVE_GROUP],
}
GROUPS = {
    "Models": ["model", "text_encoder"],
    "Prompt": ["prompt", "frame_rate"],
    "Size and length": ["fps", "size"],
    "First clip: 8 steps": ["noise_1", "guider_1", "sampler", "sigmas", "stage_1"],
    **GO_ON,
}
MODELS = parts.model_files(parts.DISTILLED)
TINY_PART = {"new_part.width": 128, "new_part.height": 128, "new_part.length": 17, "tail.from_seconds": -0.6}
TINY = {**parts.TINY, **parts.TINY_SIZE, **TINY_PART}
TINY_MODELS = ["ltx-2.3", "gemma-3"]
TINY_RESULT = Video(width=128, height=128, length=33, fps=24)  # 17, and 17 less the picture they share
