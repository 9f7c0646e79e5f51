"""Numbers written as text."""

from __future__ import annotations

import math
import re

WHOLE = re.compile(r"-?[0-9]{1,9}")


def parse_numbers(text: str, name: str) -> list[float]:
    """'1, 6, 8' -> [1.0, 6.0, 8.0]; ValueError naming the input `name` for what is no number."""
    items = text.split(",")
    if not items[-1].strip():
        items.pop()
    try:
        numbers = [float(item) for item in items]
        if not all(map(math.isfinite, numbers)):
            raise ValueError
    except ValueError:
        raise ValueError(f"{name} is '{text}'; write numbers separated by commas, e.g. 1, 6, 8") from None
    return numbers


def whole_numbers(text: str, name: str, example: str) -> tuple[int, ...]:
    """'14, 19' or '14 19' -> (14, 19); ValueError naming the input `name` and the word that is no whole number."""
    words = text.replace(",", " ").split()
    if wrong := next((word for word in words if not WHOLE.fullmatch(word)), ""):
        raise ValueError(f"{name} holds '{wrong[:40]}'; write whole numbers with commas between, such as {example}")
    return tuple(map(int, words))
