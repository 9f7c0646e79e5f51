"""The guider of LTX-Video 0.9.x: CFG and STG with scales chosen by noise level, all passes in one batched forward.

Post-cfg hooks of other packs run last, as in ComfyUI's own guider.
"""

from __future__ import annotations

import math
from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from ...samplers.fitting import input_width, need_fitting_latent, need_fitting_prompts, whole
from ...utils.core import need
from ..checks import need_no_appended_frames
from .guidance import GuidanceEntry, GuidanceSchedule, combine, combine_pack
from .stg import perturbs, with_perturbation

need("comfy.samplers", "CFGGuider.inner_set_conds", "calc_cond_batch")
model_base = need("comfy.model_base", "LTXV")


def require_ltxv(model: Any) -> None:
    """Raise ValueError unless the MODEL holds an LTX-Video 0.9.x network."""
    if not isinstance(model.model, model_base.LTXV):
        kind = type(model.model).__name__
        other = "LTX-2, which uses the multimodal guider" if kind == "LTXAV" else "not an LTX-Video 0.9.x model"
        raise ValueError(f"model is {kind}: {other}; connect an LTX-Video 0.9.x checkpoint")


def require_blocks(model: Any, schedule: GuidanceSchedule) -> None:
    """Raise ValueError if the schedule perturbs a transformer block that the network does not have."""
    count = len(model.model.diffusion_model.transformer_blocks)
    missing = sorted(block for block in schedule.perturbed_blocks() if not 0 <= block < count)
    if missing:
        raise ValueError(
            f"STG asks for block {missing[-1]} and the model has blocks 0..{count - 1}: choose the preset of this "
            "model size (13B has 48 blocks, 2B has 28)"
        )


def need_prompts(model: Any, **prompts: list) -> None:
    """Raise ValueError unless CONDITIONINGs are texts of LTX-Video's encoder, with the mask that its network needs."""
    width = input_width(model.model.diffusion_model.caption_projection)
    need_fitting_prompts(prompts, {width} if width else set(), "LTX-Video")
    for name, prompt in prompts.items():
        if any(options.get("attention_mask") is None for _, options in prompt):
            raise ValueError(
                f"{name} has no attention_mask, which tells LTX-Video the words from the padding: encode it with T5, "
                "as CLIPTextEncode does"
            )
        for encoded, options in prompt:
            words = options["attention_mask"].shape[-1]
            if words != encoded.shape[1]:
                raise ValueError(
                    f"{name} has {encoded.shape[1]} tokens and an attention_mask of {words}: ComfyUI's Conditioning "
                    "(Concat) joins texts without their masks, so write both texts into one prompt"
                )


