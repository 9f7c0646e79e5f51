"""Which LTX model a file holds, read from the header of its safetensors alone.

Released files name their generation in the metadata entry `model_version`; files without it are told apart by their
keys. LTX-2.5 differs in structure (feed-forward without bias, keyframe embedding, duration head), and ComfyUI 0.30
would load it silently with those weights missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

LTX_VIDEO, LTX_2, LTX_2_3 = "LTX-Video", "LTX-2", "LTX-2.3"


def read_header(path: str | Path) -> tuple[list[str], dict[str, str]]:
    """Keys and metadata of a safetensors file, without reading a weight."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        return list(file.keys()), file.metadata() or {}


def detect_generation(keys: Iterable[str], metadata: Mapping[str, str]) -> str:
    """LTX_VIDEO, LTX_2 or LTX_2_3. Raises ValueError for another model, and for LTX-2.5."""
    names = {key.removeprefix("model.").removeprefix("diffusion_model.") for key in keys}
    if "adaln_single.linear.weight" not in names:
        raise ValueError("it is not an LTX model: it has no adaln_single.linear.weight")
    if _is_ltx_2_5(names, metadata.get("model_version", "")):
        raise ValueError(
            "it is an LTX-2.5 model, whose text encoder, feed-forward layers and diffusion VAE ComfyUI does not have "
            "yet; use an LTX-2 or LTX-2.3 file"
        )
    if "audio_adaln_single.linear.weight" not in names:
        return LTX_VIDEO
    return LTX_2_3 if "prompt_adaln_single.linear.weight" in names else LTX_2


def _is_ltx_2_5(names: set[str], version: str) -> bool:
    numbers = version.replace("-", ".").split(".")[:2]
    if len(numbers) == 2 and all(n.isdigit() for n in numbers) and tuple(map(int, numbers)) >= (2, 5):
        return True
    feed_forward = "transformer_blocks.0.ff.net.2."
    if f"{feed_forward}weight" in names and f"{feed_forward}bias" not in names:
        return True
    return any("keyframes_abs_pos_embedding" in name or name.startswith("duration_head.") for name in names)


def has_part(keys: Iterable[str], prefix: str) -> bool:
    """Whether a checkpoint carries a part: `vae.`, `audio_vae.`, `text_embedding_projection.`."""
    return any(key.startswith(prefix) for key in keys)
