"""VACE conditioning: control videos, masks, injected frames, references and outpainting, composed into VACE's inputs.

Source: VideoX-Fun's and Wan2GP's behaviour as described, in ComfyUI's layout (`WanVaceToVideo`). Differs on purpose:
masks grow in true pixels, and start or end frames are put into the control video itself, where VideoX-Fun loses them.
Letters: F pixel frames, T latent frames, H W pixels, h w latents. Masks [F, H, W]: 1 = generate, 0 = keep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..utils.images import fit_length
from .conditioning import encode, latent_zeros
from .frame_lists import parse_kept, parse_positions
from .frames import fit_images, fit_masks, latent_frames

GREY, WHITE = 0.5, 1.0
FACTOR = 8  # pixels to a latent
GRID = 16  # outpaint margins end on tokens


@dataclass(frozen=True)
class Canvas:
    """The video's size and the rectangle the sources fill; the rest is outpainted."""

    width: int
    height: int
    left: int = 0
    top: int = 0
    inner_width: int = 0
    inner_height: int = 0

    @property
    def outpaints(self) -> bool:
        return (self.inner_width, self.inner_height) != (self.width, self.height)

    @property
    def border(self) -> Tensor:
        """Mask [H, W], 1 in the outpainted margins."""
        mask = torch.ones(self.height, self.width)
        mask[self.top : self.top + self.inner_height, self.left : self.left + self.inner_width] = 0.0
        return mask

    def place_images(self, images: Tensor, fill: float = GREY) -> Tensor:
        """Images scaled to cover the inner rectangle, on a canvas of `fill`."""
        canvas = torch.full((images.shape[0], self.height, self.width, 3), fill)
        fitted = fit_images(images, self.inner_width, self.inner_height)
        canvas[:, self.top : self.top + self.inner_height, self.left : self.left + self.inner_width] = fitted
        return canvas

    def place_masks(self, masks: Tensor) -> Tensor:
        """Masks scaled to the inner rectangle, 1 around it."""
        canvas = self.border.repeat(masks.shape[0], 1, 1)
        fitted = fit_masks(masks, self.inner_width, self.inner_height)
        canvas[:, self.top : self.top + self.inner_height, self.left : self.left + self.inner_width] = fitted
        return canvas


def make_canvas(width: int, height: int, outpaint: str) -> Canvas:
    """A canvas for margins "top bottom left right" in percent of the source; empty = no outpainting."""
    words = outpaint.replace(",", " ").split()
    if not words:
        return Canvas(width, height, inner_width=width, inner_height=height)
    try:
        top, bottom, left, right = (float(word) / 100 for word in words)
        if not math.isfinite(top + bottom + left + right):
            raise ValueError
    except ValueError:
        raise ValueError(f"outpaint is {outpaint!r}; write four percentages: top bottom left right") from None
    if min(top, bottom, left, right) < 0:
        raise ValueError(f"outpaint is {outpaint!r}; margins cannot be negative")

    def edges(size: int, before: float, after: float) -> tuple[int, int]:
        inner = size / (1 + before + after)
        start = round(inner * before / GRID) * GRID
        end = size - round(inner * after / GRID) * GRID
        return start, end - start

    left, inner_width = edges(width, left, right)
    top, inner_height = edges(height, top, bottom)
    if inner_width < 1 or inner_height < 1:
        raise ValueError(
            f"outpaint is {outpaint!r}, which leaves {inner_width}x{inner_height} of {width}x{height} pixels to the "
            "source: give smaller margins, or a larger width and height"
        )
    return Canvas(width, height, left, top, inner_width, inner_height)


def letterbox(image: Tensor, width: int, height: int) -> Tensor:
    """One image [1, H, W, 3] whole on a white canvas of the target size, in the middle."""
    scale = min(width / image.shape[2], height / image.shape[1])
    inner = [max(1, min(round(image.shape[axis] * scale), side)) for axis, side in ((2, width), (1, height))]
    canvas = torch.full((1, height, width, 3), WHITE)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[:, top : top + inner[1], left : left + inner[0]] = fit_images(image[:1], *inner)
    return canvas


def shape_masks(masks: Tensor, *, negate: bool = False, box: bool = False, grow: int = 0) -> Tensor:
    """Masks cut at 0.5, then turned round, made bounding boxes, and grown (or shrunk) by true pixels."""
    shaped = masks >= 0.5
    if negate:
        shaped = ~shaped
    if box:
        for frame in shaped:
            rows, columns = frame.any(1).nonzero(), frame.any(0).nonzero()
            if len(rows):
                frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    if grow:
        from scipy.ndimage import distance_transform_edt

        for i, frame in enumerate(shaped):
            if frame.any() and not frame.all():  # nothing to grow from, or to shrink towards
                distance = torch.from_numpy(distance_transform_edt((frame if grow < 0 else ~frame).numpy()))
                shaped[i] = distance > -grow if grow < 0 else distance <= grow
    return shaped.float()


