"""What compiled code must not bake in: the plan of a call of the model, of which torch.compile keeps no guard.

ComfyUI's compile node leaves out every guard on transformer_options, where guiders, block patches and wrappers live:
code compiled for the plan of the first step would run for every later one, and for other guiders on the same model.
But each compiled piece, also those between graph breaks, is guarded by the types of the torch function modes around
it. So a call runs in a mode of its own type for each plan. The mode does nothing; what has no plan is compiled as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..utils.core import need

_extension = need("comfy.patcher_extension", "WrappersMP.APPLY_MODEL")

COMPILE_KEY = "torch.compile"  # of ComfyUI's wrapper that puts compiled modules into the model
SWITCHES = ("run_vx", "run_ax", "a2v_cross_attn", "v2a_cross_attn")  # of LTX-2's network


class _Plan(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


@lru_cache(maxsize=256)  # one dropped is compiled again
def _type_for(plan: Hashable) -> type[_Plan]:
    return type("Plan", (_Plan,), {"plan": plan})


@contextmanager
def compiled_for(plan: Hashable) -> Iterator[None]:
    """Within it only code runs that was compiled for this plan; others around it count as well."""
    with _type_for(plan)():
        yield


def is_compiled(network: Any, transformer_options: dict) -> bool:
    """Whether a network is compiled or one of its blocks, or will be by ComfyUI's wrapper in this call.

    It is asked in every step, so no module within a block is looked at.
    """
    if COMPILE_KEY in transformer_options.get("wrappers", {}).get(_extension.WrappersMP.APPLY_MODEL, {}):
        return True
    parts = list(network.children())
    modules = [network, *parts, *(block for part in parts for block in part.children())]
    return any("_orig_mod" in module._modules or module._compiled_call_impl is not None for module in modules)


class Telling:
    """Wrapper of a call of the model: compiled code is told `name`, what of it changes, and which passes run.

    `plan_of`, if given, reads what changes from the latent, the conditions and the transformer options of the call.
    """

    def __init__(
        self, name: str, plan: Hashable = None, plan_of: Callable[[Tensor, dict, dict], Hashable] | None = None
    ):
        self.name = name
        self.plan = plan
        self.plan_of = plan_of

    def __call__(
        self, executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **conds
    ) -> Tensor:
        options = transformer_options or {}
        if not is_compiled(executor.class_obj.diffusion_model, options):
            return executor(x, t, c_concat, c_crossattn, control, options, **conds)
        plan = self.plan if self.plan_of is None else self.plan_of(x, conds, options)
        passes = tuple(options.get("cond_or_uncond", ()))
        switches = tuple(options.get(switch, True) for switch in SWITCHES)
        with compiled_for((self.name, plan, passes, switches)):
            return executor(x, t, c_concat, c_crossattn, control, options, **conds)


def telling(transformer_options: dict, name: str, plan: Hashable = None, plan_of: Callable | None = None) -> dict:
    """A copy of transformer options that tells compiled code `plan`, what goes under `name` and changes."""
    kind = _extension.WrappersMP.APPLY_MODEL
    wrappers = transformer_options.get("wrappers", {})
    told = {**wrappers.get(kind, {}), f"oner_told_{name}": [Telling(name, plan, plan_of)]}
    return {**transformer_options, "wrappers": {**wrappers, kind: told}}


def tell(model: Any, name: str, plan: Hashable = None, plan_of: Callable | None = None) -> None:
    """The same on a cloned MODEL."""
    options = model.model_options.get("transformer_options", {})
    model.model_options["transformer_options"] = telling(options, name, plan, plan_of)
