"""Images and clips that a video of LTX-Video 0.9.x starts from or passes through.

At frame 0 the content is mixed into the latent; at a later frame it is appended as a guide with a position of its own,
as in the 0.9.8 pipeline. `strength` sets the noise of the tokens, never their weight in attention, which ComfyUI's
LTXVAddGuide ties to it. Shapes: latent and content [B, 128, T, H, W], mask [B, 1, T, 1, 1] or [B, 1, T, H, W].
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...utils.core import need
from ...utils.latents import match_batch
from ..latents import SPATIAL, TEMPORAL

patchifier = need("comfy.ldm.lightricks.symmetric_patchifier", "SymmetricPatchifier", "latent_to_pixel_coords")


def frame_mask(latent: dict) -> Tensor:
    """A copy of the latent's noise mask; all ones [B, 1, T, 1, 1] where it has none."""
    mask = latent.get("noise_mask")
    samples = latent["samples"]
    return torch.ones(samples.shape[0], 1, samples.shape[2], 1, 1) if mask is None else mask.clone()


def mix_into_frames(latent: dict, content: Tensor, strength: float, start_sigma: float = 1.0) -> dict:
    """A new LATENT whose first frames hold `content` with `strength`.

    Below start_sigma 1 (a second pass) a part of what was there stays, so that noising the mix to
    (1 - strength) * start_sigma gives strength * content + (1 - strength) * (noised latent), which is what the
    pipeline starts from.
    """
    samples, mask = latent["samples"].clone(), frame_mask(latent)
    frames = content.shape[2]
    if strength > 0:
        kept = (1 - strength) * (1 - start_sigma)
        mixed = (strength * content.to(samples) + kept * samples[:, :, :frames]) / (strength + kept)
        samples[:, :, :frames] = mixed
        mask[:, :, :frames] = 1 - strength
    return {**latent, "samples": samples, "noise_mask": mask}


def append_guide(
    positive: list, negative: list, latent: dict, content: Tensor, frame: int, strength: float
) -> tuple[list, list, dict]:
    """Append `content` as tokens at pixel frame `frame`; gives new conditionings and a new LATENT.

    ComfyUI's LTXVCropGuides takes them off again after sampling.
    """
    (positive, negative), extended = append_to_all([positive, negative], latent, content, frame, strength)
    return positive, negative, extended


def append_to_all(
    conditionings: list[list], latent: dict, content: Tensor, frame: int, strength: float
) -> tuple[list[list], dict]:
    """append_guide for any number of conditionings; a negative `frame` lies before the clip."""
    samples, mask = latent["samples"], frame_mask(latent)
    guide = match_batch(content.to(samples), samples.shape[0], "the guide", "the latent")
    level = torch.full_like(mask[:, :, :1], 1 - strength).expand(-1, -1, guide.shape[2], -1, -1)
    extended = {**latent, "samples": torch.cat([samples, guide], dim=2), "noise_mask": torch.cat([mask, level], dim=2)}
    positions = guide_positions(content, frame)
    entry = {
        "pre_filter_count": positions.shape[2],
        "strength": 1.0,  # full attention; ComfyUI counts the guides by these entries
        "pixel_mask": None,
        "latent_shape": list(content.shape[2:]),
    }
    return [_with_guide(conditioning, positions, entry) for conditioning in conditionings], extended


def guide_positions(content: Tensor, frame: int) -> Tensor:
    """Integer pixel coordinates [1, 3, tokens, 2] of a guide that starts at pixel frame `frame`."""
    _, coordinates = patchifier.SymmetricPatchifier(1, start_end=True).patchify(content[:1])
    one_image = content.shape[2] == 1
    # the first latent of a clip covers one frame only at the start of the video, or when it is alone
    positions = patchifier.latent_to_pixel_coords(coordinates, (TEMPORAL, SPATIAL, SPATIAL), frame == 0 or one_image)
    positions[:, 0] += frame
    return positions


def _with_guide(conditioning: list, positions: Tensor, entry: dict) -> list:
    extended = []
    for tensor, options in conditioning:
        before = options.get("keyframe_idxs")
        joined = positions if before is None else torch.cat([before, positions.to(before.device)], dim=2)
        entries = [*(options.get("guide_attention_entries") or []), entry]
        extended.append([tensor, {**options, "keyframe_idxs": joined, "guide_attention_entries": entries}])
    return extended
