"""Hostile values: numbers, texts, and pictures, masks, sounds, latents and sigmas that nobody expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

OUTSIDE = "<outside>"  # stands for an absolute path outside ComfyUI's folders, which differs from run to run
NAN, INFINITE = float("nan"), float("inf")
NUMBERS = [0, -1, 1, 2, 0.5, -0.5, 1e-9, 1e9, 2**31, 2**63, -(2**63), 1e300, NAN, INFINITE, -INFINITE]
TEXTS = [
    "",
    " ",
    "\n\t \n",
    "a" * 10_000,
    "word " * 2_000,
    "\x00",
    "\x1b[31m\x07\x08",
    "\ud800 alone",
    "../../x",
    "../" * 12 + "x",
    "..\\..\\x",
    f"{OUTSIDE}/x",
    f"{OUTSIDE}/a/b/c",
    "C:\\x",
    "CON",
    "nul.txt",
    "a/b/c",
    ".",
    "..",
    "/",
    "%date%",
    "%date:yyyy-MM-dd%/%width%",
    "%nothing.there%",
    "%",
    "\U0001f600\U0001f468‍\U0001f469‍\U0001f467",
    "‮abc",
    "a\nb\r\nc",
    "{}",
    "[]",
    "null",
    "[[[[",
    "[" * 5_000,
    '{"a": [1, 2, {"b": null}]}',
    '{"__class__": "os.system"}',
    "<script>alert(1)</script>",
    "<!DOCTYPE html><html></html>",
    "{0} {text} {} {{",
    "{0.__class__}",
    "%s %d %n",
    "nan",
    "inf",
    "-1",
    "1e999",
    "1" * 5_000,
    "true",
    "0, 1, 2",
    "1.0, nan, 0.0",
    "0:00 a / 0:02 b",
    "00:00:01 b",
    "0s a",
    "[0s] a",
    "0: a",
    "-1s: a",
    "5s: a\n0s: b",
    "0s: a\n0s: b",
    "nans: a",
    "1e9s: a\n2e9s: b",
    "0-1: a\n1-0: b",
    "|",
    "||||",
    "a|b;c,d:e",
    "((((a:1.5)",
    "(a:nan)",
    "embedding:x",
    "<lora:x:1>",
    "__wildcard__",
]
IN_TEXTS = ["-1", "0", "nan", "1e9", "99999999999999999999", "", "x", "0.5", "1/0"]  # where a text has a number


def _random(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _sound(*shape: int, rate: int = 44100) -> dict[str, Any]:
    return {"waveform": _random(*shape), "sample_rate": rate}


# type of ComfyUI -> name -> what makes the value
OBJECTS: dict[str, dict[str, Callable[[], Any]]] = {
    "IMAGE": {
        "grey": lambda: _random(5, 64, 64, 1),
        "2 channels": lambda: _random(5, 64, 64, 2),
        "alpha": lambda: _random(5, 64, 64, 4),
        "one frame": lambda: _random(1, 64, 64, 3),
        "8 frames": lambda: _random(8, 64, 64, 3),
        "no frame": lambda: _random(0, 64, 64, 3),
        "1 pixel": lambda: _random(1, 1, 1, 3),
        "a strip": lambda: _random(1, 1, 300, 3),
        "NaN": lambda: _random(2, 64, 64, 3) * NAN,
        "half": lambda: _random(2, 64, 64, 3).half(),
        "bytes": lambda: (_random(2, 64, 64, 3) * 255).byte(),
        "beyond 1": lambda: _random(2, 64, 64, 3) * 1e4 - 10,
        "no image": lambda: None,
    },
    "MASK": {
        "2 dimensions": lambda: _random(64, 64),
        "no frame": lambda: _random(0, 64, 64),
        "1 pixel": lambda: _random(1, 1, 1),
        "8 frames": lambda: _random(8, 40, 40),
        "NaN": lambda: _random(1, 64, 64) * NAN,
        "negative": lambda: _random(1, 64, 64) - 3,
        "all": lambda: torch.ones(1, 64, 64),
        "nothing": lambda: torch.zeros(1, 64, 64),
    },
    "AUDIO": {
        "mono": lambda: _sound(1, 1, 44100),
        "6 channels": lambda: _sound(1, 6, 44100),
        "two sounds": lambda: _sound(2, 2, 44100),
        "0 samples": lambda: _sound(1, 2, 0),
        "1 sample": lambda: _sound(1, 2, 1),
        "0 channels": lambda: _sound(1, 0, 100),
        "NaN": lambda: {"waveform": _random(1, 2, 44100) * NAN, "sample_rate": 44100},
        "rate 0": lambda: _sound(1, 2, 44100, rate=0),
        "rate 7": lambda: _sound(1, 2, 700, rate=7),
        "no sound": lambda: None,
    },
    "LATENT": {
        "4 dimensions": lambda: {"samples": _random(1, 4, 8, 8)},
        "16 channels": lambda: {"samples": _random(1, 16, 2, 8, 8)},
        "128 channels": lambda: {"samples": _random(1, 128, 2, 4, 4)},
        "batch of 2": lambda: {"samples": _random(2, 128, 2, 4, 4)},
        "no frame": lambda: {"samples": _random(1, 128, 0, 4, 4)},
        "empty": lambda: {},
        "NaN": lambda: {"samples": _random(1, 128, 2, 4, 4) * NAN},
        "mask of another size": lambda: {"samples": _random(1, 128, 2, 4, 4), "noise_mask": _random(1, 1, 7, 3, 3)},
    },
    "SIGMAS": {
        "none": lambda: torch.zeros(0),
        "one": lambda: torch.ones(1),
        "only 0": lambda: torch.zeros(3),
        "rising": lambda: torch.tensor([0.0, 0.5, 1.0]),
        "equal": lambda: torch.tensor([0.5, 0.5, 0.5, 0.0]),
        "NaN": lambda: torch.tensor([1.0, NAN, 0.0]),
        "beyond 1": lambda: torch.tensor([14.6, 3.0, 0.0]),
        "negative": lambda: torch.tensor([1.0, -0.5]),
        "not to 0": lambda: torch.tensor([1.0, 0.5]),
        "2 dimensions": lambda: torch.ones(2, 2),
    },
    "CONDITIONING": {
        "none": lambda: [],
        "other width": lambda: [[_random(1, 7, 33), {}]],
        "two prompts": lambda: [[_random(1, 7, 64), {}], [_random(1, 9, 64), {}]],
        "batch of 3": lambda: [[_random(3, 7, 64), {}]],
        "no tokens": lambda: [[_random(1, 0, 64), {}]],
    },
    "INT": {},
    "FLOAT": {},
}


def make_value_node(kind: str) -> type:
    """A node that gives any number or text, or one of OBJECTS, as a type of ComfyUI."""

    class Value:
        CATEGORY = "hostile"
        FUNCTION = "give"
        RETURN_TYPES = (kind,)

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            return {"required": {"value": ("*", {})}}

        def give(self, value: Any) -> tuple[Any]:
            return (OBJECTS[kind][value]() if value in OBJECTS[kind] else value,)

    return Value


def value_node(kind: str) -> str:
    return f"Hostile{kind}"


def register() -> None:
    """Let prompts use the value nodes."""
    import nodes

    for kind in [*OBJECTS, "STRING"]:
        OBJECTS.setdefault(kind, {})
        nodes.NODE_CLASS_MAPPINGS[value_node(kind)] = make_value_node(kind)
