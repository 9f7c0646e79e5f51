"""LoRA files in every key style seen: which layer of the model each key means, and what did not find its place.

ComfyUI matches some of the styles for some of the models: here any known prefix, dots or underscores, and the suffixes
of PEFT, kohya and diffusers lead to the same layer of any model. Layers are found in the model itself, never by a list
of names. ComfyUI's own adapters then read what they know of each layer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import comfy.lora
import torch
from torch import Tensor

from ..utils import files

log = logging.getLogger("oner")

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
    ".lora_linear_layer.up.weight": ".lora_up.weight",
    ".lora_linear_layer.down.weight": ".lora_down.weight",
    "_lora.up.weight": ".lora_up.weight",
    "_lora.down.weight": ".lora_down.weight",
    ".lora_B": ".lora_up.weight",
    ".lora_A": ".lora_down.weight",
    **{
        f".{name}": f".{name}"
        for name in (
            "lora_mid.weight",
            "reshape_weight",
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
            "a1.weight",
            "a2.weight",
            "b1.weight",
            "b2.weight",
            "oft_blocks",
            "rescale",
        )
    },
}
ENDINGS = sorted(SUFFIXES, key=len, reverse=True)
DIFFERENCES = {  # suffix -> which weight of the layer has its shape
    ".diff": ".weight",
    ".w_norm": ".weight",
    ".set_weight": ".weight",
    ".diff_b": ".bias",
    ".b_norm": ".bias",
}
Names = Sequence[tuple[str, str]]  # what a layer is called elsewhere -> in the model


@dataclass
class LoraReport:
    """What of a LoRA file found its place."""

    name: str = "LoRA"
    layers: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)  # layers of another shape than the model's
    sizes: list[str] = field(default_factory=list)  # what the shapes of those are
    ranks: set[int] = field(default_factory=set)
    scales: set[float] = field(default_factory=set)

    def text(self, name: str = "") -> str:
        title = f"{name or self.name}: {len(self.layers)} layers, rank {_numbers(self.ranks)}"
        return "\n".join([f"{title}, scale {_numbers(self.scales)}", *self.rest()])

    def rest(self) -> list[str]:
        """What did not find its place, a line a kind."""
        kinds = (("keys without a layer in this model", self.unmatched), ("layers of another shape", self.sizes))
        return [f"  {len(found)} {title}: {_few(found)}" for title, found in kinds if found]


def _numbers(values: set) -> str:
    return "/".join(f"{value:g}" for value in sorted(values)) or "-"


def _few(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def read_lora(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a LoRA file, of a training checkpoint the generator's, and its metadata. NaN is refused."""
    content, metadata = files.read_content(path)
    name = Path(path).name
    if not files.is_safetensors(path):
        only = next(iter(content.values())) if len(content) == 1 else None
        content = content.get("generator_lora", content.get("state_dict", only if isinstance(only, dict) else content))
        content = files.check_tensors(content, name)
    for key, tensor in content.items():
        if not tensor.is_floating_point() and not key.endswith((".alpha", ".reshape_weight")):
            raise ValueError(f"{name} holds {key} in whole numbers ({tensor.dtype}): it was converted wrongly")
    floats = ((key, tensor) for key, tensor in content.items() if tensor.is_floating_point())
    files.check_finite(floats, name, most=None)  # a LoRA is small enough to be looked at whole
    return content, metadata


def weight_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Shape of each weight of the diffusion model by name; a packed weight (NVFP4, GGUF) has its unpacked shape.

    Parameters have that shape, the entries of a state dict do not.
    """
    return {name: tuple(weight.shape) for name, weight in model.model.diffusion_model.named_parameters()}


def layer_table(weights: Iterable[str]) -> dict[str, str]:
    """Layer names as LoRA files may write them (dots or underscores) -> layer of the diffusion model."""
    names = [name.removesuffix(".weight") for name in weights]
    return {name: name for name in names} | {name.replace(".", "_"): name for name in names}


def split_key(key: str) -> tuple[str, str] | None:
    """(layer as written, suffix as ComfyUI calls it), or None if the key ends with nothing known."""
    for ending in ENDINGS:
        if key.endswith(ending):
            return key[: -len(ending)], SUFFIXES[ending]
    return None


def find_layer(written: str, table: dict[str, str], elsewhere: Names = ()) -> str | None:
    """The model's layer for a name as written in a file, whatever prefixes it has."""
    names = [written]
    for name in names:  # grows: a prefix may stand behind another
        names += [name[len(prefix) :] for prefix in PREFIXES if name.startswith(prefix)]
    for name in names:
        if name in table:
            return table[name]
        for theirs, ours in elsewhere:
            name = name.replace(theirs, ours)
        if name in table:
            return table[name]
    return None


