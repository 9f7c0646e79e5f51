"""Guidance on velocities: CFG-Zero*, adaptive projected guidance, and skipped layers for the negative prompt.

Sources: CFG-Zero* (arXiv 2503.18886), APG (arXiv 2410.02416), SLG (Stability AI, Wan users), with Wan2GP's constants.
A velocity is (x - denoised) / sigma for flow models; x and predictions [B, C, T, H, W].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

APG_MOMENTUM, APG_NORM, APG_ETA = -0.75, 55.0, 0.0


def per_sample(value: Tensor, like: Tensor) -> Tensor:
    return value.view(-1, *[1] * (like.ndim - 1))


def cfg_zero_star(args: dict[str, Any]) -> list[Tensor]:
    """A pre-CFG function: scales the negative velocity to its projection on the positive one."""
    x, sigma = args["input"], per_sample(args["sigma"], args["input"])
    positive, negative = ((x - denoised).float() / sigma for denoised in args["conds_out"][:2])
    overlap = (positive * negative).flatten(1).sum(1)
    scale = overlap / (negative.flatten(1).pow(2).sum(1) + 1e-8)
    scaled = x - per_sample(scale, x) * negative * sigma
    return [args["conds_out"][0], scaled.to(x.dtype), *args["conds_out"][2:]]


class ProjectedGuidance:
    """A CFG function: keeps what is orthogonal to the positive velocity, with momentum and a norm limit."""

    def __init__(self) -> None:
        self.average: Tensor | None = None

    def __call__(self, args: dict[str, Any]) -> Tensor:
        x, sigma = args["input"], per_sample(args["sigma"], args["input"])
        positive = args["cond"].float() / sigma
        gain = positive - args["uncond"].float() / sigma
        self.average = gain if self.average is None else gain + APG_MOMENTUM * self.average
        dims = (-3, -2, -1)
        norm = torch.linalg.vector_norm(self.average, dim=dims, keepdim=True)
        gain = self.average * (APG_NORM / norm).clamp(max=1.0)
        unit = positive / torch.linalg.vector_norm(positive, dim=dims, keepdim=True).clamp(min=1e-12)
        parallel = (gain * unit).sum(dims, keepdim=True) * unit
        guided = positive + (args["cond_scale"] - 1) * (gain - parallel + APG_ETA * parallel)
        return (guided * sigma).to(x.dtype)  # ComfyUI subtracts it from x


def skip_for_negative(previous: Callable | None) -> Callable:
    """A block replacement that the negative prompt's part of the batch passes unchanged."""

    def skip(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        run = extra["original_block"] if previous is None else lambda a: previous(a, extra)
        chunks = args["transformer_options"]["cond_or_uncond"]
        img = args["img"]
        size = img.shape[0] // len(chunks)
        if 0 not in chunks:
            return {"img": img}
        if all(chunk == 0 for chunk in chunks):
            return run(args)
        kept = torch.tensor([chunk == 0 for chunk in chunks], device=img.device).repeat_interleave(size)
        part = {
            name: value[kept] if isinstance(value, Tensor) and value.shape[0] == img.shape[0] else value
            for name, value in args.items()
        }
        out = img.clone()
        out[kept] = run(part)["img"]
        return {"img": out}

    return skip
