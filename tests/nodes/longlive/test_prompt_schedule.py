"""LongLive Prompt Schedule with a plan of windows in place of its text."""

import pytest
import torch

from oner.longlive.conditioning import KEY
from oner.longlive.presets import PRESETS
from oner.nodes.any.window_plan import WindowPlan
from oner.nodes.longlive.schedule import EXAMPLE, JSONL, LINES, LongLivePromptSchedule

TEXT = "0s: a fox\n5s: it snows\n10s: [/new_shot] a den"


class Clip:
    """Encodes a text as its length, so that the test sees which one it was."""

    def tokenize(self, text):
        return {"text": text}

    def encode_from_tokens_scheduled(self, tokens):
        return [[torch.full((1, 1, 4), float(len(tokens["text"]))), {}]]


def plan_of(text, fps=16.0):
    grid = {"grid": "wan"}
    return WindowPlan.execute(text, "15s", fps, grid, 81, 9, 0, 0, 0, True, False).args[0]


def schedule(text="", plan=None, preset="LongLive 1.0", format=LINES):
    return LongLivePromptSchedule.execute(Clip(), text, PRESETS[preset], format, "40", 1, 4, plan).args


@pytest.mark.parametrize("text", ["", EXAMPLE])
def test_a_plan_takes_the_place_of_the_text(text):
    positive, report = schedule(text, plan_of(TEXT))
    assert [(entry[KEY]["start"], entry[KEY]["mode"]) for _, entry in positive] == [
        (0, "keep sink"),
        (21, "keep sink"),
        (42, "hard cut"),
    ]
    assert [int(encoded[0, 0, 0]) for encoded, _ in positive] == [5, 8, 5]
    assert "2. from 5.06 s (frame 81): it snows" in report


def test_the_same_text_of_its_own_gives_the_same():
    text = TEXT.replace(": [/new_shot]", " [hard cut]:")
    own, plan = schedule(text)[0], schedule(plan=plan_of(text))[0]
    assert [entry for _, entry in own] == [entry for _, entry in plan]


def test_a_new_shot_of_longlive_2_is_its_shot_cut():
    positive, _ = schedule(plan=plan_of(TEXT, 24.0), preset="LongLive 2.0, 4 steps")
    assert [entry[KEY]["mode"] for _, entry in positive][2] == "shot cut"


@pytest.mark.parametrize(("text", "format"), [("0s: a bear", LINES), ("", JSONL)])
def test_text_and_plan_at_once_are_refused(text, format):
    with pytest.raises(ValueError, match="text and plan both say the prompts: empty text and set format to lines"):
        schedule(text, plan_of(TEXT), format=format)


def test_the_report_says_that_paragraphs_are_one_prompt():
    assert "the text has 2 paragraphs and no times, so it is one prompt" in schedule("a fox\n\na bear")[1]
