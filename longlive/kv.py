"""Keys and values of the frames in the window: fixed storage, written by slot, read as one contiguous prefix.

Keys are kept with their absolute rotary positions. Nothing is rolled, cloned or concatenated: a forward writes its own
tokens and attends to a view. B batch, M slots x tokens per frame, n heads, d head channels, S sink frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..utils.core import need
from .cache import Plan, SlotTable
from .rope import RopeTables

apply_rope1 = need("comfy.ldm.flux.math", "apply_rope1").apply_rope1

STORAGE = ("model", "int8")

TextKV = list[tuple[Tensor, Tensor]]  # a layer's text keys and values, each [B, L, D]


def quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [B, N, n, d] as int8 and one bfloat16 scale per token and head [B, N, n, 1]."""
    scale = (x.abs().amax(-1, keepdim=True).float() / 127).clamp(min=1e-12).bfloat16()
    return (x.float() / scale.float()).round().clamp(-127, 127).to(torch.int8), scale


class KVCache:
    """The window's keys and values in every layer.

    `begin` places a block, `open` and `close` enclose each layer, `commit` follows the clean pass. With int8 storage or
    storage on the CPU only clean blocks are stored, and a layer's history is brought into a scratch that all layers
    share; the block at hand is always exact.
    """

    def __init__(
        self,
        table: SlotTable,
        rope: RopeTables,
        *,
        layers: int,
        batch: int,
        tokens: int,
        heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
        storage: str = "model",
        offload: bool = False,
        relative: bool = False,
    ):
        self.table, self.rope, self.tokens, self.device = table, rope, tokens, torch.device(device)
        self.relative = relative
        self.quantised = storage == "int8"
        self.staged = self.quantised or offload
        home = torch.device("cpu") if offload else self.device
        pin = offload and self.device.type == "cuda"
        shape = (batch, table.capacity * tokens, heads, head_dim)
        stored = torch.int8 if self.quantised else dtype

        def room(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=home, pin_memory=pin)

        self.keys = [room(*shape, dtype=stored) for _ in range(layers)]  # each [B, M, n, d]
        self.values = [room(*shape, dtype=stored) for _ in range(layers)]
        scales = layers if self.quantised else 0
        self.key_scales = [room(*shape[:3], 1, dtype=torch.bfloat16) for _ in range(scales)]
        self.value_scales = [room(*shape[:3], 1, dtype=torch.bfloat16) for _ in range(scales)]
        buffers = (2 if offload else 1) if self.staged else 0  # two, so that one layer loads while another attends
        self.scratch = [torch.zeros((2, *shape), dtype=dtype, device=self.device) for _ in range(buffers)]
        self.loader = torch.cuda.Stream(self.device) if pin else None
        # relative positions: the sink's keys as written, from which the moved ones are made
        sink = table.sink * tokens if relative and not self.staged else 0
        self.sink_keys = [self.keys[i][:, :sink].clone() for i in range(layers)] if sink else []
        self.shift = 0
        self.index = torch.zeros(0, dtype=torch.long, device=self.device)  # where the block's tokens go
        self.slots: tuple[int, ...] = ()
        self.plan: Plan | None = None
        self.clean = False

    @property
    def layers(self) -> int:
        return len(self.keys)

    def nbytes(self) -> int:
        """Bytes of storage and scratch, wherever they are."""
        parts = [*self.keys, *self.values, *self.key_scales, *self.value_scales, *self.scratch, *self.sink_keys]
        return sum(t.nbytes for t in parts)

    def begin(self, first: int, count: int, *, clean: bool) -> Plan:
        """Place a block and prepare its forward; `clean` marks the pass whose keys and values are to be kept."""
        self.plan = plan = self.table.place(first, count)
        self.clean = clean
        if plan.slots != self.slots:  # once a block
            slots = torch.tensor(plan.slots)[:, None] * self.tokens + torch.arange(self.tokens)
            self.index, self.slots = slots.flatten().to(self.device), plan.slots
        shift = plan.sink_shift if self.relative else 0
        if shift != self.shift and self.sink_keys:
            table = self.rope.shift(shift)
            for keys, sink in zip(self.keys, self.sink_keys, strict=True):
                keys[:, : sink.shape[1]] = apply_rope1(sink, table)
        self.shift = shift
        return plan

    def open(self, layer: int) -> tuple[Tensor, Tensor]:
        """Where a layer's keys and values are: write the block's at `index`, attend to the first held tokens."""
        return self.bring(layer) if self.staged else (self.keys[layer], self.values[layer])

    def close(self, layer: int) -> None:
        """After a layer: with a scratch, store the block if this is its clean pass."""
        if self.staged and self.clean:
            buffer = self.scratch[layer % len(self.scratch) if self.loader else 0]
            self.store(layer, buffer[0].index_select(1, self.index), buffer[1].index_select(1, self.index))

    def bring(self, layer: int) -> tuple[Tensor, Tensor]:
        """One layer's history in a scratch, while the next layer's is on its way."""
        if self.loader is None:
            self.load(layer, self.scratch[0])
            return self.scratch[0][0], self.scratch[0][1]
        here = torch.cuda.current_stream(self.device)
        if layer == 0:
            self.load(0, self.scratch[0])
        here.wait_stream(self.loader)
        self.loader.wait_stream(here)  # the other buffer was attended to one layer ago
        if layer + 1 < self.layers:
            with torch.cuda.stream(self.loader):
                self.load(layer + 1, self.scratch[(layer + 1) % 2])
        buffer = self.scratch[layer % 2]
        return buffer[0], buffer[1]

    def load(self, layer: int, buffer: Tensor) -> None:
        used = self.plan.held * self.tokens
        stored = [(self.keys, self.key_scales), (self.values, self.value_scales)]
        for target, (data, scales) in zip(buffer, stored, strict=True):
            target[:, :used].copy_(data[layer][:, :used], non_blocking=True)
            if self.quantised:
                target[:, :used].mul_(scales[layer][:, :used].to(self.device, non_blocking=True))
        if self.shift and self.table.sink:
            sink = buffer[0][:, : self.table.sink * self.tokens]
            sink.copy_(apply_rope1(sink, self.rope.shift(self.shift)))

    def store(self, layer: int, k: Tensor, v: Tensor) -> None:
        index = self.index.to(self.keys[layer].device)
        stored = [(k, self.keys, self.key_scales), (v, self.values, self.value_scales)]
        for x, data, scales in stored:
            if self.quantised:
                x, scale = quantise(x)
                scales[layer].index_copy_(1, index, scale.to(index.device))
            data[layer].index_copy_(1, index, x.to(index.device, data[layer].dtype))

    def commit(self) -> None:
        """After the clean pass: keep the sink's keys as they are now, for relative positions."""
        if self.sink_keys and any(self.table.is_sink(frame) for frame in self.plan.frames):
            for keys, sink in zip(self.keys, self.sink_keys, strict=True):
                sink.copy_(keys[:, : sink.shape[1]])

    def clear(self, base: int) -> None:
        self.table.clear(base)
        self.shift = 0

    def state(self) -> dict[str, Tensor]:
        """The stored tensors by name, on the CPU."""
        groups = {
            "key": self.keys,
            "value": self.values,
            "key_scale": self.key_scales,
            "value_scale": self.value_scales,
            "sink_key": self.sink_keys,
        }
        return {f"cache.{name}.{i}": t.cpu() for name, group in groups.items() for i, t in enumerate(group)}

    def load_state(self, tensors: dict[str, Tensor], shift: int) -> None:
        """Fill the storage from `state()`; the table is the caller's."""
        groups = {
            "key": self.keys,
            "value": self.values,
            "key_scale": self.key_scales,
            "value_scale": self.value_scales,
            "sink_key": self.sink_keys,
        }
        for name, group in groups.items():
            for i, target in enumerate(group):
                saved = tensors.get(f"cache.{name}.{i}")
                if saved is None or saved.shape[0] != target.shape[0] or saved.shape[2:] != target.shape[2:]:
                    raise ValueError(f"the take's state is damaged (cache.{name}.{i}): make the take anew")
                target[:, : saved.shape[1]].copy_(saved)
        self.shift = shift


def cache_bytes(
    frames: int,
    *,
    layers: int,
    batch: int,
    tokens: int,
    dim: int,
    heads: int,
    storage: str,
    item: int,
    offload: bool,
    moved_sink: int = 0,
) -> tuple[int, int]:
    """Bytes on the device and in RAM of a cache of `frames`, `item` bytes to an element of the model's type.

    `moved_sink` frames are kept a second time as they were written: the sink's, with relative positions.
    """
    elements = 2 * batch * frames * tokens * dim  # keys and values of one layer
    stored = layers * (elements + 2 * batch * frames * tokens * heads * 2 if storage == "int8" else elements * item)
    scratch = elements * item * (2 if offload else int(storage == "int8"))
    if not scratch:
        stored += layers * batch * moved_sink * tokens * dim * item
    return (scratch, stored) if offload else (stored + scratch, 0)
