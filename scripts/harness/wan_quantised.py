"""Tiny Wan models whose weights are not plain floats: core's quantised formats, packed weights, and dynamic loading."""

from __future__ import annotations

import json
from typing import Any

import comfy.model_patcher
import comfy.ops
import comfy.sd
import torch
from comfy.quant_ops import QUANT_ALGOS, QuantizedTensor
from torch import Tensor

from tiny import wan

# quantised formats this release of ComfyUI knows, of those that suit matrices as small as these
FORMATS = [name for name in ("float8_e4m3fn", "nvfp4", "mxfp8", "int8_tensorwise") if name in QUANT_ALGOS]


def is_matrix(name: str, weight: Tensor) -> bool:
    """Whether a weight is one that quantised files quantise: a matrix of a block."""
    return name.startswith("blocks.") and name.endswith(".weight") and weight.ndim == 2


def quantised(format: str, seed: int = 0) -> Any:
    """A text-to-video MODEL from a file in one of core's FORMATS, through core's own loader."""
    state, metadata = wan.transformer(seed)
    entry = torch.tensor(list(json.dumps({"format": format}).encode()), dtype=torch.uint8)
    file: dict[str, Tensor] = {}
    for name, weight in state.items():
        if is_matrix(name, weight):
            file |= QuantizedTensor.from_float(weight, QUANT_ALGOS[format]["comfy_tensor_layout"]).state_dict(name)
            file[name.removesuffix("weight") + "comfy_quant"] = entry
        else:
            file[name] = weight
    return comfy.sd.load_diffusion_model_state_dict(file, model_options={"dtype": torch.float32}, metadata=metadata)


class PackedOperations(comfy.ops.manual_cast):
    """Operations whose linear layers keep bytes and unpack them in `forward`, as packs for GGUF files do."""

    class Linear(comfy.ops.manual_cast.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):  # noqa: ARG002 - torch's signature
            weight = state_dict[f"{prefix}weight"].float()
            self.scale = weight.abs().max() / 127
            self.weight = torch.nn.Parameter((weight / self.scale).round().to(torch.int8), requires_grad=False)
            self.bias = torch.nn.Parameter(state_dict[f"{prefix}bias"].float())

        def forward(self, x):
            return torch.nn.functional.linear(x, self.weight.to(x.dtype) * self.scale, self.bias)


def packed(seed: int = 0) -> Any:
    """A text-to-video MODEL with PackedOperations."""
    state, metadata = wan.transformer(seed)
    options = {"dtype": torch.float32, "custom_operations": PackedOperations}
    return comfy.sd.load_diffusion_model_state_dict(state, model_options=options, metadata=metadata)


class DynamicOnCPU(comfy.model_patcher.ModelPatcherDynamic):
    """Core's patcher of dynamic VRAM where there is no VRAM: everything but the paging, which needs a GPU.

    Takes a device that is not `cpu` to core, such as cpu:0.
    """

    def __new__(cls, *args, **kwargs):  # noqa: ARG004 - core gives a CPU the other patcher here
        return object.__new__(cls)

    def _vbar_get(self, create: bool = False) -> None:  # noqa: ARG002 - core's signature
        return None
