"""Text encoders from folders against transformers, the projections against their formulas, and what is refused."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from oner.ltx import gemma
from oner.ltx import text_encoder as ltx
from oner.utils.text_encoders import FolderTokenizer
from oner.wan.text_encoder import load_umt5
from tiny.text import projection_weights, write_text_encoder

PROMPT = "A red ball moves slowly to the left, the camera on it."
GEMMA_VARIANTS = {
    "released settings": {},
    "sliding window shorter than the prompt": {
        "sliding_window": 5,
        "num_hidden_layers": 5,
        "sliding_window_pattern": 3,
    },
    "layer types and rope parameters of newer configs": {
        "layer_types": ["full_attention", "sliding_attention"],
        "sliding_window": 4,
        "rope_scaling": None,
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5e5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
        },
    },
    "no rope scaling, other thetas": {"rope_scaling": None, "rope_theta": 3e5, "rope_local_base_freq": 7e3},
    "attention scale other than the head": {"query_pre_attn_scalar": 40},
    "as many key heads as heads": {"num_key_value_heads": 2, "num_attention_heads": 2},
}


def relative(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("text_encoders")
    for kind in ("gemma3", "t5", "umt5"):
        write_text_encoder(root / kind, kind)
    for generation in ("V1", "V2"):
        save_file(projection_weights(generation), root / f"{generation}.safetensors")
    return root


def gemma_clip(folders, generation="V1", folder="gemma3"):
    return ltx.load_gemma(str(folders / folder), str(folders / f"{generation}.safetensors"))


def load(folders, kind):
    if kind == "gemma3":
        return gemma_clip(folders)
    return (load_umt5 if kind == "umt5" else ltx.load_t5)(str(folders / kind))


def encode(clip, prompt):
    (entry,) = clip.encode_from_tokens_scheduled(clip.tokenize(prompt))
    return entry


def gemma_states(clip, prompt):
    """All hidden states [1, S, L, C]."""
    tokens = [token for token, _ in clip.tokenize(prompt)[ltx.KEY][0]]
    return clip.cond_stage_model.gemma3_12b([tokens])[0]


def reference_states(folder, prompt, padding="max_length"):
    """transformers' hidden states of a prompt left-padded to 1024, the pads cut off: [1, S, L, C]."""
    from transformers import AutoTokenizer, Gemma3ForCausalLM

    model = Gemma3ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    inputs = tokenizer(prompt.strip(), padding=padding, max_length=1024, truncation=True, return_tensors="pt")
    states = model(
        input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, output_hidden_states=True
    ).hidden_states
    length = int(inputs.attention_mask.sum())
    return torch.stack(states, dim=1)[:, :, -length:]


@pytest.mark.parametrize("name", GEMMA_VARIANTS)
def test_gemma_states_are_those_of_transformers_with_left_padding(tmp_path, name):
    folder = write_text_encoder(tmp_path / "gemma", "gemma3", nested=False, overrides=GEMMA_VARIANTS[name])
    layers = GEMMA_VARIANTS[name].get("num_hidden_layers", 2)
    save_file(projection_weights("V1", states=layers + 1), tmp_path / "projection.safetensors")
    found = gemma_states(ltx.load_gemma(str(folder), str(tmp_path / "projection.safetensors")), PROMPT)
    expected = reference_states(folder, PROMPT)
    assert found.shape == expected.shape
    assert relative(found, expected) < 1e-5  # what fp32 angles of positions near 1000 leave of its precision
    assert relative(found, reference_states(folder, PROMPT, padding=False)) < 1e-6


def test_a_nested_folder_and_a_plain_one_load_the_same_encoder(tmp_path, folders):
    write_text_encoder(tmp_path / "plain", "gemma3", nested=False)
    plain = ltx.load_gemma(str(tmp_path / "plain"), str(folders / "V1.safetensors"))
    assert torch.equal(gemma_states(plain, PROMPT), gemma_states(gemma_clip(folders), PROMPT))


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model.", "model.", ""])
def test_gemma_keys_of_every_saved_form_are_recognised(prefix):
    assert gemma.gemma_key(prefix + "layers.0.mlp.up_proj.weight") == "model.layers.0.mlp.up_proj.weight"


