"""Numbers written as text."""

from __future__ import annotations


def parse_numbers(text: str, name: str) -> list[float]:
    """'1, 6, 8' -> [1.0, 6.0, 8.0]; ValueError naming the input `name` for what is no number."""
    try:
        return [float(item) for item in text.split(",") if item.strip()]
    except ValueError:
        raise ValueError(f"{name} is '{text}'; write numbers separated by commas, e.g. 1, 6, 8") from None
