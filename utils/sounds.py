"""AUDIO made ready for a node: at most two channels, at least one sample, finite."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger("oner")

LAYOUTS = {3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # FFmpeg's names, as files have them


def check_sound(value: Any, name: str) -> dict[str, Any]:
    """An AUDIO with a waveform [B, 1 or 2, S] in float32 and a sample_rate; more channels are mixed down, and said."""
    waveform = value.get("waveform") if isinstance(value, dict) else None
    rate = value.get("sample_rate") if isinstance(value, dict) else None
    if not isinstance(waveform, Tensor) or waveform.ndim != 3:
        raise ValueError(f"{name} is no sound: connect an AUDIO")
    if not isinstance(rate, int | float) or not 0 < rate < 2**31:
        raise ValueError(f"{name} has sample_rate {rate}: connect a sound with a rate such as 44100")
    if not waveform.numel():
        raise ValueError(f"{name} has 0 samples: connect a sound that is not empty")
    low, high = torch.aminmax(waveform)
    if not (low.isfinite() and high.isfinite()):
        raise ValueError(f"{name} holds NaN or infinite samples: look at what the node before gave")
    if waveform.shape[1] <= 2:
        return value if waveform.dtype == torch.float32 else {**value, "waveform": waveform.float()}
    log.info("%s: %d channels are mixed down to two", name, waveform.shape[1])
    return {**value, "waveform": mix_down(waveform.float(), int(rate))}


def mix_down(waveform: Tensor, rate: int) -> Tensor:
    """[B, C, S] with C > 2 as [B, 2, S], by FFmpeg's matrix for C channels; the mean of all for C > 8."""
    import av

    layout = LAYOUTS.get(waveform.shape[1])
    if layout is None:
        return waveform.mean(1, keepdim=True).expand(-1, 2, -1)
    mixed = []
    for sound in waveform.cpu():  # [C, S]
        frame = av.AudioFrame.from_ndarray(sound.contiguous().numpy(), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate)
        pieces = [*resampler.resample(frame), *resampler.resample(None)]
        mixed.append(torch.cat([torch.from_numpy(piece.to_ndarray()) for piece in pieces], 1))
    return torch.stack(mixed)
