"""Pictures of clips: a thumbnail for ComfyUI's template browser, and an animation. Clips are [F, H, W, 3] in 0..1."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .sheets import GROUND, TEXT, paste_frames, picture

if TYPE_CHECKING:
    from PIL import Image

SIZE = (640, 360)  # of a thumbnail; the browser shows 16:9
FRAME, FAINT = (90, 90, 100), (150, 150, 160)
SIDE, GAP, TITLE, COLUMNS, ROWS = 148, 8, 16, 4, 2  # of the pictures in a thumbnail
ANIMATED, LEAST_SECONDS, MOST_FPS = 192, 2.0, 16  # side of a picture in an animation; its pace


def thumbnail(clip: torch.Tensor, given: dict[str, torch.Tensor], caption: str) -> Image.Image:
    """Pictures of the clip over time; to their left what was given (title -> clip); the caption below."""
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", SIZE, GROUND)
    draw = ImageDraw.Draw(sheet)
    left = GAP + 4
    if given:
        step = ROWS * (SIDE + GAP) // max(ROWS, len(given))
        side = step - GAP - TITLE
        top = GAP + (ROWS * (SIDE + GAP) - step * len(given)) // 2
        for title, pixels in given.items():
            sheet.paste(picture(pixels[len(pixels) // 2], side), (left + (SIDE - side) // 2, top + TITLE))
            draw.text((left + (SIDE - side) // 2, top), title, fill=FAINT, font_size=12)
            top += step
        left += SIDE + GAP
        draw.line((left - GAP // 2, GAP, left - GAP // 2, GAP + ROWS * (SIDE + GAP)), fill=FRAME)
    paste_frames(sheet, clip, left, GAP, COLUMNS - bool(given), ROWS, SIDE, GAP)
    draw.text((GAP + 4, SIZE[1] - 34), caption, fill=TEXT, font_size=18)
    return sheet


def save_animation(clip: torch.Tensor, given: list[torch.Tensor], path: Path) -> None:
    """A looping WebP of the clip, with what was given to its left; what has fewer pictures holds its last."""
    from PIL import Image

    parts = [*given, clip]
    frames = []
    for number in range(len(clip)):
        frame = Image.new("RGB", (len(parts) * (ANIMATED + GAP) - GAP, ANIMATED), GROUND)
        for i, part in enumerate(parts):
            frame.paste(picture(part[min(number, len(part) - 1)], ANIMATED), (i * (ANIMATED + GAP), 0))
        frames.append(frame)
    seconds = max(LEAST_SECONDS, len(clip) / MOST_FPS)
    duration = round(1000 * seconds / len(clip))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration, loop=0, quality=75, method=6)
