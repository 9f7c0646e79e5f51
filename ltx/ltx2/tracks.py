"""Motion tracks: read from JSON, drawn through control points, and painted as the motion-track IC-LoRA was trained.

Values (ltxvideo pack): painted at a short side of 1080, a trail of 50 points, radius 2 to 8 and colour blue, green,
yellow, red with youth, the newest on top, then scaled down and red and blue exchanged, as in the training videos.
F frames, N tracks, H W pixels; points are (x, y) in pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

SHORT_SIDE = 1080
TRAIL = 50  # frames a point stays visible
OLD_RADIUS, NEW_RADIUS = 2.0, 8.0  # pixels at a short side of 1080
RAMP = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))  # old to new, before the exchange

SPLINE, STRAIGHT, POINTS = "smooth curve", "straight lines", "one point a frame"
CURVES = (SPLINE, STRAIGHT, POINTS)
EVEN_TIME, EVEN_SPEED = "same time between points", "same speed everywhere"
PACES = (EVEN_TIME, EVEN_SPEED)
FINE = 64  # pieces of a segment when measuring its length


def follow(points: Tensor, length: int, curve: str, pace: str) -> Tensor:
    """`length` places [F, 2] along control points [points, 2]; a single point stays.

    Catmull-Rom for SPLINE, with the ends doubled. Raises ValueError if POINTS has another number than `length`.
    """
    if curve == POINTS:
        if len(points) != length:
            raise ValueError(
                f"a track has {len(points)} points and length is {length}: set length to {len(points)}, or choose "
                f"'{STRAIGHT}' to spread the points over the frames"
            )
        return points
    if len(points) == 1 or length == 1:
        return points[:1].expand(length, 2)
    steps = torch.linspace(0, 1, length, dtype=points.dtype)
    place = steps * (len(points) - 1) if pace == EVEN_TIME else _even_speed(points, curve, steps)
    return _at(points, place, curve)


def tracks_of(tracks: list[Tensor]) -> dict[str, Tensor]:
    """ComfyUI's TRACKS of tracks [F, 2], all visible."""
    path = torch.stack(tracks, dim=1).float()  # [F, N, 2]
    return {"track_path": path, "track_visibility": torch.ones(path.shape[:2], dtype=torch.bool)}


def paint(path: Tensor, visible: Tensor, frame: int, height: int, width: int) -> Tensor:
    """Frame `frame` [height, width, 3] of tracks [F, N, 2] in its pixels with visibility [F, N]."""
    scale = SHORT_SIDE / min(height, width)
    rows, columns = round(height * scale), round(width * scale)
    start = max(0, frame + 1 - TRAIL)
    seen = visible[start : frame + 1]  # [trail, N]
    age = torch.arange(frame - start, -1, -1, device=path.device, dtype=torch.float32)
    youth = (1 - age / TRAIL)[:, None].expand_as(seen)[seen]  # [P]
    points = path[start : frame + 1][seen].float() * scale  # [P, 2]
    canvas = _discs(points, youth, rows, columns)
    # Below half size plain bilinear sampling would skip pixels, and points could vanish.
    small = functional.interpolate(_colours(canvas)[None], size=(height, width), mode="bilinear", antialias=scale > 2)
    return small[0].movedim(0, -1)


def _at(points: Tensor, place: Tensor, curve: str) -> Tensor:
    """Places [P, 2] at parameters `place`, where control point i is at i."""
    last = len(points) - 1
    segment = place.floor().clamp(0, last - 1).long()
    t = (place - segment)[:, None]
    p1, p2 = points[segment], points[segment + 1]
    if curve == STRAIGHT:
        return torch.lerp(p1, p2, t)
    p0, p3 = points[(segment - 1).clamp(min=0)], points[(segment + 2).clamp(max=last)]
    cubic = -p0 + 3 * p1 - 3 * p2 + p3
    square = 2 * p0 - 5 * p1 + 4 * p2 - p3
    return p1 + 0.5 * t * ((p2 - p0) + t * (square + t * cubic))


def _even_speed(points: Tensor, curve: str, steps: Tensor) -> Tensor:
    """Parameters at which `steps` (0..1) of the curve's length are behind."""
    fine = torch.linspace(0, len(points) - 1, (len(points) - 1) * FINE + 1, dtype=points.dtype)
    lengths = _at(points, fine, curve).diff(dim=0).norm(dim=1)
    covered = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    if covered[-1] == 0:
        return steps * 0
    wanted = steps * covered[-1]
    right = torch.searchsorted(covered, wanted).clamp(1, len(covered) - 1)
    left = right - 1
    part = (wanted - covered[left]) / (covered[right] - covered[left]).clamp(min=1e-12)
    return torch.lerp(fine[left], fine[right], part.clamp(0, 1))


def _discs(points: Tensor, youth: Tensor, rows: int, columns: int) -> Tensor:
    """The largest youth [rows, columns] at each pixel under a disc, 0 where there is none."""
    canvas = torch.zeros(rows * columns, device=points.device)
    reach = int(NEW_RADIUS) + 1
    steps = torch.arange(-reach, reach + 1, device=points.device)
    dy, dx = torch.meshgrid(steps, steps, indexing="ij")
    centre = points.round().long()
    x, y = centre[:, 0, None] + dx.flatten(), centre[:, 1, None] + dy.flatten()  # [P, pixels of a disc's square]
    radius = OLD_RADIUS + (NEW_RADIUS - OLD_RADIUS) * youth
    within = (dx**2 + dy**2).flatten() <= radius[:, None] ** 2
    within &= (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    canvas.scatter_reduce_(0, (y * columns + x)[within], youth[:, None].expand_as(within)[within], "amax")
    return canvas.view(rows, columns)


def _colours(canvas: Tensor) -> Tensor:
    """[3, rows, columns] of youth in 0..1, black where it is 0; red and blue exchanged."""
    ramp = torch.tensor(RAMP, device=canvas.device).flip(1)
    lit = canvas > 0
    place = canvas[lit] * (len(RAMP) - 1)
    low = place.long().clamp(max=len(RAMP) - 2)
    colours = torch.zeros(3, *canvas.shape, device=canvas.device)
    colours[:, lit] = torch.lerp(ramp[low], ramp[low + 1], (place - low).unsqueeze(-1)).T
    return colours
