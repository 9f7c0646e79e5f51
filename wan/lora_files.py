"""LoRA files for Wan in every key style seen: which layer of the model each key means.

ComfyUI matches four of the six styles; raw PEFT keys and kohya keys with a double underscore in files without
`cross_attn_k` find no layer there. Layers are found in the model itself, never by a list of names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import comfy.lora
import torch
from torch import Tensor

PREFIXES = (
    "base_model.model.",
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
    "lora_transformer_",
    "lora_unet__",
    "lora_unet_",
    "model.",
)
# what a key ends with -> how ComfyUI calls it
SUFFIXES = {
    ".lora_up.weight": ".lora_up.weight",
    ".lora_down.weight": ".lora_down.weight",
    ".lora_B.weight": ".lora_up.weight",
    ".lora_A.weight": ".lora_down.weight",
    ".lora_B.default.weight": ".lora_up.weight",
    ".lora_A.default.weight": ".lora_down.weight",
    ".lora.up.weight": ".lora_up.weight",
    ".lora.down.weight": ".lora_down.weight",
    **{
        f".{name}": f".{name}"
        for name in (
            "alpha",
            "dora_scale",
            "diff",
            "diff_b",
            "set_weight",
            "w_norm",
            "b_norm",
            "hada_w1_a",
            "hada_w1_b",
            "hada_w2_a",
            "hada_w2_b",
            "hada_t1",
            "hada_t2",
            "lokr_w1",
            "lokr_w2",
            "lokr_w1_a",
            "lokr_w1_b",
            "lokr_w2_a",
            "lokr_w2_b",
            "lokr_t2",
        )
    },
}
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


@dataclass
class LoraReport:
    """What of a LoRA file found its place."""

    layers: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)  # layers of another shape than the model's
    ranks: set[int] = field(default_factory=set)
    scales: set[float] = field(default_factory=set)

    def text(self, name: str = "LoRA") -> str:
        lines = [f"{name}: {len(self.layers)} layers, rank {_numbers(self.ranks)}, scale {_numbers(self.scales)}"]
        for title, keys in (
            ("keys without a layer in this model", self.unmatched),
            ("of another shape", self.mismatched),
        ):
            if keys:
                more = f" and {len(keys) - 8} more" if len(keys) > 8 else ""
                lines.append(f"  {len(keys)} {title}: {', '.join(keys[:8])}{more}")
        return "\n".join(lines)


def _numbers(values: set) -> str:
    return "/".join(f"{value:g}" for value in sorted(values)) or "-"


def weight_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Shape of each weight of the diffusion model by name; a packed weight (NVFP4, GGUF) has its unpacked shape.

    Parameters have that shape, the entries of a state dict do not.
    """
    return {name: tuple(weight.shape) for name, weight in model.model.diffusion_model.named_parameters()}


def layer_table(weights: Iterable[str]) -> dict[str, str]:
    """Layer names as LoRA files may write them (dots or underscores) -> layer of the diffusion model."""
    names = [name.removesuffix(".weight") for name in weights if name.endswith((".weight", "modulation"))]
    return {name: name for name in names} | {name.replace(".", "_"): name for name in names}


def split_key(key: str) -> tuple[str, str] | None:
    """(layer as written, suffix as ComfyUI calls it), or None if the key ends with nothing known."""
    for ending in sorted(SUFFIXES, key=len, reverse=True):
        if key.endswith(ending):
            return key[: -len(ending)], SUFFIXES[ending]
    return None


def find_layer(written: str, table: dict[str, str]) -> str | None:
    """The model's layer for a name as written in a file, whatever its prefix."""
    names = [written] + [written[len(prefix) :] for prefix in PREFIXES if written.startswith(prefix)]
    for name in names:
        if name in table:
            return table[name]
        for theirs, ours in DIFFUSERS:
            name = name.replace(theirs, ours)
        if name in table:
            return table[name]
    return None


def normalise(lora: dict[str, Tensor], weights: Iterable[str]) -> tuple[dict[str, Tensor], list[str]]:
    """The file with every key as `diffusion_model.<layer>.<suffix>`, and the keys that fit no layer."""
    table, renamed, unmatched = layer_table(weights), {}, []
    for key, tensor in lora.items():
        parts = split_key(key)
        layer = find_layer(parts[0], table) if parts else None
        if layer is None:
            unmatched.append(key)
        else:
            renamed[f"diffusion_model.{layer}{parts[1]}"] = tensor
    return renamed, unmatched


def set_scale(lora: dict[str, Tensor], scale_without_alpha: float) -> dict[str, Tensor]:
    """Give layers that have no alpha the alpha of a scale (alpha / rank); 1 leaves them as they are."""
    if scale_without_alpha == 1.0:
        return lora
    out = dict(lora)
    for key, tensor in lora.items():
        layer = key.removesuffix(".lora_down.weight")
        if layer != key and f"{layer}.alpha" not in lora:
            out[f"{layer}.alpha"] = torch.tensor(float(tensor.shape[0]) * scale_without_alpha)
    return out


def read_patches(
    model: Any, lora: dict[str, Tensor], scale_without_alpha: float = 1.0
) -> tuple[dict[str, Any], LoraReport]:
    """ComfyUI weight patches (by the model's weight names) of a LoRA file, and the report; ValueError if none fits."""
    shapes = weight_shapes(model)
    renamed, unmatched = normalise(lora, shapes)
    renamed = set_scale(renamed, scale_without_alpha)
    report = LoraReport(unmatched=unmatched)
    layers = sorted({key.removeprefix("diffusion_model.").rsplit(".lora_", 1)[0] for key in renamed if ".lora_" in key})
    for layer in layers:
        up, down = (renamed.get(f"diffusion_model.{layer}.lora_{part}.weight") for part in ("up", "down"))
        if up is None or down is None:
            report.unmatched.append(f"{layer} (only one of the two matrices)")
            continue
        weight = shapes[f"{layer}.weight"]
        if (up.shape[0], down[0].numel()) != (weight[0], torch.Size(weight[1:]).numel()):
            report.mismatched.append(layer)
            renamed = {k: v for k, v in renamed.items() if not k.startswith(f"diffusion_model.{layer}.")}
            continue
        rank = down.shape[0]
        alpha = renamed.get(f"diffusion_model.{layer}.alpha")
        report.ranks.add(rank)
        report.scales.add(1.0 if alpha is None else float(alpha) / rank)
    key_map = {f"diffusion_model.{name.removesuffix('.weight')}": f"diffusion_model.{name}" for name in shapes}
    patches = comfy.lora.load_lora(renamed, key_map, log_missing=False)
    report.layers = sorted({key.removeprefix("diffusion_model.").rsplit(".", 1)[0] for key in patches})
    if not patches:
        raise ValueError(
            f"none of the {len(lora)} keys of the LoRA fits this model (for example {next(iter(lora), 'none')!r}): it "
            "was made for another model"
        )
    return patches, report


def load_any_lora(
    model: Any, lora: dict[str, Tensor], strength: float, scale_without_alpha: float = 1.0
) -> tuple[Any, LoraReport]:
    """A clone of the model with the LoRA added, and the report."""
    patches, report = read_patches(model, lora, scale_without_alpha)
    patched = model.clone()
    patched.add_patches(patches, strength)
    return patched, report
