"""Sheets of pictures: clips [F, H, W, 3] in 0..1 as frames evenly over time, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from PIL import Image

GROUND, TEXT = (24, 24, 28), (230, 230, 230)
BORDER = 4  # pixels around a clip


def picture(pixels: torch.Tensor, side: int) -> Image.Image:
    """[H, W, 3] as an image of that side."""
    from PIL import Image

    image = Image.fromarray((pixels.clamp(0, 1) * 255).round().to(torch.uint8).numpy())
    return image.resize((side, side), Image.Resampling.LANCZOS)


def paste_frames(
    sheet: Image.Image, clip: torch.Tensor, left: int, top: int, columns: int, rows: int, side: int, gap: int
) -> None:
    """Put frames of a clip, from its first to its last, on a sheet row by row; all of them if they are fewer."""
    count = min(columns * rows, len(clip))
    for i, number in enumerate(torch.linspace(0, len(clip) - 1, count).round().long().tolist()):
        row, column = divmod(i, columns)
        sheet.paste(picture(clip[number], side), (left + column * (side + gap), top + row * (side + gap)))


def contact_sheet(
    clips: list[torch.Tensor],
    captions: list[str],
    across: int = 1,
    columns: int = 6,
    rows: int = 2,
    side: int = 192,
    gap: int = 4,
    margin: int = 22,
    font: int = 13,
) -> Image.Image:
    """Clips, `across` to a row, each as columns x rows frames under its caption, which has `margin` pixels."""
    from PIL import Image, ImageDraw

    width = columns * side + (columns - 1) * gap + 2 * BORDER
    height = margin + rows * side + (rows - 1) * gap + BORDER
    sheet = Image.new("RGB", (across * width, -(-len(clips) // across) * height), GROUND)
    draw = ImageDraw.Draw(sheet)
    for i, (clip, caption) in enumerate(zip(clips, captions, strict=True)):
        left, top = i % across * width + BORDER, i // across * height
        draw.text((left, top + margin - font - 3), caption, fill=TEXT, font_size=font)
        paste_frames(sheet, clip, left, top + margin, columns, rows, side, gap)
    return sheet
