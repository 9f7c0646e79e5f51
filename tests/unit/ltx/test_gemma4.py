"""Gemma 4 folders against transformers and against core's own encoder of LTX-2.5; an older ComfyUI refuses them."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.pack import core_is_at_least
from oner.ltx import gemma, gemma4
from oner.ltx import text_encoder as ltx
from tiny.ltx import ltx25_projection
from tiny.text import GEMMA_4_TEXT, projection_weights, write_text_encoder

PROMPT = "A red ball moves slowly to the left, the camera on it."
since_0_33 = pytest.mark.skipif(not core_is_at_least("0.33.0"), reason="LTX-2.5 needs ComfyUI 0.33.0")
VARIANTS = {
    "released settings": {},
    "sliding window shorter than the prompt": {"sliding_window": 5},
    "no pattern given: every 6th layer is full, and the last": {"num_hidden_layers": 8, "layer_types": None},
    "values of their own in full layers": {"attention_k_eq_v": False, "num_global_key_value_heads": None},
    "other angles": {
        "rope_parameters": {
            "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.5, "rope_theta": 5e5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
        }
    },
}


def write_folder(folder, overrides=None, nested=True):
    return write_text_encoder(folder, "gemma4", nested=nested, overrides=overrides)


@pytest.fixture(scope="module")
def projection(tmp_path_factory):
    file = tmp_path_factory.mktemp("projection") / "gemma4-with-proj.safetensors"
    save_file(*ltx25_projection()[:1], file, ltx25_projection()[1])
    return file


def load(folder, projection):
    return ltx.load_gemma(str(folder), str(projection))


@pytest.fixture
def clip(tmp_path, projection):
    return load(write_folder(tmp_path / "gemma"), projection)


def states(clip, prompt):
    """All hidden states [1, S, L, C]."""
    tokens = [token for token, _ in clip.tokenize(prompt)[ltx.KEY_4][0]]
    return clip.cond_stage_model.gemma3_12b([tokens])[0]


def relative(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


def encode(clip, prompt):
    (entry,) = clip.encode_from_tokens_scheduled(clip.tokenize(prompt))
    return entry


def reference_states(folder, prompt, padding):
    """transformers' hidden states of a prompt, pads on the left cut off: [1, S, L, C]."""
    from transformers import AutoTokenizer, Gemma4UnifiedForCausalLM

    model = Gemma4UnifiedForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    # 64, not 1024: fp32 angles of positions near 1000 have less precision than what is compared
    inputs = tokenizer(prompt.strip(), padding=padding, max_length=64, truncation=True, return_tensors="pt")
    found = model(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, output_hidden_states=True)
    return torch.stack(found.hidden_states, dim=1)[:, :, -int(inputs.attention_mask.sum()) :]


@pytest.mark.skipif(core_is_at_least("0.33.0"), reason="this ComfyUI has LTX-2.5")
def test_an_older_comfyui_says_that_it_must_be_updated(tmp_path, projection):
    with pytest.raises(ValueError, match=r"\(Gemma 4\) is for LTX-2\.5, .* Update ComfyUI to 0\.33\.0 or newer"):
        load(write_folder(tmp_path / "gemma"), projection)


@since_0_33
@pytest.mark.parametrize("name", VARIANTS)
def test_states_are_those_of_transformers_with_left_padding(tmp_path, name):
    folder = write_folder(tmp_path / "gemma", VARIANTS[name], nested=False)
    layers = VARIANTS[name].get("num_hidden_layers", 2)
    save_file(projection_weights("V2", states=layers + 1), tmp_path / "projection.safetensors")
    found = states(load(folder, tmp_path / "projection.safetensors"), PROMPT)
    expected = reference_states(folder, PROMPT, "max_length")
    assert found.shape == expected.shape
    assert relative(found, expected) < 1e-5
    assert relative(found, reference_states(folder, PROMPT, False)) < 1e-6


@since_0_33
def test_the_conditioning_is_that_of_cores_encoder_of_ltx_2_5(tmp_path, projection):
    """Core's classes for the single file, with the tiny network in place of its 12B, on its 1024 padded tokens."""
    from comfy.text_encoders import gemma4 as core
    from comfy.text_encoders import lt

    folder = write_folder(tmp_path / "gemma")
    clip = load(folder, projection)
    network = clip.cond_stage_model.gemma3_12b.transformer
    config = {
        **gemma4.text_config(folder, {"text_config": GEMMA_4_TEXT}),
        "vocab_size": network.model.config.vocab_size,
    }

    class Tiny(gemma4.Gemma4):
        def __init__(self, _, dtype, device, operations):
            super().__init__(config, dtype, device, operations)

    class Tokens(core.Gemma4SDTokenizer):
        embedding_size = 32

    class TinyTokenizer(core.Gemma4Tokenizer):
        tokenizer_class = Tokens

    made = lt.ltxav_te(
        dtype_llama=torch.float32,
        **lt.sd_detect([load_file(projection)]),
        text_encoder_model=core.gemma4_text_encoder_model(Tiny),
        text_encoder_key="gemma4",
    )(dtype=torch.float32)
    bytes_of = torch.frombuffer(bytearray((folder / "tokenizer.json").read_bytes()), dtype=torch.uint8)
    tokenizer = lt.ltxav_gemma4_tokenizer(TinyTokenizer)(tokenizer_data={"tokenizer_json": bytes_of})
    missing, unexpected = made.load_sd({**network.state_dict(), **load_file(projection)})
    assert [key for key in missing if "logit_scale" not in key] == unexpected == []

    made.set_clip_options({"execution_device": torch.device("cpu")})
    tokens = tokenizer.tokenize_with_weights(PROMPT)
    assert len(tokens["gemma4"][0]) == 1024
    expected, _, extra = made.encode_token_weights(tokens)
    cond, own_extra = encode(clip, PROMPT)
    assert {key: own_extra[key] for key in extra} == extra
    assert cond.shape == expected.shape
    assert relative(cond, expected) < 1e-5


