"""Wan 2.2 Fun A14B Control-Camera: an image and a camera path from a pose file, both experts in one run."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_Fun_Camera_from_File"
TITLE = "Wan 2.2 Fun Control-Camera: a camera path from a file"
DESCRIPTION = "The camera follows the poses of a file (world-to-camera matrices), spread over the video."
HOW_TO = f"""Paste the text of a pose file or JSON matrices into **Poses**, or choose a file of the input folder there. To make a path from moves instead, replace it
by *Wan Camera Path*.

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_fun_camera_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_fun_camera_low_noise_14B_fp8_scaled.safetensors"
POSES = "[[[1,0,0,0],[0,1,0,0],[0,0,1,0]],[[1,0,0,0.4],[0,1,0,0],[0,0,1,-0.8]],[[1,0,0,0.4],[0,1,0,0.2],[0,0,1,-1.6]]]"


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    high = wan.load_model(g, "model_high", HIGH, 5.0, title="High-noise expert")
    low = wan.load_model(g, "model_low", LOW, 5.0, title="Low-noise expert")
    positive, negative = wan.write_prompts(
        g, "A long hall of columns, dust in the light that falls through the windows."
    )
    image = wan.load_image(g, "image", "hall.png")
    path = g.node("OnerWanCameraPathFromText", "poses", text=POSES, length=81, file="none")
    embedding = g.node(
        "OnerWanCameraEmbedding",
        "camera",
        path=path.out(0),
        width=832,
        height=480,
        length=81,
        stretch=False,
        fx=0.0,
        fy=0.0,
    )
    conditioning = g.node(
        "OnerWanFunConditioning",
        "conditioning",
        model=high.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=832,
        height=480,
        length=81,
        start_image=image.out(0),
        camera=embedding.out(0),
        **wan.CONDITIONING,
    )
    guider = g.node(
        "OnerWanExpertsGuider",
        "guider",
        model_high=high.out(0),
        model_low=low.out(0),
        positive=conditioning.out(0),
        negative=conditioning.out(1),
        phases=2,
        cfg_1=6.0,
        cfg_2=6.0,
        **wan.GUIDER,
    )
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=50, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.2-fun-camera")


GROUPS = {
    "Models": ["model_high", "model_high_shift", "model_low", "model_low_shift", "vae"],
    "Prompt": wan.TEXT,
    "Image and camera": ["image", "poses", "camera"],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model_high.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", HIGH),
    "model_low.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", LOW),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_22, "vae", wan.VAE_21),
}
INPUTS = {"image.image": wan.PICTURE}
TINY = {
    **wan.tiny_experts("fun-camera-a14b"),
    "poses.length": 9,
    "camera.width": 64,
    "camera.height": 64,
    "camera.length": 9,
    "sigmas.steps": 4,
    **wan.TINY_FILES,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-camera-a14b-high", "wan-camera-a14b-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
