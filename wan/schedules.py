"""Sigma schedules of the Wan references, and where Wan 2.2 changes from its high- to its low-noise expert.

Source: VideoX-Fun and Wan (FlowMatchEuler, fm_solvers_unipc, fm_solvers), each with the shift applied once. ComfyUI's
`normal` equals "flow" to 1e-7; its `simple` approximates the other two. Sigma = noise level, timestep / 1000.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCHEDULES = ("flow", "unipc", "dpmpp")
TRAIN_STEPS = 1000
# high-noise expert while sigma >= boundary
BOUNDARIES = {"image to video, Fun": 0.900, "text to video, VACE": 0.875}


def shifted(line: Tensor, shift: float) -> Tensor:
    return shift * line / (1 + (shift - 1) * line)


def flow_sigmas(schedule: str, steps: int, shift: float) -> Tensor:
    """Sigmas [steps + 1] in float32, ending in 0: "flow" is for Euler, the others for the solver of that name."""
    if schedule == "flow":
        lowest = float(shifted(torch.tensor(1 / TRAIN_STEPS, dtype=torch.float64), shift))
        line = torch.linspace(1.0, lowest, steps, dtype=torch.float64)
    elif schedule == "unipc":
        line = torch.linspace(1.0 - 1 / TRAIN_STEPS, 0.0, steps + 1, dtype=torch.float64)[:-1]
    elif schedule == "dpmpp":
        line = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)[:-1]
    else:
        raise ValueError(f"schedule is {schedule!r}: use one of {', '.join(SCHEDULES)}")
    return torch.cat([shifted(line, shift), torch.zeros(1, dtype=torch.float64)]).float()


def boundary_index(sigmas: Tensor, boundary: float) -> int:
    """The first position whose sigma is below the boundary: sigmas[:index + 1] are high noise, sigmas[index:] low."""
    below = (index for index, sigma in enumerate(sigmas.tolist()) if sigma < boundary)
    return next(below, len(sigmas) - 1)