def normalise(
    lora: dict[str, Tensor], weights: Iterable[str], elsewhere: Names = ()
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The file with every key as `diffusion_model.<layer>.<suffix>`, and which key of the file each new one was.

    Keys that fit no layer are left out.
    """
    table, renamed, written = layer_table(weights), {}, {}
    for key, tensor in lora.items():
        parts = split_key(key)
        layer = find_layer(parts[0], table, elsewhere) if parts else None
        if layer is not None and parts:
            new = f"diffusion_model.{layer}{parts[1]}"
            renamed[new], written[new] = tensor, key
    return renamed, written


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
    model: Any,
    lora: dict[str, Tensor],
    scale_without_alpha: float = 1.0,
    *,
    elsewhere: Names = (),
    name: str = "the LoRA",
) -> tuple[dict[str, Any], LoraReport]:
    """ComfyUI weight patches (by the model's weight names) of a LoRA file, and the report.

    Raises ValueError if nothing fits the model, or if more layers have other sizes than fit.
    """
    shapes = weight_shapes(model)
    renamed, written = normalise(lora, shapes, elsewhere)
    report = LoraReport(name, unmatched=[key for key in lora if key not in set(written.values())])
    for layer in sorted({new.rsplit(".lora_", 1)[0] for new in renamed if ".lora_" in new}):
        _check_pair(layer, renamed, shapes, report)
    for kind in (".hada_", ".lokr_"):
        for layer in sorted({new.rsplit(kind, 1)[0] for new in renamed if kind in new}):
            _check_product(layer, renamed, shapes, report)
    for new in list(renamed):
        _check_shape(new, renamed, shapes, report)
    renamed = set_scale(renamed, scale_without_alpha)
    for new, down in renamed.items():
        layer = new.removesuffix(".lora_down.weight")
        if layer != new:
            alpha = renamed.get(f"{layer}.alpha")
            report.ranks.add(down.shape[0])
            report.scales.add(1.0 if alpha is None else float(alpha) / down.shape[0])
    key_map = {f"diffusion_model.{key.removesuffix('.weight')}": f"diffusion_model.{key}" for key in shapes}
    with files.taken_by_core(name, "is no LoRA that ComfyUI can take"):
        patches = comfy.lora.load_lora(renamed, key_map, log_missing=False)
    report.unmatched += [written[new] for new in renamed if new in written and new not in _used(patches, renamed)]
    report.layers = sorted({key.removeprefix("diffusion_model.").rsplit(".", 1)[0] for key in patches})
    if not patches and not report.sizes:
        raise ValueError(
            f"none of the {len(lora)} keys of {name} fits this model (for example {next(iter(lora), 'none')!r}): it "
            "was made for another model"
        )
    if len(report.mismatched) > len(report.layers):
        raise ValueError(
            f"{len(report.sizes)} layers of {name} have other sizes than this model's, {len(report.layers)} fit: "
            f"{_few(report.sizes, 2)}. It was made for another model"
        )
    return patches, report


def _check_pair(layer: str, renamed: dict[str, Tensor], shapes: dict, report: LoraReport) -> None:
    """Drop a layer whose two matrices are not both there or do not make the shape of its weight."""
    up, down = (renamed.get(f"{layer}.lora_{part}.weight") for part in ("up", "down"))
    own = layer.removeprefix("diffusion_model.")
    if up is None or down is None:
        report.unmatched.append(f"{own} (only one of the two matrices)")
        _drop_layer(layer, renamed)
        return
    weight = shapes.get(f"{own}.weight", shapes.get(own, ()))
    if f"{layer}.lora_mid.weight" in renamed or f"{layer}.reshape_weight" in renamed:
        return
    given = (*up.shape[:1], *down.shape[1:]) if up.ndim > 1 and down.ndim > 1 else tuple(up.shape)
    inner = down[0].numel() if down.ndim > 1 else 0
    fits = len(weight) > 1 and up.ndim > 1 and up.shape[1] == down.shape[0]
    if not fits or (up.shape[0], inner) != (weight[0], torch.Size(weight[1:]).numel()):
        report.mismatched.append(own)
        report.sizes.append(f"{own} (file {_shape(given)}, model {_shape(weight)})")
        _drop_layer(layer, renamed)


def _check_product(layer: str, renamed: dict[str, Tensor], shapes: dict, report: LoraReport) -> None:
    """Drop a layer of LoHa or LoKr whose factors are not all there or do not make the shape of its weight."""
    own = layer.removeprefix("diffusion_model.")
    weight = shapes.get(f"{own}.weight", shapes.get(own, ()))
    if f"{layer}.hada_t1" in renamed or f"{layer}.lokr_t2" in renamed:
        return  # a convolution in three factors
    factors = {key.removeprefix(f"{layer}."): renamed[key] for key in renamed if key.startswith(f"{layer}.")}
    try:
        made = tuple(_product({name: x.to("meta").flatten(1) for name, x in factors.items() if x.ndim > 1}).shape)
    except KeyError as error:
        report.unmatched.append(f"{own} (without {error.args[0]})")
        _drop_layer(layer, renamed)
        return
    except RuntimeError:
        made = ()
    if len(weight) < 2 or made != (weight[0], torch.Size(weight[1:]).numel()):
        given = " and ".join(_shape(x.shape) for x in factors.values() if x.ndim > 1)
        report.mismatched.append(own)
        report.sizes.append(f"{own} (file {given}, model {_shape(weight)})")
        _drop_layer(layer, renamed)


def _product(factors: dict[str, Tensor]) -> Tensor:
    """The weight that matrices of LoHa or LoKr make; KeyError for one that is missing."""

    def matrix(name: str) -> Tensor:
        return factors[name] if name in factors else factors[f"{name}_a"] @ factors[f"{name}_b"]

    if any(name.startswith("hada_") for name in factors):
        return matrix("hada_w1") * matrix("hada_w2")
    return torch.kron(matrix("lokr_w1"), matrix("lokr_w2"))


def _drop_layer(layer: str, renamed: dict[str, Tensor]) -> None:
    for ending in set(SUFFIXES.values()):
        renamed.pop(f"{layer}{ending}", None)


def _check_shape(new: str, renamed: dict[str, Tensor], shapes: dict, report: LoraReport) -> None:
    """Drop an alpha that is no number, and a difference that does not have the shape of its weight."""
    if new.endswith(".alpha") and renamed[new].numel() != 1:
        report.unmatched.append(f"{new.removeprefix('diffusion_model.')} (not one number)")
        del renamed[new]
    for ending, part in DIFFERENCES.items():
        if not new.endswith(ending) or new not in renamed:
            continue
        own = new.removeprefix("diffusion_model.").removesuffix(ending)
        weight = shapes.get(own + part, shapes.get(own) if part == ".weight" else None)
        if weight is None:
            report.unmatched.append(f"{own}{ending} (the layer has no {part[1:]})")
            del renamed[new]
        elif tuple(renamed[new].shape) != weight:
            report.mismatched.append(own)
            report.sizes.append(f"{own} (file {_shape(renamed.pop(new).shape)}, model {_shape(weight)})")


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _used(patches: dict[str, Any], renamed: dict[str, Tensor]) -> set[str]:
    """The keys that ComfyUI's adapters took, and those of differences."""
    used = {key for patch in patches.values() for key in getattr(patch, "loaded_keys", ())}
    return used | {key for key in renamed if key.endswith((*DIFFERENCES, ".alpha", ".dora_scale"))}


def add_lora(
    model: Any,
    lora: dict[str, Tensor],
    strength: float,
    scale_without_alpha: float = 1.0,
    *,
    elsewhere: Names = (),
    name: str = "the LoRA",
) -> tuple[Any, LoraReport]:
    """A clone of the model with the LoRA added, and the report, which is logged too."""
    patches, report = read_patches(model, lora, scale_without_alpha, elsewhere=elsewhere, name=name)
    log.log(logging.WARNING if report.rest() else logging.INFO, "%s", report.text())
    patched = model.clone()
    patched.add_patches(patches, strength)
    return patched, report
