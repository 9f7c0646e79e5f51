"""Old prompt nodes: what they write is what ComfyUI's own text generation writes."""

import pytest
import torch
from comfy_extras.nodes_textgen import LTX2_T2V_SYSTEM_PROMPT, TextGenerate, TextGenerateLTX2Prompt
from safetensors.torch import save_file

from oner.ltx.text_encoder import load_gemma, load_t5
from oner.nodes.legacy_ltxvideo.prompts import SAMPLING, GemmaEnhancePrompt
from tiny import write_models
from tiny.text import projection_weights, write_text_encoder

LENGTH = 32
SEEDS = range(4)  # random weights may also write nothing but special tokens


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    root = tmp_path_factory.mktemp("encoder")
    write_text_encoder(root / "gemma", "gemma3")
    save_file(projection_weights("V2"), root / "ltx.safetensors", {"model_version": "2.3"})
    with torch.inference_mode():
        return load_gemma(str(root / "gemma"), str(root / "ltx.safetensors"))


def test_an_encoder_that_only_reads_is_refused(tmp_path):
    t5 = load_t5(str(write_models(tmp_path, ["t5"])["t5"]))
    with pytest.raises(ValueError, match="clip is T5, which writes no text"):
        enhance(t5, "")


def enhance(clip, system_prompt, prompt="a red ball", seed=7, bypass_i2v=False, image=None):
    return GemmaEnhancePrompt.execute(clip, prompt, system_prompt, LENGTH, bypass_i2v, image, seed).result[0]


def core(node, clip, text, seed):
    return node.execute(clip, text, LENGTH, {**SAMPLING, "seed": seed}).result[0]


def defaults(node):
    mode = next(entry for entry in node.define_schema().inputs if entry.id == "sampling_mode")
    on = next(option for option in mode.options if option.key == "on")
    return {entry.id: entry.default for entry in on.inputs}


def test_values_of_sampling_are_the_defaults_of_comfyui():
    expected = {name: value for name, value in defaults(TextGenerateLTX2Prompt).items() if name in SAMPLING}
    assert {**expected, "sampling_mode": "on"} == SAMPLING


@pytest.mark.parametrize("system_prompt", ["", LTX2_T2V_SYSTEM_PROMPT, LTX2_T2V_SYSTEM_PROMPT.replace("\n", "\n ")])
def test_without_a_system_prompt_of_ones_own_it_is_comfyuis_node(clip, system_prompt):
    ours = [enhance(clip, system_prompt, seed=seed) for seed in SEEDS]
    written = [core(TextGenerateLTX2Prompt, clip, "a red ball", seed) for seed in SEEDS]
    assert all(text.strip().endswith(own) for text, own in zip(written, ours, strict=True))
    assert len(set(ours) - {""}) > 1


def test_a_system_prompt_of_ones_own_is_given(clip):
    turns = (
        "<start_of_turn>system\nBe short.<end_of_turn>\n<start_of_turn>user\n\n"
        "User Raw Input Prompt: a red ball.<end_of_turn>\n<start_of_turn>model\n"
    )
    ours = [enhance(clip, " Be short.\n", seed=seed) for seed in SEEDS]
    written = [core(TextGenerate, clip, turns, seed) for seed in SEEDS]
    assert all(text.strip().endswith(own) for text, own in zip(written, ours, strict=True))
    assert len(set(ours) - {""}) > 1
    assert ours != [enhance(clip, "", seed=seed) for seed in SEEDS]


def test_an_image_is_seen_unless_it_is_bypassed(clip):
    """This encoder has no vision tower, and says so where it is shown an image."""
    image = torch.zeros(1, 64, 64, 3)
    for system_prompt in ("", "Be short."):
        with pytest.raises(ValueError, match="loaded without its vision tower"):
            enhance(clip, system_prompt, image=image)
        assert enhance(clip, system_prompt, image=image, bypass_i2v=True) == enhance(clip, system_prompt)


class Known:
    """A CLIP that writes a known text and keeps what it was asked."""

    def __init__(self, text, name="gemma3_12b"):
        self.text, self.cond_stage_model = text, None
        self.tokenizer = type("Tokenizer", (), {"clip_name": name})()

    def tokenize(self, text, **options):
        self.asked, self.image = text, options["image"]

    def generate(self, _tokens, **options):
        self.options = options

    def decode(self, _ids):
        return self.text


@pytest.mark.parametrize(
    ("text", "kept"), [(" - * Style: a ball. ", "Style: a ball."), ('"Ball"', '"Ball"'), ("(a) b", "(a) b"), ("\n", "")]
)
def test_signs_before_the_first_word_are_left_out(text, kept):
    assert enhance(Known(text), "Be short.") == kept


def test_an_image_takes_its_place_in_the_turn_of_the_user():
    clip, image = Known("text"), torch.zeros(1, 64, 64, 3)
    enhance(clip, "Be short.", image=image)
    assert "<start_of_turn>user\n\n<image_soft_token>\n\nUser Raw" in clip.asked
    assert clip.image is image
    enhance(clip, "", image=image)
    assert "<image_soft_token>" in clip.asked
    assert "Given an image (first frame)" in clip.asked
    assert clip.options["seed"] == 7
    assert clip.options["max_length"] == LENGTH


def test_another_encoder_is_refused_a_system_prompt_that_it_would_misread():
    with pytest.raises(ValueError, match="the CLIP is gemma4; it can be given to Gemma 3 alone: empty it"):
        enhance(Known("text", "gemma4"), "Be short.")
