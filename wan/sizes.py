"""Sizes and lengths the Wan Fun models were trained on.

Source: VideoX-Fun data/bucket_sampler.py (commit 804a425): 40 shapes for a base of 512, keyed by height / width.
"""

from __future__ import annotations

# height / width -> (height, width) at base 512
BUCKETS: dict[float, tuple[int, int]] = {
    0.25: (256, 1024),
    0.26: (256, 992),
    0.27: (256, 960),
    0.28: (256, 928),
    0.32: (288, 896),
    0.33: (288, 864),
    0.35: (288, 832),
    0.4: (320, 800),
    0.42: (320, 768),
    0.48: (352, 736),
    0.5: (352, 704),
    0.52: (352, 672),
    0.57: (384, 672),
    0.6: (384, 640),
    0.68: (416, 608),
    0.72: (416, 576),
    0.78: (448, 576),
    0.82: (448, 544),
    0.88: (480, 544),
    0.94: (480, 512),
    1.0: (512, 512),
    1.07: (512, 480),
    1.13: (544, 480),
    1.21: (544, 448),
    1.29: (576, 448),
    1.38: (576, 416),
    1.46: (608, 416),
    1.67: (640, 384),
    1.75: (672, 384),
    2.0: (704, 352),
    2.09: (736, 352),
    2.4: (768, 320),
    2.5: (800, 320),
    2.89: (832, 288),
    3.0: (864, 288),
    3.11: (896, 288),
    3.62: (928, 256),
    3.75: (960, 256),
    3.88: (992, 256),
    4.0: (1024, 256),
}
BASE = 512
BASES = (512, 640, 768, 896, 960, 1024, 256)  # 256 is not trained: for quick trials


def bucket_key(width: float, height: float) -> float:
    """The bucket whose height / width is nearest."""
    return min(BUCKETS, key=lambda ratio: abs(ratio - height / width))


def bucket_size(width: float, height: float, base: int, multiple: int = 16) -> tuple[int, int]:
    """(width, height) of the nearest bucket at `base`, rounded down to `multiple` (16, or 32 for 5B models)."""
    rows, columns = BUCKETS[bucket_key(width, height)]
    return tuple(int(side / BASE * base) // multiple * multiple for side in (columns, rows))  # type: ignore[return-value]


def whole_length(frames: int) -> int:
    """The largest 4k + 1 not above `frames`."""
    return (frames - 1) // 4 * 4 + 1
