"""Prompts on a time line in LTX-Video: the text attention of every block."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...samplers.windows.text_bias import bias_text, with_biases
from ...utils.core import need
from ..time_line import STEP, text_attentions, video_track
from .guider import need_prompts

_model = need("comfy.ldm.lightricks.model", "LTXVModel")

__all__ = ["STEP", "can", "need_prompts", "patch"]


def can(network: Any) -> bool:
    """Whether it is a network of LTX-Video."""
    return type(network) is _model.LTXVModel


def patch(model: Any) -> None:
    """Let a cloned LTX-Video MODEL read the time line of its prompts."""
    bias_text(model, {"video": text_attentions(model.model.diffusion_model, "attn2")}, _diffusion)


def _diffusion(
    executor,
    x,
    timestep,
    context,
    attention_mask,
    frame_rate=25,
    transformer_options=None,
    keyframe_idxs=None,
    **options,
) -> Tensor:
    given = with_biases(
        transformer_options or {}, len(x), x, lambda timed: {"video": video_track(timed, x, keyframe_idxs)}
    )
    return executor(x, timestep, context, attention_mask, frame_rate, given, keyframe_idxs, **options)
