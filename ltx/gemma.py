"""Gemma 3's text model on core's Llama classes, with every size and rotary setting from config.json.

Source: transformers' Gemma3TextConfig, with its defaults for keys that a config.json leaves out. Different from core's
own Gemma3_12B: no fixed size, no vision tower.
"""

from __future__ import annotations

from pathlib import Path

import comfy.text_encoders.llama as llama
import torch

from ..utils.hf_folder import shown
from ..utils.text_encoders import check_sizes, text_part

# what a Gemma 3 config.json leaves out when it has the default
DEFAULTS = {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-6,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
SIZES = (  # what has to be a whole number
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "bos_token_id",
)
# what core's classes have fixed
FIXED = {
    "hidden_activation": "gelu_pytorch_tanh",
    "attention_bias": False,
    "attn_logit_softcapping": None,
    "use_bidirectional_attention": False,
}
PREFIXES = ("language_model.model.", "model.language_model.", "language_model.", "model.", "")
IGNORED = ("vision_tower.", "multi_modal_projector.", "vision_model.", "lm_head.")
IGNORED_4 = ("vision_embedder.", "embed_vision.", "embed_audio.", "audio_tower.", "audio_projector.")


def gemma_key(key: str) -> str | None:
    """Name in core's Gemma of a tensor of a transformers Gemma 3 or 4; None for pictures, sound and the tied head."""
    bare = key.removeprefix("model.").removeprefix("language_model.")
    if bare.startswith((*IGNORED, *IGNORED_4)) or key.endswith("rotary_emb.inv_freq"):
        return None
    prefix = next(prefix for prefix in PREFIXES if key.startswith(prefix))
    return "model." + key.removeprefix(prefix)


def text_config(folder: Path, config: dict) -> dict:
    """The text part of a Gemma 3 config.json with its defaults filled in; ValueError for what core cannot run."""
    text = {**DEFAULTS, **text_part(folder, config)}
    check_sizes(folder, text, SIZES)
    for name, value in FIXED.items():
        if text.get(name, value) != value:
            raise ValueError(f"{shown(folder)}: {name} is {text[name]}; ComfyUI's Gemma 3 has {value}")
    for kind in ("full_attention", "sliding_attention"):
        scaling = rope(text, kind)["rope_type"]
        if scaling not in ("default", "linear"):
            raise ValueError(f"{shown(folder)}: {kind} has {scaling} rotary scaling; ComfyUI's Gemma 3 has linear")
    return text


def rope(text: dict, kind: str) -> dict:
    """{rope_type, rope_theta, factor} of "full_attention" or "sliding_attention" layers, from either config form."""
    given = dict((text.get("rope_parameters") or {}).get(kind) or {})
    if kind == "full_attention":
        given |= text.get("rope_scaling") or {}
        theta = text.get("rope_theta", 1e6)
    else:
        theta = text.get("rope_local_base_freq", 1e4)
    return {"rope_type": given.get("type", "default"), "rope_theta": theta, "factor": 1.0, **given}


def layer_types(text: dict) -> list[str]:
    """ "full_attention" or "sliding_attention" for every layer."""
    every = text["sliding_window_pattern"]
    return text.get("layer_types") or [
        "sliding_attention" if (i + 1) % every else "full_attention" for i in range(text["num_hidden_layers"])
    ]


def core_config(text: dict) -> llama.Gemma3_12B_Config:
    """Core's config object for a filled-in text config; `vocab_size` must be in it."""
    sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    config = llama.Gemma3_12B_Config(**{name: text[name] for name in (*sizes, "num_key_value_heads", "rms_norm_eps")})
    ropes = [rope(text, "full_attention"), rope(text, "sliding_attention")]
    config.rope_theta = [float(r["rope_theta"]) for r in ropes]
    config.rope_scale = [float(r["factor"]) for r in ropes]
    config.head_dim = text["head_dim"]
    config.sliding_attention = [
        text["sliding_window"] if kind == "sliding_attention" else False for kind in layer_types(text)
    ]
    eos = text["eos_token_id"]
    config.stop_tokens = list(eos) if isinstance(eos, list) else [eos, 106]  # 106: <end_of_turn>
    return config


class QueryNorm(llama.RMSNorm):
    """Gemma's query norm with the attention scale folded in, for a scale other than core's 1 / sqrt(head_dim)."""

    scale = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.scale


class Gemma3(llama.BaseLlama, llama.BaseGenerate, torch.nn.Module):
    """Gemma 3's text model, as core's SDClipModel wants it built: Gemma3(text_config, dtype, device, operations)."""

    def __init__(self, config_dict, dtype, device, operations):
        super().__init__()
        config = core_config(config_dict)
        self.num_layers = config.num_hidden_layers
        self.dtype = dtype
        self.model = llama.Llama2_(config, device=device, dtype=dtype, ops=operations)
        if config_dict["query_pre_attn_scalar"] != config.head_dim:
            for layer in self.model.layers:
                norm = QueryNorm(config.head_dim, config.rms_norm_eps, add=True, device=device, dtype=dtype)
                norm.scale = (config.head_dim / config_dict["query_pre_attn_scalar"]) ** 0.5
                layer.self_attn.q_norm = norm
