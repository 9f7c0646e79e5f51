"""Speed of a LongLive take in steady state, next to ComfyUI's own sampler and to the roofline: `make bench`.

    python bench/speed.py             1.3B, 480x832, window 12, sink 3; needs a GPU, random weights, no download
    python bench/speed.py --tiny      the same path at a tiny size, for a CPU: shows that it runs, not how fast
    python bench/speed.py --compile   with torch.compile; --graphs also replays CUDA graphs

Frames per second count pixel frames once the window is full. Prints a table and JSON; the numbers that are published
stand in bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from harness import pack

pack.alias_pack()
pack.start_core()

import comfy.model_management
import comfy.ops
import comfy.samplers
import torch
from comfy.k_diffusion.sampling import sample_ar_video
from comfy.ldm.wan.vae import WanVAE
from comfy.taesd.taehv import TAEHV
from safetensors.torch import save_file

from harness.base import throw_away
from harness.causal import wan_weights
from oner.longlive.decode import StreamDecoder
from oner.longlive.loader import load_patcher
from oner.longlive.patcher import network_of
from oner.longlive.presets import Settings
from oner.longlive.rollout import Rollout, Segment, block_noise
from oner.longlive.take import Recorder, make

DEVICE = comfy.model_management.get_torch_device()
PIXELS = 4  # frames to a latent frame


@dataclass(frozen=True)
class Size:
    """What is measured; frames are latent."""

    layers: int
    dim: int
    ffn: int
    text_width: int
    text: int  # tokens
    height: int  # latent
    width: int
    vae: int  # width of the VAE
    settings: Settings
    dtype: torch.dtype
    blocks: int  # measured, after the window is full
    core_frames: int  # latent frames of core's clip; its cache grows to all of them


FULL = Size(30, 1536, 8960, 4096, 512, 60, 104, 96, Settings(), torch.bfloat16, 20, 84)
TINY = Size(2, 128, 64, 16, 8, 4, 4, 16, Settings(window=6, sink=2, block=2, steps=2), torch.float32, 4, 12)


def wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)


def seconds(run: Callable[[], object]) -> float:
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def matmul_flops(dtype: torch.dtype) -> float:
    """FLOP/s of a large matrix product on this device: the roof that is measured, not quoted."""
    side = 8192 if DEVICE.type == "cuda" else 768
    a, b = (torch.randn(side, side, device=DEVICE, dtype=dtype) for _ in range(2))
    seconds(lambda: a @ b)
    return max(2 * side**3 / seconds(lambda: a @ b) for _ in range(5))


def block_flops(size: Size) -> float:
    """Multiply-adds, times 2, of all forwards of a block in steady state."""
    s, tokens = size.settings, (size.height // 2) * (size.width // 2)
    queries, keys = s.block * tokens, s.window * tokens
    linear = queries * (12 * size.dim**2 + 4 * size.dim * size.ffn)
    attention = 4 * size.dim * queries * (keys + size.text)
    return (s.steps + 1) * size.layers * (linear + attention)


def fill(module: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    """Random weights that keep activations at a common size."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return module.eval().to(DEVICE, dtype)


def autoencoders(size: Size) -> dict[str, torch.nn.Module]:
    full = WanVAE(dim=size.vae, z_dim=16, dim_mult=[1, 2, 4, 4], temperal_downsample=[False, True, True])
    return {"full VAE": fill(full, size.dtype), "TAEHV": fill(TAEHV(latent_channels=16), size.dtype)}


def new_rollout(size: Size, patcher, text: torch.Tensor, compiled: dict) -> Rollout:
    network = network_of(patcher, **compiled)
    shape = (1, 16, size.height, size.width)
    return Rollout(network, size.settings, [Segment(0, text)], shape, block_noise(1), DEVICE)


def warm_up(size: Size) -> int:
    """Blocks until the window is full, one of them in steady state."""
    return size.settings.window // size.settings.block + 1


def denoise_only(size: Size, rollout: Rollout) -> dict[str, float]:
    for _ in range(warm_up(size)):
        rollout.next_block()
    times = [seconds(rollout.next_block) for _ in range(size.blocks)]
    frames = PIXELS * size.settings.block
    half = len(times) // 2
    return {
        "fps": frames * len(times) / sum(times),
        "fps_first_half": frames * half / sum(times[:half]),
        "fps_last_half": frames * half / sum(times[-half:]),
    }


