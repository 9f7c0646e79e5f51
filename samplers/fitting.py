"""Whether a latent and prompts fit a model, asked before sampling starts: core would fail inside it, without names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..utils.core import need

_extension = need("comfy.patcher_extension", "WrappersMP.OUTER_SAMPLE")

KEY = "oner_fitting"


def need_fitting_latent(model: Any, latent: Any) -> None:
    """Raise ValueError unless a latent is one that the model (a BaseModel) makes: with sound for LTX-2 alone."""
    need_fitting_shapes(model, [part.shape for part in latent.unbind()] if latent.is_nested else [latent.shape])


def need_fitting_shapes(model: Any, shapes: list) -> None:
    """The same of the shapes of its parts."""
    form, shape = model.latent_format, tuple(shapes[0])
    if len(shapes) > 1 and not hasattr(model.diffusion_model, "audio_patchify_proj"):
        raise ValueError(
            f"the latent holds {len(shapes)} parts, and {type(model).__name__} makes video alone: separate video and "
            "audio, and connect the video"
        )
    if len(shape) != form.latent_dimensions + 2 or shape[1] != form.latent_channels:
        raise ValueError(
            f"the latent has shape {shape}; {type(model).__name__} makes {form.latent_dimensions + 2} dimensions with "
            f"{form.latent_channels} channels: connect an empty or encoded latent of this model"
        )
    if 0 in shape:
        raise ValueError(f"the latent has shape {shape} and so no content: give it one frame and one pixel at least")


def need_when_sampled(model: Any, need_prompts: Callable) -> None:
    """Let a cloned MODEL check latents and prompts at the start of each run, also in guiders of ComfyUI or other packs.

    `need_prompts(model, shapes, mask, **prompts)` raises ValueError for what does not fit the parts of the latent and
    their mask, which is None where all is made.
    """

    def sample(executor, noise, latent_image, sampler, sigmas, denoise_mask=None, *arguments, **others) -> Tensor:
        guider = executor.class_obj
        shapes = others.get("latent_shapes") or [latent_image.shape]
        need_fitting_shapes(guider.model_patcher.model, shapes)
        prompts = {
            name: [[each["cross_attn"], each] for each in conds if each.get("cross_attn") is not None]
            for name, conds in guider.original_conds.items()
        }
        need_prompts(guider.model_patcher, shapes, denoise_mask, **prompts)
        return executor(noise, latent_image, sampler, sigmas, denoise_mask, *arguments, **others)

    if not model.get_wrappers(_extension.WrappersMP.OUTER_SAMPLE, KEY):
        model.add_wrapper_with_key(_extension.WrappersMP.OUTER_SAMPLE, KEY, sample)


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
