"""Wan 2.2 text to video in 8 steps and three phases: real CFG first, then a 4-step LoRA pair, each half in its own phase.

The recipe is WanGP's: thresholds 0.965 and 0.8, CFG 3.5, 1, 1, shift 3, multipliers 0;1;0 and 0;0;1.
"""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_LoRA_Schedule_3_Phases"
TITLE = "Wan 2.2 in 8 steps: a LoRA schedule over three phases"
DESCRIPTION = (
    "The first steps run without a LoRA at a real CFG, which decides motion and layout; then the 4-step LoRA of each "
    "expert finishes at CFG 1. Strengths change while the model runs, its weights stay as they are."
)
HOW_TO = f"""A multiplier gives strengths by phase (`;`), by step (`,`) and by prompt (`:`): `0;1;0` is on in phase 2 only,
`0,0.5;1` is half on from the middle of phase 1. **Strengths** lists what each step gets. Set the number of phases, thresholds
and the phase of the low-noise expert in **Phases**; both LoRA nodes and **Guider** follow, with these widgets at their defaults.

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"
LORA_HIGH = "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors"
LORA_LOW = "wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise.safetensors"


def build(g: Graph) -> None:
    models, vae = wan.load_experts(g, HIGH, LOW, 3.0), wan.load_vae(g)
    plan = g.node("OnerWanPhasePlan", "phases", phases=3, threshold_1=0.965, threshold_2=0.8, low_from="phase 3")
    g.node("PreviewAny", "phases_in_words", source=plan.out(1))
    for name, file, multiplier in (("high", LORA_HIGH, "0;1;0"), ("low", LORA_LOW, "0;0;1")):
        scheduled = g.node(
            "OnerLoraSchedule",
            f"lora_{name}",
            title=f"LoRA for {name} noise",
            model=models[0],
            model_low=models[1],
            lora_name=file,
            multiplier=multiplier,
            scale_without_alpha=1.0,
            sigmas=["sigmas", 0],
            plan=plan.out(0),
            **wan.PHASES,
        )
        g.node("PreviewAny", f"strengths_{name}", title="Strengths", source=scheduled.out(2))
        models = [scheduled.out(0), scheduled.out(1)]
    positive, negative = wan.write_prompts(g, "A fox runs along a snowy ridge, powder flies, low sun.")
    latent = g.node(
        "EmptyHunyuanLatentVideo", "latent", title="Size and length", width=832, height=480, length=81, batch_size=1
    )
    guider = wan.guide_experts(
        g, models, positive.out(0), negative.out(0), (3.5, 1.0, 1.0), plan=plan.out(0), **wan.PHASES
    )
    sampled = wan.sample(g, guider, latent.out(0), steps=8, shift=3.0, schedule="dpmpp", solver="euler")
    wan.save(g, sampled.out(0), vae, "wan-2.2-lora-schedule")


GROUPS = {
    "Models": [*wan.EXPERTS, "vae"],
    "Phases": ["phases", "phases_in_words"],
    "LoRA schedule": ["sigmas", "lora_high", "strengths_high", "lora_low", "strengths_low"],
    "Prompt": wan.TEXT,
    "Sampling": ["latent", "guider", *(id for id in wan.SAMPLING if id != "sigmas")],
    "Video": wan.VIDEO,
}
MODELS = {
    **wan.expert_files(HIGH, LOW),
    "lora_high.lora_name": wan.file_of(wan.REPACKAGED_22, "loras", LORA_HIGH),
    "lora_low.lora_name": wan.file_of(wan.REPACKAGED_22, "loras", LORA_LOW),
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
