"""The synthetic world that pocket checkpoints are trained on: one shape of one colour moving one way, with a tone.

Everything is rendered on the fly from a seeded generator. Lengths are in units of a 64 px wide frame, so that the
same scene renders at any size; the world wraps around, so that a take can be of any length.
Letters: B scenes, F frames, H, W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

WIDTH = 64.0  # length unit: a frame is this wide at any resolution
COLOURS = {
    "red": (0.90, 0.10, 0.10),
    "green": (0.10, 0.65, 0.15),
    "blue": (0.10, 0.20, 0.90),
    "yellow": (0.95, 0.85, 0.10),
    "purple": (0.65, 0.15, 0.80),
    "cyan": (0.10, 0.80, 0.85),
}
SHAPES = ("circle", "square", "triangle")
DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
BACKGROUNDS = {"dark": 0.06, "bright": 0.93}
PITCHES = {"circle": 300.0, "square": 500.0, "triangle": 900.0}  # Hz; a vocoder repeats what a 100th of a second holds
SPEED = 1.5  # units per frame
RADIUS = (14.0, 15.0)
JITTER = 2.5  # units: the middle of the path lies within this of the centre
OUTLINE = 4.0  # units: line width of outlined shapes
SHARPNESS = 1.1  # of the soft edge: the slope of its sigmoid per pixel

# (colour, shape, direction) never seen in training, on either background. Every pair of the three words is seen.
HELD_OUT = (
    ("red", "circle", "up"),
    ("red", "triangle", "left"),
    ("green", "square", "right"),
    ("green", "circle", "down"),
    ("blue", "triangle", "up"),
    ("blue", "square", "left"),
    ("yellow", "circle", "right"),
    ("yellow", "triangle", "down"),
    ("purple", "square", "up"),
    ("purple", "circle", "left"),
    ("cyan", "triangle", "right"),
    ("cyan", "square", "down"),
)


@dataclass(frozen=True)
class Scene:
    """One shape; x, y are the centre in frame 0 and speed is in units per frame."""

    colour: str
    shape: str
    direction: str
    background: str
    x: float = WIDTH / 2
    y: float = WIDTH / 2
    radius: float = 14.5
    speed: float = SPEED
    outlined: bool = False

    @property
    def words(self) -> tuple[str, str, str]:
        return self.colour, self.shape, self.direction

    @property
    def held_out(self) -> bool:
        return self.words in HELD_OUT


def caption(scene: Scene, *others: Scene) -> str:
    """The sentence that describes a scene, e.g. "a red circle moving right on a dark background"."""
    style = "outlined " if scene.outlined else ""
    shapes = [f"a {style}{s.colour} {s.shape} moving {s.direction}" for s in (scene, *others)]
    return f"{' and '.join(shapes)} on a {scene.background} background"


def parse(sentence: str) -> Scene:
    """The first scene a caption describes, centred. Raises ValueError on a word outside the grammar."""
    words = sentence.lower().replace(",", " ").split()
    unknown = [w for w in words if w not in VOCABULARY]
    if unknown:
        raise ValueError(f"the prompt has the words {unknown}; the world knows {', '.join(VOCABULARY)}")

    def first(options):
        return next((w for w in words if w in options), next(iter(options)))

    return Scene(first(COLOURS), first(SHAPES), first(DIRECTIONS), first(BACKGROUNDS), outlined="outlined" in words)


VOCABULARY = (
    "a",
    *COLOURS,
    *SHAPES,
    "moving",
    *DIRECTIONS,
    "on",
    *BACKGROUNDS,
    "background",
    "and",
    "outlined",
    "still",
    "with",
    "tone",
    "low",
    "high",
    "small",
    "large",
    "slow",
    "fast",
)


def combinations(held_out: bool | None = None) -> list[tuple[str, str, str, str]]:
    """All (colour, shape, direction, background); held_out picks the ones kept from training, or the others."""
    return [
        (c, s, d, b)
        for c in COLOURS
        for s in SHAPES
        for d in DIRECTIONS
        for b in BACKGROUNDS
        if held_out is None or ((c, s, d) in HELD_OUT) == held_out
    ]


def sample_scenes(
    count: int, generator: torch.Generator, frames: int, held_out: bool | None = False, anywhere: bool = False
) -> list[Scene]:
    """Random scenes whose path over `frames` is centred up to JITTER, or starts anywhere."""
    options = combinations(held_out)
    picks = torch.randint(len(options), (count,), generator=generator).tolist()
    numbers = torch.rand(count, 3, generator=generator).tolist()
    return [place(Scene(*options[p]), frames, *u, anywhere=anywhere) for p, u in zip(picks, numbers, strict=True)]


def place(scene: Scene, frames: int, u: float = 0.5, v: float = 0.5, w: float = 0.5, anywhere: bool = False) -> Scene:
    """The scene with start and radius from three numbers in [0, 1]; all 0.5 is the centred path, medium size."""
    spread = WIDTH / 2 if anywhere else JITTER
    dx, dy = DIRECTIONS[scene.direction]
    half = scene.speed * (frames - 1) / 2
    low, high = RADIUS
    return replace(
        scene,
        x=(WIDTH / 2 - dx * half + (2 * u - 1) * spread) % WIDTH,
        y=(WIDTH / 2 - dy * half + (2 * v - 1) * spread) % WIDTH,
        radius=low + w * (high - low),
    )


def trajectory(scenes: list[Scene], frames: int) -> torch.Tensor:
    """Centres over time, not wrapped. [B, F, 2] (x, y) in units."""
    start = torch.tensor([[s.x, s.y] for s in scenes])
    step = torch.tensor([[s.speed * c for c in DIRECTIONS[s.direction]] for s in scenes])
    return start[:, None] + step[:, None] * torch.arange(frames)[None, :, None]


def masks(
    scenes: list[Scene], frames: int, size: int = 64, path: torch.Tensor | None = None, solid: bool = False
) -> torch.Tensor:
    """Coverage of the shapes along their trajectory or the given path [B, F, 2]. [B, F, H, W] in 0..1.

    solid fills outlined shapes too.
    """
    distance = _distance(scenes, frames, size, path)
    fill = torch.sigmoid(distance * (size / WIDTH) * SHARPNESS)
    hollow = torch.tensor([s.outlined and not solid for s in scenes])[:, None, None, None]
    if hollow.any():
        inner = torch.sigmoid((distance - OUTLINE) * (size / WIDTH) * SHARPNESS)
        fill = torch.where(hollow, fill - inner, fill)
    return fill


def render(scenes: list[Scene], frames: int, size: int = 64, path: torch.Tensor | None = None) -> torch.Tensor:
    """Clips of one shape each. [B, F, H, W, 3] in 0..1."""
    colour = torch.tensor([COLOURS[s.colour] for s in scenes])[:, None, None, None]
    ground = torch.tensor([BACKGROUNDS[s.background] for s in scenes])[:, None, None, None, None]
    return torch.lerp(ground.expand(-1, frames, size, size, 3), colour, masks(scenes, frames, size, path)[..., None])


def _distance(scenes: list[Scene], frames: int, size: int, path: torch.Tensor | None) -> torch.Tensor:
    """Signed distance to the outline in units, positive inside, on the wrapped plane. [B, F, H, W]"""
    path = trajectory(scenes, frames) if path is None else path
    grid = (torch.arange(size) + 0.5) * (WIDTH / size)
    dx = (grid - path[..., :1] + WIDTH / 2) % WIDTH - WIDTH / 2
    dy = (grid - path[..., 1:] + WIDTH / 2) % WIDTH - WIDTH / 2
    x, y = dx[:, :, None, :], dy[:, :, :, None]
    out = torch.empty(len(scenes), frames, size, size)
    for i, s in enumerate(scenes):
        out[i] = _SHAPE_DISTANCE[s.shape](x[i], y[i], s.radius)
    return out


def _circle(x, y, r):
    return r - torch.hypot(x, y)


def _square(x, y, r):
    return 0.92 * r - torch.maximum(x.abs(), y.abs())


def _triangle(x, y, r):
    """Pointing up, as wide as high, lowered so that its centroid is the centre."""
    half, top, bottom = 1.2 * r, -1.5 * r, 0.75 * r
    slope = half / (bottom - top)
    side = (slope * (y - top) - x.abs()) / math.hypot(1, slope)
    return torch.minimum(side, bottom - y)


_SHAPE_DISTANCE = {"circle": _circle, "square": _square, "triangle": _triangle}


def tone(scene: Scene, frames: int, fps: float = 24.0, rate: int = 16000) -> torch.Tensor:
    """Stereo sound of a scene: pitch tells the shape, the balance follows the horizontal position. [2, samples]"""
    count = round(frames / fps * rate)
    time = torch.arange(count) / rate
    x = scene.x + scene.speed * DIRECTIONS[scene.direction][0] * time * fps
    pan = _fold(x)
    wave = torch.sin(2 * math.pi * PITCHES[scene.shape] * time) + 0.3 * torch.sin(
        4 * math.pi * PITCHES[scene.shape] * time
    )
    return 0.35 * wave * torch.stack([torch.sqrt(1 - pan), torch.sqrt(pan)])


def _fold(x: torch.Tensor) -> torch.Tensor:
    """Horizontal position as a balance in 0.1..0.9."""
    return (x % WIDTH / WIDTH).clamp(0.1, 0.9)


def canny(scenes: list[Scene], frames: int, size: int = 64, path: torch.Tensor | None = None) -> torch.Tensor:
    """White outlines on black. [B, F, H, W, 3]"""
    line = torch.exp(-((_distance(scenes, frames, size, path) / 1.2) ** 2))
    return line[..., None].expand(*line.shape, 3).contiguous()


def depth(scenes: list[Scene], frames: int, size: int = 64, path: torch.Tensor | None = None) -> torch.Tensor:
    """The shape near (bright), the ground a far ramp that comes nearer downwards. [B, F, H, W, 3]"""
    ramp = torch.linspace(0.05, 0.35, size)[:, None]
    near = torch.lerp(
        ramp.expand(len(scenes), frames, size, size), torch.tensor(0.95), masks(scenes, frames, size, path, solid=True)
    )
    return near[..., None].expand(*near.shape, 3).contiguous()


def pose(scenes: list[Scene], frames: int, size: int = 64, path: torch.Tensor | None = None) -> torch.Tensor:
    """Stand-in for a skeleton: a red joint at the centre, a green one ahead and a blue one above. [B, F, H, W, 3]"""
    path = trajectory(scenes, frames) if path is None else path
    ahead = torch.tensor([DIRECTIONS[s.direction] for s in scenes])[:, None] * 6.0
    joints = (path, path + ahead, path + torch.tensor([0.0, -6.0]))
    dots = [torch.exp(-((_dot_distance(p, size) / 2.0) ** 2)) for p in joints]
    return torch.stack(dots, dim=-1).clamp(0, 1)


def path_map(scenes: list[Scene], frames: int, size: int = 64, path: torch.Tensor | None = None) -> torch.Tensor:
    """Trajectory control: a white dot of radius 4 where the centre is. [B, F, H, W, 3]"""
    path = trajectory(scenes, frames) if path is None else path
    dot = torch.sigmoid((4.0 - _dot_distance(path, size)) * 2)
    return dot[..., None].expand(*dot.shape, 3).contiguous()


def _dot_distance(path: torch.Tensor, size: int) -> torch.Tensor:
    grid = (torch.arange(size) + 0.5) * (WIDTH / size)
    dx = (grid - path[..., :1] + WIDTH / 2) % WIDTH - WIDTH / 2
    dy = (grid - path[..., 1:] + WIDTH / 2) % WIDTH - WIDTH / 2
    return torch.hypot(dx[:, :, None, :], dy[:, :, :, None])


def camera_shift(clips: torch.Tensor, per_frame: tuple[float, float]) -> torch.Tensor:
    """Clips [B, F, H, W, 3] seen by a camera that moves (x, y) whole pixels a frame: the world rolls the other way."""
    dx, dy = per_frame
    frames = [torch.roll(clips[:, f], (-round(f * dy), -round(f * dx)), dims=(1, 2)) for f in range(clips.shape[1])]
    return torch.stack(frames, dim=1)
