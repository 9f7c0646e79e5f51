"""Sampling with a mask per token that is exact for partial strengths, for any solver and any guider.

x0 = x - m * sigma * v per pass, before guidance, where core uses sigma alone; x is mixed with the given content once
at the start and x0 after each evaluation, where core mixes x before each. m is the noise mask: 1 = generated,
0 = given, between = partly given; negative = a filler that the model never sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..utils.core import need
from .fitting import need_fitting_run, need_noise
from .packed import latent_shapes, pack

_samplers = need("comfy.samplers", "Sampler", "CFGGuider.outer_predict_noise")
_extension = need("comfy.patcher_extension", "WrappersMP.APPLY_MODEL", "add_wrapper_with_key")
_management = need("comfy.model_management", "throw_exception_if_processing_interrupted")

Solver = Callable[..., Tensor]


def scale_by_mask(executor, x, t, *args, **conds):
    """Model wrapper: turns core's x - sigma * v into x - m * sigma * v, where the model was told times m * sigma."""
    x0 = executor(x, t, *args, **conds)
    masks = [conds[key] for key in ("denoise_mask", "audio_denoise_mask") if conds.get(key) is not None]
    if not masks:
        return x0
    return x + pack(masks).clamp(0.0, 1.0) * (x0 - x)


class Denoiser:
    """The predictions of one sampling run: calls the guider, keeps given content, reports progress."""

    def __init__(self, guider, extra_args: dict, clean: Tensor, mask: Tensor | None, callback, steps: int):
        self.guider = guider
        self.options = extra_args["model_options"]
        self.seed = extra_args.get("seed")
        self.clean = clean
        self.mask = None if mask is None else mask.clamp(0.0, 1.0)
        self.fillers = None if mask is None else mask < 0
        self.shapes = latent_shapes(guider, clean)
        self.callback = callback
        self.steps = steps

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The guided x0 of `x` at `sigma`, mixed with the given content; in the type of `x`."""
        _management.throw_exception_if_processing_interrupted()
        sigmas = sigma.to(torch.float32) * torch.ones(x.shape[0], device=x.device)
        x0 = self.guider(x.to(torch.float32), sigmas, model_options=self.options, seed=self.seed)
        return self.keep_given(x0.to(x.dtype))

    def keep_given(self, x: Tensor) -> Tensor:
        """`x` with given tokens set to their content, partly given ones mixed with it."""
        return x if self.mask is None else x * self.mask + self.clean * (1.0 - self.mask)

    def watch_negative(self) -> Callable[[], Tensor]:
        """Ask for the negative pass in every evaluation; the function returned gives the last one's x0, not mixed.

        Raises ValueError if the guider has no negative prompt; that function, if its pass has not run yet.
        """
        if not self.guider.conds.get("negative"):
            raise ValueError(
                "CFG++ needs a negative prompt, the guider has none: use CFGGuider or LTX Multimodal Guider"
            )
        seen: list[Tensor] = []

        def remember(args):
            seen[:] = [args["uncond_denoised"]]
            return args["denoised"]

        need("comfy.model_patcher").set_model_options_post_cfg_function(
            self.options, remember, disable_cfg1_optimization=True
        )

        def last() -> Tensor:
            if not seen:
                raise ValueError(
                    "CFG++ takes its direction from the negative pass, which the guider skips at the first noise "
                    "level: set the level above which it skips steps to 1, or choose another method"
                )
            return seen[0]

        return last

    def report(self, step: int, x: Tensor, x0: Tensor) -> None:
        """Progress and preview after evaluation of a step."""
        if self.callback is not None:
            self.callback(step, x0.to(torch.float32), x.to(torch.float32), self.steps)


class MaskedSampler(_samplers.Sampler):  # type: ignore[name-defined]
    """A ComfyUI SAMPLER that runs `solver(denoiser, x, sigmas, **options)` on the noised start.

    `need_model` raises ValueError for a model of another family; `prepare` may add a family's wrappers to the model
    options of a run.
    """

    def __init__(
        self,
        solver: Solver,
        *,
        need_model: Callable[[Any], None] = lambda _model: None,
        prepare: Sequence[Callable[[dict], None]] = (),
        **options,
    ):
        self.solver = solver
        self.need_model = need_model
        self.prepare = prepare
        self.options = options

    def sample(self, guider, sigmas, extra_args, callback, noise, latent_image, denoise_mask=None, disable_pbar=False):  # noqa: ARG002 - core's signature
        need_fitting_run(guider, sigmas, latent_image)
        need_noise(sigmas)
        self.need_model(guider.inner_model)
        partial = denoise_mask is not None and bool(((denoise_mask > 0) & (denoise_mask < 1)).any())
        if partial and sigmas[-1] > 0:
            raise ValueError(
                f"the schedule ends at sigma {float(sigmas[-1]):.4g}, but partly given frames (strength between 0 and "
                "1) cannot be handed over half-way: use a schedule that ends in 0"
            )
        if denoise_mask is not None:
            _extension.add_wrapper_with_key(
                _extension.WrappersMP.APPLY_MODEL, "oner_mask", scale_by_mask, extra_args["model_options"], True
            )
        for add in self.prepare:
            add(extra_args["model_options"])

        sampling = guider.inner_model.model_sampling
        denoiser = Denoiser(guider, extra_args, latent_image, denoise_mask, callback, len(sigmas) - 1)
        start = sampling.noise_scaling(sigmas[0], noise, latent_image, self.max_denoise(guider, sigmas))
        x = self.solver(denoiser, denoiser.keep_given(start), sigmas, **self.options)
        return denoiser.keep_given(sampling.inverse_noise_scaling(sigmas[-1], x)) if sigmas[-1] > 0 else x
