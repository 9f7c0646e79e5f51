"""Wan 2.1 Fun Control: the edges of a video as its skeleton. Reference: VideoX-Fun predict_v2v_control, shift 5, CFG 6."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.1_Fun_Control_from_Edges"
TITLE = "Wan 2.1 Fun Control: a new video along the edges of another"
DESCRIPTION = "Lines found in a video say how everything moves; the prompt says what it is."
HOW_TO = f"""Choose a video and write what it should become. Instead of **Edges** any control video the model knows will do: pose,
depth, straight lines (MLSD), trajectories; one frame for each of the video. `control_strength` of **Conditioning** blends
towards no control.

{wan.NO_CLIP_NOTE}

{wan.ENCODER_NOTE}"""

FILE = "wan2.1_fun_control_1.3B_bf16.safetensors"


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 5.0), wan.load_vae(g)
    positive, negative = wan.write_prompts(g, "A clay figure walks through a town of cardboard, soft studio light.")
    source = wan.load_frames(g, "source", "walk.mp4", title="Video")
    edges = g.node("Canny", "edges", image=source.out(0), low_threshold=0.2, high_threshold=0.5)
    conditioning = g.node(
        "OnerWanFunConditioning",
        "conditioning",
        model=model.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=832,
        height=480,
        length=81,
        control_video=edges.out(0),
        **wan.CONDITIONING,
    )
    guider = wan.cfg_guider(g, model.out(0), conditioning.out(0), conditioning.out(1), 6.0)
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=50, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.1-fun-edges")


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Control video": ["source", "source_frames", "edges"],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model.unet_name": wan.file_of(wan.REPACKAGED_21, "diffusion_models", FILE),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_21, "vae", wan.VAE_21),
}
INPUTS = {"source.file": wan.control_clip()}
TINY = {
    "model.unet_name": "tiny-wan-2.1-fun-control-1.0-1.3b.safetensors",
    "sigmas.steps": 3,
    **wan.TINY_FILES,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-fun-control-1.0", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
