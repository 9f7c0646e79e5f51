"""Pixel frames for Wan conditioning: fitting images, laying them on the timeline, and what is kept of it.

Letters: F pixel frames, T latent frames = (F - 1) / 4 + 1, H W pixels, h w latents. Images [F, H, W, 3] in 0..1.
Masks: 1 = generate, 0 = keep, as in ComfyUI.
"""

from __future__ import annotations

import comfy.utils
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..utils.images import fit_length, need_room

TEMPORAL = 4  # pixel frames a latent frame, after the first


def latent_frames(length: int) -> int:
    """Latent frames of `length` = 4k + 1 pixel frames."""
    return (length - 1) // TEMPORAL + 1


def fit_images(images: Tensor, width: int, height: int) -> Tensor:
    """Scale to cover the size and crop the middle, as ComfyUI's Wan nodes do; [F, H, W, 3]."""
    need_room(images, width, height, "an image")
    scaled = comfy.utils.common_upscale(images[..., :3].movedim(-1, 1), width, height, "bilinear", "center")
    return scaled.movedim(1, -1)


def fit_masks(masks: Tensor, width: int, height: int) -> Tensor:
    """Scale masks [F, H, W] to cover the size and crop the middle."""
    need_room(masks, width, height, "a mask")
    return comfy.utils.common_upscale(masks.unsqueeze(1), width, height, "bilinear", "center").squeeze(1)


def lay_out(
    length: int,
    height: int,
    width: int,
    *,
    start: Tensor | None = None,
    end: Tensor | None = None,
    inpaint: Tensor | None = None,
    inpaint_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Video [F, H, W, 3] with grey where the model generates, and its mask [F, H, W] of zeros and ones.

    `inpaint` lies below; start frames are put over its front, end frames over its back. All inputs have the right size.
    """
    video = torch.full((length, height, width, 3), 0.5)
    mask = torch.ones(length, height, width)
    if inpaint is not None:
        mask = (fit_length(inpaint_mask, length) >= 0.5).float()
        video = torch.where(mask.unsqueeze(-1) < 0.5, fit_length(inpaint, length), video)
    if start is not None:
        video[: start.shape[0]] = start
        mask[: start.shape[0]] = 0.0
    if end is not None:
        video[-end.shape[0] :] = end
        mask[-end.shape[0] :] = 0.0
    return video, mask


def mask_latents(mask: Tensor, height: int, width: int) -> Tensor:
    """Keep mask [1, 4, T, h, w] (1 = keep) of a pixel mask [F, H, W]: channel k is the k-th pixel frame of the group.

    The first latent frame repeats pixel frame 0. Resized trilinearly, the first latent frame apart, as the models
    were trained.
    """
    grouped = torch.cat([mask[:1].expand(3, *mask.shape[1:]), mask])  # [4 T, H, W]
    keep = 1.0 - rearrange(grouped, "(t k) h w -> 1 k t h w", k=TEMPORAL)
    parts = [keep[:, :, :1]] if keep.shape[2] == 1 else [keep[:, :, :1], keep[:, :, 1:]]
    resized = [F.interpolate(part, (part.shape[2], height, width), mode="trilinear") for part in parts]
    return torch.cat(resized, dim=2)
