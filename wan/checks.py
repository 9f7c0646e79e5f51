"""What nodes of every Wan generation refuse before any work: VAEs and models of other families."""

from __future__ import annotations

from typing import Any

from ..samplers.fitting import need_fitting_prompts, text_widths

VAES = {16: "the Wan 2.1 VAE", 48: "the Wan 2.2 VAE"}


def need_vae(vae: Any, channels: int, model: str) -> None:
    """Raise ValueError unless a VAE makes video latents of `channels` channels, as `model` needs."""
    if vae.latent_dim != 3 or vae.latent_channels != channels:
        raise ValueError(
            f"the VAE has {vae.latent_channels} latent channels; {model} needs {channels}: load {VAES[channels]}"
        )


def need_wan(model: Any, name: str) -> None:
    """Raise ValueError unless a MODEL holds a Wan network; `name` is the input it came through."""
    if not hasattr(model.model.diffusion_model, "patch_embedding"):
        raise ValueError(f"{name} is {type(model.model).__name__}; this node needs a Wan model: load one")


def need_prompts(model: Any, **prompts: list) -> None:
    """Raise ValueError unless CONDITIONINGs are as wide as the model's text embedding reads."""
    need_fitting_prompts(prompts, text_widths(model.model.diffusion_model), f"this {type(model.model).__name__}")


def need_sampled_prompts(model: Any, _shapes: list, _mask: Any, **prompts: list) -> None:
    """The same at the start of a run."""
    need_prompts(model, **prompts)
