"""LoRA strengths that change over a run, in the syntax WanGP users know: `1;0.5`, `0,0.5;1`, `0.7|1 0.2`.

Tokens, one a LoRA, are separated by blanks or lines; `#` starts a comment line; one `|` may separate an accelerator's
LoRAs from the user's. In a token `;` separates phases, `,` steps inside a phase, `:` the positive from the negative
prompt. Differs on purpose: step lists expand by floor(i * L / n), which gives equal shares; the original drifts.
"""

from __future__ import annotations

import math
import re

Strength = float | tuple[float, float]  # one value, or (positive, negative prompt)


def parse_strength(text: str) -> Strength:
    """'0.5' or '1:0' -> 0.5 or (1.0, 0.0)."""
    try:
        values = tuple(float(part) for part in text.split(":"))
        if not all(map(math.isfinite, values)):
            raise ValueError
    except ValueError:
        raise ValueError(f"LoRA multiplier {text!r} is no number") from None
    if len(values) > 2:
        raise ValueError(f"LoRA multiplier {text!r} has {len(values)} branches: use one value, or positive:negative")
    return values[0] if len(values) == 1 else (values[0], values[1])


def parse_token(token: str) -> list[list[Strength]]:
    """One LoRA's token: its phases, each a list of values."""
    return [[parse_strength(value) for value in phase.split(",")] for phase in token.split(";")]


def tokens_of(text: str) -> list[str]:
    """The tokens of a multiplier text, without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    bare = "\n".join(lines)
    if bare.count("|") > 1:
        raise ValueError(f"LoRA multipliers {bare!r} hold {bare.count('|')} '|': at most one separates two groups")
    return [token for token in re.split(r"[\s|]+", bare) if token]


def split_evenly(values: list[Strength], steps: int) -> list[Strength]:
    return [values[i * len(values) // steps] for i in range(steps)]


def fill_phases(parts: list[list[Strength]], phases: int, model_switch_phase: int) -> list[list[Strength]]:
    """Phases a token does not name: the first again if the models change at the second switch, else the last again."""
    missing = phases - len(parts)
    return [parts[0]] * missing + parts if model_switch_phase == 2 else parts + [parts[-1]] * missing


def expand_token(
    token: str, steps: int, phases: int, switches: list[int], model_switch_phase: int = 1
) -> list[Strength]:
    """The strength of one LoRA at each step; `switches` are the steps at which the later phases begin."""
    parts = parse_token(token)
    if len(parts) > phases:
        raise ValueError(f"LoRA multiplier {token!r} has {len(parts)} phases; the run has {phases}")
    if len(parts) == 1:
        return split_evenly(parts[0], steps)
    limits = [0, *switches[: phases - 1], steps]
    filled = fill_phases(parts, phases, model_switch_phase)
    return [value for n, values in enumerate(filled) for value in split_evenly(values, limits[n + 1] - limits[n])]


def expand_multipliers(
    text: str, loras: int, steps: int, phases: int, switches: list[int], model_switch_phase: int = 1
) -> list[list[Strength]]:
    """The strength of each LoRA at each step; LoRAs without a token have 1. ValueError for more tokens than LoRAs."""
    tokens = tokens_of(text)
    if len(tokens) > loras:
        raise ValueError(f"there are {len(tokens)} LoRA multipliers for {loras} LoRAs: {' '.join(tokens)}")
    tokens += ["1"] * (loras - len(tokens))
    return [expand_token(token, steps, phases, switches, model_switch_phase) for token in tokens]