def test_the_published_12b_config_gives_cores_12b_settings():
    from comfy.text_encoders.llama import Gemma3_12B_Config

    published = {
        "hidden_size": 3840,
        "intermediate_size": 15360,
        "model_type": "gemma3_text",
        "num_attention_heads": 16,
        "num_hidden_layers": 48,
        "num_key_value_heads": 8,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    }
    text = gemma.text_config("folder", {"model_type": "gemma3", "text_config": published})
    found, core = gemma.core_config({**text, "vocab_size": 262208}), Gemma3_12B_Config()
    assert found == core  # the dataclass fields; the rest are plain attributes
    for name in ("rope_theta", "rope_scale", "head_dim", "q_norm", "k_norm", "mlp_activation", "stop_tokens"):
        assert getattr(found, name) == getattr(core, name), name
    assert found.sliding_attention == core.sliding_attention * 8


def test_gemma_tokens_are_stripped_and_start_with_bos(folders):
    tokenize = gemma_clip(folders).tokenize
    bare = [token for token, _ in tokenize("red ball")[ltx.KEY][0]]
    assert bare[0] == 2
    assert [token for token, _ in tokenize("  red ball \n")[ltx.KEY][0]] == bare
    assert tokenize("")[ltx.KEY] == [[(2, 1.0)]]


def test_gemma_prompt_syntax_is_plain_text(folders):
    from transformers import AutoTokenizer

    text = "a (red:1.3) ball"
    expected = AutoTokenizer.from_pretrained(folders / "gemma3", local_files_only=True)(text).input_ids
    assert [token for token, _ in gemma_clip(folders).tokenize(text)[ltx.KEY][0]] == expected


def test_prompts_beyond_1024_tokens_are_cut_as_the_reference_cuts_them(tmp_path, folders):
    long = "a red ball over the sea, " * 160
    clip = gemma_clip(folders)
    assert len(clip.tokenize(long)[ltx.KEY][0]) > 1024
    cond = encode(clip, long)[0]
    assert cond.shape[1] == 1024
    folder = write_text_encoder(tmp_path / "plain", "gemma3", nested=False)
    states = reference_states(folder, long)
    assert relative(cond, projection_v1(states, projection_weights("V1"))) < 1e-5


def projection_v1(states, weights):
    """LTX-2, state by state: 8 (h - mean) / (max - min + 1e-6), feature c of state s at c * S + s."""
    _, count, length, width = states.shape
    features = torch.empty(1, length, width * count)
    for s in range(count):
        h = states[0, s].double()
        scaled = 8 * (h - h.mean()) / (h.max() - h.min() + 1e-6)
        for c in range(width):
            features[0, :, c * count + s] = scaled[:, c].float()
    return features @ weights["text_embedding_projection.aggregate_embed.weight"].T


def projection_v2(states, weights):
    """LTX-2.3, state by state: h / sqrt(mean h^2 + 1e-6), times sqrt(out / width), linear with bias; video first."""
    _, count, length, width = states.shape
    features = torch.empty(1, length, width * count)
    for s in range(count):
        h = states[0, s]
        for c in range(width):
            features[0, :, c * count + s] = h[:, c] / (h.square().mean(-1) + 1e-6).sqrt()
    out = []
    for kind in ("video", "audio"):
        name = f"text_embedding_projection.{kind}_aggregate_embed"
        weight = weights[f"{name}.weight"]
        out.append(features * math.sqrt(weight.shape[0] / width) @ weight.T + weights[f"{name}.bias"])
    return torch.cat(out, dim=-1)


@pytest.mark.parametrize(("generation", "formula"), [("V1", projection_v1), ("V2", projection_v2)])
@pytest.mark.parametrize("prompt", [PROMPT, ""])
def test_the_projection_follows_its_formula(folders, generation, formula, prompt):
    clip = gemma_clip(folders, generation)
    cond, extra = encode(clip, prompt)
    assert extra["unprocessed_ltxav_embeds"] is True
    assert relative(cond, formula(gemma_states(clip, prompt), projection_weights(generation))) < 1e-5


