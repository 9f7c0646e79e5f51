"""What every node of the pack is: one of ComfyUI's, whose inputs are checked against its own schema before it runs.

ComfyUI checks what is written in a widget. What comes by a link reaches a node as it is: a number outside the widget's
range, NaN, a grey picture, a sound of no samples, a name the node does not have. Here each becomes what the node
expects, or a ValueError that names the input, what it is and what to do. Whether a MODEL or VAE is of the right family
is the node's own question.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from comfy_api.latest import io

from ..utils.inputs import CHECKS, check_choice, check_kind, check_number


def own_type(name: str, kind: type | Callable[[Any], bool], remedy: str) -> type[io.ComfyTypeIO]:
    """A type that ComfyUI knows by name alone, whose inputs take one `kind`: a class, or a question it says yes to."""
    made = io.Custom(name)
    made.Input.check = staticmethod(functools.partial(check_kind, kind=kind, remedy=remedy))
    return made


class Node(io.ComfyNode):
    """A ComfyUI node whose `execute` gets checked inputs, however it is called."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        execute = cls.__dict__.get("execute")
        if execute is not None and not hasattr(execute.__func__, "unchecked"):
            cls.execute = classmethod(_checked(execute.__func__))


def _checked(execute: Callable) -> Callable:
    parameters = list(inspect.signature(execute).parameters.values())[1:]
    names = [each.name for each in parameters]
    needed = [each.name for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]

    @functools.wraps(execute)
    def run(cls: type[Node], *args: object, **kwargs: object) -> io.NodeOutput:
        given = dict.fromkeys(needed) | dict(zip(names, args, strict=False)) | kwargs
        schema = cls.define_schema()  # anew: files come and go; and it writes nothing on the class, which ComfyUI locks
        return execute(cls, **check_inputs(schema.inputs, given, strict=not schema.accept_all_inputs))

    run.unchecked = execute  # ComfyUI clones a node's class before each run: once is enough
    return run


def check_inputs(inputs: list[io.Input], given: dict[str, Any], *, strict: bool = True) -> dict[str, Any]:
    """`given` as the node's `inputs` want it. Raises ValueError, also for names they do not have if `strict`."""
    known = {each.id: each for each in inputs}
    if strict and (unknown := [name for name in given if name not in known]):
        raise ValueError(f"this node has no input {unknown[0]!r}: its inputs are {', '.join(known) or 'none'}")
    unconnected = {name for name, value in given.items() if value is None and name in known and known[name].optional}
    return {  # for what is not connected the default of `execute` holds
        name: _check(known[name], value) if name in known else value
        for name, value in given.items()
        if name not in unconnected
    }


def _check(wanted: io.Input, value: Any) -> Any:
    if value is None and isinstance(wanted, io.DynamicCombo.Input):  # ComfyUI leaves out one with an unknown choice
        options = ", ".join(repr(option.key) for option in wanted.options)
        raise ValueError(f"{wanted.id} is none of its options: choose one of {options}")
    if value is None:
        raise ValueError(f"{wanted.id} got nothing: the node it is connected to gave no {wanted.get_io_type()}")
    if isinstance(wanted, io.DynamicCombo.Input):
        options = {option.key: option.inputs for option in wanted.options}
        chosen = value.get(wanted.id) if isinstance(value, dict) else value
        check_choice(chosen, wanted.id, list(options))
        rest = {each.id: None for each in options[chosen] if not each.optional}  # what is missing is said like nothing
        rest |= {name: each for name, each in value.items() if name != wanted.id} if isinstance(value, dict) else {}
        return {wanted.id: chosen, **check_inputs(options[chosen], rest)}
    if isinstance(wanted, io.Int.Input | io.Float.Input):
        whole = isinstance(wanted, io.Int.Input)
        return check_number(value, wanted.id, wanted.min, wanted.max, whole=whole)
    if isinstance(wanted, io.Combo.Input):
        return check_choice(value, wanted.id, wanted.options)
    check = getattr(wanted, "check", CHECKS.get(wanted.get_io_type()))  # an input can have a check of its own
    return value if check is None else check(value, wanted.id)
