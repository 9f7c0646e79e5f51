"""Memory of a take before it is started, from sizes alone.

Cache: bytes per frame = 2 (keys, values) x tokens x width x layers x item. The VAE's history is counted on its
modules (1.76 GiB for Wan 2.1 at 480x832 in 16 bit); the working memory of a forward and of decoding is core's estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

from .kv import cache_bytes
from .presets import UNBOUNDED, Settings

GIB = 1024**3
RAM = "cache in RAM"


@dataclass(frozen=True)
class Sizes:
    """What the estimate needs to know of model, VAE and take; bytes where nothing else is said."""

    layers: int
    dim: int
    heads: int
    item: int  # bytes to an element of the model's compute type
    weights: int
    tokens: int  # of a latent frame
    batch: int
    frames: int  # latent frames of the take
    text: int  # tokens of a prompt
    work: int = 0  # of the largest forward, and of decoding beside it
    vae_weights: int = 0
    vae_history: int = 0


def estimate(settings: Settings, sizes: Sizes, storage: str, offload: bool, streams: int = 1) -> dict[str, int]:
    """Bytes by name; all but `RAM` are on the device, and their sum is the peak."""
    window = sizes.frames if settings.window == UNBOUNDED else settings.window
    device, ram = cache_bytes(
        window,
        layers=sizes.layers,
        batch=sizes.batch,
        tokens=sizes.tokens,
        dim=sizes.dim,
        heads=sizes.heads,
        storage=storage,
        item=sizes.item,
        offload=offload,
        moved_sink=settings.sink if settings.relative else 0,
    )
    text = 2 * 2 * sizes.layers * sizes.batch * sizes.text * sizes.dim * sizes.item  # the last two prompts
    return {
        "weights": sizes.weights,
        "cache on the device": streams * device,
        RAM: streams * ram,
        "text": streams * text,
        "VAE weights": sizes.vae_weights,
        "VAE history": sizes.vae_history,
        "working memory": sizes.work,
    }


def peak(parts: dict[str, int]) -> int:
    """Bytes on the device at most."""
    return sum(size for name, size in parts.items() if name != RAM)


def report(parts: dict[str, int], frames: int, window: int, free: int) -> str:
    """Words for people: parts, the peak on the device, and what is free."""
    lines = [f"{name}: {size / GIB:.2f} GiB" for name, size in parts.items() if size]
    lines.append(f"peak on the device: {peak(parts) / GIB:.2f} GiB, if all weights stay there")
    lines.append(f"free now: {free / GIB:.2f} GiB")
    grows = "grows with the take" if window == UNBOUNDED else "stays the same however long the take"
    lines.append(f"{frames} latent frames; memory {grows}")
    return "\n".join(lines)
