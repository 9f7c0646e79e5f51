"""Names for models by their content, for what must not go on with another model than it was begun with."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def sample(tensor: Tensor, dtype: torch.dtype, count: int = 16) -> bytes:
    """A few values of a tensor as `dtype` has them."""
    flat = tensor.detach().flatten()
    step = max(1, flat.numel() // count)
    return flat[::step][:count].to(dtype).float().cpu().numpy().tobytes()


def fingerprint(patcher) -> str:
    """Names a model by samples of its weights and of the LoRAs on it, whether or not they are applied yet.

    Samples are in the type the model computes in: with dynamic VRAM, ComfyUI leaves some weights in it once loaded.
    """
    digest, dtype = hashlib.sha256(), patcher.model.get_dtype_inference()
    for key, tensor in sorted(patcher.model.diffusion_model.state_dict().items()):
        name = f"diffusion_model.{key}"
        original = patcher.backup[name].weight if name in patcher.backup else tensor
        digest.update(f"{key} {tuple(tensor.shape)}".encode() + sample(original, dtype))
    for key, patches in sorted(patcher.patches.items()):
        for strength, adapter, strength_model, *_ in patches:
            digest.update(f"{key} {strength} {strength_model}".encode())
            weights = getattr(adapter, "weights", adapter)
            for part in weights if isinstance(weights, list | tuple) else [weights]:
                if isinstance(part, Tensor):
                    digest.update(sample(part, torch.float32))
    return digest.hexdigest()[:32]
