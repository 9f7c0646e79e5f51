import json

import pytest
import torch

from oner.longlive.conditioning import KEY, read_segments, schedule_conditioning, shot_text
from oner.longlive.presets import PRESETS, Settings
from oner.longlive.schedule import (
    TRANSITION,
    Prompt,
    listed,
    parse_prompts,
    pixel_frame,
    place_prompts,
    plan_prompts,
    read_shot_folder,
    read_switch_file,
    untimed_paragraphs,
)
from oner.nodes.longlive.schedule import tokens_of
from oner.samplers.windows.plan import GRIDS, make_plan
from oner.samplers.windows.plan_text import read_plan_text


def starts(text, block=3, fps=16):
    return [placed.start for placed in place_prompts(parse_prompts(text), block, fps)[0]]


def test_longlives_requests_are_rounded_up_to_blocks():
    text = "\n".join(f"{frame}l: p" for frame in (0, 40, 80, 120, 160, 200))
    assert starts(text) == [0, 42, 81, 120, 162, 201]


def test_seconds_and_frames_never_start_early():
    for seconds in (0.1, 1, 2.5, 7, 20, 61.3):
        start = starts(f"0s: a\n{seconds}s: b")[1]
        assert pixel_frame(start) >= seconds * 16
        assert pixel_frame(start - 3) < seconds * 16 or start == 3
    assert starts("0f: a\n9f: b") == [0, 3]
    assert starts("0f: a\n10f: b") == [0, 6]


def test_a_text_may_hold_several_lines_or_no_time():
    prompts = parse_prompts("0s: a fox\nruns\n\n20s [new sink]: it: snows\n30s [blend 3, text only]: x")
    assert [p.text for p in prompts] == ["a fox runs", "it: snows", "x"]
    assert [(p.mode, p.blend) for p in prompts] == [("", 1), ("new sink", 1), ("text only", 3)]
    assert parse_prompts("a fox") == [Prompt(0, "l", "a fox")]


