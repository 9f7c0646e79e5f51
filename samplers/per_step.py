"""Change the predicted clean latent after guidance, by an amount that depends on the step.

The step is read from the noise level, so that a hook has no state: a second run, an interrupted one or another sampler
gives the same. Samplers that evaluate between two steps count as the nearer step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..utils.core import need

utils = need("comfy.utils", "pack_latents", "unpack_latents")


def nearest_step(sigma: Tensor, sigmas: Tensor) -> int:
    """Index of the step whose starting noise level is nearest to `sigma`."""
    return int((sigmas[:-1] - sigma.flatten()[0].to(sigmas)).abs().argmin())


def appended_frames(video: Tensor, conds: dict) -> int:
    """How many of the last frames of [B, C, T, H, W] are guides, of which processed conditions have a place a token."""
    places = conds.get("keyframe_idxs")
    return 0 if places is None else places.cond.shape[2] // video.shape[3:].numel()


def with_step_change(model: Any, factors: Sequence[float], change: Callable[[Tensor, float], Tensor]) -> Any:
    """A clone of MODEL whose x0 of step i becomes change(x0, factors[i]); the last factor holds for the rest.

    `change` sees the video latent [B, C, T, H, W], also where audio is packed with it, without guides (LTX's keyframes
    and references) that are appended to its frames.
    """

    def hook(args: dict) -> Tensor:
        sigmas = args["model_options"]["transformer_options"]["sample_sigmas"]
        factor = factors[min(nearest_step(args["sigma"], sigmas), len(factors) - 1)]
        denoised = args["denoised"]
        if factor == 0:
            return denoised
        conds = args["cond"][0].get("model_conds", {})
        if denoised.ndim > 3:
            return change_clip(denoised, conds, factor)
        video, *rest = utils.unpack_latents(denoised, conds["latent_shapes"].cond)
        return utils.pack_latents([change_clip(video, conds, factor), *rest])[0]

    def change_clip(video: Tensor, conds: dict, factor: float) -> Tensor:
        frames = video.shape[2] - appended_frames(video, conds)
        clip = change(video[:, :, :frames], factor)
        return clip if frames == video.shape[2] else torch.cat([clip, video[:, :, frames:]], dim=2)

    patched = model.clone()
    patched.set_model_sampler_post_cfg_function(hook)
    return patched
