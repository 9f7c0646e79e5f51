"""What a video VAE has to code: mostly plain scenes, some outlined ones, pairs and control signals."""

from __future__ import annotations

from dataclasses import replace

import torch

from . import world

CONTROLS = (world.canny, world.depth, world.pose, world.path_map)


def clips(count: int, frames: int, generator: torch.Generator, size: int = 64) -> torch.Tensor:
    """Clips of held-in combinations: half centred, half anywhere; an eighth outlined, an eighth control maps.

    [count, frames, size, size, 3] in 0..1
    """
    eighth = count // 8
    centred = world.sample_scenes(count - 5 * eighth, generator, frames)
    anywhere = world.sample_scenes(3 * eighth, generator, frames, anywhere=True)
    outlined = [replace(s, outlined=True) for s in world.sample_scenes(eighth, generator, frames)]
    controlled = world.sample_scenes(eighth, generator, frames, anywhere=True)
    parts = [world.render(centred + anywhere + outlined, frames, size)]
    for i, control in enumerate(CONTROLS):
        if mine := controlled[i :: len(CONTROLS)]:
            parts.append(control(mine, frames, size))
    out = torch.cat(parts)
    return out[torch.randperm(len(out), generator=generator)]
