"""Attention by another back end of torch than the one that ComfyUI tries first, as an override on a MODEL."""

from __future__ import annotations

from collections.abc import Callable

import torch
from comfy.ldm.modules.attention import get_attention_function
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

CUDNN_FIRST = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def cudnn_first(
    func: Callable,  # noqa: ARG001 - core's own attention
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    mask: Tensor | None = None,
    attn_precision: torch.dtype | None = None,  # noqa: ARG001
    skip_reshape: bool = False,
    skip_output_reshape: bool = False,
    scale: float | None = None,
    **_: object,
) -> Tensor:
    """Attention of [B, L, heads * d], or of [B, heads, L, d] with skip_reshape."""
    if not skip_reshape:
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    if mask is not None:
        mask = mask[None] if mask.ndim == 2 else mask
        mask = mask.unsqueeze(1) if mask.ndim == 3 else mask
    with sdpa_kernel(CUDNN_FIRST, set_priority=True):
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    return out if skip_output_reshape else out.transpose(1, 2).flatten(2)


def with_override(model, attention: Callable):
    model = model.clone()
    model.model_options.setdefault("transformer_options", {})["optimized_attention_override"] = attention
    return model


def with_cudnn(model):
    return with_override(model, cudnn_first)


def with_sage(model):
    """SageAttention as ComfyUI calls it; lossy: 8-bit products of queries and keys."""
    sage = get_attention_function("sage")
    return with_override(model, lambda _core, *tensors, **options: sage(*tensors, **options))