@dataclass(frozen=True)
class Stream:
    """One control video as VACE gets it: pixels [F, H, W, 3] and mask [F, H, W]."""

    video: Tensor
    mask: Tensor


def compose(
    canvas: Canvas,
    length: int,
    *,
    control: Tensor | None = None,
    mask: Tensor | None = None,
    keep_frames: str = "",
    injected: Tensor | None = None,
    positions: str = "",
    fill: float = GREY,
) -> tuple[Stream, list[str]]:
    """Lay a control video, its mask and injected frames on the timeline; notes say what was left out.

    Frames without control, and those a keep list rejects, are grey and generated. Injected frames are kept, except for
    the outpainted margin.
    """
    notes: list[str] = []
    video = torch.full((length, canvas.height, canvas.width, 3), fill)
    masks = torch.ones(length, canvas.height, canvas.width)
    if control is not None:
        if control.shape[0] != length:
            rest = "the rest is generated" if control.shape[0] < length else "the surplus is dropped"
            notes.append(f"control video has {control.shape[0]} frames, the video {length}: {rest}")
        used = min(control.shape[0], length)
        video[:used] = canvas.place_images(control[:used], fill)
        if mask is not None:
            masks[:used] = canvas.place_masks(fit_length(mask, used))
        elif canvas.outpaints:
            masks[:used] = canvas.border
    if keep_frames.strip():
        kept = parse_kept(keep_frames, length)
        rejected = [i for i in range(length) if i not in kept]
        video[rejected], masks[rejected] = fill, 1.0
    if injected is not None:
        places = parse_positions(positions, length)
        if len(places) != injected.shape[0]:
            raise ValueError(
                f"there are {injected.shape[0]} injected images and {len(places)} positions ({positions!r}): give one "
                "position an image"
            )
        outside = [
            word for word, place in zip(positions.replace(",", " ").split(), places, strict=True) if place is None
        ]
        if outside:
            notes.append(f"positions outside the video of {length} frames are left out: {', '.join(outside)}")
        pictures = canvas.place_images(injected, fill)
        for picture, place in zip(pictures, places, strict=True):
            if place is not None:
                video[place], masks[place] = picture, canvas.border
    return Stream(video, masks), notes


def mask_channels(mask: Tensor) -> Tensor:
    """Mask [F, H, W] -> [1, 64, T, h, w]: the 8x8 pixels of a latent become channels, frames the nearest."""
    blocks = rearrange(mask, "f (h y) (w x) -> 1 (y x) f h w", y=FACTOR, x=FACTOR)
    return F.interpolate(blocks, (latent_frames(len(mask)), *blocks.shape[-2:]), mode="nearest-exact")


def encode_stream(vae: Any, stream: Stream) -> tuple[Tensor, Tensor]:
    """Frames [1, 32, T, h, w] (what is kept, then what is generated) and mask [1, 64, T, h, w] of a stream."""
    centred, mask = stream.video - GREY, stream.mask.unsqueeze(-1)
    parts = [encode(vae, centred * part + GREY) for part in (1 - mask, mask)]
    return torch.cat(parts, dim=1), mask_channels(stream.mask)


def encode_reference(vae: Any, latent_format: Any, image: Tensor) -> tuple[Tensor, Tensor]:
    """One reference [1, H, W, 3] as a latent frame of its own, with a mask of zeros."""
    latent = encode(vae, image)
    height, width = latent.shape[-2:]
    return torch.cat([latent, latent_zeros(latent_format, *latent.shape)], dim=1), torch.zeros(1, 64, 1, height, width)


def encode_background(vae: Any, latent_format: Any, image: Tensor, canvas: Canvas) -> tuple[Tensor, Tensor]:
    """A background as the first reference: it fills the picture, and its outpainted margin is masked."""
    if not canvas.outpaints:
        return encode_reference(vae, latent_format, canvas.place_images(image[:1]))
    return encode_stream(vae, Stream(canvas.place_images(image[:1]), canvas.border.unsqueeze(0)))


def append_lists(conditioning: list, values: dict[str, list]) -> list:
    """The conditioning with the lists appended to those it may have, as ComfyUI chains VACE nodes."""
    return [
        [tensor, {**options, **{key: [*options.get(key, []), *value] for key, value in values.items()}}]
        for tensor, options in conditioning
    ]
