"""Wan 2.2 Fun 5B Control-Camera: an image and a camera path at 24 frames a second. VideoX-Fun: Flow, shift 5, CFG 6."""

from . import wan_parts as wan
from .builder import Graph, Model

NAME = "Wan_2.2_5B_Fun_Camera"
TITLE = "Wan 2.2 Fun 5B Control-Camera: image and camera path"
DESCRIPTION = "The camera moves into the picture and turns. ComfyUI's own loader does not know this model; the 5B camera loader does."
HOW_TO = f"""Choose an image, set the moves and their speed; **Picture of the path** shows them. The size must be a multiple of
32 and the same in **Embedding** and **Conditioning**. The first frame is pinned: sample the latent of **Conditioning**.

The model file has this name in its
[repository](https://huggingface.co/alibaba-pai/Wan2.2-Fun-5B-Control-Camera); better save it under one that tells what it is.

{wan.ENCODER_NOTE}"""

FILE = "diffusion_pytorch_model.safetensors"
LINK = f"https://huggingface.co/alibaba-pai/Wan2.2-Fun-5B-Control-Camera/resolve/main/{FILE}"


def build(g: Graph) -> None:
    loaded = g.node("OnerWan5BCameraLoader", "model", title="5B camera model", unet_name=FILE, weight_dtype="default")
    model = g.node("ModelSamplingSD3", "model_shift", title="Shift", model=loaded.out(0), shift=5.0)
    vae = wan.load_vae(g, wan.VAE_22)
    positive, negative = wan.write_prompts(g, "An old lighthouse on a cliff in the evening sun, waves break below.")
    image = wan.load_image(g, "image", "lighthouse.png")
    path = g.node(
        "OnerWanCameraPath",
        "move",
        title="Move",
        move="Zoom In",
        move_2="Static",
        move_3="Static",
        speed=0.5,
        length=121,
        easing="ease in-out",
        pitch=0.0,
        yaw=15.0,
        roll=0.0,
    )
    embedding = g.node(
        "OnerWanCameraEmbedding",
        "camera",
        title="Embedding",
        path=path.out(0),
        width=1280,
        height=704,
        length=121,
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
        width=1280,
        height=704,
        length=121,
        start_image=image.out(0),
        camera=embedding.out(0),
        **wan.CONDITIONING,
    )
    guider = wan.cfg_guider(g, model.out(0), conditioning.out(0), conditioning.out(1), 6.0)
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=50, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.2-5b-fun-camera", fps=24)


GROUPS = {
    "Models": ["model", "model_shift", "vae"],
    "Prompt": wan.TEXT,
    "Image": ["image"],
    "Camera": ["move", "camera", "picture"],
    "Sampling": ["conditioning", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model.unet_name": Model(LINK, "diffusion_models"),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_22, "vae", wan.VAE_22),
}
INPUTS = {"image.image": wan.PICTURE}
TINY = {
    "model.unet_name": "tiny-wan-2.2-fun-camera-5b.safetensors",
    "sigmas.steps": 3,
    "move.length": 9,
    "camera.width": 64,
    "camera.height": 64,
    "camera.length": 9,
    **wan.TINY_FILES_5B,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-camera-5b", *wan.TINY_BASE_5B]
TINY_RESULT = wan.tiny_result(fps=24)