class LTXVGuider(comfy.samplers.CFGGuider):
    """Raises ValueError on a model that is not LTX-Video 0.9.x or lacks the blocks of the schedule."""

    def __init__(self, model: Any, positive: list, negative: list, schedule: GuidanceSchedule, mode: str) -> None:
        require_ltxv(model)
        require_blocks(model, schedule)
        if "sampler_cfg_function" in model.model_options:
            raise ValueError("model carries a CFG function of another node; this guider computes CFG: remove that node")
        need_prompts(model, positive=positive, negative=negative)
        super().__init__(model)
        self.set_conds(positive, negative)
        self.schedule, self.mode = schedule, mode

    def sample(
        self, noise, latent_image, sampler, sigmas, denoise_mask=None, callback=None, disable_pbar=False, seed=None
    ):
        need_fitting_latent(self, latent_image, sigmas)
        if denoise_mask is None:
            need_no_appended_frames(self.original_conds)
        return super().sample(noise, latent_image, sampler, sigmas, denoise_mask, callback, disable_pbar, whole(seed))

    def predict_noise(self, x, timestep, model_options=None, seed=None) -> Tensor:  # noqa: ARG002 - CFGGuider's signature
        model_options = model_options or {}
        sigma = float(timestep[0])
        entry = self.schedule.at(sigma)
        pack = self.schedule.lookup == "pack-compatible"
        if pack and sigma > self.schedule.skip_above:
            return torch.zeros_like(x)
        positive, negative, perturbed = self.run_passes(x, timestep, entry, model_options)
        prompted, negative = self.run_pre_hooks(positive, negative, entry, x, timestep, model_options)
        star = self.schedule.cfg_star
        if pack:
            denoised = combine_pack(positive, negative, perturbed, entry, star, prompted)
        else:

            def velocity(x0: Tensor) -> Tensor:
                return (x - x0) / sigma

            against, disturbed = (None if x0 is None else velocity(x0) for x0 in (negative, perturbed))
            denoised = x - sigma * combine(velocity(positive), against, disturbed, entry, star, velocity(prompted))
        return self.run_post_hooks(denoised, prompted, negative, perturbed, entry, x, timestep, model_options)

    def run_passes(
        self, x: Tensor, timestep: Tensor, entry: GuidanceEntry, model_options: dict
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """x0 of the positive, negative and perturbed pass; None for a pass that the scales do not need."""
        pack = self.schedule.lookup == "pack-compatible"
        use_negative = not math.isclose(entry.cfg, 1.0) if pack else entry.cfg > 1
        use_negative = use_negative or model_options.get("disable_cfg1_optimization", False)
        use_stg = not math.isclose(entry.stg, 0.0, abs_tol=1e-9) if pack else entry.stg > 0
        use_perturbed = use_stg and perturbs(self.mode, entry.blocks)
        positive, negative = self.conds["positive"], self.conds["negative"]
        conds = [positive, negative if use_negative else None]
        if use_perturbed:
            modules = self.inner_model.diffusion_model.transformer_blocks
            model_options = with_perturbation(model_options, self.mode, entry.blocks, len(conds), modules)
            conds.append(positive)
        if "sampler_calc_cond_batch_function" in model_options:
            args = {"conds": conds, "input": x, "sigma": timestep, "model": self.inner_model}
            out = model_options["sampler_calc_cond_batch_function"]({**args, "model_options": model_options})
        else:
            out = comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, model_options)
        return out[0], out[1] if use_negative else None, out[2] if use_perturbed else None

    def run_pre_hooks(
        self,
        positive: Tensor,
        negative: Tensor | None,
        entry: GuidanceEntry,
        x: Tensor,
        timestep: Tensor,
        model_options: dict,
    ) -> tuple[Tensor, Tensor | None]:
        """Apply the pre-cfg hooks (core's APG, for one) to the passes of CFG; they do not see one that did not run."""
        out = [positive] if negative is None else [positive, negative]
        conds = [self.conds["positive"], self.conds["negative"]][: len(out)]
        for hook in model_options.get("sampler_pre_cfg_function", []):
            args = {"conds": conds, "conds_out": out, "cond_scale": entry.cfg, "timestep": timestep, "input": x}
            out = hook({**args, "sigma": timestep, "model": self.inner_model, "model_options": model_options})
        return out[0], None if negative is None else out[1]

    def run_post_hooks(
        self,
        denoised: Tensor,
        positive: Tensor,
        negative: Tensor | None,
        perturbed: Tensor | None,
        entry: GuidanceEntry,
        x: Tensor,
        timestep: Tensor,
        model_options: dict,
    ) -> Tensor:
        """Apply the post-cfg hooks; a pass that did not run is handed on as zeros, as ComfyUI does."""
        for hook in model_options.get("sampler_post_cfg_function", []):
            denoised = hook(
                {
                    "denoised": denoised,
                    "cond": self.conds["positive"],
                    "uncond": self.conds["negative"] if negative is not None else None,
                    "cond_scale": entry.cfg,
                    "model": self.inner_model,
                    "cond_denoised": positive,
                    "uncond_denoised": torch.zeros_like(x) if negative is None else negative,
                    "perturbed_cond_denoised": perturbed,
                    "sigma": timestep,
                    "model_options": model_options,
                    "input": x,
                }
            )
        return denoised
