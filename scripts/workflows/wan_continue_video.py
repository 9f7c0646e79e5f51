"""Any video goes on with Wan 2.2 image to video: windows after its last frames."""

from . import wan_parts as wan
from . import windows
from .builder import Graph

NAME = "Wan_2.2_Continue_Any_Video"
TITLE = "Wan 2.2: go on with any video"
DESCRIPTION = (
    "The film begins with a video of your own, and goes on from its last frames. What is made is held to the colours "
    "of what was there."
)
HOW_TO = f"""Load a **Video** and write what happens next. `prefix_frames` of **Window plan** says how many of its frames may be given
to the first window: as many as its overlap, or more.

{windows.NOTE}

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors"
PROMPTS = "the street empties, it begins to snow, a cyclist passes slowly"


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    high, low = wan.load_experts(g, HIGH, LOW, 5.0)
    positive, negative = wan.write_prompts(g, "a street in winter")
    video = g.node("LoadVideo", "source", title="Video", file="street.mp4", **{"video-preview": ""})
    guider = wan.guide_experts(g, [high, low], positive.out(0), negative.out(0), (3.5, 3.5))
    plan = windows.plan(g, PROMPTS, "10s", fps=16.0, grid="wan", window=81, overlap=9, prefix_frames=9)
    inputs = g.node("OnerWindowInputs", "inputs", title="Window inputs", prefix_video=video.out(0))
    windows.sample(
        g,
        "wan-2.2-continued",
        832,
        480,
        noise=g.node("RandomNoise", "noise", noise_seed=43).out(0),
        guider=guider,
        sampler=g.node("KSamplerSelect", "sampler", sampler_name="euler").out(0),
        sigmas=g.node("OnerWanScheduler", "sigmas", schedule="flow", steps=20, shift=5.0, denoise=1.0).out(0),
        plan=plan.out(0),
        vae=vae.out(0),
        clip=g.nodes["text_encoder"].out(0),
        inputs=inputs.out(0),
        drift=windows.drift(g).out(0),
    )


GROUPS = {
    "Models": [*wan.EXPERTS, "vae"],
    "Prompt and video": [*wan.TEXT, "source"],
    "Plan": ["plan", "inputs", "drift"],
    "Film": ["noise", "guider", "sampler", "sigmas", "film"],
}
MODELS = wan.expert_files(HIGH, LOW)
INPUTS = {"source.file": wan.control_clip()}
TINY = {
    **wan.tiny_experts("i2v-a14b"),
    **wan.TINY_FILES,
    "plan.length": "20",
    "plan.window": 17,
    "plan.overlap": 5,
    **windows.TINY,
    "sigmas.steps": 2,
}
TINY_MODELS = ["wan-i2v-a14b-high", "wan-i2v-a14b-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result(length=9 + 20)
