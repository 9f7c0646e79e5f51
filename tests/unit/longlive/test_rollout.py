"""The rollout against one that keeps every frame's keys and values in a dict and concatenates what it attends to."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from comfy.ldm.wan.model import sinusoidal_embedding_1d

from oner.longlive.presets import Settings
from oner.longlive.rollout import Rollout, Segment, block_noise
from oner.longlive.schedule import HARD_CUT, KEEP_SINK, NEW_SINK, SHOT_CUT, TEXT_ONLY
from oner.longlive.solvers import FlowUniPC

SHAPE = (1, 16, 4, 4)
CPU = torch.device("cpu")


def rotate(x, positions, rows, columns):
    """Rotary embedding of x [B, F h w, n, d] by complex numbers."""
    pairs = x.shape[-1] // 2
    spatial = x.shape[-1] // 6
    sizes = (pairs - 2 * spatial, spatial, spatial)
    angles = []
    grid = torch.cartesian_prod(
        torch.tensor(positions, dtype=torch.float64), torch.arange(rows).double(), torch.arange(columns).double()
    )
    for axis, size in enumerate(sizes):
        frequency = 10000.0 ** -(torch.arange(size, dtype=torch.float64) / size)
        angles.append(grid[:, axis, None] * frequency)
    turn = torch.polar(torch.ones(grid.shape[0], pairs, dtype=torch.float64), torch.cat(angles, dim=1))
    z = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(z * turn[None, :, None]).flatten(-2).float()


class PlainTake:
    """LongLive as its documentation reads, without slots: unrotated keys and values by frame."""

    def __init__(self, model, settings, segments, noise):
        self.model, self.s, self.segments, self.noise = model, settings, segments, noise
        self.held, self.sink, self.pinned, self.base, self.shot = {}, [], [], 0, 0
        self.out = {}

    def forward(self, x, t, text, frames, offset=0):
        model = self.model
        held = {f: kv for f, kv in self.held.items() if f not in frames}
        order = sorted([*held, *frames])
        position = {f: float(i if self.s.relative else f) for i, f in enumerate(order)}
        x = model.patch_embedding(x)
        grid = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        tokens = grid[1] * grid[2]
        times = torch.tensor(t if isinstance(t, list) else [t] * len(frames))  # of every frame
        e = model.time_embedding(sinusoidal_embedding_1d(model.freq_dim, times))
        e0 = model.time_projection(e).view(len(frames), 6, -1)
        ctx = model.text_embedding(text)
        made = {f: [] for f in frames}
        for i, block in enumerate(model.blocks):
            m = [part.repeat_interleave(tokens, dim=0).transpose(0, 1) for part in (block.modulation + e0).chunk(6, 1)]
            a = block.self_attn
            y = block.norm1(x) * (1 + m[1]) + m[0]
            q, k, v = (
                part.unflatten(-1, (model.num_heads, -1)) for part in (a.norm_q(a.q(y)), a.norm_k(a.k(y)), a.v(y))
            )
            ks, vs = k.split(tokens, dim=1), v.split(tokens, dim=1)
            for f, kf, vf in zip(frames, ks, vs, strict=True):
                made[f].append((kf, vf, offset))
            rows = [(f, (made[f] if f in frames else held[f])[i]) for f in order]
            keys = torch.cat([rotate(kf, [position[f] + off], *grid[1:]) for f, (kf, _, off) in rows], dim=1)
            values = torch.cat([vf for _, (_, vf, _) in rows], dim=1)
            q = rotate(q, [position[f] + offset for f in frames], *grid[1:])
            y = F.scaled_dot_product_attention(*(z.transpose(1, 2) for z in (q, keys, values)))
            x = x + a.o(y.transpose(1, 2).flatten(2)) * m[2]
            c = block.cross_attn
            q, k, v = c.norm_q(c.q(block.norm3(x))), c.norm_k(c.k(ctx)), c.v(ctx)
            q, k, v = (z.unflatten(-1, (model.num_heads, -1)).transpose(1, 2) for z in (q, k, v))
            x = x + c.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
            x = x + block.ffn(block.norm2(x) * (1 + m[4]) + m[3]) * m[5]
        return model.unpatchify(model.head(x, e[None]), grid), made

    def make_room(self, frames):
        limit = self.s.window if self.s.window > 0 else 10**9
        while len(self.held) + len([f for f in frames if f not in self.held]) > limit:
            sink = range(self.base, self.base + self.s.sink)
            del self.held[min(f for f in self.held if f not in sink and f not in self.pinned)]

    def run(self, blocks, image=None):
        steps = self.s.schedule()
        for b in range(blocks):
            frames = list(range(b * self.s.block, (b + 1) * self.s.block))
            segment = [s for s in self.segments if s.start <= frames[0]][-1]
            if segment.start == frames[0] and b:
                self.change(segment, frames[0])
            offset = self.shot * self.s.shot_offset
            shape = (1, SHAPE[1], len(frames), *SHAPE[2:])
            x = self.noise(frames[0], 0, shape)
            solver = FlowUniPC(steps) if self.s.solver == "unipc" else None
            for i, t in enumerate(steps.timesteps):
                self.make_room(frames)
                held = image is not None and b == 0  # the image is put back before and after every step
                if held:
                    x = torch.cat([image, x[:, :, 1:]], dim=2)
                times = [0.0] + [t] * (len(frames) - 1) if held else t
                flow, _ = self.forward(x, times, segment.text, frames, offset)
                x0 = x - steps.sigmas[i] * flow
                if solver:
                    x = solver.step(x, flow, i)
                else:
                    s = steps.sigmas[i + 1]
                    x = (1 - s) * x0 + s * self.noise(frames[0], i + 1, shape) if s else x0
                if held:
                    x = torch.cat([image, x[:, :, 1:]], dim=2)
            _, made = self.forward(x, 0.0, segment.text, frames, offset)
            self.held |= made
            self.out |= dict(zip(frames, x.split(1, dim=2), strict=True))
            if segment.mode == SHOT_CUT and segment.start == frames[0]:
                self.pinned = frames[: self.s.sink]
        return torch.cat([self.out[f] for f in sorted(self.out)], dim=2)

    def change(self, segment, c):
        full = c - self.base > self.s.window
        if segment.mode == SHOT_CUT:
            self.shot += 1
        if segment.mode == HARD_CUT:
            self.held, self.base = {}, c
        if segment.mode == NEW_SINK and full:
            self.held, self.base = {}, c - self.s.window
            frames = list(range(c - self.s.window, c))
        elif segment.mode in (KEEP_SINK, NEW_SINK):
            frames = [f for f in sorted(self.held) if not full or f >= self.base + self.s.sink]
        else:
            return
        x = torch.cat([self.out[f] for f in frames], dim=2)
        self.held |= self.forward(x, 0.0, segment.text, frames)[1]


LL1 = Settings(window=6, sink=2, block=2, steps=2)
LL2 = Settings(window=8, sink=2, block=2, steps=2, solver="unipc", shot_sink=True, shot_offset=8)
CASES = {
    "one prompt": (LL1, []),
    "no sink": (dataclasses.replace(LL1, sink=0), []),
    "sink of more than a block": (dataclasses.replace(LL1, window=8, sink=3), []),
    "frame by frame": (dataclasses.replace(LL1, window=5, sink=1, block=1), []),
    "unbounded": (dataclasses.replace(LL1, window=-1, sink=0), [(6, KEEP_SINK)]),
    "relative": (dataclasses.replace(LL1, relative=True), []),
    "relative no sink": (dataclasses.replace(LL1, relative=True, sink=0), []),
    "keep sink": (LL1, [(8, KEEP_SINK), (12, KEEP_SINK)]),
    "new sink": (LL1, [(8, NEW_SINK), (12, NEW_SINK)]),
    "warm-up": (LL1, [(4, KEEP_SINK), (6, NEW_SINK)]),
    "text only": (LL1, [(8, TEXT_ONLY)]),
    "hard cut": (LL1, [(8, HARD_CUT), (10, KEEP_SINK)]),
    "relative keep sink": (dataclasses.replace(LL1, relative=True), [(8, KEEP_SINK)]),
    "relative new sink": (dataclasses.replace(LL1, relative=True), [(8, NEW_SINK)]),
    "relative hard cut": (dataclasses.replace(LL1, relative=True), [(8, HARD_CUT)]),
    "shots": (LL2, [(8, SHOT_CUT), (12, SHOT_CUT)]),
}


def segments(prompts, changes):
    parts = [(0, KEEP_SINK), *changes]
    return [Segment(start, prompts[i : i + 1], mode) for i, (start, mode) in enumerate(parts)]


def run(network, settings, parts, blocks=9, **options):
    take = Rollout(network, settings, parts, SHAPE, block_noise(3), CPU, frames=blocks * settings.block, **options)
    return torch.cat([take.next_block() for _ in range(blocks)], dim=2)


@pytest.mark.parametrize("name", CASES)
def test_slots_give_what_concatenation_gives(name, network, prompts):
    settings, changes = CASES[name]
    parts = segments(prompts, changes)
    expected = PlainTake(network.model, settings, parts, block_noise(3)).run(9)
    torch.testing.assert_close(run(network, settings, parts), expected, atol=1e-4, rtol=0)


def test_an_image_stays_as_the_first_frame(network, prompts):
    image = torch.randn(1, 16, 1, 4, 4, generator=torch.Generator().manual_seed(9))
    parts = segments(prompts, [(8, SHOT_CUT)])
    expected = PlainTake(network.model, LL2, parts, block_noise(3)).run(6, image)
    take = Rollout(network, LL2, parts, SHAPE, block_noise(3), CPU)
    ours = torch.cat([take.next_block(image=image), *(take.next_block() for _ in range(5))], dim=2)
    assert torch.equal(ours[:, :, :1], image)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
    assert (ours - run(network, LL2, parts, blocks=6))[:, :, 1:].abs().max() > 1e-2


@pytest.mark.parametrize(("relative", "sink"), [(False, 2), (True, 2), (True, 0)])
def test_a_cache_in_ram_changes_nothing(relative, sink, network, prompts):
    settings = dataclasses.replace(LL1, relative=relative, sink=sink)
    parts = segments(prompts, [(8, KEEP_SINK)])
    torch.testing.assert_close(
        run(network, settings, parts, offload=True), run(network, settings, parts), atol=2e-5, rtol=0
    )


@pytest.mark.parametrize("relative", [False, True])
def test_an_int8_cache_is_close(relative, network, prompts):
    settings = dataclasses.replace(LL1, relative=relative)
    parts = segments(prompts, [(8, KEEP_SINK)])
    exact = run(network, settings, parts)
    error = (
        run(network, settings, parts, storage="int8") - exact
    ).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 1e-7 < error < 5e-3


def test_bfloat16_is_close_far_from_the_start(patcher, network, prompts):
    """Positions are exact where bfloat16 could not tell frames apart (beyond 256)."""
    from oner.longlive.network import CausalNetwork

    half = CausalNetwork(patcher.model.diffusion_model, torch.float32)
    far = Rollout(half, LL1, segments(prompts, []), SHAPE, block_noise(3), CPU)
    near = Rollout(network, LL1, segments(prompts, []), SHAPE, block_noise(3), CPU)
    noise = block_noise(3)
    far.next_frame = far.table.base = 100_000
    far.noise = lambda first, step, shape: noise(first - 100_000, step, shape)
    far.active = far.segments[0].digest
    for stream in far.streams:
        stream.cache.table.base = 100_000
    far.committed = far.table.state()
    a, b = (torch.cat([take.next_block() for _ in range(5)], dim=2) for take in (far, near))
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


def test_a_batch_is_made_of_its_items(network, prompts):
    both = Rollout(network, LL1, [Segment(0, prompts[:2])], (2, *SHAPE[1:]), block_noise(3), CPU)
    pair = torch.cat([both.next_block() for _ in range(4)], dim=2)
    noise = block_noise(3)
    for i in range(2):
        one = Rollout(
            network,
            LL1,
            [Segment(0, prompts[i : i + 1])],
            SHAPE,
            lambda f, s, shape, i=i: noise(f, s, (2, *shape[1:]))[i : i + 1],
            CPU,
        )
        alone = torch.cat([one.next_block() for _ in range(4)], dim=2)
        torch.testing.assert_close(pair[i : i + 1], alone, atol=1e-5, rtol=0)


def test_guidance_mixes_two_caches(network, prompts):
    parts = segments(prompts, [])
    same = run(network, LL1, parts, blocks=4, cfg=3.0, negative=prompts[:1])
    torch.testing.assert_close(same, run(network, LL1, parts, blocks=4), atol=1e-4, rtol=0)
    other = run(network, LL1, parts, blocks=4, cfg=3.0, negative=prompts[1:2])
    assert (other - same).abs().max() > 1e-2


def test_guidance_starts_at_the_negative_prompt(network, prompts):
    """cfg 3 is the negative prompt's flow and three times the way from it to that of the prompt."""

    def first_flow(text, **options):
        flows = []
        take = Rollout(
            network,
            LL1,
            [Segment(0, text)],
            SHAPE,
            block_noise(3),
            CPU,
            on_flow=lambda *args: flows.append(args[2]),
            **options,
        )
        take.next_block()
        return flows[0]

    positive, negative = (first_flow(prompts[i : i + 1]) for i in (0, 1))
    guided = first_flow(prompts[:1], cfg=3.0, negative=prompts[1:2])
    torch.testing.assert_close(guided, 3 * positive - 2 * negative, atol=1e-4, rtol=0)


