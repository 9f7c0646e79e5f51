"""LoRAs whose strength changes over a run, added in the forward pass of each layer; weights are never touched.

ComfyUI's weight hooks re-patch weights and force a second, non-dynamic copy of the model; two of its bypass LoRAs
replace each other. Here one injection holds everything, so it works on quantised and streamed weights, and removes
cleanly. y = W x + sum over LoRAs of strength(step, prompt) * delta(x).
"""

from __future__ import annotations

import copy
import dataclasses
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import comfy.patcher_extension
import comfy.utils
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..utils.core import need
from .lora_multipliers import Strength, expand_token, parse_token
from .phase_guider import step_of

weight_adapter = need("comfy.weight_adapter", "WeightAdapterBase", "LoRAAdapter")
bypass = need("comfy.weight_adapter.bypass", "BypassForwardHook")

KEY = "oner_lora_schedule"
LINEAR_IN_STRENGTH = ("lora", "loha", "lokr")  # adapters whose delta is strength * something


@dataclass(frozen=True)
class ScheduledLora:
    """One LoRA file's patches (by weight name) with its multiplier token and the sigmas at which phases change."""

    name: str
    patches: dict[str, Any]
    multiplier: str = "1"
    thresholds: tuple[float, ...] = ()
    model_switch_phase: int = 1

    def strengths(self, sigmas: Tensor) -> list[Strength]:
        """The strength at each step of a run."""
        return self.strengths_at(tuple(sigmas.tolist()))

    def strengths_at(self, levels: tuple[float, ...]) -> list[Strength]:
        """The strength at each step of a run over these noise levels."""
        return _expand(self.multiplier, self.thresholds, self.model_switch_phase, levels)


@lru_cache(maxsize=64)  # asked for at every forward
def _expand(
    multiplier: str, thresholds: tuple[float, ...], model_switch_phase: int, levels: tuple[float, ...]
) -> list[Strength]:
    switches = [sum(level >= threshold for level in levels[:-1]) for threshold in thresholds]
    return expand_token(multiplier, len(levels) - 1, len(thresholds) + 1, switches, model_switch_phase)


def check_lora(lora: ScheduledLora) -> None:
    """Refuse what cannot be added in the forward pass, and multipliers that cannot be read."""
    phases = parse_token(lora.multiplier)
    if len(phases) > len(lora.thresholds) + 1:
        raise ValueError(
            f"LoRA multiplier {lora.multiplier!r} has {len(phases)} phases, but there are {len(lora.thresholds)} "
            "switch thresholds: give one threshold fewer than phases"
        )
    for key, patch in lora.patches.items():
        if isinstance(patch, weight_adapter.WeightAdapterBase):
            kind = getattr(patch, "name", type(patch).__name__)
            if kind not in LINEAR_IN_STRENGTH:
                raise ValueError(f"{lora.name} holds {kind} layers, which cannot be scheduled: use a LoRA loader")
            if kind == "lora" and patch.weights[4] is not None:
                raise ValueError(f"{lora.name} is a DoRA, which needs the whole weight: use a LoRA loader")
        elif patch[0] != "diff" or not key.endswith((".weight", ".bias")):
            raise ValueError(f"{lora.name} changes {key} by {patch[0]!r}, which cannot be scheduled: use a LoRA loader")


