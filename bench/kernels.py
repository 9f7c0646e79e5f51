"""What the device gives: copies, matrix products in bf16 and fp8, attention by every back end of torch.

python bench/kernels.py [--tiny] [--out FILE]
"""

from __future__ import annotations

import start

arguments = start.parse(__doc__)
start.start()

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

TINY = arguments.tiny
DEVICE = start.device()
DTYPE = torch.bfloat16

# name: heads, head size, queries, keys
ATTENTION = {
    "Wan 1.3B 480p 81 frames": (12, 128, 32760, 32760),
    "Wan 14B 720p 81 frames": (40, 128, 75600, 75600),
    "LTX-2.3 stage 2": (32, 128, 14080, 14080),
    "LTX-2.3 stage 1": (32, 128, 3520, 3520),
    "LTX-2.3 video to text": (32, 128, 14080, 1024),
    "LTX-2.3 video to audio": (32, 64, 14080, 126),
    "LongLive block, window 12": (12, 128, 4680, 18720),
    "LongLive block, window 3": (12, 128, 4680, 4680),
    "Wan 1.3B to text": (12, 128, 32760, 512),
}
# name: rows, inner, columns
PRODUCTS = {
    "Wan 1.3B ffn": (32760, 1536, 8960),
    "Wan 14B qkv": (75600, 5120, 5120),
    "Wan 14B ffn": (75600, 5120, 13824),
    "LTX-2.3 stage 2 qkv": (14080, 4096, 4096),
    "LTX-2.3 stage 2 ffn": (14080, 4096, 16384),
    "LTX-2.3 stage 1 qkv": (3520, 4096, 4096),
    "LongLive ffn": (4680, 1536, 8960),
    "8192 cube": (8192, 8192, 8192),
}
BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}


def copies(log: start.Log) -> None:
    size = 2**20 if TINY else 2**32
    a, b = (torch.empty(size, dtype=torch.uint8, device=DEVICE) for _ in range(2))
    ms = start.median_ms(lambda: b.copy_(a), 5)
    log.add("device copy", ms=ms, tb_s=2 * size / ms / 1e9)
    small = a[: size // 8]
    pinned = torch.empty(small.shape, dtype=torch.uint8, pin_memory=DEVICE.type == "cuda")
    ms = start.median_ms(lambda: pinned.copy_(small), 3)
    log.add("to pinned memory", ms=ms, gb_s=small.numel() / ms / 1e6)
    ms = start.median_ms(lambda: small.cpu(), 3)
    log.add("to pageable memory", ms=ms, gb_s=small.numel() / ms / 1e6)


def products(log: start.Log) -> None:
    for name, (rows, inner, columns) in PRODUCTS.items():
        if TINY:
            rows, inner, columns = 64, 32, 48
        x = torch.randn(rows, inner, device=DEVICE, dtype=DTYPE)
        w = torch.randn(columns, inner, device=DEVICE, dtype=DTYPE)
        flop = 2 * rows * inner * columns
        ms = start.median_ms(lambda x=x, w=w: F.linear(x, w), 5, 2)
        result = {"bf16_ms": ms, "bf16_tflops": flop / ms / 1e9}
        if DEVICE.type == "cuda":
            x8, w8 = x.to(torch.float8_e4m3fn), w.to(torch.float8_e4m3fn)
            one = torch.ones((), device=DEVICE)
            ms = start.median_ms(lambda x=x8, w=w8, s=(one, one): torch._scaled_mm(x, w.t(), *s, out_dtype=DTYPE), 5, 2)
            result |= {"fp8_tensor_ms": ms, "fp8_tensor_tflops": flop / ms / 1e9}
            rows8 = torch.ones(rows, 1, device=DEVICE), torch.ones(1, columns, device=DEVICE)
            ms = start.median_ms(lambda x=x8, w=w8, s=rows8: torch._scaled_mm(x, w.t(), *s, out_dtype=DTYPE), 5, 2)
            result |= {"fp8_row_ms": ms, "fp8_row_tflops": flop / ms / 1e9}
        log.add(f"matrix product, {name}", **result)


def attend(q, k, v, backend):
    with sdpa_kernel(backend):
        return F.scaled_dot_product_attention(q, k, v)


def attention(log: start.Log) -> None:
    for name, (heads, size, queries, keys) in ATTENTION.items():
        if TINY:
            heads, queries, keys = 2, 32, 48
        # as core gives it: [B, L, heads * d] seen as [B, heads, L, d]
        q, k, v = (
            torch.randn(1, n, heads, size, device=DEVICE, dtype=DTYPE).transpose(1, 2) for n in (queries, keys, keys)
        )
        flop = 4 * heads * size * queries * keys
        repeats = 2 if flop > 5e13 else 5
        rows = slice(0, 64)
        exact = F.scaled_dot_product_attention(*(x.float() for x in (q[:, :, rows], k, v)))
        result: dict[str, float | str] = {}
        for label, backend in (BACKENDS if DEVICE.type == "cuda" else {"math": SDPBackend.MATH}).items():
            try:
                ms = start.median_ms(lambda b=backend, x=(q, k, v): attend(*x, b), repeats)
                found = attend(q, k, v, backend)[:, :, rows].float()
                error = float((found - exact).norm() / exact.norm())
                result |= {f"{label}_ms": ms, f"{label}_tflops": flop / ms / 1e9, f"{label}_error": error}
            except RuntimeError as error:
                result[f"{label}_refused"] = str(error)[:200]
        log.add(f"attention, {name}", **result)


def main() -> None:
    log = start.Log("kernels", arguments.out)
    log.add("machine", **start.machine())
    with torch.inference_mode():
        for part in (copies, products, attention):
            with log.trying(part.__name__):
                part(log)


if __name__ == "__main__":
    main()
