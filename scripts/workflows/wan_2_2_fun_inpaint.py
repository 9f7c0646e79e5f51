"""Wan 2.2 Fun A14B InP: both experts in one run with the flow UniPC solver, longer than trained with RIFLEx."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_Fun_Image_to_Video_Experts"
TITLE = "Wan 2.2 Fun InP: image to video with both experts in one run"
DESCRIPTION = (
    "One sampler run over the high- and the low-noise expert, split where they were trained to be split, with their "
    "own CFG. RIFLEx keeps the 121 frames from looping."
)
HOW_TO = f"""Choose a start image and write what happens. **Motion amplitude** gives more movement; 1.0 is off. For 81
frames and less bypass both **RIFLEx** nodes. For two samplers instead of one guider use *Split Sigmas at Boundary*.

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_fun_inpaint_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_fun_inpaint_low_noise_14B_fp8_scaled.safetensors"


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    high, low = (
        g.node(
            "OnerWanRIFLEx",
            f"riflex_{name}",
            title=f"RIFLEx {name}",
            length=121,
            k=6,
            divisor="VideoX-Fun",
            model=wan.load_model(g, f"model_{name}", file, 5.0, title=f"{name.capitalize()}-noise expert").out(0),
        )
        for name, file in (("high", HIGH), ("low", LOW))
    )
    positive, negative = wan.write_prompts(g, "The old ferry leaves the pier, gulls circle, the camera stays on deck.")
    image = wan.load_image(g, "image", "ferry.png")
    conditioning = g.node(
        "OnerWanFunConditioning",
        "conditioning",
        model=high.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        vae=vae.out(0),
        width=832,
        height=480,
        length=121,
        start_image=image.out(0),
        **wan.CONDITIONING,
    )
    motion = g.node(
        "OnerWanMotionAmplitude",
        "motion",
        title="Motion amplitude",
        model=high.out(0),
        positive=conditioning.out(0),
        negative=conditioning.out(1),
        amplitude=1.1,
    )
    guider = g.node(
        "OnerWanExpertsGuider",
        "guider",
        model_high=high.out(0),
        model_low=low.out(0),
        positive=motion.out(0),
        negative=motion.out(1),
        phases=2,
        cfg_1=3.5,
        cfg_2=3.5,
        **wan.GUIDER,
    )
    sampled = wan.sample(g, guider.out(0), conditioning.out(2), steps=40, shift=5.0, schedule="unipc")
    wan.save(g, sampled.out(0), vae, "wan-2.2-fun-image-to-video")


GROUPS = {
    "Models": ["model_high", "model_high_shift", "riflex_high", "model_low", "model_low_shift", "riflex_low", "vae"],
    "Prompt and image": [*wan.TEXT, "image"],
    "Sampling": ["conditioning", "motion", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model_high.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", HIGH),
    "model_low.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", LOW),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_22, "vae", wan.VAE_21),
}
INPUTS = {"image.image": wan.PICTURE}
TINY = {
    "model_high.unet_name": "tiny-wan-2.2-i2v-a14b-high-noise.safetensors",
    "model_low.unet_name": "tiny-wan-2.2-i2v-a14b-low-noise.safetensors",
    # the tiny models have heads of 24, so 4 frequencies in time
    "riflex_high.k": 2,
    "riflex_low.k": 2,
    "riflex_high.length": 9,
    "riflex_low.length": 9,
    "sigmas.steps": 6,
    **wan.TINY_FILES,
    **wan.TINY_SIZE,
}
TINY_MODELS = ["wan-i2v-a14b-high", "wan-i2v-a14b-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
