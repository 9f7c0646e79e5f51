"""Wan VACE over a video of any length: each window has its own part of the control video."""

from . import wan_parts as wan
from . import windows
from .builder import Graph

NAME = "Wan_VACE_Long_Edit"
TITLE = "Wan VACE: a long video edited window by window"
DESCRIPTION = (
    "A control video of any length, read from its file as it is needed. Windows keep the end of the one before as "
    "frames that VACE was trained to keep, and a reference image holds the subject."
)
HOW_TO = f"""Load a **Control video** (pose, depth, edges) and set `length` of **Window plan** to its length. `[/ref=1]` gives a
window the first reference image; with `mask_video` of **Window inputs** only what is white is made anew.

{windows.NOTE}

{wan.ENCODER_NOTE}"""

FILE = "wan2.1_vace_14B_fp16.safetensors"
PROMPTS = """0s: [/ref=1] a woman in a red coat walks through a market hall in the morning
10s: [/ref=1] the woman in the red coat leaves the hall, it rains in the street
20s: [/ref=1] the woman in the red coat waits at a tram stop, lights are reflected in the wet asphalt"""


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 16.0), wan.load_vae(g)
    positive, negative = wan.write_prompts(g, "a woman in a red coat")
    control = g.node("LoadVideo", "control", title="Control video", file="pose.mp4", **{"video-preview": ""})
    reference = wan.load_image(g, "reference", "subject_1.png")
    guider = wan.cfg_guider(g, model.out(0), positive.out(0), negative.out(0), 5.0)
    plan = windows.plan(g, PROMPTS, "30s", fps=16.0, grid="vace", window=81, overlap=9)
    inputs = g.node(
        "OnerWindowInputs", "inputs", title="Window inputs", control_video=control.out(0), ref_images=reference.out(0)
    )
    windows.sample(
        g,
        "wan-vace-long-edit",
        832,
        480,
        noise=g.node("RandomNoise", "noise", noise_seed=43).out(0),
        guider=guider.out(0),
        sampler=g.node("OnerFlowSampler", "sampler", solver="flow DPM++ 2M", restart_below=0.0).out(0),
        sigmas=g.node("OnerWanScheduler", "sigmas", schedule="dpmpp", steps=40, shift=16.0, denoise=1.0).out(0),
        plan=plan.out(0),
        vae=vae.out(0),
        clip=g.nodes["text_encoder"].out(0),
        inputs=inputs.out(0),
        drift=windows.drift(g).out(0),
    )


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt, video and image": [*wan.TEXT, "control", "reference"],
    "Plan": ["plan", "inputs", "drift"],
    "Film": ["noise", "guider", "sampler", "sigmas", "film"],
}
MODELS = {
    "model.unet_name": wan.file_of(wan.REPACKAGED_21, "diffusion_models", FILE),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_21, "vae", wan.VAE_21),
}
INPUTS = {"control.file": wan.control_clip(), "reference.image": wan.PICTURE}
TINY = {
    "model.unet_name": "tiny-wan-2.1-vace-1.3b.safetensors",
    "sigmas.steps": 2,
    "plan.prompts": "0s: [/ref=1] a cat",
    "plan.length": "25",
    "plan.window": 17,
    **windows.TINY,
    **wan.TINY_FILES,
}
TINY_MODELS = ["wan-vace", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result(length=25)
