"""Numbers in a text: read, or refused by the name of their input."""

import pytest

from oner.utils.numbers import parse_numbers


@pytest.mark.parametrize(
    ("text", "numbers"), [("1, 6, 8", [1, 6, 8]), (" 0.5 ,-2e-1,", [0.5, -0.2]), ("", []), (" ", []), ("7", [7])]
)
def test_numbers_with_commas_between(text, numbers):
    assert parse_numbers(text, "factors") == numbers


@pytest.mark.parametrize("text", ["1 2", "1;2", "one", "1,,2", ",1", "nan", "1, inf", "1e999", "1:2"])
def test_what_is_no_list_of_numbers_is_refused(text):
    with pytest.raises(ValueError, match=f"factors is '{text}'; write numbers separated by commas"):
        parse_numbers(text, "factors")
