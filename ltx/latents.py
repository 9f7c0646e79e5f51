"""Layouts of LTX latents: channels and sizes.

Video latent [B, 128, T, H, W]: T = (frames - 1) / 8 + 1, H and W = pixels / 32 (LTX-Video, LTX-2).
Audio latent [B, 8, A, 16]: 25 latent frames a second (16 kHz, hop 160, 4 mel frames each), A = round(seconds * 25).
An audio-video latent is ComfyUI's NestedTensor of the two.
"""

from __future__ import annotations

VIDEO_CHANNELS = 128
AUDIO_CHANNELS, AUDIO_BINS = 8, 16
AUDIO_LATENTS_PER_SECOND = 25  # 16000 / 160 / 4
SPATIAL, TEMPORAL = 32, 8  # pixels to a latent


def latent_frames(length: int) -> int:
    """Latent frames of a clip of `length` = 8k + 1 pixel frames."""
    return (length - 1) // TEMPORAL + 1


def audio_latent_frames(length: int, fps: float) -> int:
    """Audio latent frames for `length` pixel frames, rounded as ltx-core rounds (ComfyUI's own node rounds up)."""
    return round(length / fps * AUDIO_LATENTS_PER_SECOND)


def check_size(width: int, height: int, length: int, *, multiple: int = SPATIAL) -> None:
    """Raise ValueError naming the nearest sizes that work, in pixels and frames."""
    for name, value in (("width", width), ("height", height)):
        if value % multiple or value < multiple:
            stages = "two stages need" if multiple == 2 * SPATIAL else "LTX needs"
            raise ValueError(f"{name} is {value}; {stages} multiples of {multiple}: use {_around(value, multiple, 0)}")
    if (length - 1) % TEMPORAL or length < 1:
        raise ValueError(f"length is {length}; LTX needs 8k+1 frames: use {_around(length, TEMPORAL, 1)}")


def _around(value: int, multiple: int, offset: int) -> str:
    below = (value - offset) // multiple * multiple + offset
    choices = [n for n in (below, below + multiple) if n >= max(offset, 1 if offset else multiple)]
    return " or ".join(map(str, choices))
