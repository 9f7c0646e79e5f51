"""Attention between a clip and its weighted references: log-weight bias to the clip, none between references.

Source: ltx-core's conditioning masks. ComfyUI's own guide mask lets references see each other. The block structure is
kept as parts (clip rows over all keys, reference rows over the clip and themselves), so no N x N mask is made.
N tokens, R reference tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ...samplers.compiled import telling
from ...utils.core import need
from ...utils.tokens import to_tokens
from .conditioning import SPAN, WEIGHT
from .references import token_weights

_extension = need("comfy.patcher_extension", "WrappersMP.DIFFUSION_MODEL", "add_wrapper_with_key")

# Blocks take self_attention_mask from the arguments of a block patch and hand it to their self-attention.
need(
    "comfy.ldm.lightricks.model", "LTXVModel._build_guide_self_attention_mask", "LTXVModel._process_transformer_blocks"
)

Weight: TypeAlias = "float | Tensor | None"


@dataclass(frozen=True)
class Group:
    """Reference tokens start..end that see each other, with their weights [R] to and from the clip."""

    start: int
    end: int
    weights: Tensor


def group_references(clip: int, counts: list[int], weights: list[Weight]) -> list[Group]:
    """Groups of the references after `clip` tokens, in order; none if no reference is weighted.

    References before the first weighted one stay together; from it on each is on its own.
    """
    first = next((i for i, weight in enumerate(weights) if weight is not None), None)
    if first is None:
        return []
    groups, start = [], clip
    if sum(counts[:first]):
        groups.append(Group(start, start + sum(counts[:first]), torch.ones(sum(counts[:first]))))
        start = groups[-1].end
    for count, weight in zip(counts[first:], weights[first:], strict=True):
        if count:
            value = torch.ones(count) if weight is None else torch.as_tensor(weight, dtype=torch.float32)
            groups.append(Group(start, start + count, value.flatten().expand(count)))
            start += count
    return groups


def weight_matrix(clip: int, groups: list[Group]) -> Tensor:
    """The weights between all tokens, [1, N, N]: what the parts amount to."""
    total = max([clip, *(group.end for group in groups)])
    weights = torch.zeros(1, total, total)
    weights[:, :clip, :clip] = 1
    for group in groups:
        rows = slice(group.start, group.end)
        weights[:, :clip, rows] = group.weights
        weights[:, rows, :clip] = group.weights[:, None]
        weights[:, rows, rows] = 1
    return weights


class ReferenceMask:
    """Stands in for an attention mask; `attend` runs the attention part by part."""

    def __init__(self, clip: int, groups: list[Group], like: Tensor):
        self.clip = clip
        self.groups = groups
        biases = [self._bias(group.weights.to(like)) for group in groups]
        self.clip_bias = torch.cat([like.new_zeros(clip), *biases])[None, None, None]
        self.group_masks = [self._group_mask(group, bias) for group, bias in zip(groups, biases, strict=True)]

    @staticmethod
    def _bias(weights: Tensor) -> Tensor:
        blocked = torch.finfo(weights.dtype).min
        return torch.where(weights > 0, weights.clamp(min=torch.finfo(weights.dtype).tiny).log(), blocked)

    def _group_mask(self, group: Group, bias: Tensor) -> Tensor | None:
        """Bias of a group's rows [1, 1, R or 1, clip + R]: one where all weights are equal, None where they are 1."""
        if bool((group.weights == 1).all()):
            return None
        rows = bias[:1] if bool((group.weights == group.weights[0]).all()) else bias
        own = bias.new_zeros(len(rows), len(bias))
        return torch.cat([rows[:, None].expand(-1, self.clip), own], dim=1)[None, None]

    def attend(self, attention: Callable, q: Tensor, k: Tensor, v: Tensor, heads: int, **options) -> Tensor:
        """The attention output [B, N, D] of q, k, v [B, N, D]."""
        clip = slice(0, self.clip)
        out = torch.empty_like(q)
        out[:, clip] = attention(q[:, clip], k, v, heads, **{**options, "mask": self.clip_bias})
        for group, mask in zip(self.groups, self.group_masks, strict=True):
            own = slice(group.start, group.end)
            keys, values = (torch.cat([x[:, clip], x[:, own]], dim=1) for x in (k, v))
            out[:, own] = attention(q[:, own], keys, values, heads, **{**options, "mask": mask})
        return out


def weigh_references(model_options: dict) -> None:
    """Make the model of a sampling run honour the exact weights of appended references."""
    _extension.add_wrapper_with_key(
        _extension.WrappersMP.DIFFUSION_MODEL, "oner_references", _with_reference_mask, model_options, True
    )
    options = model_options["transformer_options"]
    model_options["transformer_options"] = telling(options, "references", plan_of=_layout)


