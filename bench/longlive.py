"""Speed of a LongLive take in steady state, next to ComfyUI's own sampler and to the roofline.

    python bench/longlive.py          1.3B, 480x832, window 12, sink 3; needs a GPU, random weights, no download
    python bench/longlive.py --tiny   the same path at a tiny size, for a CPU: shows that it runs, not how fast
    python bench/longlive.py --arms "eager,cudnn compiled,cudnn graphs"   torch.compile, CUDA graphs, cuDNN's attention

Frames per second count pixel frames once the window is full. The numbers that are published stand in bench/RESULTS.md.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import start

arguments = start.parse(
    __doc__,
    arms={"default": "eager", "help": "comma-separated; words of: eager compiled graphs cudnn"},
    vaes={"default": "", "help": "names joined by |; all of them if empty"},
    core={"action": "store_true", "help": "measure ComfyUI's SamplerARVideo too"},
)
start.start(highvram=True)

import comfy.model_management
import comfy.samplers
import torch
import weights
from backends import with_cudnn
from comfy.k_diffusion.sampling import sample_ar_video
from comfy.ldm.wan.vae import WanVAE
from comfy.taesd.taehv import TAEHV
from start import seconds

from harness.base import throw_away
from oner.longlive.decode import StreamDecoder
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
    text: int  # tokens
    height: int  # latent
    width: int
    vae: int  # width of the VAE
    settings: Settings
    dtype: torch.dtype
    blocks: int  # measured, after the window is full
    core_frames: int  # latent frames of core's clip; its cache grows to all of them


TINY = Size(2, 256, 512, 8, 4, 4, 16, Settings(window=6, sink=2, block=2, steps=2), torch.float32, 4, 12)
FULL = Size(30, 1536, 8960, 512, 60, 104, 96, Settings(), torch.bfloat16, 12, 60)


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


def autoencoders(size: Size) -> dict[str, torch.nn.Module]:
    full = {"dim": size.vae, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "temperal_downsample": [False, True, True]}
    found = {}
    for name, make_vae in {"full VAE": lambda: WanVAE(**full), "TAEHV": lambda: TAEHV(latent_channels=16)}.items():
        module = make_vae().eval()
        module.load_state_dict(weights.random_state(make_vae, size.dtype))
        found[name] = module.to(DEVICE, size.dtype)
    last = copy.deepcopy(found["full VAE"])
    weights.lay_out(last, torch.channels_last_3d)
    return {**found, "full VAE, channels last": last}


def new_rollout(size: Size, patcher, text: torch.Tensor, arm: str) -> Rollout:
    if "cudnn" in arm:
        patcher = with_cudnn(patcher)
    network = network_of(patcher, compiled="compiled" in arm, cuda_graphs="graphs" in arm)
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


def main() -> None:
    tiny = arguments.tiny
    if DEVICE.type == "cpu" and not tiny:
        sys.exit("no GPU here: the full size would take hours. Run with --tiny, or on a machine with a GPU.")
    size = TINY if tiny else FULL
    log = start.Log("longlive", arguments.out)
    with torch.inference_mode():
        patcher = weights.load("longlive", tiny=tiny, dtype=size.dtype)
        text = weights.text("longlive", tiny=tiny, dtype=size.dtype).to(DEVICE)
        comfy.model_management.load_models_gpu([patcher], force_full_load=True)
        peak, flops = matmul_flops(size.dtype), block_flops(size)
        roof = PIXELS * size.settings.block * peak / flops
        log.add("roofline of matrix products", fps=roof, tflops=peak / 1e12, tflop_per_block=flops / 1e12)

        def add(name: str, run: Callable[[], dict[str, float]]) -> None:
            with log.trying(name):
                found: list[dict[str, float]] = []
                gib = start.peak_gib(lambda: found.append(run()))
                log.add(name, **found[0], share_of_roofline=found[0]["fps"] / roof, peak_gib=gib)

        vaes = autoencoders(size)
        if arguments.vaes:
            vaes = {name: vae for name, vae in vaes.items() if name in arguments.vaes.split("|")}
        for arm in arguments.arms.split(","):
            add(f"{arm}, denoise only", lambda arm=arm: denoise_only(size, new_rollout(size, patcher, text, arm)))
            for name, vae in vaes.items():
                take = lambda arm=arm, vae=vae: end_to_end(size, new_rollout(size, patcher, text, arm), vae)  # noqa: E731
                add(f"{arm}, end to end, {name}", take)
        if arguments.core:
            add("ComfyUI's SamplerARVideo", lambda: core_sampler(size, patcher, text))


if __name__ == "__main__":
    main()
