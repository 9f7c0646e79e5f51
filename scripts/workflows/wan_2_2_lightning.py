"""Wan 2.2 text to video in 4 steps: a Lightning LoRA pair on a schedule, one guider run at CFG 1."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_Lightning_4_Steps"
TITLE = "Wan 2.2 in 4 steps: a LoRA pair on a schedule"
DESCRIPTION = "Both LoRAs sit on both experts; their multipliers switch each on in its own phase only. At CFG 1 a step is one forward."
HOW_TO = f"""Multipliers are `1;0` for the high-noise file and `0;1` for the low-noise one. **Phases** says for both LoRA nodes and
**Guider** where the experts change. For more motion set it to three phases, thresholds 0.965 and 0.8 and the low-noise expert
from phase 3, with CFG 3.5, 1, 1, 8 steps and multipliers `0;1;0` and `0;0;1`.

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"
LORA_HIGH = "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors"
LORA_LOW = "wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise.safetensors"


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    models = [
        wan.load_model(g, "model_high", HIGH, 3.0, title="High-noise expert").out(0),
        wan.load_model(g, "model_low", LOW, 3.0, title="Low-noise expert").out(0),
    ]
    plan = g.node("OnerWanPhasePlan", "phases", **wan.PHASES | {"threshold_1": 0.876})
    for name, file, multiplier in (("high", LORA_HIGH, "1;0"), ("low", LORA_LOW, "0;1")):
        scheduled = g.node(
            "OnerLoraSchedule",
            f"lora_{name}",
            title=f"LoRA for {name} noise",
            model=models[0],
            model_low=models[1],
            lora_name=file,
            multiplier=multiplier,
            scale_without_alpha=1.0,
            plan=plan.out(0),
            **wan.PHASES,
        )
        models = [scheduled.out(0), scheduled.out(1)]
    positive, negative = wan.write_prompts(g, "A fox runs along a snowy ridge, powder flies, low sun.")
    latent = g.node(
        "EmptyHunyuanLatentVideo", "latent", title="Size and length", width=832, height=480, length=81, batch_size=1
    )
    guider = wan.guide_experts(g, models, positive.out(0), negative.out(0), (1.0, 1.0), plan=plan.out(0), **wan.PHASES)
    sampled = wan.sample(g, guider, latent.out(0), steps=4, shift=3.0, schedule="dpmpp", solver="euler")
    wan.save(g, sampled.out(0), vae, "wan-2.2-lightning")


GROUPS = {
    "Models": ["model_high", "model_high_shift", "model_low", "model_low_shift", "vae"],
    "LoRA schedule": ["phases", "lora_high", "lora_low"],
    "Prompt": wan.TEXT,
    "Sampling": ["latent", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = {
    "model_high.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", HIGH),
    "model_low.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", LOW),
    "lora_high.lora_name": wan.file_of(wan.REPACKAGED_22, "loras", LORA_HIGH),
    "lora_low.lora_name": wan.file_of(wan.REPACKAGED_22, "loras", LORA_LOW),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_22, "vae", wan.VAE_21),
}
TINY = {
    **wan.tiny_experts("t2v-a14b"),
    "lora_high.lora_name": "tiny-wan-2.2-lora-high-noise.safetensors",
    "lora_low.lora_name": "tiny-wan-2.2-lora-low-noise.safetensors",
    "latent.width": 64,
    "latent.height": 64,
    "latent.length": 9,
    **wan.TINY_FILES,
}
TINY_MODELS = ["wan-t2v-a14b-high", "wan-t2v-a14b-low", "lora-wan-high", "lora-wan-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
