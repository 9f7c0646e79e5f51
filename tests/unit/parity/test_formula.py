"""Formulas of golden files: their values, and what is refused."""

import math

import pytest
import torch

from parity import formula
from parity.scenario import BadGolden

X, T = torch.tensor([-1.5, 0.0, 0.7], dtype=torch.float64), torch.tensor(500.0, dtype=torch.float64)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tanh(x) + 0.3*sin(3*x + t/1000)", lambda x: math.tanh(x) + 0.3 * math.sin(3 * x + 0.5)),
        ("cos(x)", math.cos),
        ("-x**2 - (1 - x)/2", lambda x: -(x**2) - (1 - x) / 2),
        ("2**x * t", lambda x: 2**x * 500),
        ("sin(cos(+x))", lambda x: math.sin(math.cos(x))),
    ],
)
def test_value(text, expected):
    found = formula.parse(f"v(x,t) = {text}")(X, T)
    assert torch.allclose(found, torch.tensor([expected(x) for x in X.tolist()]).double())


def test_integer_power_of_a_negative_value():
    assert formula.parse("v(x,t) = x**3")(X, T)[0] == pytest.approx(-3.375)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("exp(x)", "exp"),
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
        ("(" * 250, "cannot be read"),
        ("x" + "+x" * 200, "has 410 characters"),
    ],
)
def test_refused(text, named):
    with pytest.raises(BadGolden, match=named.replace("(", r"\(").replace(")", r"\)")):
        formula.parse(f"v(x,t) = {text}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "v(x,t) = ",
        "v(x,y) = x",
        "u(x,t) = x",
        "v(x, t) = x",
        "v(x,t)=x",
        "v(x,t) = x\n",
        " v(x,t) = x",
        "v(x,t) = \uff58",
    ],
)
def test_another_form_is_refused(text):
    with pytest.raises(BadGolden, match=r"write `v\(x,t\) = ...` in ASCII"):
        formula.parse(text)


@pytest.mark.parametrize("text", ["x" + "+x" * 145, "-" * 290 + "x", "sin(" * 50 + "x" + ")" * 50])
def test_the_deepest_formula_can_be_evaluated(text):
    assert formula.parse(f"v(x,t) = {text}")(X, T).isfinite().all()
