"""A model, a VAE and plans of windows that are easy to check: what is sampled is noise, what is decoded the latent."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .wan_tiny import prompts

FACTORS = {16: (8, 4), 48: (16, 4), 128: (32, 8)}  # channels -> pixels and frames to a latent


class StepVAE:
    """Latents are colours: a frame of a latent is its first three channels, a group of frames repeats it. Lossless."""

    latent_dim, first_stage_model = 3, None

    def __init__(self, channels: int = 16) -> None:
        self.latent_channels, (self.factor, self.group) = channels, FACTORS[channels]
        self.encoded = self.decoded = 0

    def encode(self, pixels: Tensor) -> Tensor:
        """[F, H, W, 3] in 0..1 -> [1, C, T, h, w]; of a group its last frame, of a block its first pixel."""
        self.encoded += 1
        colours = pixels[:: self.group, :: self.factor, :: self.factor].permute(3, 0, 1, 2)
        return F.pad(colours, (0, 0, 0, 0, 0, 0, 0, self.latent_channels - 3)).unsqueeze(0)

    def decode(self, latent: Tensor) -> Tensor:
        """[1, C, T, h, w] -> [1, F, H, W, 3]."""
        self.decoded += 1
        colours = latent[:, :3].permute(0, 2, 3, 4, 1)
        frames = torch.cat([colours[:, :1], colours[:, 1:].repeat_interleave(self.group, dim=1)], dim=1)
        return frames.repeat_interleave(self.factor, dim=2).repeat_interleave(self.factor, dim=3).clamp(0, 1)


class StepSound:
    """An audio VAE whose sound is, at the time of each latent, its first value; a latent ends 30 ms early, as LTX's."""

    latent_dim, latent_channels = 2, 8

    def __init__(self, rate: int = 48000) -> None:
        self.rate, self.audio_sample_rate_output = rate, rate
        self.first_stage_model = SimpleNamespace(preprocessor=None, output_sample_rate=rate)

    def decode(self, latent: Tensor) -> Tensor:
        """[1, 8, A, 16] -> [1, N, 2]."""
        hop = self.rate // 100
        sound = latent[:, 0, :, 0].repeat_interleave(4 * hop, dim=1)[:, 3 * hop :]
        return sound.unsqueeze(-1).expand(-1, -1, 2)


class NoiseGuider:
    """A guider whose sample is its noise where the mask is 1, and what was given where it is 0."""

    def __init__(self, model: Any = None) -> None:
        given = prompts()
        self.model_patcher = model or SimpleNamespace(model_options={})
        self.calls: list[tuple] = []
        self.original_conds = {
            "positive": [{"cross_attn": given.positive[0][0], "model_conds": {}}],
            "negative": [{"cross_attn": given.negative[0][0], "model_conds": {}}],
        }

    def inner_set_conds(self, conds: dict) -> None:
        self.original_conds = {
            name: [{**options, "cross_attn": tensor} for tensor, options in prompt] for name, prompt in conds.items()
        }

    def sample(self, noise, latent, _sampler, _sigmas, denoise_mask=None, seed=None, **_) -> Tensor:
        self.calls.append((tuple(latent.shape), seed))
        mask = torch.ones(()) if denoise_mask is None else denoise_mask
        return noise * mask + latent * (1 - mask)


class ColourNoise:
    """NOISE that is a colour of bytes at each latent frame, so that decoding and writing it lose nothing."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generate_noise(self, latent: dict) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randint(0, 256, latent["samples"].shape, generator=generator).float() / 255


def random_plan(seed: int, *, shots: bool = True, prefix: int = 0):
    """A plan of up to 6 windows on Wan's grid."""
    from oner.samplers.windows.plan import GRIDS, Row, WindowPlan

    draw = random.Random(seed)
    rows: list = []
    start, count = 0, draw.randint(1, 6)
    before = prefix  # frames that a window may overlap
    fresh = [(number == 0 and not prefix) or (shots and number > 0 and draw.random() < 0.25) for number in range(count)]
    for number in range(count):
        overlap = 0 if fresh[number] else min(draw.choice([1, 5, 9]), (before - 1) // 4 * 4 + 1)
        discard = draw.choice([0, 0, 4])
        frames = 4 * draw.randint((overlap + discard) // 4 + 1, 6) + 1
        room = frames - overlap - discard
        ends_a_shot = number == count - 1 or fresh[number + 1]  # elsewhere a cut group of frames would not come again
        trim = draw.randint(0, min(3, room - 1)) if ends_a_shot else 0
        rows.append(
            Row(
                start,
                room - trim,
                overlap,
                frames,
                discard,
                trim,
                prompt=f"p{number}",
                new_shot=fresh[number] and number > 0,
            )
        )
        start += room - trim
        before = (0 if fresh[number] else before) + room - trim
    return WindowPlan(tuple(rows), GRIDS["wan"], 16.0, prefix)
