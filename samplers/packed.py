"""Packed latents: ComfyUI samples several modalities as one tensor [B, 1, N]; here are its parts.

A latent of one modality stays as it is. The shapes are those ComfyUI hands to the guider.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..utils.core import need

_utils = need("comfy.utils", "pack_latents", "unpack_latents")


def pack(parts: Sequence[Tensor]) -> Tensor:
    """One part as it is; several as one tensor [B, 1, N]."""
    return parts[0] if len(parts) == 1 else _utils.pack_latents(list(parts))[0]


def unpack(packed: Tensor, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """The parts of a packed tensor, views with the given shapes (batch size from the tensor)."""
    return _utils.unpack_latents(packed, shapes)


def latent_shapes(guider, x: Tensor) -> list[tuple[int, ...]]:
    """Shapes of the parts of `x` as the guider's processed conditioning knows them; one shape if it knows none."""
    for conds in guider.conds.values():
        for cond in conds:
            if "latent_shapes" in cond.get("model_conds", {}):
                return [tuple(shape) for shape in cond["model_conds"]["latent_shapes"].cond]
    return [tuple(x.shape)]
