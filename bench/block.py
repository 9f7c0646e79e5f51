"""The time of LTX-2's exact block against ComfyUI's own, in one process on the CPU: at most 1.01.

    python bench/block.py              200 pairs of forwards of a random network of 2 blocks
    python bench/block.py --pairs 500

Interleaved; the ratio of a pair is that of two forwards run one after the other, and setting the blocks counts. Time of
the processor on one thread, so that other work on the machine does not count. Exits with 1 if the exact block is
needed and its median ratio above the limit. COMFYUI_PATH chooses the ComfyUI, as everywhere.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from unittest.mock import patch

import start

start.start()

import comfy.ops
import torch
from comfy.ldm.lightricks.av_model import LTXAVModel
from comfyui_version import __version__ as core_version

from oner.ltx.ltx2 import block_choice

LIMIT = 1.01
CONFIG = {
    "num_layers": 2,
    "num_attention_heads": 12,
    "attention_head_dim": 64,
    "audio_num_attention_heads": 12,
    "audio_attention_head_dim": 32,
    "cross_attention_dim": 768,
    "audio_cross_attention_dim": 384,
    "caption_channels": 128,
    "connector_num_layers": 0,
    "connector_num_attention_heads": 12,
    "connector_attention_head_dim": 64,
    "audio_connector_num_attention_heads": 12,
    "audio_connector_attention_head_dim": 32,
    "cross_attention_adaln": True,
    "apply_gated_attention": True,
    "caption_proj_before_connector": True,
    "caption_projection_first_linear": False,
}
LATENTS = ((128, 4, 8, 8), (8, 30, 16))  # 256 and 30 tokens
WORDS = 64


def make_network(generator: torch.Generator) -> LTXAVModel:
    network = LTXAVModel(**CONFIG, dtype=torch.float32, operations=comfy.ops.disable_weight_init)
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.03)
    return network.eval()


def seconds(network: LTXAVModel, inputs: tuple, blocks: AbstractContextManager) -> float:
    start = time.process_time()
    with blocks:
        network([part.clone() for part in inputs[0]], *inputs[1:])
    return time.process_time() - start


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    pairs = parser.parse_args().pairs
    generator = torch.Generator().manual_seed(0)
    torch.set_num_threads(1)
    network = make_network(generator)
    latents = [torch.randn(1, *shape, generator=generator) for shape in LATENTS]
    width = CONFIG["cross_attention_dim"] + CONFIG["audio_cross_attention_dim"]
    inputs = (latents, torch.tensor([0.7]), torch.randn(1, WORDS, width, generator=generator))

    times: dict[str, list[float]] = {"ComfyUI": [], "exact": []}
    with patch.object(block_choice, "is_right", lambda _: False):  # also where ComfyUI's block is right
        for pair in range(-2, pairs):  # two to warm up
            order = ("ComfyUI", "exact") if pair % 2 else ("exact", "ComfyUI")
            for name in order:
                blocks = block_choice.exact_blocks(network) if name == "exact" else nullcontext()
                taken = seconds(network, inputs, blocks)
                if pair >= 0:
                    times[name].append(taken)
    ratios = sorted(b / a for a, b in zip(times["ComfyUI"], times["exact"], strict=True))
    median = statistics.median(ratios)
    spread = f"p10 {ratios[len(ratios) // 10]:.3f}, p90 {ratios[-1 - len(ratios) // 10]:.3f}"
    medians = ", ".join(f"{name} {statistics.median(values) * 1000:.1f} ms" for name, values in times.items())
    print(
        f"ComfyUI {core_version}: exact block {median:.3f} of ComfyUI's ({spread}, {pairs} pairs; {medians} a forward)"
    )
    if block_choice.is_right(network.transformer_blocks[0].__class__):
        print("this ComfyUI's block is right and runs; the exact one was measured for comparison alone")
        return 0
    return int(median > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
