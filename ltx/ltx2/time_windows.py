"""Time windows by the latents that begin in them, and weights to blend what was made in one with what was there.

So ComfyUI-LTXVideo cuts a clip; positions.py has the windows of LTX-2, by overlap.
"""

from __future__ import annotations

import math

from ..latents import AUDIO_LATENTS_PER_SECOND, TEMPORAL


def begun_frames(frames: int, fps: float, start_seconds: float, end_seconds: float) -> tuple[int, int]:
    """First and end of the latent frames, of `frames`, that begin in a window; they begin at pixel 0, 1, 9, 17, ..."""
    start, end = (min(frames, _latent_from(round(seconds * fps))) for seconds in (start_seconds, end_seconds))
    return start, end


def begun_audio(frames: int, start_seconds: float, end_seconds: float) -> tuple[int, int]:
    """First and end of the latent audio frames, of `frames`, that begin in a window."""
    start, end = (min(frames, round(s * AUDIO_LATENTS_PER_SECOND)) for s in (start_seconds, end_seconds))
    return start, end


def first_pixel(frame: int) -> int:
    """The pixel frame at which a latent frame begins."""
    return max(0, TEMPORAL * (frame - 1) + 1)


def rising(count: int, start: int, end: int, slope: int) -> list[float]:
    """A weight for each of `count` frames: 0 outside [start, end), inside it up and down over `slope` frames.

    There is no slope where the window ends with the clip.
    """
    weights = []
    for frame in range(count):
        up = 1.0 if start == 0 else (frame - start + 1) / (slope + 1)
        down = 1.0 if end == count else (end - frame) / (slope + 1)
        weights.append(min(1.0, up, down) if start <= frame < end else 0.0)
    return weights


def _latent_from(pixel: int) -> int:
    """The first latent frame that begins at a pixel frame or later."""
    return math.ceil((pixel - 1) / TEMPORAL) + 1 if pixel > 0 else 0
