"""LoRA files for Wan: the names that diffusers gives its layers, beside what any LoRA file may look like."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..samplers import lora_files
from ..samplers.lora_files import LoraReport

# diffusers' names of the same layers
DIFFUSERS = (
    ("attn1.to_out.0", "self_attn.o"),
    ("attn2.to_out.0", "cross_attn.o"),
    ("attn1.to_", "self_attn."),
    ("attn2.to_", "cross_attn."),
    ("attn2.add_k_proj", "cross_attn.k_img"),
    ("attn2.add_v_proj", "cross_attn.v_img"),
    ("ffn.net.0.proj", "ffn.0"),
    ("ffn.net.2", "ffn.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("proj_out", "head.head"),
)


def read_patches(
    model: Any, lora: dict[str, Tensor], scale_without_alpha: float = 1.0, name: str = "the LoRA"
) -> tuple[dict[str, Any], LoraReport]:
    """ComfyUI weight patches (by the model's weight names) of a LoRA file, and the report; ValueError if none fits."""
    return lora_files.read_patches(model, lora, scale_without_alpha, elsewhere=DIFFUSERS, name=name)


def load_any_lora(
    model: Any, lora: dict[str, Tensor], strength: float, scale_without_alpha: float = 1.0, name: str = "the LoRA"
) -> tuple[Any, LoraReport]:
    """A clone of the model with the LoRA added, and the report."""
    return lora_files.add_lora(model, lora, strength, scale_without_alpha, elsewhere=DIFFUSERS, name=name)
