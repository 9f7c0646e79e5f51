"""Wan 2.2 from an accelerator recipe: one node sets steps, phases, CFG and the LoRA schedule; here from WanGP's format."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_Accelerator_Recipe"
TITLE = "Wan 2.2 from a recipe: three phases, imported from WanGP"
DESCRIPTION = (
    "One node sets what an accelerator wants: steps, noise levels, CFG and LoRAs of each phase. The first step runs at "
    "CFG 3.5 without LoRA, which brings motion back."
)
HOW_TO = f"""Choose a recipe in **Recipe**, or import one: **WanGP import** reads a profile, a settings file, or a video that
WanGP made. Disconnect it to use the chosen recipe. A missing LoRA is named with the place to get it.

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"
PROFILE = """{
 "num_inference_steps": 8, "guidance_phases": 3, "guidance_scale": 3.5, "guidance2_scale": 1, "guidance3_scale": 1,
 "switch_threshold": 965, "switch_threshold2": 800, "model_switch_phase": 2, "flow_shift": 3, "sample_solver": "euler",
 "activated_loras": ["wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors",
  "wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise.safetensors"],
 "loras_multipliers": "0;1;0 0;0;1"
}"""


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    high = wan.load_model(g, "model_high", HIGH, 3.0, title="High-noise expert")
    low = wan.load_model(g, "model_low", LOW, 3.0, title="Low-noise expert")
    positive, negative = wan.write_prompts(g, "A train crosses a stone viaduct in the fog, the camera rises.")
    imported = g.node("OnerWanGPImport", "import", title="WanGP import", file="none", text=PROFILE)
    recipe = g.node(
        "OnerWanRecipe",
        "recipe",
        model=high.out(0),
        model_low=low.out(0),
        positive=positive.out(0),
        negative=negative.out(0),
        recipe="2.2 text to video, Lightning, 4 steps",
        lora_strength=1.0,
        recipe_json=imported.out(0),
    )
    latent = g.node(
        "EmptyHunyuanLatentVideo", "latent", title="Size and length", width=832, height=480, length=81, batch_size=1
    )
    sampled = g.node(
        "SamplerCustomAdvanced",
        "sample",
        noise=g.node("RandomNoise", "noise", noise_seed=43).out(0),
        guider=recipe.out(0),
        sampler=recipe.out(1),
        sigmas=recipe.out(2),
        latent_image=latent.out(0),
    )
    wan.save(g, sampled.out(0), vae, "wan-2.2-recipe")


GROUPS = {
    "Models": [*wan.EXPERTS, "vae"],
    "Prompt": wan.TEXT,
    "Recipe": ["import", "recipe"],
    "Sampling": ["latent", "noise", "sample"],
    "Video": wan.VIDEO,
}
MODELS = {
    "model_high.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", HIGH),
    "model_low.unet_name": wan.file_of(wan.REPACKAGED_22, "diffusion_models", LOW),
    "vae.vae_name": wan.file_of(wan.REPACKAGED_22, "vae", wan.VAE_21),
}
TINY = {
    **wan.tiny_experts("t2v-a14b"),
    "import.text": PROFILE.replace("wan2.2_t2v_lightx2v_4steps_lora_v1.1_", "tiny-wan-2.2-lora-").replace(
        "_noise", "-noise"
    ),
    "latent.width": 64,
    "latent.height": 64,
    "latent.length": 9,
    **wan.TINY_FILES,
}
TINY_MODELS = ["wan-t2v-a14b-high", "wan-t2v-a14b-low", "lora-wan-high", "lora-wan-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
