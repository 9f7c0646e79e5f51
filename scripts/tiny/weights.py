"""Random weights for a core model class, scaled so that every part of the network matters.

The class itself gives the key names and shapes. Each tensor has its own generator, seeded by the seed and its key:
adding a layer changes no other tensor, and nothing is drawn from the global generator.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import torch

STATISTICS = ("mean-of-means", "std-of-means")  # buffers that core leaves empty; all other buffers are constants
QK_NORMS = ("q_norm", "k_norm", "norm_q", "norm_k")
TABLES = ("scale_shift_table", "modulation")  # AdaLN offsets, among them the gates of the residual branches


def random_state(make: Callable[[], torch.nn.Module], seed: int | str, prefix: str = "") -> dict[str, torch.Tensor]:
    """The state dict of the module that `make` builds, filled with random fp32 weights; its keys get `prefix`."""
    with torch.random.fork_rng(devices=[]):  # plain torch layers initialise themselves from the global generator
        module = make()
    constants = {name for name, _ in module.named_buffers() if not name.endswith(STATISTICS)}
    return {
        prefix + key: value.clone() if key in constants else random_tensor(prefix + key, value.shape, seed)
        for key, value in module.state_dict().items()
    }


def random_tensor(key: str, shape: torch.Size | tuple[int, ...], seed: int | str) -> torch.Tensor:
    """A random fp32 tensor for `key`: unit-gain matrices, norm weights near 1, the rest near 0 but of visible size."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{key}".encode()))
    noise = torch.randn(shape, generator=generator)
    *_, parent, leaf = ("", *key.split("."))
    if leaf == "timestep_scale_multiplier":
        return torch.full(shape, 1000.0)  # what real timestep-conditioned VAEs hold
    if leaf == "std-of-means":
        return 1 + 0.2 * torch.tanh(noise)  # positive
    if leaf == "learnable_registers":
        return noise
    if any(table in leaf for table in TABLES):
        return 0.5 * noise
    if parent in QK_NORMS:
        return 2.5 + 0.1 * noise  # sharp attention: else a short prompt drowns in the registers that LTX-2 pads with
    if leaf == "gamma" or (leaf == "weight" and len(shape) == 1):
        return 1 + 0.1 * noise
    if leaf == "weight":
        return noise / math.sqrt(math.prod(shape[1:]))
    return 0.1 * noise
