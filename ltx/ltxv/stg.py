"""Spatio-temporal guidance on LTX-Video: the perturbed pass, as block patches of ComfyUI's own hooks.

Only the rows of the perturbed pass change, so that all passes share one forward. Nothing is patched on the model: the
patches live in the options of one call and chain to block patches and attention overrides already there.
Shapes: B rows (passes x batch), N tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ...samplers.compiled import telling
from ...utils.core import need

model_patcher = need("comfy.model_patcher", "set_model_options_patch_replace", "create_model_options_clone")
rms_norm = need("comfy.ldm.common_dit", "rms_norm").rms_norm

MODES = ("attention values", "attention skip", "residual", "transformer block")


def perturbs(mode: str, blocks: Iterable[int]) -> bool:
    """Whether the perturbed pass differs at all: `residual` changes nothing in the official network."""
    return mode != "residual" and any(True for _ in blocks)


def with_perturbation(model_options: dict, mode: str, blocks: Iterable[int], chunk: int, modules: Any) -> dict:
    """A copy of `model_options` in which pass number `chunk` of a batch runs perturbed.

    `modules` are the network's transformer blocks, `blocks` the numbers of those to perturb.
    """
    options = model_patcher.create_model_options_clone(model_options)
    plan = (mode, tuple(blocks), chunk)
    options["transformer_options"] = telling(options.get("transformer_options", {}), "stg", plan)
    for number in blocks:
        replaced = options["transformer_options"].get("patches_replace", {}).get("dit", {})
        patch = _block_patch(mode, chunk, modules[number], replaced.get(("double_block", number)))
        model_patcher.set_model_options_patch_replace(options, patch, "dit", "double_block", number)
    return options


def perturbed_rows(passes: list[int], chunk: int, rows: int) -> Tensor:
    """Indices of the rows that belong to pass `chunk`, when `passes` share `rows` rows equally."""
    batch = rows // len(passes)
    starts = [i * batch for i, number in enumerate(passes) if number == chunk]
    return torch.tensor([start + j for start in starts for j in range(batch)], dtype=torch.long)


def _block_patch(mode: str, chunk: int, block: Any, previous: Callable | None) -> Callable:
    def run(args: dict, extra: dict) -> dict:
        return previous(args, extra) if previous else extra["original_block"](args)

    def patch(args: dict, extra: dict) -> dict:
        options, hidden = args["transformer_options"], args["img"]  # [B, N, D]
        rows = perturbed_rows(options["cond_or_uncond"], chunk, hidden.shape[0]).to(hidden.device)
        if len(rows) == 0:
            return run(args, extra)
        if mode == "transformer block":
            before = hidden[rows]  # blocks write into their input
            out = run(args, extra)
            return {**out, "img": out["img"].index_copy(0, rows, before)}
        source = _attention_input(block, hidden, args["vec"], rows) if mode == "attention skip" else None
        override = _attention_override(rows, source, options.get("optimized_attention_override"))
        return run({**args, "transformer_options": {**options, "optimized_attention_override": override}}, extra)

    return patch


def _attention_override(rows: Tensor, source: Tensor | None, previous: Callable | None) -> Callable:
    """Replace the output of the block's first attention in `rows` by `source`, or by its values.

    A guide mask makes the block call that attention in two or three runs of queries that share one k: the count of
    queries seen so far tells which tokens a call is about.
    """
    self_attention: dict[str, Any] = {"k": None, "seen": 0}

    def override(function: Callable, q: Tensor, k: Tensor, v: Tensor, heads: int, *args: Any, **kwargs: Any) -> Tensor:
        call = previous or (lambda inner, *a, **kw: inner(*a, **kw))
        out = call(function, q, k, v, heads, *args, **kwargs)
        if self_attention["k"] is None:
            self_attention["k"] = k
        if k is not self_attention["k"]:
            return out  # cross-attention to the text
        start = self_attention["seen"]
        self_attention["seen"] = stop = start + q.shape[1]
        replacement = v[rows] if source is None else source
        return out.index_copy(0, rows, replacement[:, start:stop].to(out.dtype))

    return override


def _attention_input(block: Any, hidden: Tensor, vec: Tensor, rows: Tensor) -> Tensor:
    """What the block hands to its self-attention in `rows`: the modulated norm of its input [rows, N, D]."""
    table = block.scale_shift_table[None, None].to(hidden)  # [1, 1, 6, D]
    shift, scale = (table + rearrange(vec[rows], "b n (part d) -> b n part d", part=table.shape[2]))[:, :, :2].unbind(2)
    return rms_norm(hidden[rows]) * (1 + scale) + shift