def end_to_end(size: Size, rollout: Rollout, vae: torch.nn.Module) -> dict[str, float]:
    """A take with decoding and encoding, as the node makes it; measured once the window is full."""
    marks: list[float] = []
    with throw_away() as folder:
        recorder = Recorder(Path(folder), rollout, {}, decoder=StreamDecoder(vae))
        recorder.start()

        def mark(_x: torch.Tensor) -> None:
            if len(marks) == warm_up(size) - 1:
                recorder.flush()  # what came before is not measured
            marks.append(time.perf_counter())

        make(recorder, warm_up(size) + size.blocks, keep_state=False, on_block=mark)  # ends when all is on disk
        spent = time.perf_counter() - marks[warm_up(size) - 1]
    return {"fps": PIXELS * size.settings.block * size.blocks / spent}


def core_sampler(size: Size, patcher, text: torch.Tensor) -> dict[str, float]:
    """SamplerARVideo: every frame stays in the cache; the last block is the slowest."""
    guider = comfy.samplers.CFGGuider(patcher)
    guider.set_conds([[text, {}]], [[text, {}]])
    guider.set_cfg(1.0)
    noise = torch.randn(1, 16, size.core_frames, size.height, size.width, generator=torch.Generator().manual_seed(0))
    sampler = comfy.samplers.KSAMPLER(sample_ar_video, {"num_frame_per_block": size.settings.block})
    sigmas = torch.tensor(size.settings.schedule().sigmas)
    with torch.random.fork_rng():
        spent = seconds(lambda: guider.sample(noise, torch.zeros_like(noise), sampler, sigmas, seed=1))
    return {"fps": PIXELS * size.core_frames / spent, "latent_frames": size.core_frames}


def peak_memory(run: Callable[[], dict[str, float]]) -> dict[str, float]:
    if DEVICE.type != "cuda":
        return run()
    torch.cuda.reset_peak_memory_stats(DEVICE)
    return {**run(), "peak_gib": torch.cuda.max_memory_allocated(DEVICE) / 1024**3}


def measure(size: Size, compiled: dict) -> dict:
    text = torch.randn(1, size.text, size.text_width, generator=torch.Generator().manual_seed(2)).to(size.dtype)
    with throw_away() as folder:
        path = Path(folder) / "random.safetensors"
        weights = wan_weights(layers=size.layers, dim=size.dim, ffn=size.ffn, text=size.text_width)
        save_file({name: tensor.to(size.dtype) for name, tensor in weights.items()}, str(path))
        del weights
        patcher = load_patcher(path, model_options={"dtype": size.dtype}, disable_dynamic=True)
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    results = {"denoise only": peak_memory(lambda: denoise_only(size, new_rollout(size, patcher, text, compiled)))}
    for name, vae in autoencoders(size).items():
        take = new_rollout(size, patcher, text, compiled)
        results[f"end to end, {name}"] = peak_memory(lambda take=take, vae=vae: end_to_end(size, take, vae))
    results["ComfyUI's SamplerARVideo"] = peak_memory(lambda: core_sampler(size, patcher, text))
    peak, flops = matmul_flops(size.dtype), block_flops(size)
    roof = PIXELS * size.settings.block * peak / flops
    results["roofline of matrix products"] = {"fps": roof, "tflops": peak / 1e12, "tflop_per_block": flops / 1e12}
    for row in results.values():
        row["share_of_roofline"] = row["fps"] / roof
    return results


def machine() -> str:
    name = torch.cuda.get_device_name(DEVICE) if DEVICE.type == "cuda" else f"{platform.machine()} CPU"
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a tiny size, for a CPU")
    parser.add_argument("--compile", action="store_true", help="compile the transformer block")
    parser.add_argument("--graphs", action="store_true", help="compile it and replay CUDA graphs")
    arguments = parser.parse_args()
    if DEVICE.type == "cpu" and not arguments.tiny:
        print("no GPU here: the full size would take hours. Run with --tiny, or on a machine with a GPU.")
        return 1
    compiled = {"compiled": arguments.compile or arguments.graphs, "cuda_graphs": arguments.graphs}
    with torch.inference_mode():
        results = measure(TINY if arguments.tiny else FULL, compiled)
    for name, row in results.items():
        print(f"{name:32} {row['fps']:10.2f} frames/s   {100 * row['share_of_roofline']:6.1f} % of the roofline")
    print(json.dumps({"machine": machine(), "size": "tiny" if arguments.tiny else "1.3B 480x832", "results": results}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
