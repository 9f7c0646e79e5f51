"""Camera paths for the Wan Fun camera models: moves, combining, joining, easing, pose files.

Source: VideoX-Fun comfyui/camera_utils.py (commit 804a425): frame i of n turns by i/n * speed * 60 degrees and moves
by i/n * speed * 1.5. Ours adds easing, free roll/pitch/yaw and pose files with per-frame intrinsics. N frames; w2c [N,
3, 4].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from ..utils.files import parse_json

ANGLE, DISTANCE = math.pi / 3, 1.5  # a whole move at speed 1, radians and scene units
# w2c translation and rotation (about x, y, z) of a whole move, in units of the above
MOVES: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "Static": ((0, 0, 0), (0, 0, 0)),
    "Pan Up": ((0, 1, 0), (0, 0, 0)),
    "Pan Down": ((0, -1, 0), (0, 0, 0)),
    "Pan Left": ((1, 0, 0), (0, 0, 0)),
    "Pan Right": ((-1, 0, 0), (0, 0, 0)),
    "Zoom In": ((0, 0, -2), (0, 0, 0)),
    "Zoom Out": ((0, 0, 2), (0, 0, 0)),
    "ACW": ((0, 0, 0), (0, 0, 1)),
    "CW": ((0, 0, 0), (0, 0, -1)),
    "Pitch Up": ((0, 0, 0), (1, 0, 0)),
    "Pitch Down": ((0, 0, 0), (-1, 0, 0)),
    "Yaw Left": ((0, 0, 0), (0, -1, 0)),
    "Yaw Right": ((0, 0, 0), (0, 1, 0)),
}
EASINGS = ("linear", "ease in", "ease out", "ease in-out")
# fx, fy, cx, cy as parts of width and height; the models were trained with these
INTRINSICS = (0.474812461, 0.844111024, 0.5, 0.5)


@dataclass(frozen=True)
class CameraPath:
    """World-to-camera matrices [N, 3, 4] in float64, and intrinsics (fx, fy, cx, cy) [N, 4] as parts of the picture."""

    w2c: Tensor
    intrinsics: Tensor

    def __len__(self) -> int:
        return self.w2c.shape[0]


def ease(position: Tensor, easing: str) -> Tensor:
    """Positions 0..1 in time to positions 0..1 on the path."""
    if easing == "ease in":
        return position**2
    if easing == "ease out":
        return 1 - (1 - position) ** 2
    if easing == "ease in-out":
        return position**2 * (3 - 2 * position)
    return position


def rotations(angles: Tensor) -> Tensor:
    """Rz @ Ry @ Rx [N, 3, 3] of angles about x, y, z [N, 3] in radians."""
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(-1), angles.sin().unbind(-1)
    rows = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def intrinsics_rows(frames: int, intrinsics: tuple[float, ...] = INTRINSICS) -> Tensor:
    return torch.tensor(intrinsics, dtype=torch.float64).repeat(frames, 1)


def move(
    moves: list[str],
    frames: int,
    *,
    speed: float = 1.0,
    easing: str = "linear",
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0),
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> CameraPath:
    """A path of named moves made together, plus a free translation (scene units) and rotation (degrees)."""
    unknown = [name for name in moves if name not in MOVES]
    if unknown:
        raise ValueError(f"unknown camera moves {unknown}: use {', '.join(MOVES)}")
    shift = torch.tensor([MOVES[name][0] for name in moves] or [(0, 0, 0)], dtype=torch.float64).sum(0) * DISTANCE
    turn = torch.tensor([MOVES[name][1] for name in moves] or [(0, 0, 0)], dtype=torch.float64).sum(0) * ANGLE
    shift = shift + torch.tensor(translation, dtype=torch.float64)
    turn = turn + torch.tensor(rotation, dtype=torch.float64).deg2rad()
    position = ease(torch.arange(frames, dtype=torch.float64) / frames, easing).unsqueeze(-1) * speed  # [N, 1]
    w2c = torch.cat([rotations(position * turn), (position * shift).unsqueeze(-1)], dim=-1)
    return CameraPath(w2c, intrinsics_rows(frames))


def join(first: CameraPath, second: CameraPath) -> CameraPath:
    """The first path, then the second from the first one's last pose on."""
    last = first.w2c[-1]
    rotation = second.w2c[:, :, :3] @ last[:, :3]
    translation = second.w2c[:, :, :3] @ last[:, 3] + second.w2c[:, :, 3]
    continued = torch.cat([rotation, translation.unsqueeze(-1)], dim=-1)
    return CameraPath(torch.cat([first.w2c, continued]), torch.cat([first.intrinsics, second.intrinsics]))


