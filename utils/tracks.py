"""Tracks as JSON: the splines of KJNodes' editor, ComfyUI's tracks and plain lists of points."""

from __future__ import annotations

import torch
from torch import Tensor

from .files import parse_json


def read_tracks(text: str) -> list[Tensor]:
    """Tracks [points, 2] from JSON: one list of {"x", "y"} or [x, y], or a list of such lists.

    Several JSON texts may follow each other, one a line; single quotes are read too. Raises ValueError otherwise.
    """
    found: list = []
    for block in _documents(text):
        found += block if _is_list_of_tracks(block) else [block]
    if not found:
        raise ValueError('there is no track: write JSON such as [[{"x": 10, "y": 20}, {"x": 90, "y": 20}]]')
    return [_points(track, number) for number, track in enumerate(found, start=1)]


def _documents(text: str) -> list:
    text = text.strip().replace("'", '"')
    if not text:
        return []
    try:
        return [parse_json(text, "the text of the tracks")]
    except ValueError:
        if len(text.splitlines()) < 2:
            raise
    return [parse_json(line, "the text of the tracks") for line in text.splitlines() if line.strip()]


def _is_list_of_tracks(block) -> bool:
    return isinstance(block, list) and bool(block) and isinstance(block[0], list) and _is_point_list(block[0])


def _is_point_list(track: list) -> bool:
    return not track or isinstance(track[0], (dict, list))


def _points(track, number: int) -> Tensor:
    try:
        points = [(p["x"], p["y"]) if isinstance(p, dict) else (p[0], p[1]) for p in track]
        values = torch.tensor(points, dtype=torch.float64)
        if not values.isfinite().all():
            raise ValueError
    except (KeyError, IndexError, TypeError, ValueError):
        raise ValueError(f"track {number} is {str(track)[:60]}; each of its points needs x and y") from None
    if not len(values):
        raise ValueError(f"track {number} is empty: give it a point, or remove it")
    return values
