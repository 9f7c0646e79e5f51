"""What a row of the plan changes of a guider: CFG and the multipliers of scheduled LoRAs."""

from __future__ import annotations

import copy
from typing import Any

from ...utils.core import need
from ..lora_schedule import with_multipliers
from .plan import Row

_samplers = need("comfy.samplers", "CFGGuider.predict_noise")


def adapted(guider: Any, row: Row) -> Any:
    """The guider, or a copy with what the row says. Raises ValueError for what it has no place for."""
    if row.cfg is not None:
        if type(guider).predict_noise is not _samplers.CFGGuider.predict_noise:
            raise ValueError(
                f"cfg={row.cfg:g} stands in the plan, and the guider is {type(guider).__name__}, which has rules of "
                "its own for cfg: use CFGGuider, or take it out of the plan"
            )
        if not guider.original_conds.get("negative"):
            raise ValueError(
                f"cfg={row.cfg:g} stands in the plan, and the guider has no negative prompt for it to act on: use "
                "CFGGuider, or take it out of the plan"
            )
        guider = copy.copy(guider)
        guider.set_cfg(row.cfg)
    if row.loras is None:
        return guider
    guider = copy.copy(guider)
    for name, value in vars(guider).items():
        if hasattr(value, "model_patcher"):  # of a second model
            inner = copy.copy(value)
            _set_model(inner, row.loras)
            setattr(guider, name, inner)
    _set_model(guider, row.loras)
    return guider


def _set_model(guider: Any, multipliers: str) -> None:
    guider.model_patcher = with_multipliers(guider.model_patcher, multipliers)
    guider.model_options = guider.model_patcher.model_options
