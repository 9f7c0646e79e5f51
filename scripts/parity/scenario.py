"""What a family module of this package gives for a golden file: scenarios that can be run, each a list of checks.

A family module (ltx2.py, ltxv.py, longlive.py, wan.py) has one function

    def claim(path: Path, data: dict | list) -> list[Scenario] | None

which is asked about every JSON file below the folder: None = not mine, [] = mine but holds no scenario (an index), else
its scenarios. What a file is must be read from its content and its place, never from a list of known names, so that
folders with other seeds, sizes and names run too. Each kind of scenario declares its Fields and runs through `knowing`:
a golden that says something which no comparison reads fails instead of passing. What is wrong in a golden itself is a
BadGolden, printed as its sentence; any other exception is a crash of the pack, printed with its traceback.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

LARGEST_TOLERANCE = 1e-3  # of what a golden may ask for; the reference's own are 1e-5 to 1e-4


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


class Stored(dict):
    """The tensors of a file by name."""

    def __missing__(self, name: str) -> Tensor:
        raise BadGolden(f"the tensor {name!r} is not in the golden's file")


def existing(path: Path) -> Path:
    if not path.is_file():
        raise BadGolden(f"the file {path.name!r} is not in {path.parent.name}/")
    return path


def find_above(folder: Path, name: str) -> Path:
    """The file `name` in `folder` or in the nearest folder above it."""
    found = next((above / name for above in (folder, *folder.parents) if (above / name).is_file()), None)
    if found is None:
        raise BadGolden(f"the file {name!r} is neither in {folder.name}/ nor above it")
    return found


def load_tensors(path: Path) -> Stored:
    try:
        return Stored(load_file(existing(path)))
    except SafetensorError as error:
        raise BadGolden(f"{path.name} cannot be read: {error}") from error


def read_golden(path: Path) -> Any:
    """The JSON of a golden file, if each name stands once in its object and all numbers are finite."""
    existing(path)
    try:
        return json.loads(path.read_text("utf-8"), object_pairs_hook=distinct, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadGolden(f"{path.name} cannot be read: {error}") from error


def distinct(pairs: list[tuple[str, Any]]) -> dict:
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadGolden(f'the field "{twice}" is given twice')
    return dict(pairs)


def refuse_constant(name: str) -> None:
    raise BadGolden(f"{name} is no finite number")


def is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def is_count(value: object) -> bool:
    return all(map(is_count, value)) if isinstance(value, list) else type(value) is int and value > 0


def holds_nothing(value: object) -> bool:
    """Whether a list or an object is empty, or a list has such an item."""
    return value in ([], {}) or (isinstance(value, list) and any(map(holds_nothing, value)))


RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {  # by the attribute of Fields that names who keeps to it
    "tolerances": (
        f"a number from 0 to {LARGEST_TOLERANCE}",
        lambda value: is_number(value) and 0 <= value <= LARGEST_TOLERANCE,
    ),
    "counts": ("whole and above 0", is_count),
    "positive": ("a number above 0", lambda value: is_number(value) and value > 0),
    "nonzero": ("a number other than 0", lambda value: is_number(value) and value != 0),
    "texts": ("a text", lambda value: isinstance(value, str)),
}


@dataclass(frozen=True)
class Fields:
    """What a comparison knows of a JSON object, or of each object in a list. Names are separated by blanks.

    A name that is nowhere here may change the numbers, so the file that has it fails. So does a list that is empty, for
    then less is compared, unless emptiness says something (`may_be_empty`).
    """

    read: str = ""
    may_be_empty: str = ""
    needed: str = ""  # there and not null
    tolerances: str = ""  # this and the next four: values that keep to RULES
    counts: str = ""
    positive: str = ""
    nonzero: str = ""
    texts: str = ""
    described: str = ""  # says the same as the tensors or nothing about the numbers
    fixed: Mapping[str, Any] = field(default_factory=dict)  # the one value that the pack computes with
    nested: Mapping[str, Fields | Choice] = field(default_factory=dict)
    each: Fields | Choice | None = None  # the values, where the names are not of the format

    def check(self, data: object, where: str = "") -> None:
        """Raise UnknownField naming the first field of `data` that is not known, or not with this value."""
        if is_list(data, where, self.check):
            return
        described = self.described.split()
        known = {*self.names("read", "may_be_empty", "needed", *RULES), *described, *self.fixed}
        for name in self.needed.split():
            if data.get(name) is None:
                raise BadGolden(f'the field "{name}" is missing, so nothing of it would be compared')
        for name, value in data.items():
            place = f"{where}.{name}" if where else name
            if holds_nothing(value) and name not in {*self.may_be_empty.split(), *described}:
                raise BadGolden(f'the field "{place}" is empty, so nothing of it would be compared')
            for rule, (wanted, holds) in RULES.items():
                if name in self.names(rule) and not holds(value):
                    raise BadGolden(f'the field "{place}" is {value!r}; it must be {wanted}')
            below = self.nested.get(name) or (None if name in known else self.each)
            if below is not None:
                below.check(value, place)
            elif name not in known:
                raise UnknownField(f'the field "{place}" is not known here, so its effect would not be compared')
            elif name in self.fixed and value != self.fixed[name]:
                raise UnknownField(f'the field "{place}" is {value!r}; the pack has {self.fixed[name]!r} alone')

    def names(self, *attributes: str) -> list[str]:
        return " ".join(getattr(self, attribute) for attribute in attributes).split()


@dataclass(frozen=True)
class Choice:
    """Fields that depend on the value of one of them."""

    name: str
    options: Mapping[str, Fields]

    def check(self, data: object, where: str = "") -> None:
        if is_list(data, where, self.check):
            return
        value = data.get(self.name)
        fields = self.options.get(value) if isinstance(value, str) else None
        if fields is None:
            known = ", ".join(self.options)
            raise UnknownField(f'the field "{where}.{self.name}" is {value!r}; known here: {known}')
        fields.check(data, where)


def is_list(data: object, where: str, check: Callable[[object, str], None]) -> bool:
    """Whether `data` is a list, each item checked, or null; if not it must be an object."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            check(item, f"{where}[{index}]")
        return True
    if data is not None and not isinstance(data, dict):
        raise BadGolden(f'the field "{where}" is {data!r}; it must be an object or a list of objects')
    return data is None


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
