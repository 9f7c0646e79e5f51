"""Score the pocket set on held-out prompts through real ComfyUI graphs: `python scripts/pocket/score.py [NAME ...]`."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import pack

CODECS = {"wan-vae": ("pocket_wan_vae.safetensors", 9), "ltx-vae": ("pocket_ltx_vae.safetensors", 17)}  # file, frames


def score_codec(name: str, models: Path) -> dict[str, float]:
    """Mean PSNR in dB of held-out clips through core's VAE class; at 128 px also what tiles change."""
    import torch

    from pocket import world
    from pocket.files import load_vae
    from pocket.judge import psnr

    file, frames = CODECS[name]
    vae = load_vae(models / "vae" / file)
    tile = {
        n: pixels // vae.spacial_compression_decode()
        for n, pixels in {"tile_x": 96, "tile_y": 96, "overlap": 64}.items()
    }
    found = {}
    for size, count in ((64, 32), (128, 16)):
        scenes = world.sample_scenes(count, torch.Generator().manual_seed(1), frames, held_out=True)
        clips = world.render(scenes, frames, size)
        latents = [vae.encode(c) for c in clips]
        ways = {"": vae.decode, ", tiled": lambda z: vae.decode_tiled(z, **tile)}
        for way, decode in ways.items():
            with torch.inference_mode():  # or decode_tiled fails
                made = [decode(z).reshape(c.shape) for z, c in zip(latents, clips, strict=True)]
            found[f"psnr at {size} px{way}"] = sum(psnr(a, b) for a, b in zip(made, clips, strict=True)) / count
    return found


def score_model(name: str, executor, count: int, seed: int) -> dict[str, float]:
    """Share of prompts obeyed per attribute, over all prompts and over the held-out combinations (first half)."""
    from pocket import graphs, judge

    shipped = graphs.SHIPPED[name]
    scenes = graphs.prompts(count, shipped.frames)
    if shipped.sounds:
        return score_with_sound(name, executor, scenes, seed)
    given = graphs.write_first_frames(executor.base, scenes)
    paths = shipped.guide and shipped.guide(executor.base, scenes, shipped.frames)
    clips = graphs.run(executor, name, scenes, seed=1000 * seed)
    found = judge.score(clips, scenes)
    held = judge.score(clips[: count // 2], scenes[: count // 2])
    found |= {f"{key} (held out)": value for key, value in held.items()}
    if shipped.begins:
        found["first frame dB"] = sum(judge.psnr(c[0], g) for c, g in zip(clips, given, strict=True)) / count
    if shipped.guide:
        found["path error"] = graphs.mean_path_error(clips, paths)
        without = graphs.run(executor, name, scenes, seed=1000 * seed, **shipped.unguided)
        found["path error without the LoRA or control"] = graphs.mean_path_error(without, paths)
    if shipped.outlines:
        found["outlined"] = sum(judge.hollow(c) is True for c in clips) / count
    return found


def score_with_sound(name: str, executor, scenes: list, seed: int) -> dict[str, float]:
    """Picture and pitch, over all prompts and over the held-out combinations (first half)."""
    from pocket import graphs, judge

    clips, sounds = graphs.run_with_sound(executor, name, scenes, seed=1000 * seed)
    half = len(scenes) // 2
    found = judge.score(clips, scenes) | {"pitch": judge.heard(sounds, scenes)}
    held = judge.score(clips[:half], scenes[:half]) | {"pitch": judge.heard(sounds[:half], scenes[:half])}
    return found | {f"{key} (held out)": value for key, value in held.items()} | judge.panned(sounds, scenes)


def score_takes(executor, count: int, seed: int) -> dict[str, float]:
    """LongLive takes of six blocks with a switch after three: what is seen in the first block and two after it."""
    from pocket import graphs, takes

    stories = takes.stories(count, 1)
    prompt = {}
    for i, story in enumerate(stories):
        prompt |= graphs.longlive(f"take_{i}", takes.schedule(story, 3), takes.length(6), seed=1000 * seed + i)
    result = executor.run(prompt)
    found = {}
    for what in ("colour", "direction", "shape", "background"):
        rows = [takes.followed(result.output(f"take_take_{i}", 2), s, 3, what) for i, s in enumerate(stories)]
        found[f"{what} before"], found[f"{what} after"] = (sum(c) / count for c in zip(*rows, strict=True))
    return found


def score_minute(executor, seed: int) -> dict[str, float]:
    """A LongLive take of 60 s whose prompt changes every 10 s."""
    from pocket import graphs, takes

    blocks = 80
    story = takes.stories(1, 5)[0]
    shape = story[0].shape
    found = {}
    for mode in ("", " [text only]"):
        prompt = graphs.longlive("minute", takes.schedule(story, 13, mode), takes.length(blocks), seed=seed)
        pictures = executor.run(prompt).output("take_minute", 2)
        followed = takes.followed(pictures, story, 13)
        found[f"colour{mode}"] = sum(followed) / len(followed)
        for part, some in {"first": range(7), "last": range(blocks - 7, blocks)}.items():
            found[f"shape, {part} 5 s{mode}"] = takes.share_of_blocks(pictures, some, lambda v: v.shape == shape)
    return found


def main() -> None:
    from pocket.files import FOLDER

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="wan-vae, ltx-vae, ltx-upsampler, longlive, or a name of graphs.SHIPPED; default: all"
    )
    parser.add_argument("--models", type=Path, default=FOLDER)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="sampling seeds")
    parser.add_argument("--count", type=int, default=64, help="prompts")
    args = parser.parse_args()
    pack.alias_pack()
    if not pack.start_core():
        raise SystemExit("No ComfyUI found: run `make setup`, or set COMFYUI_PATH")
    import torch

    from harness.base import throw_away
    from harness.executor import Executor
    from pocket import graphs

    torch.set_grad_enabled(False)
    with throw_away() as scratch:
        executor = Executor(graphs.make_base(Path(scratch), args.models))
        scores = {
            **{name: lambda _seed, name=name: score_codec(name, args.models) for name in CODECS},
            **{name: functools.partial(score_model, name, executor, args.count) for name in graphs.SHIPPED},
            "ltx-upsampler": lambda _seed: graphs.upsampled(executor, graphs.prompts(16, 17)),
            "longlive": functools.partial(score_takes, executor, min(args.count, 24)),
            "longlive-minute": functools.partial(score_minute, executor),
        }
        for name in args.names or scores:
            for seed in args.seeds[:1] if name in CODECS else args.seeds:  # a codec has no sampling seed
                started = time.perf_counter()
                found = scores[name](seed)
                rounded = {k: round(v, 3) for k, v in found.items()}
                print(f"{name} seed {seed} ({time.perf_counter() - started:.0f} s): {json.dumps(rounded)}", flush=True)


if __name__ == "__main__":
    main()
