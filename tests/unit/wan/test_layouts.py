import pytest

from harness import wan_tiny
from oner.wan.layouts import read_layout

EXPECTED = {
    "text": ((), False, False, 0, 16),
    "2.1 inpaint": (("mask", "masked"), False, False, 257, 16),
    "2.1 control": (("control", "start"), False, False, 257, 16),
    "2.1 control with reference": (("control", "start"), True, False, 257, 16),
    "2.1 camera": (("start",), False, True, 257, 16),
    "2.2 inpaint": (("mask", "masked"), False, False, 0, 16),
    "2.2 control": (("control", "mask", "masked"), False, False, 0, 16),
    "2.2 control with reference": (("control", "mask", "masked"), True, False, 0, 16),
    "2.2 camera": (("mask", "masked"), False, True, 0, 16),
    "5B text": ((), False, False, 0, 32),
    "5B inpaint": (("mask", "masked"), False, False, 0, 32),
    "5B camera": (("mask", "masked"), False, True, 0, 32),
    "5B control with reference": (("control", "mask", "masked"), True, False, 0, 32),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_layout_is_read_from_the_model(name):
    layout = read_layout(wan_tiny.load(name))
    assert (layout.blocks, layout.ref_conv, layout.camera, layout.clip_tokens, layout.multiple) == EXPECTED[name]


def test_vace_model_is_sent_to_the_composer():
    with pytest.raises(ValueError, match="VACE Composer"):
        read_layout(wan_tiny.load("vace"))


def test_names_tell_the_family():
    names = {name: read_layout(wan_tiny.load(name)).name for name in ("2.1 camera", "2.2 camera", "5B inpaint")}
    assert names == {
        "2.1 camera": "Wan 2.1 control camera",
        "2.2 camera": "Wan 2.2 control camera",
        "5B inpaint": "Wan 2.2 5B inpaint",
    }
