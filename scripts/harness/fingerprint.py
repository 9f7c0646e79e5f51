"""A hash of any value a node can receive, to see whether the node wrote into it."""

from __future__ import annotations

import hashlib
from typing import Any

from torch import Tensor, uint8

PATCHER_STATE = (  # what cloning a ModelPatcher copies
    "patches",
    "object_patches",
    "weight_wrapper_patches",
    "model_options",
    "attachments",
    "injections",
    "callbacks",
    "wrappers",
    "hook_patches",
    "forced_hooks",
)


def fingerprint(value: Any) -> str:
    return hashlib.sha256(repr(describe(value, ())).encode()).hexdigest()


def describe(value: Any, above: tuple[int, ...]) -> Any:
    """Plain data that changes whenever the value is written into; objects are followed, cycles are cut."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, Tensor):
        raw = value.detach().cpu().contiguous().flatten().view(uint8).numpy().tobytes()
        return str(value.dtype), tuple(value.shape), hashlib.sha256(raw).hexdigest()
    if id(value) in above:
        return "cycle"
    above = (*above, id(value))
    if isinstance(value, dict):
        return [(str(key), describe(item, above)) for key, item in value.items()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value).__name__, [describe(item, above) for item in value]
    if hasattr(value, "object_patches"):  # ModelPatcher
        state = {name: getattr(value, name, None) for name in PATCHER_STATE}
        weights = {} if value.patches else value.model.state_dict()  # core patches weights in place when it loads them
        return type(value).__name__, describe(state, above), describe(dict(weights), above)
    if hasattr(value, "state_dict") and hasattr(value, "forward"):  # torch module
        return type(value).__name__, describe(dict(value.state_dict()), above)
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return type(value).__name__, describe(vars(value), above) if hasattr(value, "__dict__") else ""
