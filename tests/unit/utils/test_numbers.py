"""Numbers in a text: read, or refused by the name of their input."""

import pytest

from oner.utils.numbers import parse_numbers, whole_numbers


@pytest.mark.parametrize(
    ("text", "numbers"), [("1, 6, 8", [1, 6, 8]), (" 0.5 ,-2e-1,", [0.5, -0.2]), ("", []), (" ", []), ("7", [7])]
)
def test_numbers_with_commas_between(text, numbers):
    assert parse_numbers(text, "factors") == numbers


@pytest.mark.parametrize("text", ["1 2", "1;2", "one", "1,,2", ",1", "nan", "1, inf", "1e999", "1:2"])
def test_what_is_no_list_of_numbers_is_refused(text):
    with pytest.raises(ValueError, match=f"factors is '{text}'; write numbers separated by commas"):
        parse_numbers(text, "factors")


@pytest.mark.parametrize("text", ["14, 19", "14 19", " 14,19, ", "014\n19"])
def test_whole_numbers_with_commas_or_blanks_between(text):
    assert whole_numbers(text, "blocks", "1") == (14, 19)
    assert whole_numbers("", "blocks", "1") == ()
    assert whole_numbers("-1", "blocks", "1") == (-1,)


@pytest.mark.parametrize("word", ["x", "1.5", "²", "٣", "1_0", "--1", "1" * 5000])
def test_a_word_that_is_no_whole_number_is_named(word):
    with pytest.raises(ValueError, match=rf"blocks holds '{word[:40]}'; write whole numbers .* such as 14, 19"):
        whole_numbers(f"14 {word}", "blocks", "14, 19")