def _numbers(values: list) -> Tensor:
    """A table of poses in float64; ValueError if it has holes or values that are no numbers."""
    try:
        table = torch.tensor(values, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ValueError("the camera poses differ in shape or hold what is no number: write all poses alike") from None
    if not table.isfinite().all():
        pose = int((~table.isfinite()).flatten(1).any(1).nonzero()[0]) + 1
        raise ValueError(f"camera pose {pose} holds a value that is not finite: remove it, or export the path again")
    return table


def from_rows(rows: list[list[float]]) -> CameraPath:
    """A path from rows of 18 (fx fy cx cy 0 0 + 3x4 w2c) or 19 numbers (a time first)."""
    if not all(isinstance(row, list) for row in rows):
        raise ValueError("the camera rows are no lists of numbers: give 18 or 19 numbers a row")
    lengths = {len(row) for row in rows}
    if not rows or lengths - {18, 19} or len(lengths) != 1:
        raise ValueError(
            f"camera rows have {sorted(lengths)} numbers; they need 18 (fx fy cx cy 0 0, 3x4 matrix) or 19 (time first)"
        )
    table = _numbers(rows)[:, -18:]
    return CameraPath(rearrange(table[:, 6:], "n (row column) -> n row column", row=3), table[:, :4])


def from_matrices(matrices: list) -> CameraPath:
    """A path from 3x4 or 4x4 world-to-camera matrices with the trained intrinsics."""
    w2c = _numbers(matrices)
    if w2c.ndim != 3 or w2c.shape[1] not in (3, 4) or w2c.shape[2] != 4:
        raise ValueError(f"camera matrices have shape {tuple(w2c.shape)}; they need to be a list of 3x4 or 4x4")
    return CameraPath(w2c[:, :3], intrinsics_rows(len(w2c)))


def parse(text: str) -> CameraPath:
    """A path from the text of a pose file: JSON rows or matrices, or lines of numbers below a header line."""
    if text.lstrip().startswith(("[", "{")):
        data = parse_json(text, "the text")
        data = data.get("w2c", data.get("poses")) if isinstance(data, dict) else data
        if not isinstance(data, list) or not data:
            raise ValueError("the camera JSON holds no list of poses (a list, or an object with 'w2c' or 'poses')")
        nested = isinstance(data[0], list) and data[0] and isinstance(data[0][0], list)
        return from_matrices(data) if nested else from_rows(data)
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append([float(word) for word in line.split()])
        except ValueError:
            if number > 1 or line.lstrip()[:1] in "+-.0123456789":  # only the first line is a header, and no numbers
                raise ValueError(f"camera file line {number} is no row of numbers: {line[:60]!r}") from None
    return from_rows(rows)


def resample(path: CameraPath, frames: int) -> CameraPath:
    """The path with another number of frames: linear in time, rotations brought back to rotations."""
    if frames == len(path):
        return path
    place = torch.linspace(0, len(path) - 1, frames, dtype=torch.float64)
    low = place.floor().long()
    high = (low + 1).clamp(max=len(path) - 1)
    part = (place - low).view(-1, 1, 1)
    w2c = path.w2c[low] * (1 - part) + path.w2c[high] * part
    u, _, v = torch.linalg.svd(w2c[:, :, :3])
    intrinsics = path.intrinsics[low] * (1 - part[..., 0]) + path.intrinsics[high] * part[..., 0]
    return CameraPath(torch.cat([u @ v, w2c[:, :, 3:]], dim=-1), intrinsics)


def positions(path: CameraPath) -> Tensor:
    """Camera centres in world coordinates [N, 3]."""
    return -(path.w2c[:, :, :3].transpose(1, 2) @ path.w2c[:, :, 3:])[..., 0]


def with_focal(path: CameraPath, fx: float, fy: float) -> CameraPath:
    """The path with other focal lengths (parts of width and height); 0 keeps the path's own."""
    intrinsics = path.intrinsics.clone()
    for column, value in ((0, fx), (1, fy)):
        if value:
            intrinsics[:, column] = value
    return CameraPath(path.w2c, intrinsics)
