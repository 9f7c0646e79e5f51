"""What is trained, in order, with seed and budget: the one table behind `make pocket` and the model card."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One file of the set. seconds is process CPU time of one thread."""

    module: str  # scripts/pocket/<module>.py holds train(seconds, seed, folder)
    file: str
    seconds: float
    seed: int = 0
    needs: tuple[str, ...] = ()
    dtype: str = "float16"


RECIPES = {
    "text": Recipe("text", "text_encoders", 0),
    "ltx-vae": Recipe("ltx_vae", "vae/pocket_ltx_vae.safetensors", 1250),
    "wan-vae": Recipe("wan_vae", "vae/pocket_wan_vae.safetensors", 450),
    "ltx": Recipe("ltx_dit", "diffusion_models/pocket_ltx.safetensors", 1500, needs=("ltx-vae",)),
    "wan": Recipe("wan_dit", "diffusion_models/pocket_wan.safetensors", 1500, needs=("wan-vae",)),
    "wan-fun": Recipe("wan_fun", "diffusion_models/pocket_wan_fun_control.safetensors", 600, needs=("wan-vae", "wan")),
    "wan-style": Recipe("wan_style", "loras/pocket_wan_outlined.safetensors", 200, needs=("wan-vae", "wan")),
    "ltx-style": Recipe("ltx_style", "loras/pocket_ltx_outlined.safetensors", 200, needs=("ltx-vae", "ltx")),
    "ltx-ic": Recipe("ltx_ic", "loras/pocket_ltx_ic_depth.safetensors", 400, needs=("ltx-vae", "ltx")),
    "ltx-upsampler": Recipe(
        "ltx_upsampler", "latent_upscale_models/pocket_ltx_upsampler_x2.safetensors", 900, needs=("ltx-vae",)
    ),
    "ltx2-audio": Recipe("audio", "checkpoints/pocket_ltx23.safetensors", 500),
    "ltx2": Recipe("ltx2_av", "checkpoints/pocket_ltx23.safetensors", 1800, needs=("ltx-vae", "ltx", "ltx2-audio")),
    "wan-causal": Recipe("wan_causal", "diffusion_models/pocket_wan_causal.safetensors", 900, needs=("wan-vae", "wan")),
}
