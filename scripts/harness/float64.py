"""Which numbers of a sampling run would be float64 on its device, as if the CPU had none: not every device has it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary


class NoFloat64(TorchDispatchMode):
    """Raises TypeError at the first float64 tensor made from `tensors`, those that a run has on its device.

    What is made of other tensors, or of numbers and masks read from these, counts as made on the host.
    """

    def __init__(self, *tensors: Tensor):
        super().__init__()
        self.on_device = WeakIdKeyDictionary()
        for tensor in tensors:
            self.on_device[tensor] = True

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if any(self._is_marked(leaf) for leaf in tree_leaves((args, kwargs))):
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor) and leaf.is_floating_point():
                    if leaf.dtype == torch.float64:
                        raise TypeError(f"{func} makes a float64 tensor on the sampling device")
                    self.on_device[leaf] = True
        return out

    def _is_marked(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value in self.on_device


def without_float64(sampler: Any) -> Any:
    """A SAMPLER that runs under NoFloat64: what a guider, a solver and their hooks do with its tensors."""

    class Watched(type(sampler)):  # type: ignore[misc]
        def sample(self, guider, sigmas, extra_args, callback, noise, latent_image=None, *args, **kwargs):
            mask = args[0] if args else kwargs.get("denoise_mask")
            tensors = [t for t in (sigmas, noise, latent_image, mask) if t is not None]
            with NoFloat64(*tensors):
                return super().sample(guider, sigmas, extra_args, callback, noise, latent_image, *args, **kwargs)

    watched = Watched.__new__(Watched)
    vars(watched).update(vars(sampler))
    return watched
