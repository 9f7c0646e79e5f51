"""Rollout settings of the released models as data.

LongLive 1.0: configs/longlive_inference.yaml and longlive_inference_infinity.yaml; 2.0: configs/inference.yaml;
Self-Forcing: configs/self_forcing_dmd.yaml; Causal-Forcing: its chunk-wise and frame-wise configs. Frames are latent.
"""

from __future__ import annotations

from dataclasses import dataclass

from .solvers import Steps, renoise_steps, unipc_steps

UNBOUNDED = -1


@dataclass(frozen=True)
class Settings:
    """How a take is rolled out; window, sink and block in latent frames."""

    window: int = 12  # frames attended in all, sink and current block included; -1 = every frame
    sink: int = 3
    block: int = 3
    steps: int = 4
    shift: float = 5.0
    solver: str = "renoise"  # or "unipc"
    relative: bool = False  # positions by order in the window instead of absolute
    shot_sink: bool = False  # keep the first frames of the running shot as well
    shot_offset: int = 0  # frames added to positions at every shot cut
    fps: int = 16
    channels: int = 16  # latent channels of the model the preset is for

    def schedule(self) -> Steps:
        """Noise levels and times of a block."""
        return (unipc_steps if self.solver == "unipc" else renoise_steps)(self.steps, self.shift)

    def check(self) -> None:
        """Raise ValueError when no block could be made or the window does not fit the blocks."""
        if self.window == UNBOUNDED:
            if self.relative:
                raise ValueError("relative positions need a window: set window to 12, or use absolute positions")
            return
        if self.sink > self.window:
            raise ValueError(f"sink is {self.sink} and window {self.window}: the sink is part of the window, lower it")
        if self.window % self.block:
            below = self.window // self.block * self.block
            raise ValueError(
                f"window is {self.window} and block {self.block}: the window must be a multiple of the block, use "
                f"{below or self.block} or {below + self.block}"
            )
        pinned = min(self.sink, self.block) if self.shot_sink else 0
        if self.sink + pinned + self.block > self.window:
            raise ValueError(
                f"window is {self.window}; sink {self.sink}, shot sink {pinned} and block {self.block} need "
                f"{self.sink + pinned + self.block}: raise the window or lower the sink"
            )


PRESETS: dict[str, Settings] = {
    "LongLive 1.0": Settings(),
    "LongLive 1.0 endless": Settings(relative=True),
    "LongLive 2.0, 4 steps": Settings(
        window=32, sink=8, block=8, solver="unipc", shot_sink=True, shot_offset=8, fps=24, channels=48
    ),
    "LongLive 2.0, 2 steps": Settings(
        window=32, sink=8, block=8, steps=2, solver="unipc", shot_sink=True, shot_offset=8, fps=24, channels=48
    ),
    "Self-Forcing": Settings(window=UNBOUNDED, sink=0),
    "Causal-Forcing, blocks of 3": Settings(window=UNBOUNDED, sink=0),
    "Causal-Forcing, frame by frame": Settings(window=UNBOUNDED, sink=0, block=1),
}
