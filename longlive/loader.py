"""Checkpoints of causal Wan models: unwrapped, checked and handed to core's own loader.

LongLive and Self-Forcing publish {"generator": {"model.<key>": ...}} with or without FSDP and peft names. The tensors
are those of a plain Wan model; core selects its causal class by file metadata only, so the metadata is supplied here.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

from ..samplers import lora_files
from ..utils import files
from ..utils.core import need

sd_module = need("comfy.sd", "load_diffusion_model_state_dict")
CausalWanModel = need("comfy.ldm.wan.ar_model", "CausalWanModel").CausalWanModel

WRAPPERS = ("generator", "generator_ema", "model", "state_dict")  # in the order they are looked for
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "model.")
# what a Wan model is known by, and the dimensions of it
DIMENSIONS = {"head.modulation": 3, "head.head.weight": 2, "text_embedding.0.weight": 2, "patch_embedding.weight": 5}
CAUSAL = "oner_causal"  # attachment of a model that this loader was told to take as causal


def unwrap(content: dict, part: str = "auto") -> tuple[dict[str, Tensor], str]:
    """The state dict inside a training checkpoint, and which entry it was. Raises ValueError if `part` is not there."""
    found = [name for name in WRAPPERS if isinstance(content.get(name), dict)]
    if part != "auto":
        if part not in found:
            raise ValueError(f'the file has no "{part}"; it holds: {", ".join(found) or "plain weights"}')
        found = [part]
    if not found:
        return content, "plain weights"
    return content[found[0]], found[0]


def clean_keys(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Wan's own key names: without the marks of FSDP, torch.compile and wrapping modules."""
    names = {key: key.replace("_fsdp_wrapped_module.", "").replace("_orig_mod.", "") for key in weights}
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in names.values()):
            names = {key: name.removeprefix(prefix) for key, name in names.items()}
            break
    return {names[key]: tensor for key, tensor in weights.items()}


def causal_metadata(weights: dict[str, Tensor], metadata: dict | None) -> dict:
    """File metadata with what core needs to build the causal class and what it does not read from shapes."""
    metadata = dict(metadata or {})
    config = files.parse_object(metadata.get("config", "{}"), "config in the file's metadata")
    given = config.get("transformer", {})
    transformer = dict(given) if isinstance(given, dict) else {}
    transformer["text_dim"] = weights["text_embedding.0.weight"].shape[1]
    transformer.pop("causal_ar", None)
    if weights["head.head.weight"].shape[0] // 4 == 16:  # core has no causal class for 48 channels: the plain one does
        transformer["causal_ar"] = True
    metadata["config"] = json.dumps({**config, "transformer": transformer})
    return metadata


def check_keys(weights: dict[str, Tensor]) -> None:
    """Raise ValueError unless these are the weights of a Wan text-to-video model."""
    if any(name not in weights for name in DIMENSIONS):
        shown = ", ".join(list(weights)[:3])
        raise ValueError(f"this is not a Wan model (first keys: {shown}): choose a LongLive or Self-Forcing checkpoint")
    for name, dimensions in DIMENSIONS.items():
        shape = tuple(weights[name].shape)
        if len(shape) != dimensions:
            raise ValueError(f"{name} has shape {shape}, not {dimensions} dimensions: download the file again")
    channels = weights["patch_embedding.weight"].shape[1]
    if "img_emb.proj.0.bias" in weights or "vace_patch_embedding.weight" in weights or channels not in (16, 48):
        raise ValueError(
            f"this Wan model takes {channels} input channels or an image encoder; a causal rollout needs a "
            "text-to-video model with 16 (Wan 2.1) or 48 channels (Wan 2.2 5B)"
        )


def read_weights(path: str | Path, part: str = "auto") -> tuple[dict[str, Tensor], dict, str]:
    """Clean weights, metadata for core, and the entry they were taken from."""
    name = Path(path).name
    content, metadata = files.read_content(path)
    wrapped, entry = unwrap(content, part)
    weights = clean_keys(files.check_tensors(wrapped, name))
    try:
        check_keys(weights)
        return weights, causal_metadata(weights, metadata), entry
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def load_patcher(
    path: str | Path, part: str = "auto", model_options: dict | None = None, disable_dynamic: bool = False
):
    """A causal model as core's ModelPatcher. Raises ValueError naming missing or unexpected keys."""
    return load_reported(path, part, model_options, disable_dynamic)[0]


def load_reported(
    path: str | Path, part: str = "auto", model_options: dict | None = None, disable_dynamic: bool = False
) -> tuple:
    """The model and what was read, in one line of words."""
    weights, metadata, entry = read_weights(path, part)
    given, name = set(weights), Path(path).name
    with files.taken_by_core(name):
        patcher = sd_module.load_diffusion_model_state_dict(
            weights, model_options=dict(model_options or {}), metadata=metadata, disable_dynamic=disable_dynamic
        )
    if patcher is None:
        raise ValueError(f"{name} is no Wan model that ComfyUI knows: choose a LongLive or Self-Forcing checkpoint")
    expected = set(patcher.model.diffusion_model.state_dict())
    missing = sorted(expected - given)
    unexpected = sorted(key for key in given - expected if not key.endswith(files.QUANTISED))
    if missing or unexpected:
        raise ValueError(
            f"{name}: {len(missing)} keys are missing ({', '.join(missing[:3])}) and {len(unexpected)} unexpected "
            f"({', '.join(unexpected[:3])}): the file is not a complete Wan text-to-video model"
        )
    patcher.set_attachments(CAUSAL, True)
    patcher.cached_patcher_init = (load_patcher, (path, part, model_options))
    network = patcher.model.diffusion_model
    return patcher, (
        f"{name}: {entry}, {len(given & expected)}/{len(expected)} tensors, {len(network.blocks)} blocks of "
        f"width {network.dim}, {network.in_dim} latent channels"
    )


def is_causal(patcher) -> bool:
    """Whether a model was loaded for a causal rollout, by this loader or by core."""
    return isinstance(patcher.model.diffusion_model, CausalWanModel) or bool(patcher.get_attachment(CAUSAL))


def apply_lora(patcher, path: str | Path, strength: float) -> tuple:
    """A clone of the model with the LoRA, and what matched. Raises ValueError if nothing did."""
    name = Path(path).name
    lora, _ = lora_files.read_lora(path)
    clone, report = lora_files.add_lora(patcher, lora, strength, name=name)
    targets = len({key.rsplit(".lora_", 1)[0] for key in lora if ".lora_" in key}) or len(report.layers)
    return clone, "\n".join(
        [f"{name}: {len(report.layers)}/{targets} targets at strength {strength:g}", *report.rest()]
    )


def save_clean(path: str | Path, target: str | Path, part: str = "auto") -> int:
    """Write a checkpoint as safetensors with plain Wan keys and causal metadata; gives the number of tensors."""
    from safetensors.torch import save_file

    weights, metadata, _ = read_weights(path, part)
    contiguous = {key: tensor.contiguous() for key, tensor in weights.items()}
    save_file(contiguous, str(target), metadata={k: v for k, v in metadata.items() if isinstance(v, str)})
    return len(contiguous)
