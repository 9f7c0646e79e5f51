"""Forwards recorded as CUDA graphs: one launch where an eager forward takes a thousand.

A graph reads and writes fixed memory. The cache's storage is fixed as it is; what changes from forward to forward is
copied into the tensors that the graph was recorded with. The graphs of a cache share a pool: one runs at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .kv import KVCache, TextKV

WARM_UP = 2  # forwards before recording: what compiles or plans on its first call must not be in a graph


@dataclass
class Graph:
    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    output: Tensor


@dataclass
class Recorded:
    """The graphs over one cache's storage, and the prompt as they read it."""

    text: TextKV
    shown: TextKV  # the prompt that was last copied there
    graphs: dict[tuple, Graph] = field(default_factory=dict)

    @property
    def pool(self) -> tuple[int, int] | None:
        """Where they keep what they compute; it is gone with the last of them."""
        return next((each.graph.pool() for each in self.graphs.values()), None)


class GraphedForwards:
    """`forward(x, wave, text, rope, index, cache)`, recorded for every shape and number of frames attended."""

    def __init__(self, forward: Callable[..., Tensor]) -> None:
        self.forward = forward
        self.recorded: WeakKeyDictionary[KVCache, Recorded] = WeakKeyDictionary()

    def __call__(self, x: Tensor, wave: Tensor, text: TextKV, rope: Tensor, index: Tensor, cache: KVCache) -> Tensor:
        recorded = self.recorded.get(cache)
        if recorded is None or recorded.text[0][0].shape != text[0][0].shape:
            copied = [(k.clone(), v.clone()) for k, v in text]
            recorded = self.recorded[cache] = Recorded(copied, text)
        if recorded.shown is not text:
            for own, given in zip(recorded.text, text, strict=True):
                own[0].copy_(given[0])
                own[1].copy_(given[1])
            recorded.shown = text
        inputs = [x, wave, rope, index]
        key = (cache.plan.held, *(tuple(t.shape) for t in inputs))
        if key not in recorded.graphs:
            recorded.graphs[key] = self.record(inputs, recorded, cache)
        graph = recorded.graphs[key]
        for own, given in zip(graph.inputs, inputs, strict=True):
            own.copy_(given)
        graph.graph.replay()
        return graph.output.clone()

    def record(self, inputs: list[Tensor], recorded: Recorded, cache: KVCache) -> Graph:
        x, wave, rope, index = own = [t.clone() for t in inputs]
        here, side = torch.cuda.current_stream(x.device), torch.cuda.Stream(x.device)
        side.wait_stream(here)
        with torch.cuda.stream(side):  # writes the block's slots, as every forward of the block does
            for _ in range(WARM_UP):
                self.forward(x, wave, recorded.text, rope, index, cache)
        here.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # a decoder may work in another thread meanwhile: only this thread's calls must be fit for a graph
        with torch.cuda.graph(graph, pool=recorded.pool, capture_error_mode="thread_local"):
            output = self.forward(x, wave, recorded.text, rope, index, cache)
        return Graph(graph, own, output)