@pytest.mark.parametrize("kind", ["t5", "umt5"])
def test_t5_and_umt5_give_what_transformers_gives(folders, kind):
    from transformers import T5EncoderModel, UMT5EncoderModel

    clip = load(folders, kind)
    cond, extra = encode(clip, PROMPT)
    length = cond.shape[1]
    ids = FolderTokenizer.from_pretrained(str(folders / kind), eos=1)(PROMPT)["input_ids"]
    padded = torch.tensor([ids + [0] * (length - len(ids))])
    mask = (torch.arange(length) < len(ids))[None].long()
    cls = UMT5EncoderModel if kind == "umt5" else T5EncoderModel
    expected = cls.from_pretrained(folders / kind, dtype=torch.float32)(input_ids=padded, attention_mask=mask)[0]
    if kind == "umt5":
        assert length == 512
        assert cond[:, len(ids) :].count_nonzero() == 0
        expected = expected * mask[..., None]
    else:
        assert length == 128
        assert torch.equal(extra["attention_mask"], mask)
    assert relative(cond, expected) < 1e-5


def test_t5_tokens_are_those_of_transformers(folders):
    from transformers import AutoTokenizer

    expected = AutoTokenizer.from_pretrained(folders / "t5", local_files_only=True)(PROMPT).input_ids
    tokens = [token for token, _ in ltx.load_t5(str(folders / "t5")).tokenize(PROMPT)["t5xxl"][0]]
    assert tokens[: len(expected)] == expected
    assert set(tokens[len(expected) :]) == {0}


def test_umt5_with_prompt_weights_equals_core_on_512_padded_tokens(folders):
    import comfy.text_encoders.wan

    clip = load_umt5(str(folders / "umt5"))
    tokens = clip.tokenize("a (red:1.3) ball over the (sea:0.7)")
    cond = clip.encode_from_tokens(tokens)
    row = tokens["umt5xxl"][0]
    padded = {"umt5xxl": [row + [(0, 1.0)] * (512 - len(row))]}
    expected = comfy.text_encoders.wan.WanT5Model.encode_token_weights(clip.cond_stage_model, padded)[0]
    assert relative(cond, expected) < 1e-5


def test_encoding_twice_gives_the_same_conditioning(folders):
    clip = gemma_clip(folders, "V2")
    assert torch.equal(encode(clip, PROMPT)[0], encode(clip, PROMPT)[0])


@pytest.mark.parametrize("kind", ["gemma3", "t5", "umt5"])
def test_the_patcher_is_cores_and_can_reload_from_disk(folders, kind):
    import comfy.model_patcher

    clip = load(folders, kind)
    assert isinstance(clip.patcher, comfy.model_patcher.ModelPatcher)
    assert clip.clone(disable_dynamic=True).patcher.model is clip.patcher.model  # not dynamic on a CPU
    fresh = clip.patcher.clone(force_deepcopy=True)
    assert fresh.model is not clip.patcher.model
    for key, value in clip.patcher.model.state_dict().items():
        assert torch.equal(fresh.model.state_dict()[key], value), key


def test_a_lora_on_the_encoder_changes_the_conditioning_and_unpatches(folders):
    import comfy.sd

    clip = gemma_clip(folders)
    before = encode(clip, PROMPT)[0]
    name = "text_encoders.gemma3_12b.transformer.model.layers.0.mlp.up_proj"
    lora = {f"{name}.lora_up.weight": torch.ones(64, 1), f"{name}.lora_down.weight": torch.ones(1, 32)}
    _, patched = comfy.sd.load_lora_for_models(None, clip, lora, 0.0, 1.0)
    assert relative(encode(patched, PROMPT)[0], before) > 1e-2
    assert torch.equal(encode(clip, PROMPT)[0], before)


@pytest.mark.parametrize("kind", ["gemma3", "t5", "umt5"])
def test_dynamic_memory_keeps_the_mapped_tensors(folders, kind):
    model = load(folders, kind).cond_stage_model
    expected = encode(load(folders, kind), PROMPT)[0]
    prefix = {"gemma3": "gemma3_12b.transformer.", "t5": "t5xxl.transformer.", "umt5": "umt5xxl.transformer."}[kind]
    weights = {k.removeprefix(prefix): v.clone() for k, v in model.state_dict().items() if "logit_scale" not in k}
    for module in model.modules():  # what core's CLIP.load_sd does for its dynamic patcher
        module.can_assign_sd = True
    model.load_sd(weights)
    own = {p.data_ptr() for p in model.parameters()}
    assert all(w.data_ptr() in own for w in weights.values())
    model.reset_clip_options()
    assert torch.equal(model.encode_token_weights(load(folders, kind).tokenize(PROMPT))[0], expected)


