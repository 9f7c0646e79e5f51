"""The block-by-block rollout of LongLive 1.0 and 2.0 (pipeline/causal_inference.py, causal_diffusion_inference.py).

A block is denoised while it attends to the window, then passed once more clean to leave its keys and values. Differs in
that the clean pass waits for the next block, so the last block of a take does without, and in noise that depends on
(seed, frame, step) only. B batch, C channels, F frames of the block; times in latent frames, states float32.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..utils.seeds import mix64
from .cache import SlotTable
from .kv import KVCache, TextKV
from .network import CausalNetwork
from .presets import UNBOUNDED, Settings
from .rope import RopeTables
from .schedule import HARD_CUT, KEEP_SINK, NEW_SINK, SHOT_CUT
from .solvers import FlowUniPC, Renoise, Steps

Noise = Callable[[int, int, tuple[int, ...]], Tensor]  # (first frame, step, shape) -> noise before that step


@dataclass(frozen=True)
class Segment:
    """A prompt from the block at `start` on; text [B or 1, L, text width]."""

    start: int
    text: Tensor
    mode: str = KEEP_SINK

    @cached_property
    def digest(self) -> str:
        """Names the text by its content."""
        return hashlib.sha256(self.text.float().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]


def block_noise(seed: int) -> Noise:
    """Noise drawn on the CPU from (seed, frame, step): the same for any length, device and resume point."""

    def draw(first: int, step: int, shape: tuple[int, ...]) -> Tensor:
        generator = torch.Generator("cpu").manual_seed(mix64(seed, first, step))
        return torch.randn(shape, generator=generator)

    return draw


@dataclass
class Stream:
    """A cache and the text it is filled with: one for the prompt, one more for the negative prompt if cfg is not 1."""

    cache: KVCache
    text: TextKV | None = None


class Rollout:
    """A take being made. `next_block` gives finished latents; everything it needs to go on is in `state()`."""

    def __init__(
        self,
        network: CausalNetwork,
        settings: Settings,
        segments: list[Segment],
        shape: tuple[int, int, int, int],
        noise: Noise,
        device: torch.device,
        *,
        frames: int = 0,
        negative: Tensor | None = None,
        cfg: float = 1.0,
        storage: str = "model",
        offload: bool = False,
        denoise: float = 1.0,
        before_forward: Callable[[], None] = lambda: None,
        on_flow: Callable[[int, int, Tensor], None] | None = None,
    ):
        """shape is (B, C, H, W) of a latent frame; `frames` the length of the take, needed for an unbounded window."""
        self.network, self.settings, self.segments, self.shape = network, settings, segments, shape
        self.noise, self.device, self.cfg, self.negative = noise, torch.device(device), cfg, negative
        self.before_forward, self.on_flow = before_forward, on_flow
        self.steps = truncated(settings.schedule(), denoise)
        rows, columns = network.grid(*shape[2:])
        self.rope = RopeTables(network.head_dim, rows, columns, self.device)
        self.capacity = frames if settings.window == UNBOUNDED else settings.window
        layout = {
            "layers": network.layers,
            "batch": shape[0],
            "tokens": rows * columns,
            "heads": network.heads,
            "head_dim": network.head_dim,
            "dtype": network.dtype,
            "device": self.device,
            "storage": storage,
            "offload": offload,
            "relative": settings.relative,
        }
        count = 2 if cfg != 1.0 else 1
        self.streams = [
            Stream(KVCache(SlotTable(self.capacity, settings.sink), self.rope, **layout)) for _ in range(count)
        ]
        self.texts: dict[str, TextKV] = {}  # keys and values of the last two prompts
        self.next_frame = 0  # frames finished
        self.pending = 0  # frames of the last block that still wait for their clean pass
        self.history: dict[int, Tensor] = {}  # clean latents [B, C, 1, H, W] of the last `capacity` frames
        self.active = ""  # digest of the text the cache was made with, and that text
        self.active_text: Tensor | None = None
        self.torn = False  # whether a change of the history was interrupted
        self.shot, self.shot_first = 0, -1  # the running shot and the frame it was cut at
        self.committed = self.table.state()

    @property
    def table(self) -> SlotTable:
        return self.streams[0].cache.table

    def segment_at(self, frame: int) -> Segment:
        return [s for s in self.segments if s.start <= frame][-1]

    def forwards(self, blocks: int) -> int:
        """Forwards that the next `blocks` blocks will take, for progress."""
        first, end = self.next_frame, self.next_frame + blocks * self.settings.block
        changes = [s for s in self.segments if max(first, 1) <= s.start < end]
        if first and self.segment_at(first).digest != self.active and self.segment_at(first).start != first:
            changes.append(self.segment_at(first))
        passes = blocks * (len(self.steps.timesteps) + 1) - 1 + bool(self.pending)
        return len(self.streams) * (passes + sum(s.mode in (KEEP_SINK, NEW_SINK) for s in changes))

    def next_block(
        self, frames: int | None = None, source: Tensor | None = None, image: Tensor | None = None
    ) -> Tensor:
        """Make the next block and give its clean latents [B, C, F, H, W]; `source` is what video to video starts from.

        `image` [B, C, 1, H, W] stays as the block's first frame, at time 0, as LongLive 2.0 starts from an image.
        Interrupted at any point, it can be called again: the block is redone from its first step.
        """
        self.settle()
        first, count = self.next_frame, frames or self.settings.block
        self.switch_text(first)
        shape = (self.shape[0], self.shape[1], count, *self.shape[2:])
        x = self.noise(first, 0, shape).to(self.device, torch.float32)
        if source is not None:
            start = self.steps.sigmas[0]
            x = (1 - start) * source.to(x) + start * x
        solver = self.solver(first, shape)
        positions = self.positions(range(first, first + count))
        x = with_image(x, image)
        for i, timestep in enumerate(self.steps.timesteps):
            flow = self.flow(x, image_times(timestep, x, image), first, positions, clean=False)
            if self.on_flow:
                self.on_flow(first, i, flow)
            x = with_image(solver.step(x, flow, i), image)
        self.keep(first, x)
        return x

    def add_clean(self, latents: Tensor) -> None:
        """Continue from given clean latents [B, C, T, H, W], a start image or video, block by block."""
        for chunk in latents.to(self.device, torch.float32).split(self.settings.block, dim=2):
            self.settle()
            self.switch_text(self.next_frame)
            self.keep(self.next_frame, chunk)

    def keep(self, first: int, x: Tensor) -> None:
        for i in range(x.shape[2]):
            self.history[first + i] = x[:, :, i : i + 1]
        self.next_frame = first + x.shape[2]
        self.pending = x.shape[2]
        for frame in [f for f in self.history if f < self.next_frame - self.capacity]:
            del self.history[frame]

    def settle(self) -> None:
        """The clean pass of the last block, if it is still owed; leaves the block's keys and values in the cache."""
        if not self.pending:
            return
        first = self.next_frame - self.pending
        positions = self.positions(range(first, self.next_frame))
        flow = self.flow(self.clean(range(first, self.next_frame)), 0.0, first, positions, clean=True)
        if self.on_flow:
            self.on_flow(first, len(self.steps.timesteps), flow)
        if self.settings.shot_sink and first == self.shot_first:
            for stream in self.streams:
                stream.cache.table.pin(range(first, first + min(self.settings.sink, self.pending)))
        self.pending = 0
        self.committed = self.table.state()

    def switch_text(self, first: int) -> None:
        """Take the text of this block; where it changes, do to the history what its segment asks for."""
        segment = self.segment_at(first)
        digest = segment.digest
        self.load_text(segment.text, digest)
        if first and (segment.start == first or digest != self.active or self.torn):
            self.change_history(first, segment)
        self.active, self.active_text = digest, segment.text

    def change_history(self, first: int, segment: Segment) -> None:
        for stream in self.streams:  # a block that was interrupted may have taken slots
            stream.cache.table = SlotTable.from_state(self.committed)
        self.torn = True  # until the cache is whole again; an interrupt may come at any point of a forward
        if segment.mode == HARD_CUT:
            for stream in self.streams:
                stream.cache.clear(first)
        elif segment.mode == SHOT_CUT:
            self.shot = sum(s.mode == SHOT_CUT and 0 < s.start <= first for s in self.segments)
            self.shot_first = first
        elif segment.mode in (KEEP_SINK, NEW_SINK):
            self.recache(first, new_sink=segment.mode == NEW_SINK)
        self.torn = False
        self.committed = self.table.state()

    def recache(self, first: int, *, new_sink: bool) -> None:
        """Refresh the keys and values of the window under the new text, all frames together at time 0."""
        held = self.table.held_frames()
        dropped = first - self.table.base - len(held)
        if dropped and new_sink:
            held = list(range(max(self.table.base, first - self.capacity), first))
            for stream in self.streams:
                stream.cache.clear(held[0])
        elif dropped:
            held = [frame for frame in held if not self.table.is_sink(frame)]
        if held:
            self.flow(self.clean(held), 0.0, held[0], self.positions(held), clean=True)

    def clean(self, frames) -> Tensor:
        return torch.cat([self.history[f] for f in frames], dim=2)

    def positions(self, frames) -> list[float]:
        return [float(frame + self.shot * self.settings.shot_offset) for frame in frames]

    def solver(self, first: int, shape: tuple[int, ...]) -> Renoise | FlowUniPC:
        if self.settings.solver == "unipc":
            return FlowUniPC(self.steps)
        return Renoise(self.steps, lambda i: self.noise(first, i + 1, shape))

    def load_text(self, text: Tensor, digest: str) -> None:
        if digest not in self.texts:
            self.texts[digest] = self.encode(text)
            while len(self.texts) > 2:
                del self.texts[next(iter(self.texts))]
        self.streams[0].text = self.texts[digest]
        if len(self.streams) == 2 and self.streams[1].text is None:
            self.streams[1].text = self.encode(self.negative)

    def encode(self, text: Tensor) -> TextKV:
        return self.network.encode_text(text.to(self.device).expand(self.shape[0], -1, -1))

    def flow(self, x: Tensor, timestep: float | Tensor, first: int, positions: list[float], *, clean: bool) -> Tensor:
        rope = self.rope.at(positions)
        flows = []
        for stream in self.streams:
            self.before_forward()
            stream.cache.begin(first, x.shape[2], clean=clean)
            flows.append(self.network.flow(x, timestep, stream.text, rope, stream.cache))
            if clean:
                stream.cache.commit()
        if len(flows) == 1:
            return flows[0]
        return flows[1] + self.cfg * (flows[0] - flows[1])

    def rebuild(self, latents: Callable[[int, int], Tensor], frames: int) -> None:
        """Stand after `frames` finished frames of a take of which only `latents(first, end)` are known.

        Approximate: the sink and the window are passed again block by block, but frames long gone no longer speak
        through those that saw them (about 3e-3 relative in the next block).
        """
        block = self.settings.block
        window = max(self.settings.sink, frames - (self.capacity - self.settings.sink))
        starts = [*range(0, self.settings.sink, block), *range(window // block * block, frames, block)]
        for first in sorted({start for start in starts if start < frames}):
            segment = self.segment_at(first)
            self.load_text(segment.text, segment.digest)
            self.shot = sum(s.mode == SHOT_CUT and 0 < s.start <= first for s in self.segments)
            self.active, self.active_text = segment.digest, segment.text
            self.keep(first, latents(first, min(first + block, frames)).to(self.device, torch.float32))
            self.settle()
        self.history = {f: latents(f, f + 1).to(self.device) for f in range(max(0, frames - self.capacity), frames)}

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """Tensors and plain data from which `load_state` goes on exactly; a block under way is left out."""
        tensors = {f"history.{frame}": latent.cpu() for frame, latent in self.history.items()}
        if self.active_text is not None:
            tensors["text"] = self.active_text.cpu()
        for i, stream in enumerate(self.streams):
            tensors |= {f"stream{i}.{name}": t for name, t in stream.cache.state().items()}
        plain = {
            "next_frame": self.next_frame,
            "pending": self.pending,
            "active": self.active,
            "torn": self.torn,
            "shot": self.shot,
            "shot_first": self.shot_first,
            "shifts": [s.cache.shift for s in self.streams],
            "table": self.committed,
        }
        return tensors, plain

    def load_state(self, tensors: dict[str, Tensor], plain: dict) -> None:
        """Stand where `state()` was taken; an unbounded window may have grown since."""
        grown = [*plain["table"]["frame_in"], *[None] * (self.capacity - plain["table"]["capacity"])]
        if len(grown) > self.capacity:
            raise ValueError(f"the take has a window of {len(grown)} latent frames, not {self.capacity}")
        plain = {**plain, "table": {**plain["table"], "capacity": self.capacity, "frame_in": grown}}
        self.next_frame, self.pending = plain["next_frame"], plain["pending"]
        self.active, self.torn = plain["active"], plain["torn"]
        self.shot, self.shot_first = plain["shot"], plain["shot_first"]
        frames = [name for name in tensors if name.startswith("history.")]
        self.history = {int(name.split(".")[1]): tensors[name].to(self.device) for name in sorted_frames(frames)}
        self.committed = plain["table"]
        if "text" in tensors:  # the last block's clean pass may still be owed, under the text it was made with
            self.load_text(tensors["text"], self.active)
            self.active_text = tensors["text"]
        for i, (stream, shift) in enumerate(zip(self.streams, plain["shifts"], strict=True)):
            prefix = f"stream{i}."
            part = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            stream.cache.table = SlotTable.from_state(plain["table"])
            stream.cache.load_state(part, shift)


def with_image(x: Tensor, image: Tensor | None) -> Tensor:
    """A block whose first frame is the image's."""
    return x if image is None else torch.cat([image.to(x), x[:, :, 1:]], dim=2)


def image_times(timestep: float, x: Tensor, image: Tensor | None) -> float | Tensor:
    """The time of every frame of a block: 0 for the image's."""
    if image is None:
        return timestep
    times = torch.full((x.shape[0], x.shape[2]), timestep, dtype=torch.float32)
    times[:, 0] = 0.0
    return times.to(x.device)


def sorted_frames(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: int(name.split(".")[1]))


def truncated(steps: Steps, denoise: float) -> Steps:
    """The steps from the first level not above `denoise` on. Raises ValueError if none is left."""
    start = next((i for i, sigma in enumerate(steps.sigmas) if 0 < sigma <= denoise + 1e-6), None)
    if start is None:
        lowest = steps.sigmas[-2]
        raise ValueError(f"denoise is {denoise:g}; the lowest noise level of these steps is {lowest:.3f}: raise it")
    return Steps(steps.sigmas[start:], steps.timesteps[start:])
