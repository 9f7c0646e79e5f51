"""AUDIO made ready for a node: at most two channels, at least one sample, finite.

Source: FFmpeg's matrix for stereo (libswresample rematrix.c): the bass channel is left out, nothing is normalised.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from .finite import is_finite

log = logging.getLogger("oner")

LOWEST, HIGHEST = 1000, 1_000_000  # Hz; no file's sound is below or above

HALF = 0.5**0.5
FRONT, SIDE = [[1.0, 0.0], [0.0, 1.0]], [[HALF, 0.0], [0.0, HALF]]
CENTRE, BACK, BASS = [[HALF, HALF]], [[0.5, 0.5]], [[0.0, 0.0]]
DOWNMIX = {  # channels: what each gives to left and right
    3: [*FRONT, *BASS],  # 2.1
    4: [*FRONT, *SIDE],  # quad
    5: [*FRONT, *CENTRE, *SIDE],  # 5.0
    6: [*FRONT, *CENTRE, *BASS, *SIDE],  # 5.1
    7: [*FRONT, *CENTRE, *BASS, *BACK, *SIDE],  # 6.1
    8: [*FRONT, *CENTRE, *BASS, *SIDE, *SIDE],  # 7.1
}


def check_sound(value: Any, name: str) -> dict[str, Any]:
    """An AUDIO with a waveform [B, 1 or 2, S] in float32 and a sample_rate; more channels are mixed down, and said."""
    waveform = value.get("waveform") if isinstance(value, dict) else None
    rate = value.get("sample_rate") if isinstance(value, dict) else None
    if not isinstance(waveform, Tensor) or waveform.ndim != 3:
        raise ValueError(f"{name} is no sound: connect an AUDIO")
    if not isinstance(rate, int | float) or not LOWEST <= rate <= HIGHEST:
        raise ValueError(f"{name} has sample_rate {rate}: connect a sound with a rate such as 44100")
    if not waveform.numel():
        raise ValueError(f"{name} has 0 samples: connect a sound that is not empty")
    if not is_finite(waveform):
        raise ValueError(f"{name} holds NaN or infinite samples: look at what the node before gave")
    mixed = waveform.float()
    if waveform.shape[1] > 2:
        log.info("Oner: %s has %d channels: they are mixed down to two", name, waveform.shape[1])
        mixed = mix_down(mixed)
    if mixed is waveform and isinstance(rate, int):
        return value
    return {**value, "waveform": mixed, "sample_rate": round(rate)}


def mix_down(waveform: Tensor) -> Tensor:
    """[B, C, S] with C > 2 as [B, 2, S], as FFmpeg does for the usual layout of C channels; their mean for C > 8."""
    weights = DOWNMIX.get(waveform.shape[1])
    if weights is None:
        return waveform.mean(1, keepdim=True).expand(-1, 2, -1)
    return torch.tensor(weights).to(waveform).T @ waveform
