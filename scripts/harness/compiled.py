"""A MODEL as ComfyUI's compile node makes it, with dynamo's guards and without its code generation."""

from __future__ import annotations

from typing import Any

import torch


def compiled(model: Any) -> Any:
    """`model` through ComfyUI's node for torch.compile; nothing compiled before is used again."""
    from comfy_extras.nodes_torch_compile import TorchCompileModel

    torch._dynamo.reset()
    return TorchCompileModel.execute(model, "eager").result[0]
