import pytest

from oner.utils.time_lines import Entry, read_entries, read_time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("5s", (5.0, "s")),
        (" 0:05 ", (5.0, "s")),
        ("01:00:02.5", (3602.5, "s")),
        ("80 frames", (80.0, "f")),
        ("21l", (21.0, "l")),
        ("5", None),
        ("-5s", None),
        ("5s a", None),
        ("0:75", None),
    ],
)
def test_a_time_is_read_or_is_none(text, time):
    assert read_time(text) == time


def test_entries_keep_their_options_and_lines():
    assert read_entries("a fox\nruns\n5s [new sink]: it snows\n\non and on") == [
        Entry(0, "l", "a fox runs", timed=False),
        Entry(5, "s", "it snows on and on", "new sink", 3),
    ]
    assert read_entries(" \n") == []
