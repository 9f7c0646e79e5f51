"""Trajectory control videos: a white Gaussian blob a point, as the Wan Fun control models were trained.

Source: VideoX-Fun comfyui_nodes.py:218-288 (commit 804a425), in closed form. Differs on purpose: at a border the blob
is cropped instead of squashed, and the points are resampled to the length. N splines, F frames, H W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

SIGMA, CUTOFF = 0.4, 0.99  # parts of the radius: the map is 200 wide with sigma 40, and masked by a circle of 99
MAP_CENTRE, MAP_RADIUS = 100, 100  # of the original's map of 200 pixels, index of its peak and half its width
REFERENCE_AREA, REFERENCE_RADIUS = 1280 * 720, 50


def default_radius(height: int, width: int) -> int:
    """Radius in pixels of the trained blob at a size."""
    return int(REFERENCE_RADIUS * (height * width / REFERENCE_AREA) ** 0.5)


def centre_offset(radius: float) -> float:
    """Pixels the blob's peak lies before its point: the original resizes a map whose peak is not in its middle."""
    return 0.5 + radius - (MAP_CENTRE + 0.5) * radius / MAP_RADIUS


def resample(points: Tensor, length: int) -> Tensor:
    """Points [N, F, 2] at `length` frames, linear in time."""
    if points.shape[1] == length or points.shape[1] == 1:
        return points.expand(-1, length, -1) if points.shape[1] == 1 else points
    place = torch.linspace(0, points.shape[1] - 1, length, dtype=torch.float64)
    low = place.floor().long().clamp(max=points.shape[1] - 2)
    part = (place - low).view(1, -1, 1).to(points.dtype)
    return points[:, low] * (1 - part) + points[:, low + 1] * part


def draw(
    points: Tensor, height: int, width: int, radius: float, visible: Tensor | None = None, profile: str = "gauss"
) -> Tensor:
    """Blobs [F, H, W] in 0..1 at points (x, y) [N, F, 2] in pixels; where they meet, the maximum.

    `visible` [N, F] of 0..1 fades points. Profile "disc" fills the circle evenly.
    """
    x = torch.arange(width, dtype=torch.float32).view(1, 1, -1)
    y = torch.arange(height, dtype=torch.float32).view(1, -1, 1)
    video = torch.zeros(points.shape[1], height, width)
    offset = centre_offset(radius)
    for index, spline in enumerate(points.float()):
        squared = (x - spline[:, 0].view(-1, 1, 1) + offset) ** 2 + (y - spline[:, 1].view(-1, 1, 1) + offset) ** 2
        blob = torch.exp(-squared / (2 * (SIGMA * radius) ** 2)) if profile == "gauss" else torch.ones_like(squared)
        blob = torch.where(squared <= (CUTOFF * radius) ** 2, blob, 0.0)
        if visible is not None:
            blob = blob * visible[index].view(-1, 1, 1)
        video = torch.maximum(video, blob)
    return video


def points_at(splines: list[Tensor], length: int) -> Tensor:
    """Splines [points, 2] of any number of points each, as [N, length, 2]."""
    return torch.cat([resample(spline[None], length) for spline in splines])


def from_tracks(tracks: dict[str, Tensor], length: int) -> tuple[Tensor, Tensor]:
    """Points [N, length, 2] and visibility [N, length] of ComfyUI's TRACKS (paths [F, N, 2], visibility [F, N])."""
    points = tracks["track_path"].double().movedim(0, 1)
    visible = tracks["track_visibility"].double().expand(tracks["track_path"].shape[:2]).movedim(0, 1).unsqueeze(-1)
    return resample(points, length), resample(visible, length)[..., 0]
