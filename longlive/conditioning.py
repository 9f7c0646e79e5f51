"""A prompt schedule as core's CONDITIONING, and back: every entry carries where it starts and what happens there."""

from __future__ import annotations

import torch
from torch import Tensor

from .presets import Settings
from .rollout import Segment
from .schedule import HARD_CUT, KEEP_SINK, MODES, SHOT_CUT, TEXT_ONLY, TRANSITION, Placed

KEY = "longlive_segment"
HARMLESS = {KEY, "pooled_output", "attention_mask", "num_tokens"}  # the rest asks for something a rollout does not do


def schedule_conditioning(placed: list[Placed], encoded: list[list], block: int) -> list:
    """CONDITIONING of a schedule; `encoded` holds the CONDITIONING of each text. Blends become one entry a block."""
    entries: list = []
    for i, (prompt, conditioning) in enumerate(zip(placed, encoded, strict=True)):
        text, extra = conditioning[0]
        for step in range(1, prompt.blend + 1):
            start = prompt.start + (step - 1) * block
            weight = step / prompt.blend
            mixed = torch.lerp(before(encoded[i - 1][0][0], text), text, weight) if weight < 1 else text
            entries.append([mixed, {**extra, KEY: {"start": start, "mode": prompt.mode}}])
    return entries


def before(old: Tensor, new: Tensor) -> Tensor:
    """The text a blend comes from. Raises ValueError if its length differs."""
    if old.shape != new.shape:
        raise ValueError(f"texts of {old.shape[1]} and {new.shape[1]} tokens cannot blend: remove the blend")
    return old


def default_mode(settings: Settings) -> str:
    """What a change of prompt does if the schedule does not say."""
    return SHOT_CUT if settings.shot_sink else KEEP_SINK


def shot_text(prompt: Placed) -> str:
    """The text to encode: LongLive 2.0 was trained with a marker before every new shot."""
    cut = prompt.mode == SHOT_CUT and not prompt.text.startswith(TRANSITION)
    return TRANSITION + prompt.text if cut else prompt.text


def read_segments(conditioning: list, settings: Settings, batch: int) -> list[Segment]:
    """Segments of a rollout from CONDITIONING: a schedule's, or one plain prompt for the whole take.

    Raises ValueError naming what a rollout cannot do: other conditions, several prompts at once, starts off the grid.
    """
    scheduled = [KEY in extra for _, extra in conditioning]
    if not all(scheduled) and len(conditioning) > 1:
        raise ValueError(
            f"positive holds {len(conditioning)} prompts at once; a rollout has one at a time: use LongLive Prompt "
            "Schedule"
        )
    segments = []
    for text, extra in conditioning:
        unknown = sorted(name for name, value in extra.items() if name not in HARMLESS and value is not None)
        if unknown:
            raise ValueError(f"positive carries {', '.join(unknown)}, which a LongLive rollout cannot use: remove it")
        if text.shape[0] not in (1, batch):
            raise ValueError(f"positive holds {text.shape[0]} prompts for a batch of {batch}: give one, or one an item")
        place = extra.get(KEY, {"start": 0, "mode": KEEP_SINK})
        segments.append(Segment(place["start"], text, place["mode"]))
    for segment in segments:
        check_segment(segment, settings)
    starts = [segment.start for segment in segments]
    if starts != sorted(set(starts)) or starts[0] != 0:
        raise ValueError(
            f"prompts start at latent frames {starts}: the first must start at 0 and the rest follow in order"
        )
    return segments


def check_segment(segment: Segment, settings: Settings) -> None:
    if segment.mode not in MODES:
        raise ValueError(f'"{segment.mode}" is not known; use {", ".join(MODES)}')
    if segment.start % settings.block:
        raise ValueError(
            f"a prompt starts at latent frame {segment.start}, within a block of {settings.block}: connect the same "
            "settings to LongLive Prompt Schedule and to the rollout"
        )
    if segment.start and segment.mode == SHOT_CUT and not settings.shot_sink:
        raise ValueError('"shot cut" is for LongLive 2.0; use "keep sink", "new sink" or "hard cut" with this preset')
    if segment.start and settings.shot_sink and segment.mode not in (SHOT_CUT, HARD_CUT, TEXT_ONLY):
        raise ValueError(f'"{segment.mode}" rebuilds the history, which LongLive 2.0 does not do: use "shot cut"')
