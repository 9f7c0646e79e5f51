"""A picture of a camera path: the camera's place and line of sight from above and from the side."""

from __future__ import annotations

from itertools import pairwise

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from .camera import CameraPath, positions

SIZE, MARGIN = 384, 40
VIEWS = ((0, 2, "from above: x right, z up"), (2, 1, "from the side: z right, y down"))  # axes drawn across and up
START, END, SIGHT = (70, 200, 120), (230, 90, 90), (120, 120, 140)


def draw(path: CameraPath) -> Tensor:
    """The picture [1, SIZE, 2 * SIZE, 3] in 0..1; green is the start, red the end."""
    centres = positions(path)
    sight = path.w2c[:, 2, :3]  # the camera's z axis in world coordinates
    reach = max(float((centres - centres.mean(0)).abs().max()), 0.5)
    picture = Image.new("RGB", (SIZE * len(VIEWS), SIZE), (24, 24, 30))
    pen = ImageDraw.Draw(picture)
    for number, (across, up, title) in enumerate(VIEWS):
        middle, scale = centres.mean(0), (SIZE / 2 - MARGIN) / (1.4 * reach)

        def place(point: Tensor, number=number, across=across, up=up, middle=middle, scale=scale):
            x = number * SIZE + SIZE / 2 + float(point[across] - middle[across]) * scale
            sign = 1 if up == 1 else -1  # y points down in camera coordinates
            return x, SIZE / 2 + sign * float(point[up] - middle[up]) * scale

        for i in torch.linspace(0, len(path) - 1, min(len(path), 17)).long().tolist():
            pen.line([place(centres[i]), place(centres[i] + 0.3 * reach * sight[i])], fill=SIGHT, width=2)
        points = [place(point) for point in centres]
        for i, (a, b) in enumerate(pairwise(points)):
            part = i / max(len(points) - 2, 1)
            pen.line([a, b], fill=tuple(round(s + (e - s) * part) for s, e in zip(START, END, strict=True)), width=3)
        for (x, y), colour in ((points[0], START), (points[-1], END)):
            pen.ellipse([x - 5, y - 5, x + 5, y + 5], fill=colour)
        pen.text((number * SIZE + 8, 8), title, fill=(220, 220, 220))
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(1, SIZE, SIZE * len(VIEWS), 3).float() / 255
