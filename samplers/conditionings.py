"""What a guider was made with, and copies of it with something else: prompts, seed. The one received stays as it is."""

from __future__ import annotations

import copy
from typing import Any

from ..utils.core import need

need("comfy.samplers", "CFGGuider.inner_set_conds")

Conditionings = dict[str, list]  # by the names a guider has for them, such as positive


def conditionings_of(guider: Any) -> Conditionings:
    """The CONDITIONINGs that a guider was made with, all entries of each."""
    hidden = ("cross_attn", "uuid")
    return {
        name: [[one.get("cross_attn"), {k: v for k, v in one.items() if k not in hidden}] for one in entries]
        for name, entries in guider.original_conds.items()
    }


def with_conditionings(guider: Any, conditionings: Conditionings) -> Any:
    """A copy of a guider with other CONDITIONINGs."""
    other = copy.copy(guider)
    other.original_conds = {}
    for name, value in vars(guider).items():
        if hasattr(value, "original_conds"):  # the guider of a second model, which it tells its prompts
            inner = copy.copy(value)
            inner.original_conds = {}
            setattr(other, name, inner)
    other.inner_set_conds(conditionings)
    return other


def with_seed(noise: Any, seed: int) -> Any:
    """A copy of a NOISE with another seed."""
    other = copy.copy(noise)
    other.seed = seed
    return other
