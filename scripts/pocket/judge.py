"""Reads a clip or a sound back by plain image and signal analysis: no model, so that no model judges itself.

Letters: F frames, H, W pixels. Lengths are in units of a 64 px wide frame, as in world.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from . import world
from .world import BACKGROUNDS, COLOURS, DIRECTIONS, PITCHES, SHAPES, WIDTH, Scene

CONTRAST = 0.25  # a pixel belongs to the shape if a channel differs this much from the ground


@dataclass(frozen=True)
class Verdict:
    """What a clip shows. path is [F, 2] in units, unwrapped; shape_overlap is the IoU of the best template."""

    colour: str
    shape: str
    direction: str
    background: str
    path: torch.Tensor
    shape_overlap: float

    def agrees(self, scene: Scene) -> dict[str, bool]:
        """Per attribute, whether the clip shows what the scene says."""
        return {a: getattr(self, a) == getattr(scene, a) for a in ("colour", "shape", "direction", "background")}


def judge(clip: torch.Tensor) -> Verdict | None:
    """Read one clip [F, H, W, 3] in 0..1. None if it shows no shape."""
    clip = clip.float().clamp(0, 1)
    ground = clip.flatten(0, 2).median(dim=0).values
    background = min(BACKGROUNDS, key=lambda b: abs(BACKGROUNDS[b] - ground.mean().item()))
    weight = ((clip - ground).abs().amax(dim=-1) - CONTRAST).clamp(min=0)
    if (weight > 0).float().mean() < 0.005:
        return None
    mean = (clip * weight[..., None]).sum((0, 1, 2)) / weight.sum()
    colour = min(COLOURS, key=lambda c: (torch.tensor(COLOURS[c]) - mean).square().sum().item())
    path = positions(weight)
    shape, overlap = _shape(weight > 0, path)
    return Verdict(colour, shape, _direction(path), background, path, overlap)


def positions(weight: torch.Tensor) -> torch.Tensor:
    """Centres of mass on the wrapped plane, unwrapped over time. weight [F, H, W] -> [F, 2] (x, y) in units."""
    angles = [(torch.arange(n) + 0.5) / n * 2 * math.pi for n in (weight.shape[2], weight.shape[1])]
    sums = weight.sum(1), weight.sum(2)
    turns = [torch.atan2((s * a.sin()).sum(1), (s * a.cos()).sum(1)) for s, a in zip(sums, angles, strict=True)]
    path = torch.stack(turns, dim=1)
    steps = (path[1:] - path[:-1] + math.pi) % (2 * math.pi) - math.pi
    path = torch.cat([path[:1] % (2 * math.pi), steps]).cumsum(0)
    return path / (2 * math.pi) * WIDTH


def _direction(path: torch.Tensor) -> str:
    dx, dy = (path[-1] - path[0]).tolist()
    return max(DIRECTIONS, key=lambda d: DIRECTIONS[d][0] * dx + DIRECTIONS[d][1] * dy)


def _shape(mask: torch.Tensor, path: torch.Tensor) -> tuple[str, float]:
    """The template of the same area that overlaps best over all frames, searched over small shifts and sizes."""
    frames, size = mask.shape[0], mask.shape[1]
    filled = mask.sum((1, 2)).float()
    area = filled[filled > 0].mean().item() * (WIDTH / size) ** 2
    templates = [_template(s, area, scale) for s in SHAPES for scale in (0.92, 1.0, 1.08)]
    overlap = torch.zeros(len(templates))
    for dx, dy in ((0, 0), (0, -1.5), (0, 1.5), (-1.5, 0), (1.5, 0)):
        moved = path[None].expand(len(templates), -1, -1) + torch.tensor([dx, dy], dtype=path.dtype)
        drawn = world.masks(templates, frames, size, moved) > 0.5
        both, either = (drawn & mask).sum((2, 3)), (drawn | mask).sum((2, 3)).clamp(min=1)
        overlap = torch.maximum(overlap, (both / either).mean(1))
    best = int(overlap.argmax())
    return templates[best].shape, overlap[best].item()


def _template(shape: str, area: float, scale: float) -> Scene:
    unit = {"circle": math.pi, "square": 4 * 0.92**2, "triangle": 1.2 * 2.25}[shape]
    return replace(Scene("red", shape, "right", "dark"), radius=scale * math.sqrt(max(area, 1.0) / unit))


def hollow(clip: torch.Tensor, radius: float = 3.0) -> bool | None:
    """Whether the shape of a clip [F, H, W, 3] is outlined: the middle less than half as strong as the line."""
    clip = clip.float().clamp(0, 1)
    contrast = (clip - clip.flatten(0, 2).median(dim=0).values).abs().amax(dim=-1)
    weight = (contrast - CONTRAST).clamp(min=0)
    if (weight > 0).float().mean() < 0.005:
        return None
    grid = (torch.arange(clip.shape[1]) + 0.5) * (WIDTH / clip.shape[1])
    apart = [(grid - c[:, None] + WIDTH / 2) % WIDTH - WIDTH / 2 for c in positions(weight).T]
    middle = torch.hypot(apart[0][:, None, :], apart[1][:, :, None]) < radius
    return bool(contrast[middle].mean() < 0.5 * contrast.flatten(1).quantile(0.97, dim=1).mean())


def pitch(sound: torch.Tensor, rate: int) -> str | None:
    """The shape whose tone is loudest in a sound [channels, samples]; None in silence."""
    mono = sound.float().mean(0)
    if mono.square().mean() < 1e-6:
        return None
    spectrum = torch.fft.rfft(mono * torch.hann_window(mono.numel())).abs().square()
    hz = torch.arange(spectrum.numel()) * rate / mono.numel()
    power = {s: spectrum[(hz > f * 0.92) & (hz < f * 1.08)].sum().item() for s, f in PITCHES.items()}
    return max(power, key=power.get)


def balance(sound: torch.Tensor, parts: int = 8) -> torch.Tensor:
    """Share of the right channel's power in equal parts of a stereo sound [2, samples]. [parts]"""
    power = torch.stack([p.square().mean(1) for p in sound.float().chunk(parts, dim=1)])
    return power[:, 1] / power.sum(1).clamp(min=1e-9)


