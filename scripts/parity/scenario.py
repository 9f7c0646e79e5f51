"""What a family module of this package gives for a golden file: scenarios that can be run, each a list of checks.

A family module (ltx2.py, ltxv.py, longlive.py, wan.py) has one function

    def claim(path: Path, data: dict | list) -> list[Scenario] | None

which is asked about every JSON file below the folder: None = not mine, [] = mine but holds no scenario (an index), else
its scenarios. What a file is must be read from its content and its place, never from a list of known names, so that
folders with other seeds, sizes and names run too. Each kind of scenario declares its Fields and runs through `knowing`:
a golden that says something which no comparison reads fails instead of passing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


class BadGolden(ValueError):
    """What a golden file says cannot be compared: the file is wrong, not the pack."""


class UnknownField(BadGolden):
    """A golden file says something that no comparison takes into account."""


@dataclass(frozen=True)
class Fields:
    """What a comparison knows of a JSON object, or of each object in a list. Names are separated by blanks.

    A name that is nowhere here may change the numbers, so the file that has it fails.
    """

    read: str = ""
    described: str = ""  # says the same as the tensors or nothing about the numbers
    fixed: Mapping[str, Any] = field(default_factory=dict)  # the one value that the pack computes with
    nested: Mapping[str, Fields | Choice] = field(default_factory=dict)
    each: Fields | Choice | None = None  # the values, where the names are not of the format

    def check(self, data: object, where: str = "") -> None:
        """Raise UnknownField naming the first field of `data` that is not known, or not with this value."""
        if isinstance(data, list):
            for index, item in enumerate(data):
                self.check(item, f"{where}[{index}]")
        if not isinstance(data, dict):
            return
        known = {*self.read.split(), *self.described.split(), *self.fixed}
        for name, value in data.items():
            place = f"{where}.{name}" if where else name
            below = self.nested.get(name) or (None if name in known else self.each)
            if below is not None:
                below.check(value, place)
            elif name not in known:
                raise UnknownField(f'the field "{place}" is not known here, so its effect would not be compared')
            elif name in self.fixed and value != self.fixed[name]:
                raise UnknownField(f'the field "{place}" is {value!r}; the pack has {self.fixed[name]!r} alone')


@dataclass(frozen=True)
class Choice:
    """Fields that depend on the value of one of them."""

    name: str
    options: Mapping[str, Fields]

    def check(self, data: object, where: str = "") -> None:
        if isinstance(data, list):
            for index, item in enumerate(data):
                self.check(item, f"{where}[{index}]")
        if not isinstance(data, dict):
            return
        fields = self.options.get(data.get(self.name))
        if fields is None:
            known = ", ".join(self.options)
            raise UnknownField(f'the field "{where}.{self.name}" is {data.get(self.name)!r}; known here: {known}')
        fields.check(data, where)


def knowing(fields: Fields | Choice, data: object, run: Callable[[], list[Check]], where: str = "") -> Callable:
    """`run`, once every field of `data` is known."""

    def checked() -> list[Check]:
        fields.check(data, where)
        return run()

    return checked


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
