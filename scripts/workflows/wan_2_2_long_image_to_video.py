"""Wan 2.2 image to video for a minute: windows that go on from each other, with prompts on a time line."""

from . import wan_parts as wan
from . import windows
from .builder import Graph

NAME = "Wan_2.2_Long_Image_to_Video"
TITLE = "Wan 2.2: a minute from one image, prompts on a time line"
DESCRIPTION = (
    "A film of any length from a start image, window by window in constant memory. Each window is given the last frames "
    "of the one before; drift control holds the colours."
)
HOW_TO = f"""Choose a start image and write what happens when.

{windows.NOTE}

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors"
PROMPTS = """0s: the old ferry leaves the pier in the evening light, gulls circle, the camera stays on deck
20s: the ferry is on open water, the coast gets small, waves rise against the bow
40s: night falls over the sea, the lamps of the ferry go on, rain sets in"""


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    high, low = wan.load_experts(g, HIGH, LOW, 5.0)
    positive, negative = wan.write_prompts(g, "a ferry at sea, photographed on film")
    image = wan.load_image(g, "image", "ferry.png")
    guider = wan.guide_experts(g, [high, low], positive.out(0), negative.out(0), (3.5, 3.5))
    plan = windows.plan(g, PROMPTS, "60s", fps=16.0, grid="wan", window=81, overlap=5)
    inputs = g.node("OnerWindowInputs", "inputs", title="Window inputs", start_image=image.out(0))
    windows.sample(
        g,
        "wan-2.2-long-image-to-video",
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
    "Prompt and image": [*wan.TEXT, "image"],
    "Plan": ["plan", "inputs", "drift"],
    "Film": ["noise", "guider", "sampler", "sigmas", "film"],
}
MODELS = wan.expert_files(HIGH, LOW)
INPUTS = {"image.image": wan.PICTURE}
TINY = {
    **wan.tiny_experts("i2v-a14b"),
    **wan.TINY_FILES,
    "plan.prompts": "0s: a cat\n1s: a dog",
    "plan.length": "29",
    "plan.window": 17,
    **windows.TINY,
    "sigmas.steps": 4,
}
TINY_MODELS = ["wan-i2v-a14b-high", "wan-i2v-a14b-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result(length=29)
