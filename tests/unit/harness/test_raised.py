"""An error on purpose is a ValueError that a line of the pack raises; all else stumbled."""

import torch

from harness.raised import on_purpose
from oner.utils.inputs import check_images
from oner.utils.numbers import parse_numbers


def caught(run, *inputs, **options):
    try:
        run(*inputs, **options)
    except Exception as error:
        return error
    raise AssertionError("it was to fail")


def stumble(kind):
    raise kind("raised by a test, not by the pack")


def test_only_a_sentence_of_the_pack_is_on_purpose():
    assert on_purpose(caught(check_images, torch.zeros(1, 4, 4, 2), "image"))
    assert on_purpose(caught(parse_numbers, "1, two", "layers"))  # raised while another error was handled
    assert not on_purpose(caught(check_images, torch.zeros(1, 4, 4, 3)))  # TypeError: an argument is missing
    assert not on_purpose(caught(parse_numbers, 3, "layers"))  # AttributeError in a line of the pack
    assert not on_purpose(caught(stumble, ValueError))
    assert not on_purpose(caught(torch.zeros(2, 3).view, 7))
    assert not on_purpose(caught(int, "x"))  # a ValueError from below
    assert not on_purpose(ValueError("raised nowhere"))
