"""Wan 2.2 Fun A14B Control: an image whose things move along drawn lines. Blobs as VideoX-Fun trained them; shift 5, CFG 6."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_Fun_Trajectory"
TITLE = "Wan 2.2 Fun Control: an image moves along drawn lines"
DESCRIPTION = (
    "Each line says where the thing under its first point goes. The points are spread over the video and drawn as the "
    "soft white blobs that the model knows as trajectories."
)
HOW_TO = f"""Choose a start image and write the lines into **Trajectory**: JSON with the points of each line in pixels of the
video, as the spline editor of KJNodes writes them; or connect tracks. **Picture** shows what the model sees.

For the size as trained leave `radius` at 0. To steer a pose at the same time, merge both with *Wan Control Video Merge*.

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_fun_control_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_fun_control_low_noise_14B_fp8_scaled.safetensors"
LINES = """[[{"x": 120, "y": 360}, {"x": 300, "y": 300}, {"x": 460, "y": 320}],
 [{"x": 700, "y": 120}, {"x": 640, "y": 80}]]"""


def build(g: Graph) -> None:
    models, vae = wan.load_experts(g, HIGH, LOW, 5.0), wan.load_vae(g)
    positive, negative = wan.write_prompts(g, "A tin boat crosses a pond towards the reeds, a heron lifts its head.")
    start = wan.load_image(g, "start_image", "start.png")
    trajectory = g.node(
        "OnerWanTrajectoryVideo",
        "trajectory",
        coordinates=LINES,
        width=832,
        height=480,
        length=81,
        radius=0.0,
        profile="gauss",
    )
    g.node("PreviewImage", "picture", images=trajectory.out(0))
    conditioning = g.node(
        "OnerWanFunConditioning",
        "conditioning",
        model=models[0],
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=832,
        height=480,
        length=81,
        start_image=start.out(0),
        control_video=trajectory.out(0),
        **wan.CONDITIONING,
    )
    guider = wan.guide_experts(g, models, conditioning.out(0), conditioning.out(1), (6.0, 6.0))
    sampled = wan.sample(g, guider, conditioning.out(2), steps=50, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.2-fun-trajectory")


GROUPS = {
    "Models": [*wan.EXPERTS, "vae"],
    "Prompt": wan.TEXT,
    "Image and lines": ["start_image", "trajectory", "picture"],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = wan.expert_files(HIGH, LOW)
INPUTS = {"start_image.image": wan.PICTURE}
TINY = {
    **wan.tiny_experts("fun-control-a14b"),
    "trajectory.width": 64,
    "trajectory.height": 64,
    "trajectory.length": 9,
    "trajectory.coordinates": '[{"x": 10, "y": 40}, {"x": 50, "y": 20}]',
    "sigmas.steps": 4,
    **wan.TINY_FILES,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-fun-control-a14b-high", "wan-fun-control-a14b-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
