"""Gemma 4's text model on core's classes, with every size and rotary setting from config.json.

Source: transformers' Gemma4UnifiedTextConfig, with its defaults for keys that a config.json leaves out. Different from
core's own Gemma4_12B: no fixed size, no embedders for pictures and sound.
"""

from __future__ import annotations

from pathlib import Path

import comfy.text_encoders.gemma4 as core

from ..utils.hf_folder import shown
from ..utils.text_encoders import check_sizes, text_part

# what a Gemma 4 config.json leaves out when it has the default
DEFAULTS = {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 30,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "num_global_key_value_heads": None,
    "head_dim": 256,
    "global_head_dim": 512,
    "attention_k_eq_v": False,
    "rms_norm_eps": 1e-6,
    "sliding_window": 1024,
    "final_logit_softcapping": None,
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
    "global_head_dim",
    "bos_token_id",
)
# what differs in the small Gemma 4 models, and what core's classes have fixed
FIXED = {
    "hidden_activation": "gelu_pytorch_tanh",
    "attention_bias": False,
    "hidden_size_per_layer_input": 0,
    "num_kv_shared_layers": 0,
    "use_double_wide_mlp": False,
}
ROPES = {
    "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}
PATTERN = 6  # without layer_types every 6th layer sees everything, and the last one
END_OF_TURN = 106


def text_config(folder: Path, config: dict) -> dict:
    """The text part of a Gemma 4 config.json with its defaults filled in; ValueError for what core cannot run."""
    text = {**DEFAULTS, **text_part(folder, config)}
    check_sizes(folder, text, SIZES)
    for name, value in FIXED.items():
        if text.get(name, value) != value:
            raise ValueError(f"{shown(folder)}: {name} is {text[name]}; the Gemma 4 of LTX-2.5 has {value}")
    if text.get("use_bidirectional_attention") == "all":
        raise ValueError(
            f"{shown(folder)}: its text sees what follows; the Gemma 4 of LTX-2.5 sees what came before alone"
        )
    text["rope_parameters"] = {kind: {**ROPES[kind], **_ropes(text).get(kind, {})} for kind in ROPES}
    for kind, rope in text["rope_parameters"].items():
        if rope["rope_type"] != ROPES[kind]["rope_type"]:
            raise ValueError(
                f"{shown(folder)}: {kind} has {rope['rope_type']} rotary scaling; ComfyUI's Gemma 4 does not"
            )
    return text


def _ropes(text: dict) -> dict:
    return text.get("rope_parameters") or {}


def layer_types(text: dict) -> list[str]:
    """ "full_attention" or "sliding_attention" for every layer; the last one is always full."""
    count = text["num_hidden_layers"]
    kinds = text.get("layer_types") or [
        "sliding_attention" if (i + 1) % PATTERN else "full_attention" for i in range(count)
    ]
    return [*kinds[: count - 1], "full_attention"]


def core_config(text: dict) -> core.Gemma4Config:
    """Core's config object for a filled-in text config; `vocab_size` must be in it."""
    sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    config = core.Gemma4_12B_Config(**{name: text[name] for name in (*sizes, "num_key_value_heads", "rms_norm_eps")})
    full, sliding = (text["rope_parameters"][kind] for kind in ("full_attention", "sliding_attention"))
    config.rope_theta = [float(full["rope_theta"]), float(sliding["rope_theta"])]
    config.partial_rotary_factor = full["partial_rotary_factor"]
    config.final_logit_softcapping = text["final_logit_softcapping"]
    for name in ("head_dim", "global_head_dim", "attention_k_eq_v"):
        setattr(config, name, text[name])
    config.num_global_key_value_heads = text["num_global_key_value_heads"] or text["num_key_value_heads"]
    config.sliding_attention = [
        text["sliding_window"] if kind == "sliding_attention" else False for kind in layer_types(text)
    ]
    eos = text["eos_token_id"]
    config.stop_tokens = list(eos) if isinstance(eos, list) else [eos, END_OF_TURN]
    config.suppress_tokens = []  # core's are the 12B's placeholders of pictures and sound
    return config


class Gemma4(core.Gemma4Base):
    """Gemma 4's text model, as core's SDClipModel wants it built: Gemma4(text_config, dtype, device, operations)."""

    def __init__(self, config_dict, dtype, device, operations):
        super().__init__()
        config = core_config(config_dict)
        self.num_layers = config.num_hidden_layers
        self.dtype = dtype
        self.model = core.Gemma4Transformer(config, device=device, dtype=dtype, ops=operations)