def test_weights_stay_in_the_dtype_they_are_stored_in(tmp_path):
    folder = write_text_encoder(tmp_path / "t5", "t5")
    from safetensors.torch import load_file

    halves = {k: v.bfloat16() for k, v in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors")
    clip = ltx.load_t5(str(folder))
    assert {p.dtype for n, p in clip.cond_stage_model.named_parameters() if "logit" not in n} == {torch.bfloat16}
    assert encode(clip, PROMPT)[0].dtype == torch.float32


def test_a_gemma_encoder_can_write_text(folders):
    clip = gemma_clip(folders)
    tokens = clip.tokenize("<start_of_turn>user\nred ball<end_of_turn>\n<start_of_turn>model\n")
    ids = clip.generate(tokens, do_sample=False, max_length=4)
    assert 1 <= len(ids) <= 4
    assert isinstance(clip.decode(ids), str)


@pytest.mark.parametrize("kind", ["gemma3", "umt5"])
def test_weights_quantised_the_way_comfyui_does_run_through_its_quantised_layers(tmp_path, folders, kind):
    from safetensors.torch import load_file

    folder = write_text_encoder(tmp_path / kind, kind)
    mark = torch.tensor(list(json.dumps({"format": "float8_e4m3fn"}).encode()), dtype=torch.uint8)
    expected = encode(load(folders, kind), PROMPT)[0]
    for file in folder.glob("*.safetensors"):
        weights = load_file(file)
        for key in [k for k in weights if k.endswith(("o_proj.weight", "wo.weight", "down_proj.weight"))]:
            scale = weights[key].abs().max() / 448
            weights[key] = (weights[key] / scale).to(torch.float8_e4m3fn)
            layer = key.removesuffix("weight")
            weights |= {f"{layer}weight_scale": scale, f"{layer}comfy_quant": mark.clone()}
        save_file(weights, file)
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)
    if kind == "gemma3":
        merged = {k: v for file in sorted(folder.glob("*.safetensors")) for k, v in load_file(file).items()}
        for file in folder.glob("*.safetensors"):
            file.unlink()
        save_file(merged, folder / "model.safetensors")
    clip = gemma_clip(folders, folder=folder) if kind == "gemma3" else load_umt5(str(folder))
    error = relative(encode(clip, PROMPT)[0], expected)
    assert 1e-4 < error < 0.1  # fp8 keeps 3 bits


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_missing_shard_is_named(tmp_path, folders):
    folder = write_text_encoder(tmp_path / "gemma", "gemma3")
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks 1 of 2 weight files: download model-00002-of-00002\.safetensors"):
        ltx.load_gemma(str(folder), str(folders / "V1.safetensors"))


def test_a_shard_of_the_vision_tower_alone_may_be_missing(tmp_path, folders):
    folder = write_text_encoder(tmp_path / "gemma", "gemma3")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["vision_tower.vision_model.embeddings.patch_embedding.weight"] = (
        "model-00003-of-00003.safetensors"
    )
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert gemma_clip(folders, folder=folder).patcher is not None


def test_a_half_downloaded_shard_is_named(tmp_path, folders):
    folder = write_text_encoder(tmp_path / "gemma", "gemma3")
    shard = folder / "model-00001-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model-00001-of-00002\.safetensors is not a complete safetensors file"):
        ltx.load_gemma(str(folder), str(folders / "V1.safetensors"))


@pytest.mark.parametrize(
    ("model_type", "sentence"),
    [
        ("gemma2", r"is gemma2, but this type needs Gemma 3 \(LTX-2\) or Gemma 4 \(LTX-2\.5\)"),
        ("llama", "is llama, but this type needs Gemma 3"),
        ("t5", r"is t5, but this type needs Gemma 3 .*; t5 is T5 \(LTX-Video\): change `type`"),
    ],
)
def test_another_architecture_is_refused(tmp_path, folders, model_type, sentence):
    folder = write_text_encoder(tmp_path / "gemma", "gemma3", nested=False, overrides={"model_type": model_type})
    with pytest.raises(ValueError, match=sentence):
        ltx.load_gemma(str(folder), str(folders / "V1.safetensors"))


