"""LoRAs for the pocket models: low-rank changes of the block matrices, trained alone, in core's own key names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from . import world
from .budget import Clock, log
from .world import Scene

RANK, RATE = 8, 3e-3
CLIPS = 960  # of a style


class Change:
    """A low-rank change of every block matrix of a model; zero at first."""

    def __init__(self, model: nn.Module, blocks: nn.Module, generator: torch.Generator, rank: int = RANK):
        model.requires_grad_(False)
        inside = {id(p) for p in blocks.parameters()}
        self.model = model
        self.base = {
            n: p for n, p in model.named_parameters() if id(p) in inside and p.dim() == 2 and min(p.shape) >= 32
        }
        self.down = {
            n: (torch.randn(rank, p.shape[1], generator=generator) * p.shape[1] ** -0.5).requires_grad_()
            for n, p in self.base.items()
        }
        self.up = {n: torch.zeros(p.shape[0], rank, requires_grad=True) for n, p in self.base.items()}

    def __call__(self, *args, **kwargs) -> torch.Tensor:
        """The changed model's forward."""
        weights = {n: torch.addmm(p, self.up[n], self.down[n]) for n, p in self.base.items()}
        return torch.func.functional_call(self.model, weights, args, kwargs)

    def fit(self, loss: Callable[[], torch.Tensor], seconds: float) -> dict[str, torch.Tensor]:
        """Minimise loss() for process seconds. Returns the LoRA's state dict."""
        weights = [*self.down.values(), *self.up.values()]
        optimiser, clock = torch.optim.Adam(weights, lr=RATE, betas=(0.9, 0.98)), Clock(seconds)
        while clock.tick():
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1.0, clock.steps / 30) * clock.decay(0.4)
            value = loss()
            optimiser.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            clock.report(value.detach())
        return self.state_dict()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """With the key names that loaders know; strength 1 is what was trained."""
        out = {}
        for name in self.base:
            inner = name.removeprefix("model.").removesuffix(".weight")  # a wrapper around the model is none of it
            key = f"diffusion_model.{inner}"
            out[f"{key}.lora_A.weight"], out[f"{key}.lora_B.weight"] = self.down[name], self.up[name]
        return out


def outlined_clips(
    encode: Callable[[torch.Tensor], torch.Tensor], frames: int, generator: torch.Generator
) -> tuple[list[Scene], torch.Tensor]:
    """Plain scenes, whose captions say nothing of the style, and the latents of the same scenes outlined."""
    plain = world.sample_scenes(CLIPS, generator, frames)
    outlined = [replace(scene, outlined=True) for scene in plain]
    with torch.no_grad():
        parts = [encode(world.render(outlined[i : i + 64], frames)) for i in range(0, CLIPS, 64)]
    log(f"encoded {CLIPS} clips")
    return plain, torch.cat(parts)
