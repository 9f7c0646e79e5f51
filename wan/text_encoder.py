"""UMT5 for Wan, from a Hugging Face folder.

Source: core's comfy/text_encoders/wan.py, whose classes do the work. Different: core runs UMT5 over 512 tokens and then
zeroes the padding; here only the prompt's own tokens run, and the zeros are added afterwards (the same numbers: padding
is masked as a key, and its rows are thrown away).
"""

from __future__ import annotations

import comfy.sd
import comfy.text_encoders.wan
import torch

from ..utils import text_encoders

CONTEXT = 512  # text tokens that Wan was trained with; its reference cuts there, the end token kept


class WanUMT5(comfy.text_encoders.wan.WanT5Model):
    def load_sd(self, sd):
        return text_encoders.load_strictly(super().load_sd, sd)

    def encode_token_weights(self, token_weight_pairs):
        cond, pooled = super().encode_token_weights(token_weight_pairs)[:2]  # [1, L, C]
        missing = max(0, CONTEXT - cond.shape[1])
        return torch.nn.functional.pad(cond, (0, 0, 0, missing)), pooled


def load_umt5(folder: str, model_options: dict | None = None, disable_dynamic: bool = False) -> comfy.sd.CLIP:
    """A UMT5 folder as the CLIP of Wan: [1, 512, C], zero beyond the prompt. ValueError if it is another model."""
    options = model_options or {}
    reload = (load_umt5, (folder, options))
    return text_encoders.load_t5(folder, "umt5", WanUMT5, "umt5xxl", 0, CONTEXT, reload, options, disable_dynamic)
