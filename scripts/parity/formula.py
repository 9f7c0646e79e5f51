"""The velocity formulas of golden files, evaluated without running them as code."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

import torch
from torch import Tensor

from .scenario import BadGolden

FORM = re.compile(r"v\(x,t\) = (.+)")
LONGEST = 300  # characters; nests less deep than Python can
Evaluation = Callable[[Tensor, Tensor], Tensor]  # of x and t, broadcast
FUNCTIONS = {"tanh": torch.tanh, "sin": torch.sin, "cos": torch.cos}
SIGNS = {ast.UAdd: operator.pos, ast.USub: operator.neg}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def parse(text: str) -> Evaluation:
    """A function of tensors x and t from `v(x,t) = tanh(x) + 0.3*sin(3*x + t/1000)`.

    Raises BadGolden naming what is none of: x, t, numbers, + - * / **, parentheses, tanh, sin, cos of one value.
    """
    form = FORM.fullmatch(text)
    if not (form and text.isascii()):
        raise BadGolden(f"the formula is {text!r}; write `v(x,t) = ...` in ASCII on one line")
    if len(text) > LONGEST:
        raise BadGolden(f"the formula has {len(text)} characters; {LONGEST} is the most")
    try:
        node = ast.parse(form.group(1).strip(), mode="eval").body
    except (SyntaxError, MemoryError) as error:
        raise BadGolden(f"the formula {text!r} cannot be read: {error}") from error
    return build(node, text)


def build(node: ast.expr, text: str) -> Evaluation:
    """The function of a node of the formula `text`, if it and all below it are on the list."""
    match node:
        case ast.Constant(value=number) if type(number) in (int, float):
            return lambda x, _t: torch.as_tensor(float(number), dtype=x.dtype)
        case ast.Name(id="x"):
            return lambda x, _t: x
        case ast.Name(id="t"):
            return lambda _x, t: t
        case ast.UnaryOp(op=op, operand=operand) if type(op) in SIGNS:
            value, sign = build(operand, text), SIGNS[type(op)]
            return lambda x, t: sign(value(x, t))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            first, second, apply = build(left, text), build(right, text), OPERATORS[type(op)]
            return lambda x, t: apply(first(x, t), second(x, t))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            value, function = build(argument, text), FUNCTIONS[name]
            return lambda x, t: function(value(x, t))
    raise BadGolden(
        f"the formula {text!r} holds {ast.unparse(node)!r}: use x, t, numbers, + - * / ** and {', '.join(FUNCTIONS)} "
        "of one value"
    )
