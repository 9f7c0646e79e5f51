"""Every input of every node with what a link can bring: a result, or a sentence that the pack means to say."""

import pytest
import torch

from harness import odd_inputs
from harness.raised import on_purpose

pytestmark = pytest.mark.once

REFUSE_ALWAYS = {  # nodes of old graphs that only say what to use, and one for models that this ComfyUI may not have
    "GemmaAPITextEncode",
    "LTXVPromptEnhancerLoader",
    "LTXVPromptEnhancer",
    "OnerLTXDecodeSettings",
}
NODES = [node.define_schema().node_id for node in odd_inputs.every_node()]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"):  # compiling takes a minute
        yield odd_inputs.Shelf(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("node_id", NODES)
def test_odd_inputs_are_taken_or_refused_in_words(shelf, node_id):
    node = odd_inputs.by_id(node_id)
    right = odd_inputs.right_inputs(node, shelf)
    if node_id not in REFUSE_ALWAYS:
        odd_inputs.run(node, **right)
    raw = []
    for name, what, odd in odd_inputs.odd_inputs(node, right, shelf):
        try:
            odd_inputs.run(node, **odd_inputs.with_odd(right, name, odd))
        except Exception as error:
            if not on_purpose(error):
                raw.append(f"{name}, {what}: {type(error).__name__}: {error}")
    assert raw == []


@pytest.mark.parametrize("node_id", ["OnerLTXImageToVideo", "OnerLTXKeyframe", "OnerLTXVImageGuide"])
def test_a_picture_of_another_form_gives_what_rgb_gives(shelf, node_id):
    node = odd_inputs.by_id(node_id)
    right = odd_inputs.right_inputs(node, shelf)
    name = "start_image" if "start_image" in right else "image"

    def made(image):
        samples = odd_inputs.run(node, **{**right, name: image}).args[-1]["samples"]
        return samples.unbind()[0] if samples.is_nested else samples

    picture = right[name]
    alpha = torch.cat([picture, odd_inputs.draw(*picture.shape[:3], 1, seed=9)], -1)
    grey = picture[..., :1]
    assert torch.equal(made(alpha), made(picture))
    assert torch.equal(made(grey), made(grey.repeat(1, 1, 1, 3)))
    assert torch.equal(made(picture.half()), made(picture.half().float()))
    assert not torch.equal(made(grey), made(picture))