def adapter_delta(adapter: Any, module: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """delta(x, base output) of an adapter; its weights stay on the device they were last used on."""
    own = copy.copy(adapter)
    bypass.BypassForwardHook(module, own, 1.0)  # writes the layer's kind and shape into the adapter

    def delta(x: Tensor, base: Tensor) -> Tensor:
        own.weights = [w.to(x.device, x.dtype) if isinstance(w, Tensor) else w for w in own.weights]
        return own.h(x, base)

    return delta


def weight_delta(difference: Tensor, module: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """delta(x, base output) of a difference of the weight itself."""

    def delta(x: Tensor, _: Tensor) -> Tensor:
        weight = difference.to(x.device, x.dtype)
        if weight.ndim == 2:  # quantised linear layers are no nn.Linear
            return F.linear(x, weight)
        if isinstance(module, nn.LayerNorm):
            return F.layer_norm(x, module.normalized_shape, weight, None, module.eps)
        if isinstance(module, nn.RMSNorm):
            return F.rms_norm(x, module.normalized_shape, weight, module.eps)
        return module._conv_forward(x, weight, None)

    return delta


def bias_delta(difference: Tensor, module: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """delta(x, base output) of a difference of the bias."""
    shape = (-1, *[1] * (module.weight.ndim - 2)) if isinstance(module, nn.modules.conv._ConvNd) else (-1,)
    return lambda _, base: difference.to(base.device, base.dtype).view(shape).expand_as(base)


def make_delta(key: str, patch: Any, module: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    if isinstance(patch, weight_adapter.WeightAdapterBase):
        return adapter_delta(patch, module)
    return (bias_delta if key.endswith(".bias") else weight_delta)(patch[1][0], module)


@dataclass
class Schedule:
    """The LoRAs of one model, the current strengths of each thread, and the forwards they replaced."""

    loras: list[ScheduledLora]
    now: threading.local = field(default_factory=threading.local)  # core runs one thread a device
    replaced: WeakKeyDictionary = field(
        default_factory=WeakKeyDictionary
    )  # model -> [(layer, its own forward or None)]

    def inject(self, patcher: Any) -> None:
        if patcher.model in self.replaced:
            return
        layers: dict[str, list[tuple[int, str, Any]]] = {}
        for index, lora in enumerate(self.loras):
            for key, patch in lora.patches.items():
                layers.setdefault(key.rsplit(".", 1)[0], []).append((index, key, patch))
        saved = self.replaced[patcher.model] = []
        for layer, patches in layers.items():
            module = comfy.utils.get_attr(patcher.model, layer)
            saved.append((module, module.__dict__.get("forward")))
            deltas = [(index, make_delta(key, patch, module)) for index, key, patch in patches]
            module.forward = self.forward(module.forward, deltas)

    def eject(self, patcher: Any) -> None:
        for module, previous in reversed(self.replaced.pop(patcher.model, [])):
            del module.forward
            if previous is not None:
                module.forward = previous

    def forward(self, original: Callable, deltas: list[tuple[int, Callable]]) -> Callable:
        def scheduled(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            base = original(x, *args, **kwargs)
            strengths = getattr(self.now, "strengths", None)
            if strengths is None:
                return base
            for index, delta in deltas:
                strength = rows(strengths[index], getattr(self.now, "chunks", [0]), base)
                if strength is not None:
                    base = base + strength * delta(x, base)
            return base

        return scheduled

    def wrapper(
        self, executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **conds
    ) -> Tensor:
        """Around each call of the model, where nothing is compiled: look up the strengths of its step."""
        options = transformer_options or {}
        sigmas = options["sample_sigmas"]
        step = step_of(float(options["sigmas"].max()), sigmas)
        levels = tuple(sigmas.tolist())
        self.now.strengths = [lora.strengths_at(levels)[step] for lora in self.loras]
        self.now.chunks = options["cond_or_uncond"]
        try:
            return executor(x, t, c_concat, c_crossattn, control, options, **conds)
        finally:
            self.now.strengths = None


def rows(strength: Strength, chunks: list[int], like: Tensor) -> Tensor | float | None:
    """The strength to multiply with: None where it is 0, a column over the batch where the prompts differ."""
    if not isinstance(strength, tuple):
        return strength or None
    values = [strength[min(chunk, 1)] for chunk in chunks]
    if not any(values):
        return None
    if len(set(values)) == 1:
        return values[0]
    column = torch.tensor(values, device=like.device, dtype=like.dtype).repeat_interleave(like.shape[0] // len(chunks))
    return column.view(-1, *[1] * (like.ndim - 1))


def add_scheduled_lora(model: Any, lora: ScheduledLora) -> Any:
    """A clone of the model with one more scheduled LoRA; all of a model's schedules share one injection."""
    before = model.get_attachment(KEY)
    return _with_loras(model, [*(before[1] if before else []), lora])


def with_multipliers(model: Any, multipliers: str) -> Any:
    """A clone of the model whose scheduled LoRAs have other multipliers, one word a LoRA in their order.

    Raises ValueError unless there are as many.
    """
    before, words = model.get_attachment(KEY), multipliers.split()
    loras = before[1] if before else []
    if len(words) != len(loras):
        names = ", ".join(lora.name for lora in loras) or "none"
        raise ValueError(
            f"loras={multipliers} gives {len(words)} multipliers, and the model has {len(loras)} scheduled LoRAs "
            f"({names}): give one each, in this order, and add LoRAs by Wan LoRA Schedule"
        )
    changed = zip(loras, words, strict=True)
    return _with_loras(model, [dataclasses.replace(lora, multiplier=word) for lora, word in changed])


def _with_loras(model: Any, loras: list[ScheduledLora]) -> Any:
    for lora in loras:
        check_lora(lora)
    model = model.clone()
    before = model.get_attachment(KEY)
    if before is not None:
        model.remove_injections(before[0])
        model.remove_wrappers_with_key(comfy.patcher_extension.WrappersMP.APPLY_MODEL, before[0])
    schedule = Schedule(loras)
    key = f"{KEY}_{uuid.uuid4().hex}"  # core compares keys to tell whether a loaded clone may be reused
    model.set_attachments(KEY, (key, schedule.loras))
    model.is_injected = False  # a clone of a loaded model claims its parent's injections
    model.set_injections(key, [comfy.patcher_extension.PatcherInjection(schedule.inject, schedule.eject)])
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.APPLY_MODEL, key, schedule.wrapper)
    return model