def _layout(x: Tensor, conds: dict, transformer_options: dict) -> tuple:
    """What of the references is no tensor: where each group is, and whether its weights are one value, or 1."""
    entries = conds.get("guide_attention_entries") or []
    if not any(WEIGHT in entry for entry in entries):
        return ()
    kept = kept_frames(entries, transformer_options.get("context_window"))
    mask = _build_mask(x, conds["denoise_mask"], entries, kept)
    if mask is None:
        return (None,)
    parts = zip(mask.groups, mask.group_masks, strict=True)
    return tuple((group.start, group.end, None if bias is None else bias.shape) for group, bias in parts)


def _with_reference_mask(
    executor,
    x,
    timestep,
    context,
    attention_mask,
    frame_rate,
    transformer_options,
    keyframe_idxs,
    denoise_mask=None,
    guide_attention_entries=None,
    **options,
):
    entries = guide_attention_entries or []
    if any(WEIGHT in entry for entry in entries):
        kept = kept_frames(entries, transformer_options.get("context_window"))
        mask = _build_mask(x[0] if isinstance(x, list) else x, denoise_mask, entries, kept)
        guide_attention_entries = None
        if mask is not None:
            blocks = len(executor.class_obj.transformer_blocks)
            transformer_options = _carry_mask(transformer_options, mask, blocks)
    return executor(
        x,
        timestep,
        context,
        attention_mask,
        frame_rate,
        transformer_options,
        keyframe_idxs,
        denoise_mask=denoise_mask,
        guide_attention_entries=guide_attention_entries,
        **options,
    )


def kept_frames(entries: list[dict], window) -> list[list[int] | None]:
    """The latent frames of each reference that a context window of core has left; None where all are there.

    The window numbers the appended frames of the whole clip; its entries are those it has frames of.
    """
    indices = list(getattr(window, "guide_frames_indices", None) or [])
    if not indices:
        return [None] * len(entries)
    kept: list[list[int] | None] = []
    for entry, (_, count) in zip(entries, window.guide_overlap_info, strict=True):
        own, indices = indices[:count], indices[count:]
        kept.append([index - entry[SPAN][0] for index in own] if SPAN in entry else None)
    return kept


def _build_mask(
    video: Tensor, denoise_mask: Tensor, entries: list[dict], kept: list[list[int] | None]
) -> ReferenceMask | None:
    real = to_tokens(denoise_mask[:1, :1])[0, :, 0] >= 0
    sizes = [entry["pre_filter_count"] for entry in entries]
    clip = len(real) - sum(sizes)
    if clip <= 0:
        raise ValueError(
            f"the prompts tell of {sum(sizes)} tokens of references and keyframes, and the latent has {len(real)} in "
            "all: connect the prompts and the latent of the same node"
        )
    counts = [int(part.sum()) for part in real[clip:].split(sizes)]
    weights = [_weight(entry, frames) for entry, frames in zip(entries, kept, strict=True)]
    groups = group_references(clip, counts, weights)
    return ReferenceMask(clip, groups, video.new_empty(0)) if groups else None


def _weight(entry: dict, frames: list[int] | None = None) -> Weight:
    """The weight of a reference; of one that a context window cuts, that of its `frames`."""
    weight = entry.get(WEIGHT)
    if weight is not None:
        cut = isinstance(weight, Tensor) and frames is not None
        return weight.view(entry[SPAN][1], -1)[frames].flatten() if cut else weight
    if entry.get("pixel_mask") is not None:
        return token_weights(entry["pixel_mask"], *entry["latent_shape"]) * entry["strength"]
    # An entry of core's own guide node has its strength as weight; ours without a weight has 1.
    return None if entry["strength"] == 1.0 else entry["strength"]


def _carry_mask(transformer_options: dict, mask: ReferenceMask, blocks: int) -> dict:
    """Transformer options under which every block's video self-attention uses `mask`, other patches kept."""
    replace = transformer_options.get("patches_replace", {})
    known = replace.get("dit", {})
    carried = {("double_block", i): _BlockWithMask(mask, known.get(("double_block", i))) for i in range(blocks)}
    override = transformer_options.get("optimized_attention_override")
    return {
        **transformer_options,
        "patches_replace": {**replace, "dit": {**known, **carried}},
        "optimized_attention_override": _AttentionParts(override),
    }


class _BlockWithMask:
    def __init__(self, mask: ReferenceMask, inner: Callable | None):
        self.mask = mask
        self.inner = inner

    def __call__(self, args: dict, extra: dict) -> dict:
        args = {**args, "self_attention_mask": self.mask}
        return extra["original_block"](args) if self.inner is None else self.inner(args, extra)


class _AttentionParts:
    """An attention override that takes ReferenceMasks apart and leaves the rest to the override before it."""

    def __init__(self, inner: Callable | None):
        self.inner = inner

    def __call__(self, attention, q, k, v, heads, *args, **options):
        if self.inner is not None:
            inner = self.inner

            def attend(*a, **o):
                return inner(attention, *a, **o)
        else:
            attend = attention
        mask = options.get("mask")
        if isinstance(mask, ReferenceMask):
            return mask.attend(attend, q, k, v, heads, *args, **options)
        return attend(q, k, v, heads, *args, **options)
