"""Which LTX model a file holds, read from the header of its safetensors alone, and whether ComfyUI can run it.

Released files name their generation in the metadata entry `model_version`; files without it are told apart by their
keys. LTX-2.5 (2.4 in its early files) differs in structure: video feed-forward without bias, keyframe embedding,
duration head in a file of its own. A ComfyUI without these would load it with weights missing, and say so in its log
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..utils.core import offers

LTX_VIDEO, LTX_2, LTX_2_3, LTX_2_5 = "LTX-Video", "LTX-2", "LTX-2.3", "LTX-2.5"

# what LTX-2.5 needs of ComfyUI -> where it is found: module, name, parameter
LTX_2_5_PARTS = {
    "feed-forward layers without bias": ("comfy.ldm.lightricks.model", "FeedForward", "ff_bias"),
    "keyframe embedding": ("comfy.ldm.lightricks.model", "LTXVModel.apply_keyframes_abs_pos_embedding"),
    "diffusion video VAE": ("comfy.ldm.lightricks.vae.na_diffusion_decoder", "CausalDiffusionVAE"),
    "Gemma 4 for LTX": ("comfy.text_encoders.lt", "ltxav_gemma4_tokenizer"),
}
LTX_2_5_CORE = "0.33.0"  # the oldest release that was seen to have them all


def detect_generation(keys: Iterable[str], metadata: Mapping[str, str]) -> str:
    """LTX_VIDEO, LTX_2, LTX_2_3 or LTX_2_5. Raises ValueError for another model."""
    names = {key.removeprefix("model.").removeprefix("diffusion_model.") for key in keys}
    if "adaln_single.linear.weight" not in names:
        raise ValueError("it is not an LTX model: it has no adaln_single.linear.weight")
    if is_ltx_2_5(metadata.get("model_version", "")) or _has_parts_of_2_5(names):
        return LTX_2_5
    if "audio_adaln_single.linear.weight" not in names:
        return LTX_VIDEO
    return LTX_2_3 if "prompt_adaln_single.linear.weight" in names else LTX_2


def is_ltx_2_5(version: str) -> bool:
    """Whether a `model_version` is that of LTX-2.5; False for an empty one."""
    numbers = version.replace("-", ".").split(".")[:2]
    return len(numbers) == 2 and all(n.isdigit() for n in numbers) and tuple(map(int, numbers)) >= (2, 4)


def _has_parts_of_2_5(names: set[str]) -> bool:
    feed_forward = "transformer_blocks.0.ff.net.2."
    if f"{feed_forward}weight" in names and f"{feed_forward}bias" not in names:
        return True
    return any("keyframes_abs_pos_embedding" in name or name.startswith("duration_head.") for name in names)


def need_core_for_2_5(what: str) -> None:
    """Raise ValueError if this ComfyUI lacks a part of LTX-2.5; `what` was to be loaded."""
    lacking = [part for part, place in LTX_2_5_PARTS.items() if not offers(*place)]
    if lacking:
        raise ValueError(
            f"{what} is for LTX-2.5, and this ComfyUI lacks what it needs: {', '.join(lacking)}. Update ComfyUI to "
            f"{LTX_2_5_CORE} or newer, or use LTX-2 or LTX-2.3"
        )


def has_part(keys: Iterable[str], prefix: str) -> bool:
    """Whether a checkpoint carries a part: `vae.`, `audio_vae.`, `text_embedding_projection.`."""
    return any(key.startswith(prefix) for key in keys)
