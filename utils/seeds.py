"""Seeds made of other numbers, so that what is drawn depends on these alone."""

from __future__ import annotations

MASK = (1 << 64) - 1


def mix64(*numbers: int) -> int:
    """One 63-bit seed from several integers (splitmix64)."""
    state = 0
    for number in numbers:
        state = (state + (number & MASK) + 0x9E3779B97F4A7C15) & MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
        state ^= state >> 31
    return state >> 1
