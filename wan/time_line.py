"""Prompts on a time line in Wan: the text attention of every block, and which of its tokens are which latent frame.

In front of the clip's tokens lie a reference of Fun control, and in the latent itself the reference frames of VACE;
behind it references that core appends. They have no time.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..samplers.windows.text_bias import TimedText, Track, bias_text, need_length, picture, with_biases
from ..utils.core import need
from .checks import need_prompts
from .frames import TEMPORAL as STEP

_wan = need("comfy.ldm.wan.model", "WanModel", "VaceWanModel", "CameraWanModel", "WanI2VCrossAttention")

__all__ = ["STEP", "can", "need_prompts", "patch"]


def can(network: Any) -> bool:
    """Whether a network lays out its tokens as told above; Animate, S2V, HuMo and others do not."""
    return type(network) in (_wan.WanModel, _wan.VaceWanModel, _wan.CameraWanModel)


def patch(model: Any) -> None:
    """Let a cloned Wan MODEL read the time line of its prompts."""
    network = model.model.diffusion_model
    groups = {name: len(getattr(network, name, ())) for name in ("blocks", "vace_blocks")}
    paths = [f"{name}.{i}.cross_attn" for name, count in groups.items() for i in range(count)]
    bias_text(model, {"video": paths}, _diffusion)


def _diffusion(
    executor, x, timestep, context, clip_fea=None, time_dim_concat=None, transformer_options=None, **options
) -> Tensor:
    network, (frames, height, width) = executor.class_obj, x.shape[2:]
    _, rows, columns = network.patch_size
    tokens = -(-height // rows) * -(-width // columns)
    in_front = int(getattr(network, "ref_conv", None) is not None and options.get("reference_latent") is not None)

    def tracks_of(timed: TimedText) -> dict[str, Track]:
        references = max(0, frames - timed.latents) if isinstance(network, _wan.VaceWanModel) else 0
        need_length(timed, frames - references)
        return {"video": picture(timed, tokens, (in_front + references) * tokens)}

    given = with_biases(transformer_options or {}, len(x), x, tracks_of)
    return executor(x, timestep, context, clip_fea, time_dim_concat, given, **options)
