"""LTX-Video 13B 0.9.8 distilled: a video goes on, window by window."""

from harness.media import Clip, Video

from . import ltxv, windows
from .builder import Graph

NAME = "LTX-Video_0.9.8_Extend_Video"
TITLE = "LTX-Video 13B 0.9.8 distilled: extend a video"
DESCRIPTION = (
    "The film begins with a video of your own and goes on from its last frames with the 7 steps of the distilled model, "
    "window by window, held to the colours of what was there."
)
HOW_TO = f"""Load a **Video** and write what happens next. `prefix_frames` of **Window plan** says how many of its frames the first
window may be given: as many as its overlap, or more.

{windows.NOTE}

**Models**
- `checkpoints`: LTX-Video 13B 0.9.8 distilled
{ltxv.ENCODER_NOTE}"""

CHECKPOINT = "ltxv-13b-0.9.8-distilled-fp8.safetensors"
PROMPTS = """the boat drifts on through the gutter, the street lamps get brighter

rain sets in, drops break the reflections around the boat"""


def build(g: Graph) -> None:
    model, encoder = ltxv.load(g, CHECKPOINT)
    conds, fps = ltxv.prompts(g, encoder, "a paper boat at dusk", 30.0)
    video = g.node("LoadVideo", "source", title="Video", file="input.mp4", **{"video-preview": ""})
    plan = windows.plan(g, PROMPTS, "10s", fps=fps.out(0), grid="ltx", window=121, overlap=17, prefix_frames=17)
    inputs = g.node("OnerWindowInputs", "inputs", title="Window inputs", prefix_video=video.out(0))
    pipeline = ltxv.preset(g, "preset", "Settings", model, conds, "13B 0.9.8 distilled", "first pass")
    windows.sample(
        g,
        "ltx-video-extended",
        768,
        512,
        noise=g.node("RandomNoise", "noise", noise_seed=171198).out(0),
        guider=pipeline.out(0),
        sampler=pipeline.out(1),
        sigmas=pipeline.out(2),
        plan=plan.out(0),
        vae=model.out(1),
        clip=encoder.out(0),
        inputs=inputs.out(0),
        drift=windows.drift(g).out(0),
    )


GROUPS = {
    "Models": ["model", "text_encoder"],
    "Prompt and video": [*ltxv.PROMPT_GROUP, "source"],
    "Plan": ["plan", "inputs", "drift"],
    "Film": ["noise", "preset", "film"],
}
MODELS = ltxv.models(CHECKPOINT)
INPUTS = {"source.file": Clip(100, 60, length=11)}
TINY = {
    "model.model_name": "tiny-ltx-video-13b-0.9.8.safetensors",
    "text_encoder.folder": "tiny-t5",
    **windows.TINY,
    "plan.prompts": "a boat",
    "plan.length": "24",
    "plan.window": 25,
    "plan.overlap": 9,
    "plan.prefix_frames": 9,
}
TINY_MODELS = ["ltxv-13b", "t5"]
TINY_RESULT = Video(width=64, height=64, length=11 + 24, fps=30, audio=None)