@since_0_33
def test_a_nested_folder_and_a_plain_one_load_the_same_encoder(tmp_path, projection):
    plain = load(write_folder(tmp_path / "plain", nested=False), projection)
    assert torch.equal(states(plain, PROMPT), states(load(write_folder(tmp_path / "nested"), projection), PROMPT))


@since_0_33
def test_tokens_are_stripped_start_with_bos_and_are_cut_at_1024(clip):
    bare = [token for token, _ in clip.tokenize("red ball")[ltx.KEY_4][0]]
    assert bare[0] == 2
    assert [token for token, _ in clip.tokenize("  red ball \n")[ltx.KEY_4][0]] == bare
    assert encode(clip, "a red ball over the sea, " * 160)[0].shape == (1, 1024, 96)


@since_0_33
def test_a_gemma_4_can_write_text(clip):
    tokens = clip.tokenize("<|turn>user\nred ball<turn|>\n<|turn>model\n")
    ids = clip.generate(tokens, do_sample=False, max_length=4)
    assert 1 <= len(ids) <= 4
    assert isinstance(clip.decode(ids), str)


@since_0_33
def test_a_projection_without_biases_is_read(tmp_path, projection):
    weights = {key: value for key, value in load_file(projection).items() if key.endswith("weight")}
    save_file(weights, tmp_path / "projection.safetensors")
    clip = load(write_folder(tmp_path / "gemma"), tmp_path / "projection.safetensors")
    assert encode(clip, PROMPT)[0].isfinite().all()


@since_0_33
def test_the_published_12b_config_gives_cores_12b_settings():
    from comfy.text_encoders.gemma4 import Gemma4_12B_Config

    published = {
        **{key: value for key, value in GEMMA_4_TEXT.items() if key != "layer_types"},
        "hidden_size": 3840,
        "intermediate_size": 15360,
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "num_global_key_value_heads": 1,
        "head_dim": 256,
        "global_head_dim": 512,
    }
    text = gemma4.text_config("folder", {"model_type": "gemma4_unified", "text_config": published})
    found, core = gemma4.core_config({**text, "vocab_size": 262144}), Gemma4_12B_Config()
    assert found == core  # the dataclass fields; the rest are plain attributes
    for name in ("rope_theta", "head_dim", "global_head_dim", "attention_k_eq_v", "num_global_key_value_heads"):
        assert getattr(found, name) == getattr(core, name), name
    assert found.sliding_attention == core.sliding_attention * 8


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("model.language_model.layers.0.layer_scalar", "model.layers.0.layer_scalar"),
        ("model.layers.1.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight"),
        ("model.vision_embedder.pos_norm.weight", None),
        ("model.embed_vision.embedding_projection.weight", None),
        ("model.embed_audio.embedding_projection.weight", None),
        ("audio_projector.embedding_projection.weight", None),
    ],
)
def test_keys_of_every_saved_form_are_recognised(key, name):
    assert gemma.gemma_key(key) == name


# --- what is refused ------------------------------------------------------------------------------------------------


@since_0_33
@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"hidden_size_per_layer_input": 256}, "hidden_size_per_layer_input is 256; the Gemma 4 of LTX-2.5 has 0"),
        ({"num_kv_shared_layers": 20}, "num_kv_shared_layers is 20"),
        ({"use_bidirectional_attention": "all"}, "its text sees what follows"),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1e6}}},
            "full_attention has yarn rotary scaling",
        ),
    ],
)
def test_another_gemma_4_is_refused(tmp_path, projection, overrides, sentence):
    with pytest.raises(ValueError, match=sentence):
        load(write_folder(tmp_path / "gemma", overrides), projection)


@since_0_33
@pytest.mark.parametrize(
    ("generation", "version", "what"), [("V1", "", "LTX-2"), ("V1", "2.0", "LTX 2.0"), ("V2", "2.3.0", "LTX 2.3.0")]
)
def test_the_projection_of_another_ltx_is_refused(tmp_path, generation, version, what):
    file = tmp_path / "other.safetensors"
    save_file(projection_weights(generation), file, {"model_version": version} if version else None)
    with pytest.raises(ValueError, match=f"holds the text projection of {what}, and the folder is Gemma 4"):
        load(write_folder(tmp_path / "gemma"), file)


def test_the_projection_of_ltx_2_5_is_refused_for_gemma_3(tmp_path, projection):
    folder = write_text_encoder(tmp_path / "gemma", "gemma3")
    with pytest.raises(ValueError, match=r"of LTX-2\.5, whose encoder is Gemma 4, and the folder is Gemma 3: choose"):
        load(folder, projection)
