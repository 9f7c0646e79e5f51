"""Accelerator recipes: what a distilled LoRA or finetune wants, as data, and WanGP's files read into the same form.

A recipe is a JSON object; see FIELDS. The shipped ones are in recipes.json, after WanGP's profiles (commit 8681e9f).
Differs on purpose: solver names that WanGP misspells, and so ignores, are read as meant.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from ..samplers.lora_multipliers import expand_multipliers, fill_phases, parse_token, tokens_of
from ..samplers.phase_guider import Phase, PhasePlan, check_plan
from ..utils.files import parse_object

RENAMED = (
    "Links and names are as of November 2026. Where a link is dead look for a file of like name in the same "
    "repository, and give it the name above in models/loras."
)
SHIPPED = Path(__file__).with_name("recipes.json")
SOLVERS = ("euler", "flow UniPC", "flow DPM++ 2M", "lcm")
SCHEDULES = {"euler": "dpmpp", "flow UniPC": "unipc", "flow DPM++ 2M": "dpmpp", "lcm": "dpmpp"}
# WanGP's solver -> ours; "default" and nothing are UniPC there
WANGP_SOLVERS = {
    "": "flow UniPC",
    "default": "flow UniPC",
    "unipc": "flow UniPC",
    "euler": "euler",
    "dpm++": "flow DPM++ 2M",
    "dpm++_sde": None,
    "lcm": "lcm",
    "lcm + ltx": "lcm",
}


@dataclass(frozen=True)
class Recipe:
    """Everything a run takes from a recipe. Thresholds are noise levels; `low_from` is a phase, from 1."""

    name: str
    steps: int
    cfg: tuple[float, ...] = (1.0,)
    thresholds: tuple[float, ...] = ()
    low_from: int = 2
    shift: float | None = None  # None: the model's own default
    solver: str = "euler"
    sigmas: tuple[float, ...] = ()  # a fixed list instead of steps and shift
    loras: tuple[str, ...] = ()  # file stems or names
    multipliers: str = ""
    links: tuple[str, ...] = ()  # where to get the LoRAs
    notes: str = ""

    @property
    def plan(self) -> PhasePlan:
        return PhasePlan(tuple(Phase(cfg) for cfg in self.cfg), self.thresholds, self.low_from - 1)

    def serves(self, index: int, second: bool) -> bool:
        """Whether a LoRA is ever on in the phases of the first or the second model."""
        parts = fill_phases(parse_token(self.tokens[index]), len(self.cfg), self.low_from - 1)
        own = parts[self.low_from - 1 :] if second else parts[: self.low_from - 1]
        return any(value != 0 and value != (0.0, 0.0) for values in own for value in values)

    @property
    def tokens(self) -> list[str]:
        """One multiplier token a LoRA."""
        given = tokens_of(self.multipliers)
        return given + ["1"] * (len(self.loras) - len(given))


FIELDS = tuple(field.name for field in fields(Recipe))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _all(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, tuple) and all(map(check, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_TEXT, _TEXTS, _NUMBERS = (
    (_is_text, "text"),
    (_all(_is_text), "a list of texts"),
    (_all(_is_number), "numbers in a list"),
)
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {  # field -> what it must be in JSON
    "name": _TEXT,
    "steps": (_is_whole, "a whole number"),
    "cfg": _NUMBERS,
    "thresholds": _NUMBERS,
    "low_from": (_is_whole, "a whole number"),
    "shift": (lambda value: value is None or _is_number(value), "a number or null"),
    "solver": _TEXT,
    "sigmas": _NUMBERS,
    "loras": _TEXTS,
    "multipliers": _TEXT,
    "links": _TEXTS,
    "notes": _TEXT,
}


def check_recipe(recipe: Recipe) -> Recipe:
    """The recipe, or ValueError saying what in it contradicts itself."""
    phases = len(recipe.cfg)
    if not 1 <= phases <= 3:
        raise ValueError(f"recipe {recipe.name!r} has {phases} phases: 1 to 3 are possible")
    if len(recipe.thresholds) != phases - 1:
        raise ValueError(
            f"recipe {recipe.name!r} has {phases} cfg values and {len(recipe.thresholds)} thresholds: give one "
            "threshold fewer"
        )
    if recipe.solver not in SOLVERS:
        raise ValueError(f"recipe {recipe.name!r} wants solver {recipe.solver!r}: use one of {', '.join(SOLVERS)}")
    if recipe.steps < 1:
        raise ValueError(f"recipe {recipe.name!r} has {recipe.steps} steps")
    if recipe.sigmas and len(recipe.sigmas) != recipe.steps + 1:
        raise ValueError(
            f"recipe {recipe.name!r} has {recipe.steps} steps and {len(recipe.sigmas)} sigmas: give {recipe.steps + 1}"
        )
    check_plan(recipe.plan)
    expand_multipliers(recipe.multipliers, len(recipe.loras), recipe.steps, phases, [0] * (phases - 1))
    return recipe


def from_json(data: dict[str, Any]) -> Recipe:
    """A recipe from its JSON object; ValueError for unknown fields."""
    if not isinstance(data, dict):
        raise ValueError(f"a recipe is a JSON object with name and steps, this is {str(data)[:40]}: use WanGP Import")
    unknown = sorted(set(data) - set(FIELDS))
    if unknown:
        raise ValueError(f"a recipe has no fields {unknown}: the fields are {', '.join(FIELDS)}")
    missing = [name for name in ("name", "steps") if name not in data]
    if missing:
        raise ValueError(f"the recipe lacks {' and '.join(missing)}")
    lists: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    for name, value in lists.items():
        if not KINDS[name][0](value):
            raise ValueError(f"the recipe's {name} is {str(data[name])[:40]!r}: give {KINDS[name][1]}")
    return check_recipe(Recipe(**lists))


def from_text(text: str) -> Recipe:
    """A recipe from JSON text; ValueError for what is none."""
    return from_json(parse_object(text, "recipe_json"))


def to_text(recipe: Recipe) -> str:
    """A recipe as JSON text."""
    return json.dumps(asdict(recipe), indent=1)


def shipped() -> dict[str, Recipe]:
    """The recipes of recipes.json by name."""
    return {recipe.name: recipe for recipe in map(from_json, json.loads(SHIPPED.read_text()))}


def find_file(wanted: str, files: list[str]) -> str | None:
    """The installed file a recipe means: of that name, else the only one that begins so; `|` parts alternatives."""
    stems = {file: PurePosixPath(file.replace("\\", "/")).name.rsplit(".", 1)[0].lower() for file in files}
    for alternative in wanted.lower().split("|"):
        stem = PurePosixPath(alternative).name.removesuffix(".safetensors")
        exact = [file for file, name in stems.items() if name == stem]
        near = [file for file, name in stems.items() if name.startswith(stem)]
        if exact or len(near) == 1:
            return (exact or near)[0]
    return None


def missing_files(recipe: Recipe, files: list[str]) -> list[str]:
    """One line for each LoRA of the recipe that is not installed, with where to get it."""
    lines = []
    for i, wanted in enumerate(recipe.loras):
        if find_file(wanted, files) is None:
            link = recipe.links[i] if i < len(recipe.links) else "no link known"
            lines.append(f"LoRA {wanted.replace('|', ' or ')} is not in models/loras: {link}")
    if lines:
        lines.append(RENAMED)
    return lines