def test_noise_is_the_same_for_any_length_and_start(network, prompts):
    parts = segments(prompts, [])
    torch.testing.assert_close(
        run(network, LL1, parts, blocks=3), run(network, LL1, parts, blocks=6)[:, :, :6], atol=0, rtol=0
    )


def test_a_later_prompt_leaves_earlier_frames_bit_identical(network, prompts):
    one = run(network, LL1, segments(prompts, [(10, KEEP_SINK)]))
    two = run(network, LL1, segments(prompts.flip(0).roll(1, 0), [(10, NEW_SINK)]))
    parts = [Segment(0, prompts[:1]), Segment(10, prompts[2:], NEW_SINK)]
    three = run(network, LL1, parts)
    assert torch.equal(one[:, :, :10], three[:, :, :10])
    assert not torch.equal(one[:, :, 10:], three[:, :, 10:])
    assert not torch.equal(one, two)


def test_progress_counts_every_forward(network, prompts):
    count = 0

    def tick():
        nonlocal count
        count += 1

    for name in ("one prompt", "unbounded", "new sink", "text only", "shots"):
        settings, changes = CASES[name]
        take = Rollout(
            network, settings, segments(prompts, changes), SHAPE, block_noise(3), CPU, frames=18, before_forward=tick
        )
        expected, count = take.forwards(18 // settings.block), 0
        for _ in range(18 // settings.block):
            take.next_block()
        assert count == expected


def test_noise_of_blocks_and_steps_differs():
    noise = block_noise(5)
    draws = [noise(f, s, (64,)) for f in (0, 3, 6) for s in range(4)]
    assert len({tuple(d.tolist()) for d in draws}) == 12
    assert torch.equal(noise(3, 1, (64,)), block_noise(5)(3, 1, (64,)))
    assert not torch.equal(block_noise(6)(0, 0, (64,)), draws[0])
