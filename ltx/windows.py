"""What windows of a long video have in common for both LTX families: pictures, prompts, and where a window goes on.

The frames before a window are encoded as its first latent frames and held there by the noise mask. T latent frames, k
held ones; images [F, H, W, 3] in 0..1.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..samplers.conditionings import Conditionings
from ..samplers.windows.carrier import Window
from ..samplers.windows.plan import GRIDS
from ..utils.images import fill_and_crop
from .checks import need_video_vae
from .latents import SPATIAL, TEMPORAL, VIDEO_CHANNELS, check_size, latent_frames

APPENDED = ("keyframe_idxs", "guide_attention_entries")


class VideoCarrier:
    """The pictures of a window. Raises ValueError for a VAE or size that LTX cannot take."""

    grid = GRIDS["ltx"]
    sample_rate = 0
    uses = frozenset({"start_image", "end_image", "source", "mask"})

    def __init__(self, vae: Any, width: int, height: int, fps: float, *, multiple: int = SPATIAL):
        need_video_vae(vae)
        check_size(width, height, self.grid.minimum, multiple=multiple)
        self.vae, self.width, self.height, self.fps = vae, width, height, fps

    def slot(self, _part: int, _offset: int, frame: int) -> int:
        return -(-frame // TEMPORAL)

    def frames_of(self, parts: list[Tensor]) -> Tensor:
        """The pictures of a window's latents."""
        return self.vae.decode(parts[0]).flatten(0, 1).cpu()

    def encode(self, images: Tensor, name: str) -> Tensor:
        """Latents [1, 128, t, h, w] of images that are fitted to the size. Raises ValueError unless they are 8k + 1."""
        count = len(images)
        if (count - 1) % TEMPORAL:
            below = (count - 1) // TEMPORAL * TEMPORAL + 1
            raise ValueError(f"{name} holds {count} frames; LTX needs 8k+1: give {below} or {below + TEMPORAL}")
        return self.vae.encode(fill_and_crop(images[..., :3], self.width, self.height)).cpu()

    def start(self, window: Window) -> Tensor:
        """The video latent that a window is noised from: of its source, or empty."""
        if window.source is not None:
            return self.encode(window.source, "source")
        size = (latent_frames(window.row.frames), self.height // SPATIAL, self.width // SPATIAL)
        return torch.zeros(1, VIDEO_CHANNELS, *size)

    def made_anew(self, window: Window) -> Tensor | None:
        """The noise mask [1, 1, T, h, w] of a window of which the source is kept in part: 1 where any of it is not."""
        if window.mask is None:
            return None
        if window.source is None:
            raise ValueError("mask says what of the source is made anew, and there is none: connect source as well")
        fitted = fill_and_crop(window.mask[..., None], self.width, self.height)[..., 0]
        first, later = F.max_pool2d(fitted, SPATIAL).split([1, len(fitted) - 1])
        return torch.cat([first, later.unflatten(0, (-1, TEMPORAL)).amax(1)]).round()[None, None]

    def first_frames(self, window: Window) -> tuple[Tensor | None, int]:
        """The latents that a window begins with, given, and how many of them are the end of the one before."""
        if window.held is None:
            first = window.start_image
            if first is not None and len(first) > window.row.frames:
                raise ValueError(
                    f"start_image holds {len(first)} frames, and the first window has {window.row.frames}: give fewer"
                )
            return None if first is None else self.encode(first, "start_image"), 0
        content = self.encode(window.held, "the overlap")
        # the first one codes a single frame, which none in the middle of a clip does
        if window.carried is not None and window.carried[0].shape[2] == content.shape[2]:
            content = torch.cat([content[:, :, :1], window.carried[0][:, :, 1:].to(content)], dim=2)
        return content, content.shape[2]


def window_prompts(conditionings: Conditionings, fps: float) -> Conditionings:
    """The prompts of a window: the film's, which say how many frames a second there are.

    Raises ValueError for frames that were appended for the whole film.
    """
    for name, prompt in conditionings.items():
        if any(options.get(key) is not None for _, options in prompt for key in APPENDED):
            raise ValueError(
                f"{name} tells of keyframes or guides that were appended for one clip, and a film is made of several "
                "windows: give pictures as start_image and end_images, and connect the prompt without them"
            )
    return {
        name: [[tensor, {"frame_rate": fps, **options}] for tensor, options in prompt]
        for name, prompt in conditionings.items()
    }


def put_back(sampled: Tensor, content: Tensor, count: int) -> Tensor:
    """Sampled latents with the first `count` as they were given, to the last bit."""
    return torch.cat([content[:, :, :count].to(sampled), sampled[:, :, count:]], dim=2) if count else sampled
