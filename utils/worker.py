"""One job after another in a thread of its own, beside the caller's work; on a GPU in a stream of its own.

At most one job waits while one runs, so a slow worker holds the caller back instead of filling memory. A job's failure,
cancelling included, is raised in the caller by its next `add` or `check`; jobs behind it are dropped.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Worker:
    """Calls `work` with every tensor given to `add`, in order. Not `threaded`: within `add`."""

    def __init__(self, work: Callable[[Tensor], None], device: torch.device, *, threaded: bool = True):
        self.work, self.device = work, device
        self.failure: BaseException | None = None
        self.inference = torch.is_inference_mode_enabled()  # is a state of the thread
        self.stream = torch.cuda.Stream(device) if threaded and device.type == "cuda" else None
        self.waiting: queue.Queue[tuple[Tensor, torch.cuda.Event | None] | None] = queue.Queue(maxsize=1)
        self.thread = threading.Thread(target=self.run, name="oner-worker", daemon=True) if threaded else None
        if self.thread is not None:
            self.thread.start()

    def add(self, x: Tensor) -> None:
        """Hand over a tensor; waits while another one waits. Raises what an earlier job failed with."""
        self.check()
        if self.thread is None:
            self.work(x)
        else:
            ready = None if self.stream is None else torch.cuda.current_stream(self.device).record_event()
            self.waiting.put((x, ready))

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def wait(self) -> None:
        """Return once everything handed over is done or dropped; raises nothing."""
        self.waiting.join()

    def close(self) -> None:
        """Finish what was handed over and end the thread; raises nothing, so that it can follow any failure."""
        if self.thread is not None and self.thread.is_alive():
            self.waiting.put(None)
            self.thread.join()

    def run(self) -> None:
        with torch.inference_mode(self.inference):
            while (job := self.waiting.get()) is not None:
                try:
                    if self.failure is None:
                        with self.in_stream(*job):
                            self.work(job[0])
                except BaseException as error:
                    self.failure = error
                finally:
                    del job
                    self.waiting.task_done()

    @contextmanager
    def in_stream(self, x: Tensor, ready: torch.cuda.Event | None) -> Iterator[None]:
        """Run kernels beside the caller's, after `x` is there; done when the device is."""
        if self.stream is None or ready is None:
            yield
            return
        with torch.cuda.stream(self.stream):
            self.stream.wait_event(ready)
            if x.is_cuda:  # given latents may lie on the CPU
                x.record_stream(self.stream)  # its memory may be reused only when this stream has read it
            yield
            self.stream.synchronize()
