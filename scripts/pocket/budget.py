"""Training by a budget of process CPU time: a busy machine then costs wall time and not quality."""

from __future__ import annotations

import signal
import sys
import time

import torch


def log(text: str) -> None:
    """One line of progress with the process seconds spent."""
    print(f"[{time.process_time():7.1f} s] {text}", flush=True)
    sys.stdout.flush()


class Clock:
    """Counts steps until `seconds` of process time are spent; share() is the part spent.

    SIGUSR1 to the process says that time runs out: what is left becomes a quarter of what was spent.
    """

    def __init__(self, seconds: float, every: float = 20.0):
        self.seconds, self.every = seconds, every
        self.start = self.reported = time.process_time()
        self.steps, self.total, self.count = 0, 0.0, 0
        signal.signal(signal.SIGUSR1, self._hurry)

    def _hurry(self, *_) -> None:
        self.seconds = min(self.seconds, 1.25 * (time.process_time() - self.start))
        log(f"finishing: the budget is now {self.seconds:.0f} s")

    def tick(self) -> bool:
        self.steps += 1
        return self.share() < 1

    def share(self) -> float:
        return (time.process_time() - self.start) / self.seconds

    def decay(self, flat: float, floor: float = 0.02) -> float:
        """1 for the first `flat` share of the budget, then a line down to `floor`."""
        return 1 - (1 - floor) * max(0.0, (self.share() - flat) / (1 - flat))

    def report(self, loss: torch.Tensor) -> None:
        self.total, self.count = self.total + loss.item(), self.count + 1
        if time.process_time() - self.reported >= self.every:
            log(f"step {self.steps} loss {self.total / self.count:.5f} ({100 * self.share():.0f} %)")
            self.reported, self.total, self.count = time.process_time(), 0.0, 0