def test_moved_starts_are_reported():
    placed, report = place_prompts(parse_prompts("0s: a\n1s: b\n1.05s: c"), 3, 16)
    assert [p.start for p in placed] == [0, 6, 9]
    assert any("shorter than a block of 3" in line for line in report)
    assert any("1.05 seconds -> frame 33 (2.06 s, latent frame 9)" in line for line in report)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "schedule is empty"),
        ("5s: a", "must start at 0s"),
        ("0s: a\n20s: b\n10s: c", "prompt 3 starts at 10s, not after prompt 2 at 20s: sort"),
        ("0s: a\n20s [fade]: b", 'line 2: "fade" is not known'),
        ("0s: a\n20s [hard cut, blend 3]: b", "it cannot blend"),
        ("0s: a\n1s [blend 9]: b\n3s: c", "blends over 9 blocks but lasts"),
    ],
)
def test_a_bad_schedule_is_explained(text, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        starts(text)


def test_longlive_1_prompt_files_are_read():
    text = json.dumps({"prompts": ["a", "b", "c"]}) + "\n" + json.dumps({"prompts": ["d", "e", "f"]})
    prompts = read_switch_file(text, "40, 80", line=2)
    assert [(p.start, p.text) for p in prompts] == [(0, "d"), (40, "e"), (80, "f")]


@pytest.mark.parametrize(
    ("text", "switches", "message"),
    [
        ('{"prompts": ["a", "b"]}', "40, 80", "2 prompts need 1 switch frames, not 2"),
        ('{"prompts": [{"text": "a", "end_frame": 3}]}', "", "the format of LongLive 1.0"),
        ('{"text": "a"}', "", "the format of LongLive 1.0"),
        ("a fox", "", "the format of LongLive 1.0"),
    ],
)
def test_another_jsonl_shape_is_refused(text, switches, message):
    with pytest.raises(ValueError, match=message):
        read_switch_file(text, switches)


def test_longlive_2_shot_folders_are_read(tmp_path):
    for i, caption in enumerate(("a", "b", TRANSITION + "c")):
        (tmp_path / f"{i}.json").write_text(json.dumps({"caption": caption}))
    (tmp_path / "shot_durations.txt").write_text("2 3 1")
    settings = PRESETS["LongLive 2.0, 4 steps"]
    placed, _ = place_prompts(read_shot_folder(tmp_path, settings.block, 4), settings.block, settings.fps, "shot cut")
    assert [p.start for p in placed] == [0, 16, 40]
    assert [shot_text(p) for p in placed] == ["a", TRANSITION + "b", TRANSITION + "c"]
    (tmp_path / "shot_durations.txt").write_text("2 3")
    with pytest.raises(ValueError, match="holds 2 numbers for 3 shots"):
        read_shot_folder(tmp_path, 8, 4)


def encoded(*texts):
    return [[[text, {"pooled_output": None}]] for text in texts]


def test_a_schedule_survives_as_conditioning(prompts):
    placed, _ = place_prompts(parse_prompts("0s: a\n1s: b\n4s [new sink]: c"), 3, 16)
    texts = [prompts[i : i + 1] for i in range(3)]
    segments = read_segments(schedule_conditioning(placed, encoded(*texts), 3), Settings(), 1)
    assert [(s.start, s.mode) for s in segments] == [(0, "keep sink"), (6, "keep sink"), (18, "new sink")]
    assert all(torch.equal(s.text, text) for s, text in zip(segments, texts, strict=True))


def test_a_blend_moves_the_text_over_its_blocks(prompts):
    placed, _ = place_prompts(parse_prompts("0s: a\n1s [blend 4]: b"), 3, 16)
    segments = read_segments(schedule_conditioning(placed, encoded(prompts[:1], prompts[1:2]), 3), Settings(), 1)
    assert [s.start for s in segments] == [0, 6, 9, 12, 15]
    torch.testing.assert_close(segments[2].text, (prompts[:1] + prompts[1:2]) / 2)
    assert torch.equal(segments[-1].text, prompts[1:2])


def entry(text, start=0, mode="keep sink", **extra):
    return [text, {KEY: {"start": start, "mode": mode}, **extra}]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (lambda p: [[p[:1], {}], [p[1:2], {}]], "2 prompts at once"),
        (lambda p: [[p[:1], {"concat_latent_image": p}]], "carries concat_latent_image"),
        (lambda p: [[p[:2], {}]], "2 prompts for a batch of 1"),
        (lambda p: [entry(p[:1]), entry(p[1:2], 4)], "latent frame 4, within a block of 3"),
        (lambda p: [entry(p[:1]), entry(p[1:2], 6, "shot cut")], '"shot cut" is for LongLive 2.0'),
        (lambda p: [entry(p[:1], 3)], "the first must start at 0"),
    ],
)
def test_conditioning_that_a_rollout_cannot_use_is_named(entries, message, prompts):
    with pytest.raises(ValueError, match=message):
        read_segments(entries(prompts), Settings(), 1)


def test_longlive_2_does_not_recache(prompts):
    with pytest.raises(ValueError, match=r"LongLive 2\.0 does not do"):
        read_segments([entry(prompts[:1]), entry(prompts[1:2], 8)], PRESETS["LongLive 2.0, 4 steps"], 1)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_sound(preset):
    PRESETS[preset].check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(window=6, sink=9), "sink is 9 and window 6: the sink is part of the window"),
        (Settings(window=10), "window is 10 and block 3: .* use 9 or 12"),
        (Settings(window=3, sink=3), "need 6: raise the window or lower the sink"),
        (Settings(window=-1, relative=True), "relative positions need a window"),
    ],
)
def test_settings_that_cannot_work_are_explained(settings, message):
    with pytest.raises(ValueError, match=message):
        settings.check()


