"""Formulas of golden files: their values, and what is refused."""

import math

import pytest
import torch

from parity import formula

X, T = torch.tensor([-1.5, 0.0, 0.7], dtype=torch.float64), torch.tensor(500.0, dtype=torch.float64)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v(x,t) = tanh(x) + 0.3*sin(3*x + t/1000)", lambda x: math.tanh(x) + 0.3 * math.sin(3 * x + 0.5)),
        ("u(x, t)=cos(x)", math.cos),
        ("-x**2 - (1 - x)/2", lambda x: -(x**2) - (1 - x) / 2),
        ("2**x * t", lambda x: 2**x * 500),
        ("sin(cos(+x))", lambda x: math.sin(math.cos(x))),
    ],
)
def test_value(text, expected):
    assert torch.allclose(formula.parse(text)(X, T), torch.tensor([expected(x) for x in X.tolist()]).double())


def test_integer_power_of_a_negative_value():
    assert formula.parse("x**3")(X, T)[0] == pytest.approx(-3.375)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("v(x,t) = exp(x)", "exp"),
        ("y + 1", "'y'"),
        ("x.shape", "x.shape"),
        ("tanh(x, t)", "tanh(x, t)"),
        ("sin(x=t)", "sin(x=t)"),
        ("__import__('os')", "__import__"),
        ("sin(x).sum()", "sum"),
        ("x[0]", r"x\[0\]"),
        ("x @ t", "x @ t"),
        ("x // 2", "x // 2"),
        ("True", "True"),
        ("'x'", "'x'"),
        ("sin", "sin"),
        ("(lambda: x)()", "lambda"),
        ("x +", "cannot be read"),
        ("v(x,y) = x", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_refused(text, named):
    with pytest.raises(ValueError, match=named.replace("(", r"\(").replace(")", r"\)")):
        formula.parse(text)
