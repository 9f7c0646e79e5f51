"""Enhance-A-Video (arXiv 2502.07508) on LTX: self-attention scaled up where frames look at each other.

The scale is (F + weight) times the mean attention from a frame to the others at the same place, at least 1, for each
sample by itself. F frames, S tokens a frame, N = F * S tokens, h heads of width d.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from einops import rearrange
from torch import Tensor

from ...samplers.compiled import tell
from ...utils.core import need

_extension = need("comfy.patcher_extension", "WrappersMP.DIFFUSION_MODEL", "add_wrapper_with_key")
need("comfy.ldm.lightricks.model", "CrossAttention")

TOKENS = "oner_tokens_a_frame"


def frame_attention(q: Tensor, k: Tensor, heads: int, tokens: int) -> Tensor:
    """Mean attention [B] from a frame to each other one, over places and heads; q, k [B, N, h*d]."""
    q, k = (rearrange(x, "b (f s) (h d) -> b s h f d", s=tokens, h=heads) for x in (q, k))
    frames = q.shape[3]
    scores = (q @ k.mT / q.shape[-1] ** 0.5).float().softmax(-1)  # [B, S, h, F, F]
    others = scores.sum((-2, -1)) - scores.diagonal(dim1=-2, dim2=-1).sum(-1)
    return others.mean((1, 2)) / max(frames * (frames - 1), 1)


def enhance_model(model: Any, weight: float, blocks: Sequence[int]) -> None:
    """Add the patches to a cloned ModelPatcher; self-attention patched before stays in place inside of them."""
    for block in blocks:
        path = f"diffusion_model.transformer_blocks.{block}.attn1.forward"
        model.add_object_patch(path, _Enhanced(model.get_model_object(path), weight))
    tell(model, "enhance", tuple(blocks))
    model.add_wrapper_with_key(_extension.WrappersMP.DIFFUSION_MODEL, "oner_enhance", _tell_tokens)


def _tell_tokens(executor: Callable, x: Any, timestep: Tensor, *args: Any, **options: Any) -> Any:
    video = x[0] if isinstance(x, list) else x
    args_ = list(args)
    place = 3  # context, attention_mask, frame_rate, transformer_options
    args_[place] = {**args_[place], TOKENS: video.shape[3] * video.shape[4]}
    return executor(x, timestep, *args_, **options)


class _Enhanced:
    def __init__(self, forward: Callable, weight: float):
        self.forward = forward
        self.weight = weight

    def __call__(self, x: Tensor, *args: Any, transformer_options: dict | None = None, **options: Any) -> Tensor:
        given = transformer_options or {}
        inner, tokens = given.get("optimized_attention_override"), given[TOKENS]

        def attend(attention: Callable, q: Tensor, k: Tensor, v: Tensor, heads: int, *rest: Any, **more: Any) -> Tensor:
            if q.shape[1] != k.shape[1] or q.shape[1] % tokens:
                raise ValueError(
                    f"Enhance-A-Video got {q.shape[1]} of {k.shape[1]} tokens with {tokens} a frame: it needs whole "
                    "frames; set the strength of guides to 1, and leave out references shrunk by an IC-LoRA"
                )
            call = attention if inner is None else lambda *a, **o: inner(attention, *a, **o)
            out = call(q, k, v, heads, *rest, **more)
            scale = frame_attention(q, k, heads, tokens) * (q.shape[1] // tokens + self.weight)
            return out * scale.clamp(min=1).to(out).view(-1, *[1] * (out.ndim - 1))

        return self.forward(x, *args, transformer_options={**given, "optimized_attention_override": attend}, **options)