def test_a_prompt_is_cut_where_longlive_cuts_it(caplog):
    """ComfyUI's own UMT5 does not; its end token stays."""

    class Clip:
        def tokenize(self, _text):
            return {"umt5xxl": [[(token, 1.0) for token in (*range(2, 700), 1)]]}

    (tokens,) = tokens_of(Clip(), "")["umt5xxl"]
    assert [token for token, _ in tokens] == [*range(2, 513), 1]
    assert "the prompt has 699 tokens and LongLive reads 512" in caplog.text


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("0:00 a / 0:02 b", [(0, "s", "a"), (2, "s", "b")]),
        ("00:00:00 a\n00:00:01 b\n1:02.5 c", [(0, "s", "a"), (1, "s", "b"), (62.5, "s", "c")]),
        ("0s a\n10s b\n20s c", [(0, "s", "a"), (10, "s", "b"), (20, "s", "c")]),
        ("[0s] a\n[0:05] b\n[9f]: c", [(0, "s", "a"), (5, "s", "b"), (9, "f", "c")]),
        ("0S: a\n5 seconds: b\n90 frames: c", [(0, "s", "a"), (5, "s", "b"), (90, "f", "c")]),
        ("0s: a / 5s: b / c", [(0, "s", "a / 5s: b / c")]),  # not each begins with a time
        ("0s: a\n5s - b", [(0, "s", "a"), (5, "s", "b")]),
    ],
)
def test_times_in_other_forms(text, read):
    assert [(p.start, p.unit, p.text) for p in parse_prompts(text)] == read


def test_options_of_times_in_other_forms():
    modes = [(p.mode, p.blend) for p in parse_prompts("[0s] a\n[5s] [new sink] b\n0:10 [blend 2] c")]
    assert modes == [("", 1), ("new sink", 1), ("", 2)]


@pytest.mark.parametrize(
    "line",
    [
        "-1s: a",
        "-1s a",
        "-0:05 a",
        "0: a",
        "5: a",
        "1,5s: a",
        "1m: a",
        "1m30s: a",
        "0h: a",
        "0s-5s: a",
        "[0-5s] a",
        "(5s) a",
        "1:75 a",
        "0:5 a",
        "0ms: a",
        "+2s: a",
        "1e3s: a",
        "9999999999s: a",
        "1234567890:00: a",
        pytest.param("1" * 50 + "s: a", id="many digits"),
    ],
)
def test_what_looks_like_a_time_and_cannot_be_read_is_refused_with_an_example(line):
    with pytest.raises(ValueError, match=r'line 2 is ".*a", which begins like a time .*write "5s: a fox"') as refusal:
        parse_prompts(f"0s: b\n{line}")
    assert line in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "3 foxes: a story",
        "16:9 video of a fox",
        "80s neon, 1950s diner",
        "(red:1.2) fox",
        "[red] fox",
        "Scene 1: a fox",
        "1. a fox",
        "- a fox",
        "24fps: smooth",
        "4K: sharp",
        "2024-01-05: a day",
    ],
)
def test_text_that_begins_with_a_number_stays_text(text):
    assert parse_prompts(text) == [Prompt(0, "l", text)]


@pytest.mark.parametrize(
    ("text", "starts"), [("0s a /  5s b", [0, 5]), ("0s a \t / \t 5s b / 7s c", [0, 5, 7]), ("0s a / b / c", [0])]
)
def test_several_times_in_a_line(text, starts):
    assert [prompt.start for prompt in parse_prompts(text)] == starts


def test_a_blend_of_too_many_digits_is_named():
    with pytest.raises(ValueError, match=r'"blend 1111.*" is not known'):
        parse_prompts(f"0s: a\n5s [blend {'1' * 5000}]: b")


def test_a_decade_among_times_with_colons_is_asked_about():
    with pytest.raises(ValueError, match='line 2 is "80s neon": write "80s:" for a time, or begin the line'):
        parse_prompts("0s: a disco\n80s neon")


