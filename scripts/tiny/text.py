"""Tiny Hugging Face text encoder folders: config.json, seeded random weights, a tokenizer for plain English.

The file formats are those of the released folders: Gemma 3 and 4 in two shards with an index and a tokenizer.json, T5
in one file with tokenizer.json, UMT5 with spiece.model. Width 32 and 2 layers each; written in well under a second.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

WIDTH, LAYERS = 32, 2
TEXT = """
    a the of and in on to with from over under into at is are moves slowly quickly left right up down camera red green
    blue yellow white black small large circle square triangle ball cat dog woman man person walking running across
    street field night day light dark sky sea forest city video scene sound music low quality blurry static watermark
"""
WORDS = TEXT.split()
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()-_/%&+=#*[]<>"

GEMMA = {
    "model_type": "gemma3_text",
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "hidden_activation": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "rope_local_base_freq": 1e4,
    "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
    "sliding_window": 1024,
    "sliding_window_pattern": 2,
    "max_position_embeddings": 2048,
    "attention_bias": False,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
GEMMA_4_TEXT = {
    "model_type": "gemma4_unified_text",
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "layer_types": ["sliding_attention", "full_attention"],
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_global_key_value_heads": 1,
    "head_dim": 16,
    "global_head_dim": 32,
    "attention_k_eq_v": True,
    "num_kv_shared_layers": 0,
    "hidden_size_per_layer_input": 0,
    "hidden_activation": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-6,
    "rope_parameters": {
        "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    },
    "sliding_window": 1024,
    "max_position_embeddings": 2048,
    "attention_bias": False,
    "final_logit_softcapping": 30.0,
    "use_bidirectional_attention": "vision",
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
GEMMA_4 = {"model_type": "gemma4_unified", "text_config": GEMMA_4_TEXT}
T5 = {
    "model_type": "t5",
    "architectures": ["T5EncoderModel"],
    "d_model": WIDTH,
    "d_kv": 8,
    "d_ff": 64,
    "num_heads": 4,
    "num_layers": LAYERS,
    "feed_forward_proj": "gated-gelu",
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "tie_word_embeddings": False,
}
UMT5 = {**T5, "model_type": "umt5", "architectures": ["UMT5EncoderModel"]}
SPECIAL = {"gemma": ["<pad>", "<eos>", "<bos>", "<unk>"], "t5": ["<pad>", "</s>", "<unk>"]}


def write_text_encoder(
    folder: Path, kind: str, seed: int = 0, *, nested: bool = True, overrides: dict | None = None
) -> Path:
    """Write a tiny encoder folder of `kind` "gemma3", "gemma4", "t5" or "umt5" and return it.

    `nested`: Gemma as the multimodal class saves it (text_config, `language_model.*`, a stub of a vision tower)
    instead of the text-only class. `overrides` replaces keys of the text config.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    if kind == "gemma3":
        config = {**GEMMA, **(overrides or {}), "vocab_size": write_json_tokenizer(folder, "gemma3")}
        write_gemma(folder, config, generator, nested)
    elif kind == "gemma4":
        config = {**GEMMA_4_TEXT, **(overrides or {}), "vocab_size": write_json_tokenizer(folder, "gemma4")}
        write_gemma_4(folder, config, generator, nested)
    elif kind in ("t5", "umt5"):
        size = write_json_tokenizer(folder, "t5") if kind == "t5" else write_spiece_model(folder)
        config = {**(T5 if kind == "t5" else UMT5), **(overrides or {}), "vocab_size": size}
        write_json(folder / "config.json", config)
        save_file(t5_weights(config, generator), folder / "model.safetensors", {"format": "pt"})
    else:
        raise ValueError(f"kind is {kind}; tiny text encoders are gemma3, gemma4, t5 and umt5")
    return folder


def write_gemma(folder: Path, config: dict, generator: torch.Generator, nested: bool) -> None:
    weights = gemma_weights(config, generator)
    if nested:
        weights = {f"language_model.{key}": value for key, value in weights.items()}
        weights["vision_tower.vision_model.post_layernorm.weight"] = torch.ones(8)
        weights["multi_modal_projector.mm_soft_emb_norm.weight"] = torch.ones(8)
        config = {
            "model_type": "gemma3",
            "architectures": ["Gemma3ForConditionalGeneration"],
            "text_config": config,
            "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 8},
        }
    else:
        config = {**config, "architectures": ["Gemma3ForCausalLM"]}
    write_json(folder / "config.json", config)
    write_shards(folder, weights)


