"""The sampling loop of LTX-Video 0.9.x: Euler with a time of its own for each token.

A token given with strength s starts at noise level 1 - s, is told min(t, 1 - s), and waits until t has come down to it;
ComfyUI's own samplers tell it t * (1 - s) and move it at once. Source: the LTX-Video 0.9.8 pipeline. Shapes: latent
[B, C, T, H, W]; mask [B, 1 or C, T, H, W] = 1 - strength, negative for filler tokens that the network drops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...samplers.compiled import telling
from ...utils.core import need

model_trange = need("comfy.utils", "model_trange").model_trange
throw_if_interrupted = need(
    "comfy.model_management", "throw_exception_if_processing_interrupted"
).throw_exception_if_processing_interrupted
patcher_extension = need("comfy.patcher_extension", "add_wrapper_with_key", "WrappersMP.DIFFUSION_MODEL")
model_patcher = need("comfy.model_patcher", "create_model_options_clone")
model_base = need("comfy.model_base", "LTXV")
need("comfy.samplers", "KSAMPLER", "KSamplerX0Inpaint")

EPSILON = 1e-6  # a token moves while t < 1 - strength + EPSILON
STEP_NOISE_SEED = 10000  # added to the seed, so that the noise of steps differs from that of the start


def sample_ltxv(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict | None = None,
    callback: Callable | None = None,
    disable: bool | None = None,
    image_noise_scale: float = 0.0,
    stochastic: bool = False,
) -> Tensor:
    """Sampler function for ComfyUI's KSAMPLER.

    `image_noise_scale`: tokens given with strength 1 get fresh noise of this scale times t^2 before each step, which
    keeps a clip from standing still. `stochastic`: go to x0 and noise again instead of following the velocity.
    """
    extra_args = extra_args or {}
    guider, mask = model.inner_model, extra_args.get("denoise_mask")
    model_options, seed = extra_args.get("model_options", {}), extra_args.get("seed")
    _check(guider, model_options)
    generator = torch.Generator().manual_seed(((seed or 0) + STEP_NOISE_SEED) % 2**64)
    if mask is not None:
        x = start_latent(model.noise, model.latent_image, mask, sigmas[0], appended_frames(guider.conds, x))
    clean = x  # tokens with strength 1 never move
    for i in model_trange(len(sigmas) - 1, disable=disable):
        throw_if_interrupted()
        sigma, lower = sigmas[i], sigmas[i + 1]
        options = model_options
        if mask is not None:
            options = with_token_times(model_options, sigma)
            if image_noise_scale > 0:
                x = noise_given_tokens(x, clean, mask, _draw(x, generator), image_noise_scale, sigma)
        denoised = guider(x, sigma * x.new_ones([x.shape[0]]), model_options=options, seed=seed)
        velocity = (x - denoised) / sigma
        if stochastic:
            moved = lower * _draw(x, generator) + (1 - lower) * denoised if lower > 0 else denoised
        else:
            moved = x - (sigma - lower) * velocity
        if mask is not None:
            denoised = x - torch.minimum(sigma, mask.clamp(0, 1)) * velocity
            moved = torch.where(sigma - EPSILON < mask, moved, x)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigma, "sigma_hat": sigma, "denoised": denoised})
        x = moved
    return x


def start_latent(noise: Tensor, latent: Tensor, mask: Tensor, sigma: Tensor, appended: int) -> Tensor:
    """Noise the latent: frames of the clip to sigma * mask, the last `appended` frames (guides) to mask."""
    level = mask.clamp(0, 1) * sigma
    if appended:
        level = torch.cat([level[:, :, :-appended], mask.clamp(0, 1)[:, :, -appended:]], dim=2)
    return level * noise + (1 - level) * latent


def noise_given_tokens(
    x: Tensor, clean: Tensor, mask: Tensor, noise: Tensor, noise_scale: float, sigma: Tensor | float
) -> Tensor:
    """Replace tokens given with strength 1 (mask 0) by clean + noise_scale * noise * sigma^2."""
    return torch.where(mask.abs() < EPSILON, clean + noise_scale * noise * sigma**2, x)


def with_token_times(model_options: dict, sigma: Tensor) -> dict:
    """A copy of `model_options` with which the network is told min(sigma, mask) for a token instead of sigma * mask."""

    options = model_patcher.create_model_options_clone(model_options)
    patcher_extension.add_wrapper_with_key(
        patcher_extension.WrappersMP.DIFFUSION_MODEL, "oner_token_times", _TokenTimes(sigma), options, True
    )
    options["transformer_options"] = telling(options["transformer_options"], "token_times")
    return options


class _TokenTimes:
    def __init__(self, sigma: Tensor):
        self.sigma = sigma  # a tensor, which compiled code takes anew in each step

    def __call__(self, executor: Callable, x: Tensor, timestep: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if timestep.ndim > 1:  # [B, N, 1]: there is a mask
            timestep = (timestep / self.sigma).clamp(max=self.sigma)
        return executor(x, timestep, *args, **kwargs)


def appended_frames(conds: dict[str, list[dict]], latent: Tensor) -> int:
    """How many frames at the end of the latent are guides."""
    given = [cond["keyframe_idxs"] for entries in conds.values() for cond in entries or () if "keyframe_idxs" in cond]
    tokens = max((positions.shape[2] for positions in given if positions is not None), default=0)
    return tokens // latent.shape[3:].numel()


def _check(guider: Any, model_options: dict) -> None:
    if not isinstance(guider.inner_model, model_base.LTXV):
        kind = type(guider.inner_model).__name__
        raise ValueError(f"model is {kind}; the LTXV sampler is for LTX-Video 0.9.x: choose another sampler")
    if "denoise_mask_function" in model_options:
        raise ValueError(
            "model carries a mask function (Differential Diffusion); the LTXV sampler has its own rule for masks: "
            "remove that node, or choose euler in KSamplerSelect"
        )


def _draw(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator).to(x)
