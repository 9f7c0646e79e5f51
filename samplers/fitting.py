"""Whether a latent and prompts fit a model, asked before sampling starts: core would fail inside it, without names."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..utils.core import need
from ..utils.inputs import check_sigmas
from .packed import latent_shapes
from .windows.text_bias import need_reader

_samplers = need("comfy.samplers", "KSAMPLER")
_extension = need("comfy.patcher_extension", "WrappersMP.OUTER_SAMPLE")

KEY = "oner_fitting"


def need_fitting_latent(guider: Any, latent: Any, sigmas: Tensor) -> None:
    """Raise ValueError before a run unless a latent (or nested one) and sigmas fit its model and prompts."""
    shapes = [part.shape for part in latent.unbind()] if latent.is_nested else [latent.shape]
    need_fitting_shapes(guider.model_patcher.model, shapes, sigmas, guider.original_conds)
    need_reader(guider.model_patcher, guider.original_conds)


def need_fitting_shapes(model: Any, shapes: list, sigmas: Tensor, prompts: dict[str, list[dict]]) -> None:
    """The same of the shapes of its parts: ones that the model (a BaseModel) makes, with sound for LTX-2 alone."""
    check_sigmas(sigmas, "sigmas")
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
    if hasattr(model.diffusion_model, "vace_patch_embedding"):
        need_fitting_control(shape, prompts)


def need_when_sampled(model: Any, need_prompts: Callable) -> None:
    """Let a cloned MODEL check latents and prompts at the start of each run, also in guiders of ComfyUI or other packs.

    `need_prompts(model, shapes, mask, **prompts)` raises ValueError for what does not fit the parts of the latent and
    their mask, which is None where all is made.
    """

    def sample(
        executor,
        noise,
        latent_image,
        sampler,
        sigmas,
        denoise_mask=None,
        callback=None,
        pbar=False,
        seed=None,
        **others,
    ) -> Tensor:
        guider = executor.class_obj
        shapes = others.get("latent_shapes") or [latent_image.shape]
        need_fitting_shapes(guider.model_patcher.model, shapes, sigmas, guider.original_conds)
        need_reader(guider.model_patcher, guider.original_conds)
        need_prompts(guider.model_patcher, shapes, denoise_mask, **texts_of(guider.original_conds))
        return executor(noise, latent_image, sampler, sigmas, denoise_mask, callback, pbar, whole(seed), **others)

    if not model.get_wrappers(_extension.WrappersMP.OUTER_SAMPLE, KEY):
        model.add_wrapper_with_key(_extension.WrappersMP.OUTER_SAMPLE, KEY, sample)


class FittingSampler(_samplers.KSAMPLER):  # type: ignore[name-defined]
    """ComfyUI's KSAMPLER of a solver of the pack: raises ValueError at its start for what does not fit the model."""

    def sample(self, guider, sigmas, extra_args, callback, noise, latent_image=None, *arguments, **others) -> Tensor:
        need_fitting_run(guider, sigmas, latent_image)
        need_noise(sigmas)
        return super().sample(guider, sigmas, extra_args, callback, noise, latent_image, *arguments, **others)


def need_noise(sigmas: Tensor) -> None:
    """Raise ValueError for solvers that divide by the level of a step, if one before the last is 0."""
    zeros = (sigmas[:-1] == 0).nonzero().flatten().tolist()
    if zeros:
        raise ValueError(
            f"sigma {zeros[0] + 1} of {len(sigmas)} is 0, where no noise is left to take away: only the last may be 0"
        )


def texts_of(conds: dict[str, list[dict]]) -> dict[str, list]:
    """A guider's prompts as CONDITIONINGs again, those with a text."""
    return {
        name: [[each["cross_attn"], each] for each in prompt if each.get("cross_attn") is not None]
        for name, prompt in conds.items()
    }


def need_different(levels: list[float]) -> list[float]:
    """The levels of two steps or more; ValueError for a step that goes nowhere, which has no slope."""
    for step, (level, after) in enumerate(pairwise(levels), 1):
        if level == after and len(levels) > 2:
            raise ValueError(f"sigmas {step} and {step + 1} are both {level:g}: this solver needs levels that differ")
    return levels


def need_fitting_run(guider: Any, sigmas: Tensor, latent: Tensor) -> None:
    """Raise ValueError unless sigmas, the latent and the prompts of a guider, whoever made it, fit its model."""
    model = guider.inner_model
    need_fitting_shapes(model, latent_shapes(guider, latent), sigmas, guider.conds)
    need_reader(guider.model_patcher, guider.conds)
    need_fitting_prompts(texts_of(guider.conds), text_widths(model.diffusion_model), f"this {type(model).__name__}")


def need_fitting_control(shape: tuple, prompts: dict[str, list[dict]]) -> None:
    """Raise ValueError if a prompt of Wan VACE carries control frames of another size than the latent."""
    frames, height, width = shape[2:]
    for name, prompt in prompts.items():
        for control in (each for options in prompt for each in options.get("vace_frames") or ()):
            given = control.shape[2:]
            if (given[0], given[1] // 2, given[2] // 2) != (frames, (height + 1) // 2, (width + 1) // 2):  # tokens
                raise ValueError(
                    f"{name} has control frames of {given[2]}x{given[1]} in {given[0]} latent frames, and the latent "
                    f"is {width}x{height} in {frames}: connect the prompts and the latent of the same node"
                )


def text_widths(network: Any) -> set[int]:
    """What a Wan network reads; empty for the networks of others, which say it elsewhere."""
    width = input_width(getattr(network, "text_embedding", None))
    return {width} if width else set()


def whole(seed: Any) -> Any:
    """A seed as the solvers of ComfyUI need it, who cannot draw from 1.0: a link may give that."""
    return int(seed) if isinstance(seed, float) else seed


def need_fitting_prompts(prompts: dict[str, list], widths: set[int], model: str) -> None:
    """Raise ValueError unless each prompt's text [B, tokens, width] has one of `widths`."""
    for name, prompt in prompts.items():
        for encoded, _ in prompt:
            if encoded.ndim != 3 or not encoded.numel():
                raise ValueError(
                    f"{name} has shape {tuple(encoded.shape)}, no encoded text: connect a text encoder's output"
                )
            if widths and encoded.shape[-1] not in widths:
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
