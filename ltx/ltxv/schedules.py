"""The linear-quadratic schedule of LTX-Video 0.9.x.

Half of the steps go in equal, small strides from 1 to 1 - threshold; the rest follow a parabola that joins without a
kink and reaches 0. Same curve as ComfyUI's `linear_quadratic`, which needs a model to be computed.
"""

from __future__ import annotations

THRESHOLD = 0.025  # noise removed in the linear part


def linear_quadratic(steps: int, threshold: float = THRESHOLD, linear_steps: int | None = None) -> tuple[float, ...]:
    """Noise levels at the start of each of `steps` steps, from 1 downwards, without the final 0."""
    linear = steps // 2 if linear_steps is None else linear_steps
    if steps == 1:
        return (1.0,)
    curved = steps - linear
    slope = threshold / linear
    bend = (1.0 - threshold - slope * curved) / curved**2  # so that the parabola ends at 1
    removed = [slope * i for i in range(linear)]
    removed += [threshold + slope * i + bend * i**2 for i in range(curved)]
    return tuple(1.0 - r for r in removed)