def write_gemma_4(folder: Path, config: dict, generator: torch.Generator, nested: bool) -> None:
    weights = gemma_4_weights(config, generator)
    if nested:
        weights = {f"model.language_{key}": value for key, value in weights.items()}
        weights["model.vision_embedder.pos_norm.weight"] = torch.ones(8)
        weights["model.embed_vision.embedding_projection.weight"] = torch.ones(8, 8)
        weights["model.embed_audio.embedding_projection.weight"] = torch.ones(8, 8)
        config = {**GEMMA_4, "architectures": ["Gemma4UnifiedForConditionalGeneration"], "text_config": config}
    else:
        config = {**config, "architectures": ["Gemma4UnifiedForCausalLM"]}
    write_json(folder / "config.json", config)
    write_shards(folder, weights)


def write_shards(folder: Path, weights: dict[str, Tensor]) -> None:
    """Two safetensors files and their index."""
    keys = sorted(weights)
    halves = {"model-00001-of-00002.safetensors": keys[::2], "model-00002-of-00002.safetensors": keys[1::2]}
    for name, names in halves.items():
        save_file({key: weights[key] for key in names}, folder / name, {"format": "pt"})
    where = {key: name for name, names in halves.items() for key in names}
    size = sum(w.nbytes for w in weights.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": where})


def gemma_weights(config: dict, generator: torch.Generator) -> dict[str, Tensor]:
    width, hidden, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head

    def linear(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator) / columns**0.5

    def norm(size: int) -> Tensor:  # Gemma adds 1
        return 0.1 * torch.randn(size, generator=generator)

    weights = {"model.embed_tokens.weight": linear(config["vocab_size"], width), "model.norm.weight": norm(width)}
    for i in range(config["num_hidden_layers"]):
        own = {
            "self_attn.q_proj": linear(queries, width),
            "self_attn.k_proj": linear(keys, width),
            "self_attn.v_proj": linear(keys, width),
            "self_attn.o_proj": linear(width, queries),
            "self_attn.q_norm": norm(head),
            "self_attn.k_norm": norm(head),
            "mlp.gate_proj": linear(hidden, width),
            "mlp.up_proj": linear(hidden, width),
            "mlp.down_proj": linear(width, hidden),
            "input_layernorm": norm(width),
            "post_attention_layernorm": norm(width),
            "pre_feedforward_layernorm": norm(width),
            "post_feedforward_layernorm": norm(width),
        }
        weights |= {f"model.layers.{i}.{name}.weight": value for name, value in own.items()}
    return weights


def gemma_4_weights(config: dict, generator: torch.Generator) -> dict[str, Tensor]:
    """A layer with full attention has wider heads, and its keys may be its values too."""
    width, hidden = config["hidden_size"], config["intermediate_size"]

    def linear(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator) / columns**0.5

    def norm(size: int) -> Tensor:
        return 1 + 0.1 * torch.randn(size, generator=generator)

    weights = {"model.embed_tokens.weight": linear(config["vocab_size"], width), "model.norm.weight": norm(width)}
    count = config["num_hidden_layers"]
    for i in range(count):
        full = config["layer_types"][i] == "full_attention" if config["layer_types"] else i + 1 in (6, count)
        shared = full and config["attention_k_eq_v"]
        head = config["global_head_dim" if full else "head_dim"]
        keys = config["num_global_key_value_heads" if shared else "num_key_value_heads"] * head
        own = {
            "self_attn.q_proj.weight": linear(config["num_attention_heads"] * head, width),
            "self_attn.k_proj.weight": linear(keys, width),
            "self_attn.o_proj.weight": linear(width, config["num_attention_heads"] * head),
            "self_attn.q_norm.weight": norm(head),
            "self_attn.k_norm.weight": norm(head),
            "mlp.gate_proj.weight": linear(hidden, width),
            "mlp.up_proj.weight": linear(hidden, width),
            "mlp.down_proj.weight": linear(width, hidden),
            "input_layernorm.weight": norm(width),
            "post_attention_layernorm.weight": norm(width),
            "pre_feedforward_layernorm.weight": norm(width),
            "post_feedforward_layernorm.weight": norm(width),
            "layer_scalar": norm(1),
        }
        if not shared:
            own["self_attn.v_proj.weight"] = linear(keys, width)
        weights |= {f"model.layers.{i}.{name}": value for name, value in own.items()}
    return weights


def t5_weights(config: dict, generator: torch.Generator) -> dict[str, Tensor]:
    width, hidden, heads = config["d_model"], config["d_ff"], config["num_heads"]
    inner = heads * config["d_kv"]

    def linear(rows: int, columns: int, gain: float = 1.0) -> Tensor:
        return gain * torch.randn(rows, columns, generator=generator) / columns**0.5

    def norm() -> Tensor:
        return 1.0 + 0.1 * torch.randn(width, generator=generator)

    weights = {
        "shared.weight": linear(config["vocab_size"], width, width**0.5),
        "encoder.final_layer_norm.weight": norm(),
    }
    for i in range(config["num_layers"]):
        attention, feed = f"encoder.block.{i}.layer.0", f"encoder.block.{i}.layer.1"
        weights |= {
            f"{attention}.layer_norm.weight": norm(),
            f"{attention}.SelfAttention.q.weight": linear(inner, width, config["d_kv"] ** -0.5),  # T5 does not scale
            f"{attention}.SelfAttention.k.weight": linear(inner, width),
            f"{attention}.SelfAttention.v.weight": linear(inner, width),
            f"{attention}.SelfAttention.o.weight": linear(width, inner),
            f"{feed}.layer_norm.weight": norm(),
            f"{feed}.DenseReluDense.wi_0.weight": linear(hidden, width),
            f"{feed}.DenseReluDense.wi_1.weight": linear(hidden, width),
            f"{feed}.DenseReluDense.wo.weight": linear(width, hidden),
        }
        if i == 0 or config["model_type"] == "umt5":
            bias = torch.randn(config["relative_attention_num_buckets"], heads, generator=generator)
            weights[f"{attention}.SelfAttention.relative_attention_bias.weight"] = bias
    return weights


def projection_weights(
    generation: str, seed: int = 0, width: int = WIDTH, states: int = LAYERS + 1
) -> dict[str, Tensor]:
    """LTX-2's text projection for a tiny Gemma: "V1" (LTX-2, to `width`) or "V2" (LTX-2.3, 64 video and 32 audio)."""
    generator = torch.Generator().manual_seed(seed)
    reads = width * states
    heads = (
        {"aggregate_embed": width} if generation == "V1" else {"video_aggregate_embed": 64, "audio_aggregate_embed": 32}
    )
    weights = {}
    for name, size in heads.items():
        weights[f"text_embedding_projection.{name}.weight"] = torch.randn(size, reads, generator=generator) / reads**0.5
        if generation == "V2":
            weights[f"text_embedding_projection.{name}.bias"] = 0.1 * torch.randn(size, generator=generator)
    return weights


def write_json_tokenizer(folder: Path, kind: str) -> int:
    """Write tokenizer.json and tokenizer_config.json (words, then characters); return the vocabulary's size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    gemma = kind != "t5"
    special = SPECIAL["gemma" if gemma else "t5"]
    words = [(f"\u2581{word}", -2.0) for word in WORDS if len(word) > 1]
    letters = [(c, -6.0) for c in ("\u2581", *CHARACTERS)]
    tokenizer = Tokenizer(models.Unigram([(s, 0.0) for s in special] + words + letters, special.index("<unk>"), False))
    # Gemma splits nothing and adds no space in front; T5 does both
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never" if gemma else "always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never" if gemma else "always")
    tokenizer.add_special_tokens(special)
    single = "<bos> $A" if gemma else "$A </s>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[(s, i) for i, s in enumerate(special) if s in single]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": special[1]}
    if gemma:
        names["bos_token"] = "<bos>"
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    return tokenizer.get_vocab_size()


def write_spiece_model(folder: Path) -> int:
    """Train and write spiece.model with T5's special ids; return the vocabulary's size."""
    import sentencepiece

    model = BytesIO()
    sentences = [" ".join(WORDS[i : i + 8]) for i in range(0, len(WORDS), 2)] + [" ".join(CHARACTERS)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,  # a file name would be kept inside the model
        vocab_size=240,
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    (folder / "spiece.model").write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).get_piece_size()


def write_json(file: Path, content: dict) -> None:
    file.write_text(json.dumps(content, indent=2))
