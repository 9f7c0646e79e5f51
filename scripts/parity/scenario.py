"""What a family module of this package gives for a golden file: scenarios that can be run, each a list of checks.

A family module (ltx2.py, ltxv.py, longlive.py, wan.py) has one function

    def claim(path: Path, data: dict | list) -> list[Scenario] | None

which is asked about every JSON file below the folder: None = not mine, [] = mine but holds no scenario (an index), else
its scenarios. What a file is must be read from its content and its place, never from a list of known names, so that
folders with other seeds, sizes and names run too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class Check:
    """One comparison: `error` must not exceed `tolerance`. Exact comparisons have tolerance 0."""

    name: str
    error: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance  # False for NaN


@dataclass(frozen=True)
class Scenario:
    """`run` gives the checks; without it the scenario is not covered, and fails unless `later` says why it may wait."""

    path: Path
    run: Callable[[], list[Check]] | None = None
    name: str = ""  # part of the file, for files with several scenarios
    later: str = ""


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """max |actual - expected| / max |expected|; an expected tensor of zeros must be matched exactly."""
    if actual.shape != expected.shape:
        raise ValueError(f"shape is {tuple(actual.shape)}, expected {tuple(expected.shape)}")
    if actual.numel() == 0:
        return 0.0
    difference = (actual.double() - expected.double()).abs().max().item()
    scale = expected.double().abs().max().item()
    return difference / scale if scale else (0.0 if difference == 0 else float("inf"))


def absolute_error(actual: Tensor, expected: Tensor) -> float:
    """max |actual - expected|."""
    if actual.shape != expected.shape:
        raise ValueError(f"shape is {tuple(actual.shape)}, expected {tuple(expected.shape)}")
    return (actual.double() - expected.double()).abs().max().item() if actual.numel() else 0.0


def mismatch(actual: object, expected: object) -> float:
    """0 if equal, else 1: for integers, strings, patterns and masks."""
    if isinstance(actual, Tensor) and isinstance(expected, Tensor):
        return float(not torch.equal(actual, expected))
    return float(actual != expected)