def test_the_report_lists_prompts_with_their_starts():
    placed, _ = place_prompts(parse_prompts(f"0:00 a fox / 0:02 {'b' * 99}"), 3, 16)
    assert listed(placed, 16) == ["1. from 0.00 s (frame 0): a fox", f"2. from 2.06 s (frame 33): {'b' * 60} ..."]


@pytest.mark.parametrize("switches", ["40.5", "-40", "0", "forty", "40;80"])
def test_switch_frames_are_whole_numbers(switches):
    with pytest.raises(ValueError, match=r"switch_frames holds .*; write whole numbers .*, such as 40, 80"):
        read_switch_file('{"prompts": ["a", "b"]}', switches)


def test_shot_durations_are_whole_numbers(tmp_path):
    (tmp_path / "0.json").write_text('{"caption": "a"}')
    (tmp_path / "shot_durations.txt").write_text("2.5")
    with pytest.raises(ValueError, match=r"shot_durations\.txt holds '2.5'; write whole numbers"):
        read_shot_folder(tmp_path, 4, 2)


def plan_of(text, total=240, **choices):
    return make_plan(read_plan_text(text), total, GRIDS["wan"], 81, 9, 16.0, **choices)


@pytest.mark.parametrize(
    "text",
    ["0s: a fox\nruns\n\n2.5s: it snows / and more\n0:08 [hard cut]: a den", "[0f] a\n[40f] b\n[160f] c", "a fox"],
)
def test_one_text_drives_a_schedule_and_a_window_plan(text):
    schedule, plan = parse_prompts(text), plan_prompts(plan_of(text), 16, "hard cut")
    assert [(p.text, p.mode, p.latent(16)) for p in plan] == [(p.text, p.mode, p.latent(16)) for p in schedule]


def test_a_plan_gives_its_prompts_and_shots():
    plan = plan_of("a [/duration=100]\n\na\n\nb [/new_shot]\n\nc", None)
    assert plan_prompts(plan, 16, "shot cut") == [
        Prompt(0, "f", "a"),
        Prompt(172, "f", "b", "shot cut"),
        Prompt(253, "f", "c"),
    ]


@pytest.mark.parametrize(
    ("text", "choices", "message"),
    [
        ("a [/seed=+1, cfg=4]", {}, "window 1 of plan has its own seed, cfg, which a take does not change"),
        ("a [/loras=1]", {}, "window 1 of plan has its own loras"),
        ("a [/end=1]", {}, "window 4 of plan has its own end"),
        ("a [/ref=1]", {}, "window 1 of plan has its own ref"),
        ("a", {"prefix": 9}, "plan goes on after 9 given frames"),
        ("", {}, "window 1 of plan has no prompt"),
    ],
)
def test_what_a_take_does_not_do_is_refused(text, choices, message):
    with pytest.raises(ValueError, match=message):
        plan_prompts(plan_of(text, **choices), 16, "hard cut")


def test_a_plan_of_another_rate_is_refused():
    with pytest.raises(ValueError, match="plan has 16 frames per second and settings 24: make them equal"):
        plan_prompts(plan_of("a"), 24, "shot cut")


@pytest.mark.parametrize("line", ["5s: b [/duration=5s]", "5s [/new_shot]: b", "5s: [ /seed=1] b"])
def test_commands_of_a_plan_are_no_text_for_the_model(line):
    with pytest.raises(ValueError, match=r"line 2 has \[ ?/.*\], a command of Window Plan: write the text there"):
        parse_prompts(f"0s: a\n{line}")


def test_paragraphs_without_times_are_said_to_be_one_prompt():
    (note,) = untimed_paragraphs("a fox\n\na bear")
    assert note.startswith("the text has 2 paragraphs and no times, so it is one prompt")
    assert untimed_paragraphs("0s: a fox\n\n5s: a bear") == untimed_paragraphs("a fox\nruns") == []
