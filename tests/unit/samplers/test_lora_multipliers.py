import pytest

from oner.samplers.lora_multipliers import expand_multipliers, expand_token, tokens_of


def test_three_values_over_thirty_steps_are_ten_each():
    assert expand_token("0.5,0.1,0", 30, 1, []) == [0.5] * 10 + [0.1] * 10 + [0.0] * 10


def test_more_values_than_steps_keep_their_order():
    assert expand_token("1,2,3,4", 2, 1, []) == [1.0, 3.0]


def test_phases_follow_their_switch():
    assert expand_token("0,0.5;1", 8, 2, [3]) == [0, 0, 0.5, 1, 1, 1, 1, 1]


def test_missing_phases_repeat_the_last_or_with_a_late_switch_the_first():
    assert expand_token("1;0.5", 8, 3, [1, 4], 1) == [1] + [0.5] * 7
    assert expand_token("1;0.5", 8, 3, [1, 4], 2) == [1] * 4 + [0.5] * 4


def test_a_phase_without_steps_takes_none():
    assert expand_token("1;2;3", 4, 3, [2, 2]) == [1, 1, 3, 3]


def test_branches_are_pairs():
    assert expand_token("1:0,0.5", 4, 1, []) == [(1.0, 0.0)] * 2 + [0.5] * 2


def test_comments_lines_and_the_bar_separate():
    assert tokens_of("# accelerator\n1;0 0;1 | 0.5\n0.2") == ["1;0", "0;1", "0.5", "0.2"]


def test_loras_without_a_token_have_1():
    assert expand_multipliers("0.5", 2, 2, 1, []) == [[0.5, 0.5], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("text", "loras", "message"),
    [
        ("1;2;3", 1, "3 phases; the run has 2"),
        ("abc", 1, "'abc' is no number"),
        ("nan", 1, "'nan' is no number"),
        ("0.5;1e999", 1, "'1e999' is no number"),
        ("1|2|3", 3, "at most one"),
        ("1 2", 1, "2 LoRA multipliers for 1 LoRAs"),
        ("1:2:3", 1, "3 branches"),
        ("1,,2", 1, "is no number"),
    ],
)
def test_what_cannot_be_read_is_refused(text, loras, message):
    with pytest.raises(ValueError, match=message):
        expand_multipliers(text, loras, 8, 2, [4])
