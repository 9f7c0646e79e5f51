"""Wan 2.2 video to video by denoise, with two samplers and a LoRA pair merged onto the experts."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_Video_to_Video"
TITLE = "Wan 2.2 video to video"
DESCRIPTION = (
    "A source video is noised to a part of the schedule and sampled anew. Two samplers, split where the experts "
    "change; a LoRA of any key style on each expert."
)
HOW_TO = f"""`denoise` of **Sigmas** says how much is made anew: 0.9 keeps the rough shapes, 0.5 most of the video. At low
values no step is left for the high-noise expert, and its sampler passes the noised video through.

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"
LORA_HIGH = "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors"
LORA_LOW = "wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise.safetensors"


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    high = wan.load_model(g, "model_high", HIGH, 5.0, title="High-noise expert")
    low = wan.load_model(g, "model_low", LOW, 5.0, title="Low-noise expert")
    loaded = g.node(
        "OnerWanLoraLoader",
        "lora",
        title="LoRA pair",
        model=high.out(0),
        model_low=low.out(0),
        lora_name=LORA_HIGH,
        strength=1.0,
        lora_low_name=LORA_LOW,
        strength_low=1.0,
        scale_without_alpha=1.0,
    )
    positive, negative = wan.write_prompts(g, "The same street as a watercolour, wet paper, soft edges.")
    source = wan.load_frames(g, "source", "street.mp4", title="Video")
    latent = g.node("VAEEncode", "encode", pixels=source.out(0), vae=vae.out(0))
    sigmas = g.node("OnerWanScheduler", "sigmas", schedule="dpmpp", steps=6, shift=5.0, denoise=0.8)
    halves = g.node("OnerSplitSigmasAtBoundary", "split", sigmas=sigmas.out(0), boundary=0.875)
    sampler = g.node("KSamplerSelect", "sampler", sampler_name="euler")
    guiders = [
        g.node(
            "CFGGuider",
            f"guider_{name}",
            model=loaded.out(number),
            positive=positive.out(0),
            negative=negative.out(0),
            cfg=1.0,
        )
        for number, name in enumerate(("high", "low"))
    ]
    first = g.node(
        "SamplerCustomAdvanced",
        "sample_high",
        noise=g.node("RandomNoise", "noise", noise_seed=43).out(0),
        guider=guiders[0].out(0),
        sampler=sampler.out(0),
        sigmas=halves.out(0),
        latent_image=latent.out(0),
    )
    second = g.node(
        "SamplerCustomAdvanced",
        "sample_low",
        noise=g.node("DisableNoise", "no_noise").out(0),
        guider=guiders[1].out(0),
        sampler=sampler.out(0),
        sigmas=halves.out(1),
        latent_image=first.out(0),
    )
    wan.save(g, second.out(0), vae, "wan-2.2-video-to-video")


GROUPS = {
    "Models": ["model_high", "model_high_shift", "model_low", "model_low_shift", "lora", "vae"],
    "Prompt": wan.TEXT,
    "Source": ["source", "source_frames", "encode"],
    "Sampling": [
        "sigmas",
        "split",
        "sampler",
        "noise",
        "guider_high",
        "sample_high",
        "no_noise",
        "guider_low",
        "sample_low",
    ],
    "Video": wan.VIDEO,
}
MODELS = {
    "model_high.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", HIGH),
    "model_low.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", LOW),
    "lora.lora_name": wan.file_of(wan.REPACKAGED_22, "loras", LORA_HIGH),
    "lora.lora_low_name": wan.file_of(wan.REPACKAGED_22, "loras", LORA_LOW),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_22, "vae", wan.VAE_21),
}
INPUTS = {"source.file": wan.control_clip()}
TINY = {
    **wan.tiny_experts("t2v-a14b"),
    "lora.lora_name": "tiny-wan-2.2-lora-high-noise.safetensors",
    "lora.lora_low_name": "tiny-wan-2.2-lora-low-noise.safetensors",
    **wan.TINY_FILES,
}
TINY_MODELS = ["wan-t2v-a14b-high", "wan-t2v-a14b-low", "lora-wan-high", "lora-wan-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result(width=96)  # the size of the source
