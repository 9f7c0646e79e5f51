"""The Wan 2.2 Fun 5B Control-Camera model: core's own 5B model with a camera adapter beside it.

Source: VideoX-Fun wan_camera_adapter.py (commit 804a425). ComfyUI's loader knows no camera model of 48 latent channels,
and its camera class has neither an unshuffle of 16 nor a timestep a frame. So the transformer is loaded as the 5B model
it is, and what the adapter makes of the camera is added to the tokens before the first block, as in the original.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.conds
import comfy.ops
import comfy.patcher_extension
import torch
from einops import rearrange
from torch import Tensor, nn

from ..samplers.compiled import tell
from ..samplers.fitting import need_when_sampled
from ..utils import files
from ..utils.core import need
from .checks import need_sampled_prompts

sd_module = need("comfy.sd", "load_diffusion_model_state_dict")
utils = need("comfy.utils", "state_dict_prefix_replace")
detection = need("comfy.model_detection", "unet_prefix_from_state_dict")
wan_model = need("comfy.ldm.wan.model", "WanCamAdapter", "WanModel")

KEY = "oner_wan_camera"
ADAPTER = "control_adapter."
CHANNELS = 24  # of a camera embedding: 6 Pluecker coordinates of 4 frames


class CameraAdapter(wan_model.WanCamAdapter):  # type: ignore[name-defined]
    """Core's adapter with any unshuffle factor: pixels of a token are twice the factor."""

    def __init__(self, width: int, factor: int, dtype: torch.dtype):
        settings = {"operations": comfy.ops.manual_cast, "dtype": dtype, "device": None}
        channels = CHANNELS * factor**2 // 64  # core multiplies by 8 x 8
        super().__init__(channels, width, (2, 2), (2, 2), operation_settings=settings)
        self.pixel_unshuffle = nn.PixelUnshuffle(factor)


def build_adapter(weights: dict[str, Tensor]) -> CameraAdapter:
    """The adapter of a file's weights, keys without `control_adapter.`; width and factor are read from the shapes."""
    width, channels = weights["conv.weight"].shape[:2]
    adapter = CameraAdapter(width, round((channels / CHANNELS) ** 0.5), weights["conv.weight"].dtype)
    adapter.load_state_dict(weights)
    return adapter.requires_grad_(False)


def add_tokens(tokens: Tensor, previous: Callable | None) -> Callable:
    """A replacement of the first block that adds tokens [B, N, C] to the last N, which are those of the video."""

    def replace(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        first = args["img"].shape[1] - tokens.shape[1]  # tokens of a reference image come before
        img = torch.cat([args["img"][:, :first], args["img"][:, first:] + tokens.to(args["img"].dtype)], dim=1)
        args = {**args, "img": img}
        return extra["original_block"](args) if previous is None else previous(args, extra)

    return replace


def camera_wrapper(
    executor: Any,
    x: Tensor,
    timestep: Tensor,
    context: Tensor,
    clip_fea: Any,
    time_dim_concat: Any,
    transformer_options: dict[str, Any],
    camera_conditions: Tensor | None = None,
    **kwargs: Any,
) -> Tensor:
    """Around each forward: the adapter's view of the camera goes in with the first block. Holds no state."""
    if camera_conditions is not None:
        adapter = executor.class_obj.control_adapter
        tokens = rearrange(adapter(camera_conditions.to(x.dtype)), "b d t h w -> b (t h w) d")
        replaced = transformer_options.get("patches_replace", {})
        blocks = replaced.get("dit", {})
        first = add_tokens(tokens, blocks.get(("double_block", 0)))
        patches = {**replaced, "dit": {**blocks, ("double_block", 0): first}}
        transformer_options = {**transformer_options, "patches_replace": patches}
    return executor(x, timestep, context, clip_fea, time_dim_concat, transformer_options, **kwargs)


def regular(camera: Tensor) -> Any:
    """A camera embedding as the model condition that reaches camera_wrapper: core's 5B class hands on no camera."""
    return comfy.conds.CONDRegular(camera)


def attach_adapter(patcher: Any, adapter: CameraAdapter) -> Any:
    """A freshly loaded Wan MODEL with the adapter as a part of its network, so that core moves both together."""
    patcher.model.diffusion_model.control_adapter = adapter
    patcher.size = 0  # measured anew
    need_when_sampled(patcher, need_sampled_prompts)
    patcher.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, KEY, camera_wrapper)
    tell(patcher, "camera", plan_of=lambda _x, conds, _options: "camera_conditions" in conds)
    return patcher


def load_state_dict(
    weights: dict[str, Tensor],
    metadata: dict | None = None,
    model_options: dict | None = None,
    disable_dynamic: bool = False,
    name: str = "the file",
) -> Any:
    """A MODEL of the 5B camera model's weights; ValueError for any other model."""
    prefix = detection.unet_prefix_from_state_dict(weights)
    weights = utils.state_dict_prefix_replace(dict(weights), {prefix: ""}, filter_keys=True) or dict(weights)
    embedding = weights.get("patch_embedding.weight")
    inputs = embedding.shape[1] if embedding is not None and embedding.ndim == 5 else 0
    adapters = int(f"{ADAPTER}conv.weight" in weights)
    if inputs != 100 or not adapters:
        raise ValueError(
            f"{name} takes {inputs} input channels and has {adapters or 'no'} camera adapter; the 5B camera model "
            "takes 100 and has 1: load this one with ComfyUI's Load Diffusion Model"
        )
    own = {key.removeprefix(ADAPTER): weights.pop(key) for key in list(weights) if key.startswith(ADAPTER)}
    given = set(weights)
    # without the adapter core sees the 5B inpaint model, whose layout this is
    with files.taken_by_core(name):
        patcher = sd_module.load_diffusion_model_state_dict(
            weights, model_options=dict(model_options or {}), metadata=metadata, disable_dynamic=disable_dynamic
        )
    if patcher is None:
        raise ValueError(f"{name} is no Wan model that ComfyUI knows: download it again")
    files.check_complete(patcher.model.diffusion_model, given, name, always="blocks.")
    with files.taken_by_core(name, "has no camera adapter that fits"):  # torch's list of shapes and missing weights
        adapter = build_adapter(own)
    return attach_adapter(patcher, adapter)


def load_camera_5b(path: str, model_options: dict | None = None, disable_dynamic: bool = False) -> Any:
    """A MODEL of a 5B camera file, which core may load again for a second device."""
    weights, metadata = files.read_weights(path)
    patcher = load_state_dict(weights, metadata, model_options, disable_dynamic, Path(path).name)
    patcher.cached_patcher_init = (load_camera_5b, (path, model_options))
    return patcher