def read_back(clip: torch.Tensor, scene: Scene, sound: tuple[torch.Tensor, int] | None = None) -> tuple[str, list[str]]:
    """What a clip [F, H, W, 3] shows, and a sound (pitch's arguments) tells, in a sentence; and what of it is wrong.

    Wrong is what is not as the scene says: attributes of Verdict, "outline", "tone".
    """
    seen = judge(clip)
    if seen is None:
        return "no shape is to be seen", ["shape"]
    outlined = hollow(clip)
    found = world.caption(Scene(seen.colour, seen.shape, seen.direction, seen.background, outlined=outlined))
    wrong = [attribute for attribute, right in seen.agrees(scene).items() if not right]
    wrong += ["outline"] * (outlined != scene.outlined)
    if sound is not None:
        tone = pitch(*sound)
        found += f", with the tone of a {tone}" if tone else ", without a tone"
        wrong += ["tone"] * (tone != scene.shape)
    return f"{found}, not as asked: {', '.join(wrong)}" if wrong else f"{found}, as asked", wrong


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two images or clips in 0..1."""
    return -10 * math.log10(max((a.float() - b.float()).square().mean().item(), 1e-10))


def score(clips: torch.Tensor, scenes: list[Scene]) -> dict[str, float]:
    """Share of clips [B, F, H, W, 3] that agree with their scene, per attribute."""
    rows = [judge(c) for c in clips]
    rows = [{} if r is None else r.agrees(s) for r, s in zip(rows, scenes, strict=True)]
    return {a: sum(r.get(a, False) for r in rows) / len(rows) for a in ("colour", "shape", "direction", "background")}


def heard(sounds: list[dict], scenes: list[Scene]) -> float:
    """Share of sounds, each core's AUDIO of one clip, whose pitch tells the shape of their scene."""
    right = (pitch(s["waveform"][0], s["sample_rate"]) == c.shape for s, c in zip(sounds, scenes, strict=True))
    return sum(right) / len(scenes)


def panned(sounds: list[dict], scenes: list[Scene]) -> dict[str, float]:
    """Share of the sideways moving scenes whose balance moves the same way."""
    sideways = [(s, c) for s, c in zip(sounds, scenes, strict=True) if DIRECTIONS[c.direction][0]]
    right = 0
    for sound, scene in sideways:
        way = balance(sound["waveform"][0])
        right += (way[-1] - way[0]).item() * DIRECTIONS[scene.direction][0] > 0.05
    return {"balance follows": right / len(sideways)}
