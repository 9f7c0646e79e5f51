"""Wan VACE: two control videos, two subjects and a background in one composition."""

from harness.media import Clip

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_VACE_Dual_Control_and_References"
TITLE = "Wan VACE: two controls, two subjects and a background"
DESCRIPTION = (
    "Pose and depth steer together at half strength each; the subjects are shown whole on white, the background fills."
)
HOW_TO = f"""Disconnect what you do not need: every picture and video is optional. **Guide** shows what VACE sees.

{wan.ENCODER_NOTE}"""

FILE = "wan2.1_vace_14B_fp16.safetensors"


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 16.0), wan.load_vae(g)
    positive, negative = wan.write_prompts(g, "A woman with a red suitcase walks through a bright railway station.")
    pose = wan.load_frames(g, "pose", "pose.mp4")
    depth = wan.load_frames(g, "depth", "depth.mp4")
    subjects = [wan.load_image(g, f"subject_{n}", f"subject_{n}.png") for n in (1, 2)]
    background = wan.load_image(g, "background", "station.png")
    composed = g.node(
        "OnerWanVACEComposer",
        "conditioning",
        title="Compose",
        model=model.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=832,
        height=480,
        length=81,
        control_video=pose.out(0),
        control_video_2=depth.out(0),
        reference_1=subjects[0].out(0),
        reference_2=subjects[1].out(0),
        background=background.out(0),
        **wan.VACE | {"strength": 0.5},
    )
    g.node("PreviewImage", "guide", images=composed.out(4))
    guider = wan.cfg_guider(g, model.out(0), composed.out(0), composed.out(1), 5.0)
    sampled = wan.sample(g, guider.out(0), composed.out(2), steps=40, shift=16.0, schedule="dpmpp")
    trimmed = g.node(
        "TrimVideoLatent", "trim", title="Cut the references", samples=sampled.out(0), trim_amount=composed.out(3)
    )
    wan.save(g, trimmed.out(0), vae, "wan-vace-control")


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Controls and references": ["pose", "pose_frames", "depth", "depth_frames", "subject_1", "subject_2", "background"],
    "Compose": ["conditioning", "guide"],
    "Sampling": ["guider", *wan.SAMPLING],
    "Video": ["trim", *wan.VIDEO],
}
MODELS = {
    "model.unet_name": wan.file_of(wan.REPACKAGED_21, "diffusion_models", FILE),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_21, "vae", wan.VAE_21),
}
INPUTS = {
    "pose.file": wan.control_clip(),
    "depth.file": wan.control_clip(),
    "subject_1.image": Clip(32, 64),
    "subject_2.image": Clip(64, 32),
    "background.image": wan.PICTURE,
}
TINY = {"model.unet_name": "tiny-wan-2.1-vace-1.3b.safetensors", "sigmas.steps": 4, **wan.TINY_FILES, **wan.TINY_SIZE}
TINY_MODELS = ["wan-vace", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
