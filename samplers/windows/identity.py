"""Names for what a film is made with: by content where it has one, and by the graph that leads to it.

The graph speaks for what content cannot, such as settings inside another pack's guider. What hangs on the plan alone is
left out of it: a window's own row stands in its key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..fingerprint import fingerprint, sample
from .run import Stage
from .text_bias import KEY


def graph_digest(prompt: dict | None, node: str, *, without: Iterable[str], cut: Iterable[str]) -> str:
    """Names all that leads to a node of an API prompt, but for some of its own inputs, and what nodes of `cut` give."""
    done: dict[str, str] = {}

    def name_of(id: str, left_out: Iterable[str] = ()) -> str:
        if id not in (prompt or {}):
            return "absent"
        kind, inputs = prompt[id]["class_type"], prompt[id]["inputs"]  # type: ignore[index]
        if kind in cut:
            return kind
        if id not in done:
            facts = {}
            for key, value in inputs.items():
                linked = isinstance(value, list) and len(value) == 2 and str(value[0]) in (prompt or {})
                facts[key] = [name_of(str(value[0])), value[1]] if linked else value
            kept = {key: value for key, value in facts.items() if key not in left_out}
            done[id] = _hash(json.dumps([kind, kept], sort_keys=True).encode())
        return done[id]

    return name_of(node, without)


def stage_digest(stage: Stage) -> str:
    """Names what a stage samples with: models, prompts, sampler, noise levels and seed."""
    guiders = [stage.guider, *(each for each in vars(stage.guider).values() if hasattr(each, "original_conds"))]
    facts = [
        [
            type(guider).__name__,
            fingerprint(guider.model_patcher),
            digest(guider.original_conds),
            digest(_plain(guider)),
        ]
        for guider in guiders
    ]
    sampler = [type(stage.sampler).__name__, digest(vars(stage.sampler))] if stage.sampler is not None else []
    noise = [type(stage.noise).__name__, digest(vars(stage.noise))]
    return _hash(json.dumps([facts, sampler, noise, digest(stage.sigmas)]).encode())


def is_timed(value: Any) -> bool:
    """Whether prompts carry something over the time of a film: frames of a video, or a time line."""
    if isinstance(value, Tensor):
        return value.ndim == 5  # [B, C, T, H, W]
    if isinstance(value, dict):
        return KEY in value or any(is_timed(each) for each in value.values())
    if isinstance(value, list | tuple):
        return any(is_timed(each) for each in value)
    return is_timed(getattr(value, "cond", None)) if hasattr(value, "cond") else False


def module_digest(module: torch.nn.Module) -> str:
    """Names a network by samples of its weights."""
    parts = (
        f"{key} {tuple(x.shape)}".encode() + sample(x, torch.float32) for key, x in sorted(module.state_dict().items())
    )
    return _hash(b"".join(parts))


def digest(value: Any) -> str:
    """Names a value by its content; of an object without any, by its class."""
    if isinstance(value, Tensor):
        header = f"{tuple(value.shape)} {value.dtype}".encode()
        return _hash(header + value.detach().float().cpu().contiguous().numpy().tobytes())
    if isinstance(value, dict):
        return _hash(
            json.dumps([[str(k), digest(v)] for k, v in sorted(value.items(), key=_key) if k != "uuid"]).encode()
        )
    if isinstance(value, list | tuple):
        return _hash(json.dumps([digest(each) for each in value]).encode())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return digest({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, str | int | float | bool | None):
        return repr(value)
    if hasattr(value, "cond"):  # what ComfyUI hands to a model
        return digest([type(value).__name__, value.cond])
    return getattr(value, "__qualname__", type(value).__qualname__)


def _plain(guider: Any) -> dict[str, Any]:
    """A guider's own settings, without its models and prompts."""
    left_out = ("model_patcher", "model_options", "original_conds", "conds")
    return {name: value for name, value in vars(guider).items() if name not in left_out}


def _key(item: tuple) -> str:
    return str(item[0])


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
