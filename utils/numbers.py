"""Numbers written as text."""

from __future__ import annotations

import math


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
