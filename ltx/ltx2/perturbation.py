"""Perturbed passes of LTX-2 inside one batched forward, per sample.

Perturbed: self-attention of chosen blocks gives its value projection (head gates and output projection still apply).
Isolated: attention between audio and video adds nothing, in every block. The samples are told apart by core's
`cond_or_uncond`, because core splits a batch when memory is short. Object patches on a clone of the model, which hand
on to whatever forward or attention override was there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ...utils.core import need
from .guidance import ISOLATED, PERTURBED

# Blocks with attn1, audio_attn1, audio_to_video_attn and video_to_audio_attn, which take transformer_options.
need("comfy.ldm.lightricks.av_model", "BasicAVTransformerBlock", "LTXAVModel")

PLAN = "oner_guidance"


@dataclass(frozen=True)
class Plan:
    """What the passes of one step are, in the order of the conditions, and which blocks are perturbed."""

    passes: tuple[str, ...]
    video_blocks: frozenset[int] = frozenset()
    audio_blocks: frozenset[int] = frozenset()

    def blocks(self, attention: str) -> frozenset[int]:
        return self.video_blocks if attention == "attn1" else self.audio_blocks


def samples_of(name: str, transformer_options: dict, batch: int) -> list[int]:
    """Indices of the samples of a batch that belong to the pass `name`."""
    plan = transformer_options.get(PLAN)
    chunks = transformer_options.get("cond_or_uncond", [])
    if plan is None or not chunks:
        return []
    size = batch // len(chunks)
    return [i for n, chunk in enumerate(chunks) if plan.passes[chunk] == name for i in range(n * size, (n + 1) * size)]


class PerturbedSelfAttention:
    """Forward of a self-attention that passes the values through for perturbed samples."""

    def __init__(self, forward: Callable, attention: str, block: int):
        self.forward = forward
        self.attention = attention
        self.block = block

    def __call__(self, x: Tensor, *args, transformer_options: dict | None = None, **options):
        given = transformer_options or {}
        plan = given.get(PLAN)
        samples = []
        if plan is not None and self.block in plan.blocks(self.attention):
            samples = samples_of(PERTURBED, given, x.shape[0])
        if samples:
            inner = given.get("optimized_attention_override")
            given = {**given, "optimized_attention_override": _ValuesFor(samples, inner)}
        return self.forward(x, *args, transformer_options=given, **options)


class _ValuesFor:
    """Attention override: the output of some samples is their values."""

    def __init__(self, samples: list[int], inner: Callable | None):
        self.samples = samples
        self.inner = inner
        self.row = 0  # core hands over the queries in slices when guides are weighted

    def __call__(self, attention, q, k, v, heads, *args, **options):
        if self.inner is None:
            out = attention(q, k, v, heads, *args, **options)
        else:
            out = self.inner(attention, q, k, v, heads, *args, **options)
        rows = slice(self.row, self.row + q.shape[1])
        self.row = rows.stop
        out[self.samples] = v[self.samples, rows]
        return out


class IsolatedCrossAttention:
    """Forward of an attention between modalities that gives zero for isolated samples."""

    def __init__(self, forward: Callable):
        self.forward = forward

    def __call__(self, x: Tensor, *args, transformer_options: dict | None = None, **options):
        given = transformer_options or {}
        samples = samples_of(ISOLATED, given, x.shape[0])
        if len(samples) == x.shape[0]:
            return torch.zeros_like(x)
        out = self.forward(x, *args, transformer_options=given, **options)
        if samples:
            out[samples] = 0
        return out


def patch_model(model, video_blocks: Iterable[int], audio_blocks: Iterable[int], *, isolate: bool) -> None:
    """Add the patches that plans with these blocks need to a cloned ModelPatcher."""

    def patch(name: str, make: Callable[[Callable], Callable]) -> None:
        path = f"diffusion_model.transformer_blocks.{name}.forward"
        model.add_object_patch(path, make(model.get_model_object(path)))

    for attention, blocks in (("attn1", video_blocks), ("audio_attn1", audio_blocks)):
        for block in blocks:
            patch(f"{block}.{attention}", partial(PerturbedSelfAttention, attention=attention, block=block))
    if isolate:
        for block in range(len(model.model.diffusion_model.transformer_blocks)):
            for attention in ("audio_to_video_attn", "video_to_audio_attn"):
                patch(f"{block}.{attention}", IsolatedCrossAttention)
