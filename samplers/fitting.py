"""Whether a latent and prompts fit a model, asked before sampling starts: core would fail inside it, without names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def need_fitting_latent(model: Any, latent: Any) -> None:
    """Raise ValueError unless a latent is one that the model (a BaseModel) makes: with sound for LTX-2 alone."""
    parts = list(latent.unbind()) if getattr(latent, "is_nested", False) else [latent]
    form, shape = model.latent_format, tuple(parts[0].shape)
    if len(parts) > 1 and not hasattr(model.diffusion_model, "audio_patchify_proj"):
        raise ValueError(
            f"the latent holds {len(parts)} parts, and {type(model).__name__} makes video alone: separate video and "
            "audio, and connect the video"
        )
    if len(shape) != form.latent_dimensions + 2 or shape[1] != form.latent_channels:
        raise ValueError(
            f"the latent has shape {shape}; {type(model).__name__} makes {form.latent_dimensions + 2} dimensions with "
            f"{form.latent_channels} channels: connect an empty or encoded latent of this model"
        )


def need_fitting_prompts(prompts: dict[str, list], widths: set[int], model: str) -> None:
    """Raise ValueError unless each prompt's text [B, tokens, width] has one of `widths`."""
    for name, prompt in prompts.items():
        for encoded, _ in prompt:
            if encoded.ndim != 3 or not encoded.numel():
                raise ValueError(
                    f"{name} has shape {tuple(encoded.shape)}, no encoded text: connect a text encoder's output"
                )
            if encoded.shape[-1] not in widths:
                wanted = " or ".join(map(str, sorted(widths)))
                raise ValueError(
                    f"{name} has texts {encoded.shape[-1]} wide, {model} reads {wanted}: encode it with the text "
                    "encoder, and for LTX-2 the projection, of this very model"
                )


def input_width(module: Any) -> int | None:
    """The width that the first matrix of a module reads; None without one."""
    weights: list[Tensor] = (
        [p for p in module.parameters() if p.ndim == 2] if isinstance(module, torch.nn.Module) else []
    )
    return weights[0].shape[1] if weights else None