def test_t5_and_umt5_are_not_taken_for_each_other(folders):
    with pytest.raises(ValueError, match=r"is umt5, but this type needs T5 \(LTX-Video\)"):
        ltx.load_t5(str(folders / "umt5"))
    with pytest.raises(ValueError, match=r"is t5, but this type needs UMT5 \(Wan\)"):
        load_umt5(str(folders / "t5"))


def test_a_foreign_quantised_folder_is_refused(tmp_path):
    quantised = {"quantization_config": {"quant_method": "bitsandbytes"}}
    folder = write_text_encoder(tmp_path / "t5", "t5", overrides=quantised)
    with pytest.raises(ValueError, match="quantised with bitsandbytes"):
        ltx.load_t5(str(folder))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is 50.0; ComfyUI's Gemma 3 has None"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}, "full_attention has yarn rotary scaling"),
    ],
)
def test_settings_that_core_cannot_honour_are_refused(tmp_path, folders, overrides, sentence):
    folder = write_text_encoder(tmp_path / "gemma", "gemma3", overrides=overrides)
    with pytest.raises(ValueError, match=sentence):
        ltx.load_gemma(str(folder), str(folders / "V1.safetensors"))


def test_a_projection_for_another_gemma_is_refused_with_both_numbers(tmp_path, folders):
    save_file(projection_weights("V1", width=64, states=5), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"reads 320 features, but this Gemma gives 96 \(3 states of 32\)"):
        ltx.load_gemma(str(folders / "gemma3"), str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize(
    ("generation", "version", "sentence"),
    [
        ("V1", "2.3", "says it is LTX 2.3, but its text projection is that of LTX-2: choose a LTX-2.3 file"),
        ("V2", "2.0", "says it is LTX 2.0, but its text projection is that of LTX-2.3: choose a LTX-2 file"),
        ("V2", "2.5-dev", "whose encoder is Gemma 4"),
    ],
)
def test_a_projection_of_another_generation_is_refused(tmp_path, folders, generation, version, sentence):
    save_file(projection_weights(generation), tmp_path / "other.safetensors", {"model_version": version})
    with pytest.raises(ValueError, match=sentence):
        ltx.load_gemma(str(folders / "gemma3"), str(tmp_path / "other.safetensors"))


def test_a_file_without_projection_is_refused(folders):
    with pytest.raises(ValueError, match=r"has no text_embedding_projection\.\* tensors"):
        ltx.load_gemma(str(folders / "gemma3"), str(folders / "t5" / "model.safetensors"))


def test_the_projection_is_found_in_a_whole_checkpoint(tmp_path, folders):
    checkpoint = {**projection_weights("V2"), "model.diffusion_model.patchify_proj.weight": torch.zeros(2, 2)}
    save_file(checkpoint, tmp_path / "ltx.safetensors", {"model_version": "2.3.0"})
    clip = ltx.load_gemma(str(folders / "gemma3"), str(tmp_path / "ltx.safetensors"))
    assert torch.equal(encode(clip, PROMPT)[0], encode(gemma_clip(folders, "V2"), PROMPT)[0])


def test_weights_that_lack_a_tensor_or_a_shape_are_refused(tmp_path):
    from safetensors.torch import load_file

    folder = write_text_encoder(tmp_path / "t5", "t5")
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "final_layer_norm" not in k}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"lack 1 tensors that config.json asks for: encoder.final_layer_norm.weight"):
        ltx.load_t5(str(folder))
    save_file({**weights, "shared.weight": torch.zeros(7, 32)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"do not have the shapes of config\.json"):
        ltx.load_t5(str(folder))


def test_a_folder_without_tokenizer_says_which_file_it_needs(tmp_path):
    folder = write_text_encoder(tmp_path / "umt5", "umt5")
    (folder / "spiece.model").unlink()
    with pytest.raises(ValueError, match=r"put tokenizer\.json or spiece\.model or tokenizer\.model into it"):
        load_umt5(str(folder))


def test_the_tokenizer_may_lie_beside_the_encoder_as_in_diffusers_folders(tmp_path):
    folder = write_text_encoder(tmp_path / "text_encoder", "umt5")
    (tmp_path / "tokenizer").mkdir()
    (folder / "spiece.model").rename(tmp_path / "tokenizer" / "spiece.model")
    assert load_umt5(str(folder)).tokenize("red ball")["umt5xxl"][0][-1][0] == 1


def test_the_last_layer_of_ltx2s_encoder_cannot_be_chosen(folders):
    clip = gemma_clip(folders).clone()
    clip.clip_layer(-2)
    with pytest.raises(ValueError, match="LTX-2 reads every layer of Gemma"):
        encode(clip, PROMPT)


def test_images_are_refused_without_a_vision_tower(folders):
    with pytest.raises(ValueError, match="without its vision tower"):
        gemma_clip(folders).tokenize("a ball", image=torch.zeros(1, 8, 8, 3))


LIMITS = [("t5", "t5xxl", 256), ("umt5", "umt5xxl", 512), ("gemma3", ltx.KEY, 1024)]


def ids_of(folders, kind, prompt):
    special = {"bos": 2} if kind == "gemma3" else {"eos": 1}
    return FolderTokenizer.from_pretrained(str(folders / kind), **special)(prompt)["input_ids"]


def longest_within(folders, kind, limit):
    """Most repetitions of a word that stay within the limit."""
    return max(
        (" ".join(["red"] * n) for n in range(1, limit) if len(ids_of(folders, kind, " ".join(["red"] * n))) <= limit),
        key=len,
    )


@pytest.mark.parametrize(("kind", "key", "limit"), LIMITS[:2])
def test_a_prompt_beyond_the_limit_is_cut_before_its_end_token(folders, kind, key, limit, caplog):
    """As transformers truncates: the end token is within the limit."""
    prompt = " ".join(["red ball"] * 3000)
    (tokens,) = load(folders, kind).tokenize(prompt)[key]
    ids = ids_of(folders, kind, prompt)
    assert [token for token, _ in tokens] == [*ids[: limit - 1], 1]
    assert f"the prompt has {len(ids)} tokens and {key} reads {limit}" in caplog.text


def test_the_tokens_of_a_cut_prompt_are_those_of_transformers(folders):
    from transformers import AutoTokenizer

    prompt = " ".join(["red ball"] * 3000)
    (tokens,) = load(folders, "t5").tokenize(prompt)["t5xxl"]
    tokenizer = AutoTokenizer.from_pretrained(folders / "t5", local_files_only=True)
    assert [token for token, _ in tokens] == tokenizer(prompt, max_length=256, truncation=True).input_ids


def test_a_long_prompt_on_gemma_is_said(folders, caplog):
    assert encode(gemma_clip(folders), " ".join(["red ball"] * 3000))[0].shape[1] == 1024
    assert "Gemma reads 1024" in caplog.text


@pytest.mark.parametrize(("kind", "key", "limit"), LIMITS)
def test_a_prompt_up_to_the_limit_is_whole(folders, kind, key, limit, caplog):
    prompt = longest_within(folders, kind, limit)
    (tokens,) = load(folders, kind).tokenize(prompt)[key]
    ids = ids_of(folders, kind, prompt)
    assert [token for token, _ in tokens][: len(ids)] == ids
    assert len(ids) > limit - 8
    assert not caplog.text


@pytest.mark.parametrize(("kind", "key", "limit"), LIMITS)
@pytest.mark.parametrize("prompt", ["", " \n\t ", "\U0001f98a\U0001f525\u200d", "(", "\u0000"])
def test_odd_text_gives_numbers(folders, kind, key, limit, prompt):
    cond, _ = encode(load(folders, kind), prompt)
    assert cond.isfinite().all()
    assert 1 <= cond.shape[1] <= limit


def test_blanks_are_no_prompt(folders):
    assert torch.equal(encode(gemma_clip(folders), " \n ")[0], encode(gemma_clip(folders), "")[0])


@pytest.mark.parametrize("kind", ["t5", "umt5", "gemma3"])
def test_half_a_character_is_refused(folders, kind):
    with pytest.raises(ValueError, match=r"the prompt holds '\\ud83d', half a character: type that place anew"):
        ids_of(folders, kind, "a \U0001f600 and \ud83d alone")
    assert ids_of(folders, kind, "a \U0001f600 whole")
