"""Reference videos of IC-LoRAs: which frames are kept, and attention weights from a mask video.

Source: ltx-pipelines ic_lora; IC-LoRA parameters are in the LoRA file's metadata.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor

from ..latents import TEMPORAL

# Keys in the metadata of IC-LoRAs: how much smaller, and how many times fewer frames, their reference has.
DOWNSCALE_FACTOR, TEMPORAL_FACTOR = "reference_downscale_factor", "reference_temporal_scale_factor"
LARGEST_FACTOR = 64


def subsampled_frames(length: int, scale: int) -> list[int]:
    """Pixel frames kept of a reference that is `scale` times shorter in time: the first, then every scale-th."""
    return [0, *range(1, length, scale)]


def whole_length(length: int) -> int:
    """The longest clip of 8k + 1 frames in `length` frames."""
    return (length - 1) // TEMPORAL * TEMPORAL + 1


def token_weights(mask: Tensor, frames: int, height: int, width: int) -> Tensor:
    """Weights [1, T*H*W] of a mask video [1, 1, F, h, w]: area average, first frame alone, the rest in equal groups.

    Raises ValueError if the frames after the first do not divide evenly.
    """
    pixel_frames = mask.shape[2]
    if (pixel_frames - 1) % max(frames - 1, 1) or (frames == 1) != (pixel_frames == 1):
        raise ValueError(
            f"mask has {pixel_frames} frames for {frames} latent frames: use {TEMPORAL * (frames - 1) + 1}"
        )
    small = F.interpolate(mask[0, 0, :, None], size=(height, width), mode="area")[:, 0]  # [F, H, W]
    rest = reduce(small[1:], "(f k) h w -> f h w", "mean", f=frames - 1) if frames > 1 else small[1:]
    return rearrange(torch.cat([small[:1], rest]), "f h w -> 1 (f h w)")


def lora_factors(metadata: dict[str, str]) -> dict[str, int]:
    """The reference factors in a LoRA file's metadata, 1 where it names none or was written without one."""
    found = {}
    for factor in (DOWNSCALE_FACTOR, TEMPORAL_FACTOR):
        values = {whole_factor(value, key) for key, value in metadata.items() if key.endswith(factor)}
        if len(values) > 1:
            raise ValueError(f"the LoRA's metadata names {factor} twice, as {_listed(values)}: it is damaged")
        found[factor] = values.pop() if values else 1
    return found


def whole_factor(value: object, key: str) -> int:
    """A factor as metadata write it: "2", "2.0"; none at all as "", "None" or "null", which is 1."""
    text = str(value).strip()
    if text.lower() in ("", "none", "null"):
        return 1
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 1 <= number <= LARGEST_FACTOR or number != int(number):
        raise ValueError(
            f"{key} is {text[:40]!r} in the LoRA's metadata: it must be a whole number from 1 to {LARGEST_FACTOR}. "
            "Load a LoRA with such a factor, or correct its metadata"
        )
    return int(number)


def merge_factors(factors: list[dict[str, int]]) -> dict[str, int]:
    """The factors that several LoRAs share, 1 being no demand. Raises ValueError if they disagree."""
    return {name: iclora_factor(factors, name) for name in (DOWNSCALE_FACTOR, TEMPORAL_FACTOR)}


def iclora_factor(parameters: list[dict], key: str) -> int:
    """A whole factor that IC-LoRAs name in their metadata, 1 if none does. Raises ValueError if they disagree."""
    factors = {whole_factor(p[key], key) for p in parameters if key in p} - {1}
    if len(factors) > 1:
        raise ValueError(
            f"the LoRAs disagree on {key}: {_listed(factors)}; use LoRAs that share one value, or one at a time"
        )
    return factors.pop() if factors else 1


def _listed(factors: set[int]) -> str:
    return " and ".join(str(f) for f in sorted(factors))
