"""Wan 2.1 Fun V1.1 Control-Camera: an image and a camera path of two joined moves."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.1_Fun_Camera"
TITLE = "Wan 2.1 Fun Control-Camera: an image and a camera path"
DESCRIPTION = (
    "The camera pans with a zoom, then turns; the picture of the path shows both moves from above and from the side."
)
HOW_TO = f"""Choose an image, set the moves and their speed. The lengths of both paths add up to the length of the video.

{wan.CLIP_NOTE}

{wan.ENCODER_NOTE}"""

FILE = "wan2.1_fun_camera_v1.1_1.3B_bf16.safetensors"
STRAIGHT = {"pitch": 0.0, "yaw": 0.0, "roll": 0.0}


def build(g: Graph) -> None:
    model, vae = wan.load_model(g, "model", FILE, 5.0), wan.load_vae(g)
    positive, negative = wan.write_prompts(g, "A quiet mountain village in the evening, smoke rises from the chimneys.")
    image = wan.load_image(g, "image", "village.png")
    first = g.node(
        "OnerWanCameraPath",
        "first_move",
        move="Pan Left",
        move_2="Zoom In",
        move_3="Static",
        speed=0.6,
        length=41,
        easing="ease in-out",
        **STRAIGHT,
    )
    path = g.node(
        "OnerWanCameraPath",
        "second_move",
        move="Static",
        move_2="Static",
        move_3="Static",
        speed=1.0,
        length=40,
        easing="ease out",
        continue_from=first.out(0),
        **STRAIGHT | {"yaw": 20.0},
    )
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
    g.node("PreviewImage", "picture", title="Picture of the path", images=embedding.out(1))
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
        start_image=image.out(0),
        camera=embedding.out(0),
        clip_vision_output=wan.image_features(g, image.out(0)),
        **wan.CONDITIONING,
    )
    guider = wan.cfg_guider(g, model.out(0), conditioning.out(0), conditioning.out(1), 6.0)
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=50, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.1-fun-camera")


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Image": ["image", *wan.CLIP],
    "Camera": ["first_move", "second_move", "camera", "picture"],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model.unet_name": wan.file_of(wan.REPACKAGED_21, "diffusion_models", FILE),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_21, "vae", wan.VAE_21),
    "clip_vision.clip_name": wan.file_of(wan.REPACKAGED_21, "clip_vision", wan.CLIP_VISION),
}
INPUTS = {"image.image": wan.PICTURE}
TINY = {
    "model.unet_name": "tiny-wan-2.1-fun-camera-1.3b.safetensors",
    "sigmas.steps": 2,
    "first_move.length": 5,
    "second_move.length": 4,
    "camera.width": 64,
    "camera.height": 64,
    "camera.length": 9,
    **wan.TINY_FILES,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-camera", *wan.TINY_BASE]
TINY_WITHOUT = wan.CLIP  # see image_features
TINY_RESULT = wan.tiny_result()
