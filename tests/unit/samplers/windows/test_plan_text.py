"""The text of a plan: its three forms, commands and lengths."""

import json
import re

import pytest

from oner.samplers.windows.plan_text import COMMANDS, PlanPrompt, read_length, read_plan_text, read_prompt


def test_a_text_without_anything_is_one_prompt():
    assert read_plan_text(" a fox\nruns, 16:9 ") == [PlanPrompt("a fox\nruns, 16:9")]
    assert read_plan_text(" \n\n ") == []


def test_paragraphs_are_prompts():
    assert read_plan_text("a fox\nruns\r\n \r\n\r\nit snows\n") == [PlanPrompt("a fox\nruns"), PlanPrompt("it snows")]


def test_lines_with_times_are_a_time_line():
    text = "0s: a fox\nruns\n\n0:05 [/new_shot] it snows [/cfg=3]\n[240f]: night\n20s [shot cut]: day"
    assert read_plan_text(text) == [
        PlanPrompt("a fox runs", start=(0, "s")),
        PlanPrompt("it snows", start=(5, "s"), new_shot=True, cfg=3.0),
        PlanPrompt("night", start=(240, "f")),
        PlanPrompt("day", start=(20, "s"), new_shot=True),
    ]


def test_json_has_the_commands_by_name():
    text = json.dumps(
        [
            {"prompt": "a", "duration": 121, "overlap": 9, "new_shot": True, "seed": 7, "loras": "1;0.5"},
            {"prompt": "b", "duration": "5s", "seed": "+1", "cfg": 2.5, "end": 2, "ref": 1, "new_shot": False},
            {"prompt": "c [/duration=20%]"},
            {"duration": "0:05"},
        ]
    )
    assert read_plan_text(text) == [
        PlanPrompt("a", None, (121, "f"), 9, True, 7, True, None, "1;0.5"),
        PlanPrompt("b", None, (5, "s"), None, False, 1, False, 2.5, None, 2, 1),
        PlanPrompt("c", duration=(20, "%")),
        PlanPrompt("", duration=(5, "s")),
    ]
    assert read_plan_text('{"prompt": "a"}') == [PlanPrompt("a")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"prompt": "a", "length": 5}]', "prompt 1, /length=5: no such command"),
        ('[{"prompt": "a"}, {"prompt": 5}]', 'prompt 2: "prompt" is 5; write a text'),
        ('[{"prompt": "a", "seed": true}]', 'prompt 1: "seed" is True; write a number or a text'),
        ('[{"prompt": "a", "new_shot": "yes"}]', "prompt 1, /new_shot=yes: it takes no value"),
        ('["a", "b"]', "prompt 1 is 'a': write"),
        ('[{"prompt": "a [/cfg=1]", "seed": 1}]', "prompt 1 has commands in its text and beside it"),
        ('[{"prompt": "a"', "prompts"),
    ],
)
def test_json_of_another_form_is_refused(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_plan_text(text)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("a [/duration=121] fox", PlanPrompt("a fox", duration=(121, "f"))),
        ("[/duration=5s]a", PlanPrompt("a", duration=(5, "s"))),
        ("a [ /duration=1:05 , /overlap=9 ]", PlanPrompt("a", duration=(65, "s"), overlap=9)),
        ("a [/duration=20%, new_shot]", PlanPrompt("a", duration=(20, "%"), new_shot=True)),
        ("a [/seed=0]", PlanPrompt("a", seed=0, seed_is_own=True)),
        ("a [/seed=+12]", PlanPrompt("a", seed=12)),
        ("a [/loras=0,0.5;1 1:0,/cfg=1]", PlanPrompt("a", loras="0,0.5;1 1:0", cfg=1.0)),
        ("a [/duration=4s, /loras_mult=0,1]", PlanPrompt("a", duration=(4, "s"), loras="0,1")),
        ("a [/end=2] b [/ref=3]", PlanPrompt("a b", end=2, ref=3)),
        ("a [5s:9s] [red] b", PlanPrompt("a [5s:9s] [red] b")),
        ("[/new_shot]", PlanPrompt("", new_shot=True)),
    ],
)
def test_commands_are_taken_out_of_the_text(text, prompt):
    assert read_prompt(text) == prompt


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("/foo", "/foo: no such command"),
        ("/duration", "/duration: it needs a value"),
        ("/duration=", "/duration=: it needs a value"),
        ("/duration=0", "a duration is above 0"),
        ("/duration=-5", "a duration is above 0"),
        ("/duration=0%", "a duration is above 0"),
        ("/duration=120%", "a duration is at most 100% of the length"),
        ("/duration=5.5", "frames are whole"),
        ("/duration=5l", "a duration is in frames, seconds or percent"),
        ("/duration=nan", "'nan' is no number of frames"),
        ("/duration=soon", "'soon' is no number of frames"),
        ("/duration=5s 5s", "'5s 5s' is no number of frames"),
        ("/duration=5, duration=6", "/duration=6: it is given twice"),
        ("/overlap", "/overlap: it needs a value"),
        ("/overlap=-1", "'-1' is no whole number from 0"),
        ("/overlap=4.5", "'4.5' is no whole number from 0"),
        ("/new_shot=1", "it takes no value"),
        ("/seed=-1", "'-1' is no whole number from 0 to 18446744073709551615"),
        ("/seed=18446744073709551616", "is no whole number from 0 to"),
        ("/loras=a", "LoRA multiplier 'a' is no number"),
        ("/loras=1|1|1", "at most one separates two groups"),
        ("/cfg=inf", "'inf' is no number of cfg"),
        ("/cfg=-1", "cfg is from 0 to 100"),
        ("/end=0", "'0' is no whole number from 1"),
        ("/ref=one", "'one' is no whole number from 1"),
        ("/", "no such command"),
    ],
)
def test_a_command_that_cannot_be_kept_names_its_prompt_and_all_commands(command, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        read_plan_text(f"fine\n\na fox [{command}]")
    assert "prompt 2" in str(refusal.value)
    assert COMMANDS in str(refusal.value)


def test_a_command_without_its_end_is_refused():
    with pytest.raises(ValueError, match=r'prompt 1 has "\[/" without "\]" after it'):
        read_plan_text("a fox [/duration=5s")


def test_what_only_longlive_does_is_refused_in_a_plan():
    with pytest.raises(ValueError, match=r"prompt 2 has \[new sink\] after its time, which windows do not know"):
        read_plan_text("0s: a\n5s [new sink]: b")


@pytest.mark.parametrize(
    ("text", "seconds", "frames"),
    [
        ("", None, None),
        ("301", None, 301),
        ("12s", None, 288),
        ("0:45", None, 1080),
        ("80f", None, 80),
        ("100%", 10.02, 240),
        ("50%", 10.0, 120),
        ("0.01s", None, 1),
    ],
)
def test_lengths(text, seconds, frames):
    assert read_length(text, 24.0, seconds) == frames


@pytest.mark.parametrize(
    ("text", "seconds", "message"),
    [
        ("soon", None, "length is \"soon\": 'soon' is no number of frames; write 301, 12s, 0:45 or 100%"),
        ("0", None, 'length is "0": a duration is above 0'),
        ("100%", None, 'length is "100%" of nothing: connect audio'),
        ("12s", 10.0, 'length is "12s" and audio is connected: write 100% to take its 10.00 s, or unplug audio'),
        ("", 10.0, 'length is "" and audio is connected'),
    ],
)
def test_lengths_that_cannot_be_read(text, seconds, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_length(text, 24.0, seconds)
