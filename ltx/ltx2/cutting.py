"""Clips of LTX-2 cut, joined and picked on the grid of their latents, video and audio together.

The first latent frame of a clip is one picture, every other one eight. A piece from the middle of a clip begins with
the last picture of its first latent frame, and so does its sound; the sound of the seven pictures before travels along
as `lead`, so that pieces can be joined again as they were. T latent frames, A latent audio frames, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...utils.latents import cross_fade
from ..latents import AUDIO_LATENTS_PER_SECOND, TEMPORAL
from .state import Part, State


def first_picture(frame: int) -> int:
    """The picture at which a latent frame of a clip begins; for the number of its frames, the clip's length."""
    return max(0, TEMPORAL * (frame - 1) + 1)


def nearest_boundary(frames: int, pictures: float) -> int:
    """The beginning of a latent frame, or the end of all `frames`, that is nearest to a time in pictures."""
    return min(range(frames + 1), key=lambda frame: abs(first_picture(frame) - pictures))


def audio_boundary(frame: int, frames: int, audio: int, fps: float) -> int:
    """The audio frame that belongs to the beginning of a latent frame; the end of all audio to the end of the clip.

    At high frame rates the first picture is shorter than an audio frame, and has one all the same.
    """
    if frame in (0, frames):
        return 0 if frame == 0 else audio
    return min(audio, max(1, audio_at(first_picture(frame), fps)))


def audio_at(pictures: int, fps: float) -> int:
    """The latent audio frame at a number of pictures."""
    return round(pictures / fps * AUDIO_LATENTS_PER_SECOND)


def cut(state: State, start: int, end: int, fps: float) -> tuple[State, Tensor | None]:
    """Latent frames start to end of a clip with their sound, and the `lead` of a piece from the middle, else None."""
    frames = state.clip_frames
    video = state.video.map_all(lambda x: x[:, :, start:end])
    if state.audio is None:
        return State(video, None), _no_sound(video.clean) if start else None
    length = state.audio.clean.shape[2]
    first, last = (audio_boundary(frame, frames, length, fps) for frame in (start, end))
    if first >= last:
        raise ValueError(
            f"the sound has {length} latent frames and the part begins at its frame {first}: cut an earlier part"
        )
    begin = min(last - 1, max(first, audio_at(TEMPORAL * start, fps)))
    audio = state.audio.map_all(lambda x: x[:, :, begin:last])
    return State(video, audio), state.audio.clean[:, :, first:begin] if start else None


def join(first: State, second: State, overlap: int, fps: float, lead: Tensor | None = None) -> State:
    """One clip of two that share `overlap` latent frames, over which the first fades into the second.

    Without an overlap the second follows the first: with its `lead` as the piece it is, else without its first latent
    frame, whose one picture has no place within a clip.
    """
    if overlap == 0 and lead is not None:
        return _map_both(first, second, lambda a, b: torch.cat([a, b], dim=2), lead)
    shared = max(overlap, 1)
    video = _fade(first.video, second.video, shared, keep_first=overlap == 0)
    if first.audio is None or second.audio is None:
        return State(video, None)
    lengths = [state.audio.clean.shape[2] for state in (first, second)]
    begin = audio_at(TEMPORAL * (first.clip_frames - shared), fps)
    if not 0 <= lengths[0] - begin <= lengths[1]:
        raise ValueError(
            f"the sounds have {lengths[0]} and {lengths[1]} latent frames, and the second's picture begins at {begin} "
            f"({fps:g} fps): check fps, and that each sound is as long as its picture"
        )
    return State(video, _fade(first.audio, second.audio, lengths[0] - begin, keep_first=overlap == 0))


def pick(state: State, places: Sequence[int]) -> State:
    """The clips of a batch at some places."""

    def taken(x: Tensor) -> Tensor:
        return x[list(places)]

    audio = None if state.audio is None else state.audio.map_all(taken)
    return replace(state, video=state.video.map_all(taken), audio=audio)


def _no_sound(video: Tensor) -> Tensor:
    return video.new_zeros(video.shape[0], 0, 0, 0)


def _map_both(first: State, second: State, change: Callable[[Tensor, Tensor], Tensor], lead: Tensor) -> State:
    video = _both(first.video, second.video, change)
    if first.audio is None or second.audio is None:
        return State(video, None)
    after = second.audio
    count = lead.shape[2]
    with_lead = replace(
        after.map_mask(lambda mask: torch.cat([mask[:, :, :1].expand(-1, -1, count, -1), mask], dim=2)),
        clean=torch.cat([lead.to(after.clean), after.clean], dim=2),
        init=torch.cat([lead.to(after.init), after.init], dim=2),
    )
    return State(video, _both(first.audio, with_lead, change))


def _fade(first: Part, second: Part, overlap: int, *, keep_first: bool) -> Part:
    """The first part going over into the second; with `keep_first` what they share is the first's."""

    def joined(a: Tensor, b: Tensor) -> Tensor:
        b = b.to(a)
        return torch.cat([a, b[:, :, overlap:]], dim=2) if keep_first else cross_fade(a, b, overlap)

    return _both(first, second, joined)


def _both(first: Part, second: Part, change: Callable[[Tensor, Tensor], Tensor]) -> Part:
    unwindowed = None
    if first.unwindowed is not None or second.unwindowed is not None:
        before = [part.mask if part.unwindowed is None else part.unwindowed for part in (first, second)]
        unwindowed = change(*before)
    clean, init = change(first.clean, second.clean), change(first.init, second.init)
    return Part(clean, init, change(first.mask, second.mask), unwindowed)
