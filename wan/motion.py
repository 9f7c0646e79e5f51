"""Motion amplitude for image to video: the conditioning is pushed away from the first frame.

Source: Wan2GP's option of that name, known from the Painter I2V node. In normalised latents, with d = y - first frame:
y' = first + (d - mean(d)) * amplitude + mean(d), the mean over a frame, clamped to +-6. Kept frames stay as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LIMIT = 6.0


def amplify(latents: Tensor, amplitude: float, kept: Tensor | None = None) -> Tensor:
    """Normalised latents [B, L, T, h, w] with more motion; `kept` [T] marks frames that stay, as the first does."""
    first = latents[:, :, :1]
    change = latents - first
    mean = change.mean(dim=(1, 3, 4), keepdim=True)
    moved = (first + (change - mean) * amplitude + mean).clamp(-LIMIT, LIMIT)
    stays = torch.zeros(latents.shape[2], dtype=torch.bool) if kept is None else kept.clone()
    stays[0] = True
    return torch.where(stays.view(1, 1, -1, 1, 1).to(latents.device), latents, moved)


def amplify_conditioning(conditioning: list, latent_format: Any, amplitude: float) -> list:
    """The conditioning with amplified image latents; ValueError if it holds none."""
    out = []
    for tensor, options in conditioning:
        if "concat_latent_image" not in options or "concat_mask" not in options:
            raise ValueError(
                "the conditioning holds no start image: connect the output of an image-to-video conditioning"
            )
        start = options.get("concat_mask_index", 0)  # a control video comes first
        image, mask = options["concat_latent_image"], options["concat_mask"]
        channels = image.shape[1] - start
        if channels != latent_format.latent_channels:
            raise ValueError(
                f"the conditioning holds images of {channels} channels, the model has {latent_format.latent_channels} "
                "latent channels: connect the model that the conditioning was made for"
            )
        kept = (mask.amax(dim=(0, 1, 3, 4)) == 0)[: image.shape[2]]
        part = amplify(latent_format.process_in(image[:, start:].clone()), amplitude, kept)
        amplified = torch.cat([image[:, :start], latent_format.process_out(part)], dim=1)
        out.append([tensor, {**options, "concat_latent_image": amplified}])
    return out
