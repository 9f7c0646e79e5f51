"""The Text Encoder Loader in ComfyUI's folders, up to CLIPTextEncode."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from tiny.text import projection_weights, write_text_encoder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A models folder known to folder_paths for this module's tests."""
    import folder_paths

    root = tmp_path_factory.mktemp("models")
    before = {kind: folder_paths.folder_names_and_paths[kind] for kind in ("checkpoints", "text_encoders")}
    for kind, (paths, extensions) in before.items():
        (root / kind).mkdir()
        folder_paths.folder_names_and_paths[kind] = ([*paths, str(root / kind)], extensions)
    write_text_encoder(root / "text_encoders" / "LTX-2" / "text_encoder", "gemma3")
    write_text_encoder(root / "text_encoders" / "t5-tiny", "t5")
    write_text_encoder(root / "text_encoders" / "umt5-tiny", "umt5")
    save_file(projection_weights("V2"), root / "checkpoints" / "ltx-2.3-tiny.safetensors", {"model_version": "2.3"})
    folder_paths.filename_list_cache.clear()
    yield root
    folder_paths.folder_names_and_paths.update(before)
    folder_paths.filename_list_cache.clear()


@pytest.fixture
def node(models):
    from oner.nodes.any.text_encoders import TextEncoderLoader

    return TextEncoderLoader


def options(node, name):
    return next(i for i in node.define_schema().inputs if i.id == name).options


def encode(clip, prompt):
    import nodes

    return nodes.CLIPTextEncode().encode(clip, prompt)[0]


CASES = {
    "ltx-2": (("LTX-2/text_encoder", "ltx-2", "ltx-2.3-tiny.safetensors"), (1, 8, 96), "unprocessed_ltxav_embeds"),
    "ltx-video": (("t5-tiny", "ltx-video"), (1, 128, 32), "attention_mask"),
    "wan": (("umt5-tiny", "wan"), (1, 512, 32), "pooled_output"),
}


@pytest.mark.parametrize("type_", CASES)
def test_clip_text_encode_gives_the_conditioning_of_the_model_twice(node, type_):
    inputs, shape, key = CASES[type_]
    (clip,) = node.execute(*inputs).args
    first, second = encode(clip, "a red ball, 42"), encode(clip, "a red ball, 42")
    assert first[0][0].shape == shape
    assert key in first[0][1]
    assert torch.equal(first[0][0], second[0][0])
    assert not torch.equal(first[0][0], encode(clip, "a blue cat, 42")[0][0])


def test_folders_and_files_are_read_again_for_every_schema(node, models):
    assert options(node, "folder") == ["LTX-2/text_encoder", "t5-tiny", "umt5-tiny"]
    assert options(node, "projection") == ["none", "ltx-2.3-tiny.safetensors"]
    write_text_encoder(models / "text_encoders" / "later", "t5")
    assert "later" in options(node, "folder")


def test_loading_on_the_cpu_keeps_the_encoder_there(node):
    (clip,) = node.execute("t5-tiny", "ltx-video", device="cpu").args
    assert clip.patcher.load_device == clip.patcher.offload_device == torch.device("cpu")


def test_loading_and_encoding_leave_the_files_and_tokens_alone(node, models):
    def digest():
        files = sorted(f for f in (models / "text_encoders" / "LTX-2").rglob("*") if f.is_file())
        return [(f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files]

    before = digest()
    (clip,) = node.execute(*CASES["ltx-2"][0]).args
    weights = {key: value.clone() for key, value in clip.cond_stage_model.state_dict().items()}
    tokens = clip.tokenize("a red ball")
    copy = {key: [list(row) for row in rows] for key, rows in tokens.items()}
    clip.encode_from_tokens_scheduled(tokens)
    assert tokens == copy
    assert digest() == before
    for key, value in clip.cond_stage_model.state_dict().items():
        assert torch.equal(value, weights[key]), key


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (("LTX-2/text_encoder", "ltx-2"), "projection is none; ltx-2 needs the text projection"),
        (("t5-tiny", "ltx-video", "ltx-2.3-tiny.safetensors"), "but ltx-video has none: set it to none"),
        (("t5-tiny", "wan"), r"is t5, but this type needs UMT5 \(Wan\); t5 is T5 \(LTX-Video\)"),
        (("umt5-tiny", "ltx-2", "ltx-2.3-tiny.safetensors"), r"is umt5, but this type needs Gemma 3 \(LTX-2\)"),
        (("gone", "wan"), "folder is 'gone': choose one of "),
        (("LTX-2/text_encoder", "ltx-2", "gone.safetensors"), "projection is 'gone.safetensors': choose one of "),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_a_sentence(node, inputs, sentence):
    with pytest.raises(ValueError, match=sentence):
        node.execute(*inputs)
