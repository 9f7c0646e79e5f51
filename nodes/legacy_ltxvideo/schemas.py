"""What nodes under ids of ComfyUI-LTXVideo have in common: their schema, and inputs that recur."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...ltx.checks import need_video_latent
from ...utils.inputs import check_conditioning, check_images


def schema(node_id: str, use: str, inputs: list, outputs: list, **options) -> io.Schema:
    """A node kept for old graphs; `use` names what to use in new ones."""
    return io.Schema(
        node_id=node_id,
        display_name=f"{node_id} (old)",
        category="Oner/old graphs",
        description=f"Opens graphs made for ComfyUI-LTXVideo. In new graphs use {use}.",
        inputs=inputs,
        outputs=outputs,
        is_deprecated=True,
        **options,
    )


def number(name: str, default: float, low: float = 0.0, high: float = 100.0, **options) -> io.Float.Input:
    return io.Float.Input(name, default=default, min=low, max=high, step=0.01, **options)


def whole(name: str, default: int, low: int, high: int, step: int = 1, **options) -> io.Int.Input:
    return io.Int.Input(name, default=default, min=low, max=high, step=step, **options)


def video_of(latent: dict, name: str = "latents") -> Tensor:
    """The video latent [B, 128, T, H, W] of a LATENT without sound."""
    samples = latent["samples"]
    if getattr(samples, "is_nested", False):
        raise ValueError(f"{name} holds video and audio; the old nodes take video alone: separate them before")
    need_video_latent(samples, name)
    return samples


class PromptList(io.Conditioning.Input):
    """A CONDITIONING, or a list of them as MultiPromptProvider gives."""

    @staticmethod
    def check(value: Any, name: str) -> list:
        several = isinstance(value, list) and value and isinstance(value[0], list) and value[0]
        if several and isinstance(value[0][0], list):
            return [check_conditioning(one, name) for one in value]
        return check_conditioning(value, name)


class AsItIs(io.Image.Input):
    """An IMAGE that is passed on with all its channels: grey stays grey, alpha stays."""

    @staticmethod
    def check(value: Any, name: str) -> Tensor:
        check_images(value, name)
        return value  # not what the check makes of it


def prompts() -> list[io.Conditioning.Input]:
    return [io.Conditioning.Input("positive"), io.Conditioning.Input("negative")]


def prompts_and_latent() -> list[io.Output]:
    return [
        io.Conditioning.Output(display_name="positive"),
        io.Conditioning.Output(display_name="negative"),
        io.Latent.Output(display_name="latent"),
    ]
