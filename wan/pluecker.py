"""Pluecker embedding of a camera path: for each pixel the line of sight as (origin x direction, direction).

Source: VideoX-Fun data/utils.py:188-332 (commit 804a425). Differs on purpose where the path has exactly three poses:
there the original's cross product runs over the poses; ours always over the coordinates. N frames, H W pixels, T
latent frames.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from .camera import CameraPath

POSE_ASPECT = 1280 / 720  # the pictures the intrinsics belong to


def refit(intrinsics: Tensor, width: int, height: int, pose_aspect: float = POSE_ASPECT) -> Tensor:
    """Intrinsics [N, 4] in parts of a picture of `pose_aspect`, to pixels of one of another shape."""
    scaled = intrinsics.clone()
    if pose_aspect > width / height:
        scaled[:, 0] *= height * pose_aspect / width
    else:
        scaled[:, 1] *= width / pose_aspect / height
    return scaled * torch.tensor([width, height, width, height], dtype=scaled.dtype)


def camera_to_first(w2c: Tensor) -> Tensor:
    """Camera-to-world matrices [N, 4, 4] with the first camera as the world."""
    square = torch.cat([w2c, torch.tensor([0.0, 0, 0, 1], dtype=w2c.dtype).expand(len(w2c), 1, 4)], dim=1)
    relative = square[0] @ torch.linalg.inv(square)
    relative[0] = torch.eye(4, dtype=w2c.dtype)
    return relative


def rays(path: CameraPath, width: int, height: int) -> Tensor:
    """Embedding [N, H, W, 6] in float32: cross product of origin and direction, then direction."""
    fx, fy, cx, cy = refit(path.intrinsics, width, height).float().view(-1, 4, 1, 1).unbind(1)  # [N, 1, 1]
    c2w = camera_to_first(path.w2c).float()
    x = torch.arange(width, dtype=torch.float32) + 0.5
    y = torch.arange(height, dtype=torch.float32).view(-1, 1) + 0.5
    x, y = ((x - cx) / fx).expand(-1, height, width), ((y - cy) / fy).expand(-1, height, width)
    directions = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # [N, H, W, 3]
    directions = directions / directions.norm(dim=-1, keepdim=True)
    directions = directions @ c2w[:, None, :3, :3].transpose(-1, -2)
    origins = c2w[:, None, None, :3, 3].expand_as(directions)
    return torch.cat([torch.cross(origins, directions, dim=-1), directions], dim=-1)


def pack(embedding: Tensor) -> Tensor:
    """[F, H, W, 6] -> [1, 24, T, H, W]: channel 4 c + k is coordinate c of the k-th frame of the group."""
    grouped = torch.cat([embedding[:1].expand(3, -1, -1, -1), embedding])  # [4 T, H, W, 6]
    return rearrange(grouped, "(t k) h w c -> 1 (c k) t h w", k=4).contiguous()


def embed(path: CameraPath, width: int, height: int) -> Tensor:
    """Camera embedding [1, 24, T, H, W] of a path of 4k + 1 frames, as ComfyUI's camera models take it."""
    return pack(rays(path, width, height))
