"""Given content in LTX-2 latents: frames replaced or appended, modalities frozen, time windows, and their removal.

Every function takes a State (and CONDITIONINGs) and gives new ones; nothing received is written to. Source: ltx-core
conditioning items. `strength` sets the noise mask (1 - strength), `weight` the attention, and neither the other.
ComfyUI's own keys are used for appended frames (`keyframe_idxs`, `guide_attention_entries`), so that core's nodes
read and crop them; the entry key `oner_weight` is the exact attention weight, `oner_span` which of all appended
frames are its own (first and count).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from einops import rearrange
from torch import Tensor

from ...utils.tokens import to_tokens
from .positions import audio_in_window, frames_in_window, keyframe_positions, reference_positions
from .state import Part, State

Conditioning = list

WEIGHT, SPAN = "oner_weight", "oner_span"


def set_values(conditioning: Conditioning, values: dict) -> Conditioning:
    """A copy of a CONDITIONING with `values` set in every entry."""
    return [[tensor, {**options, **values}] for tensor, options in conditioning]


def get_value(conditioning: Conditioning, key: str):
    """The first value of `key` in a CONDITIONING, or None."""
    return next((options[key] for _, options in conditioning if options.get(key) is not None), None)


def replace_frames(state: State, content: Tensor, frame: int, strength: float) -> State:
    """Put encoded frames [1 or B, 128, t, H, W] over the latent frames from `frame` on."""
    frames = slice(frame, frame + content.shape[2])
    clean = state.video.clean.clone()
    clean[:, :, frames] = content.to(clean)

    def give(mask: Tensor) -> Tensor:
        mask = mask.clone()
        mask[:, :, frames] = 1 - strength
        return mask

    return replace(state, video=replace(state.video.map_mask(give), clean=clean))


def append_keyframe(
    state: State, conditionings: list[Conditioning], content: Tensor, frame: int, strength: float
) -> tuple[State, list[Conditioning]]:
    """Append one encoded image [1 or B, 128, 1, H, W] that belongs at pixel frame `frame`."""
    height, width = content.shape[3:]
    positions = keyframe_positions(frame, height, width)
    return _append(state, conditionings, content, positions, strength, {"latent_shape": [1, height, width]})


def append_reference(
    state: State,
    conditionings: list[Conditioning],
    content: Tensor,
    strength: float,
    *,
    downscale: int = 1,
    temporal_scale: int = 1,
    weight: float | Tensor | None = None,
    pixel_mask: Tensor | None = None,
) -> tuple[State, list[Conditioning]]:
    """Append an encoded reference video [1 or B, 128, t, H/downscale, W/downscale].

    `weight`: attention to and from the clip, a number or one per token [t*h*w]; None = plain attention.
    """
    frames, height, width = content.shape[2:]
    positions = reference_positions(frames, height, width, downscale, temporal_scale)
    entry = {"latent_shape": [frames, height, width], "pixel_mask": pixel_mask, WEIGHT: weight}
    if isinstance(weight, float):
        entry["strength"] = weight
    return _append(state, conditionings, content, positions, strength, entry, downscale)


def add_audio_reference(conditionings: list[Conditioning], content: Tensor) -> list[Conditioning]:
    """Give a sound [1 or B, 8, A, 16] as reference at negative time, always fully given."""
    return [set_values(conditioning, {"ref_audio": {"tokens": to_tokens(content)}}) for conditioning in conditionings]


def freeze_video(state: State) -> State:
    """Keep the video as it is; the model sees it clean, at sigma 0."""
    return replace(state, video=state.video.map_mask(_frozen))


def freeze_audio(state: State) -> State:
    """Keep the audio as it is; the model sees it clean, at sigma 0."""
    return replace(state, audio=state.audio.map_mask(_frozen))


def _frozen(mask: Tensor) -> Tensor:
    return mask.clamp(max=0)  # fillers stay fillers


def window_video(state: State, start_seconds: float, end_seconds: float, fps: float) -> State:
    """Regenerate the clip's latent frames that overlap a time window, keep its others; a second window adds to it."""
    inside = frames_in_window(state.clip_frames, fps, start_seconds, end_seconds)
    return replace(state, video=_open(state.video, inside[:, None, None]))


def window_audio(state: State, start_seconds: float, end_seconds: float) -> State:
    """Regenerate the latent audio frames that overlap a time window, keep the others; a second window adds to it."""
    inside = audio_in_window(state.audio.clean.shape[2], start_seconds, end_seconds)
    return replace(state, audio=_open(state.audio, inside[:, None]))


def keep_video(state: State) -> State:
    """The video outside of time windows alone: nothing of it is regenerated but what another window opened."""
    return replace(state, video=_open(state.video, torch.zeros(1, 1, 1, dtype=torch.bool)))


def keep_audio(state: State) -> State:
    """The audio outside of time windows alone: nothing of it is regenerated but what another window opened."""
    return replace(state, audio=_open(state.audio, torch.zeros(1, 1, dtype=torch.bool)))


def _open(part: Part, inside: Tensor) -> Part:
    """A part whose mask is, inside, what it was before any window; elsewhere 0, or what other windows left."""
    before = part.mask if part.unwindowed is None else part.unwindowed
    closed = torch.zeros_like(part.mask) if part.unwindowed is None else part.mask
    return replace(part, mask=torch.where(inside.to(before.device), before, closed), unwindowed=before)


def appended_frames(state: State, conditioning: Conditioning) -> int:
    """Latent frames of the video that are appended keyframes and references."""
    positions = get_value(conditioning, "keyframe_idxs")
    return 0 if positions is None else positions.shape[2] // state.video.clean.shape[3:].numel()


def crop(state: State, conditionings: list[Conditioning]) -> tuple[State, list[Conditioning]]:
    """The clip without appended frames, and conditionings without any reference."""
    appended = appended_frames(state, conditionings[0])
    end = state.video.clean.shape[2] - appended
    if end < 1:
        raise ValueError(
            f"the prompts tell of {appended} appended frames, and the latent has {state.video.clean.shape[2]} in all: "
            "connect the prompts and the latent of the same node"
        )
    video = state.video.map_all(lambda x: x[:, :, :end])
    gone = ("keyframe_idxs", "guide_attention_entries", "ref_audio", "generated_keyframes")
    cropped = [[[t, {k: v for k, v in o.items() if k not in gone}] for t, o in c] for c in conditionings]
    return State(video, state.audio), cropped


def _append(
    state: State,
    conditionings: list[Conditioning],
    content: Tensor,
    positions: Tensor,
    strength: float,
    entry: dict,
    downscale: int = 1,
) -> tuple[State, list[Conditioning]]:
    clean, mask = state.video.clean, state.video.mask
    shape = (clean.shape[0], content.shape[1], content.shape[2], *clean.shape[3:])
    added = torch.zeros(shape, dtype=clean.dtype, device=clean.device)
    # A shrunken reference fills every downscale-th row and column; the model drops tokens with a negative mask.
    grid = (..., slice(None, None, downscale), slice(None, None, downscale))
    added[grid] = content.to(clean)
    added_mask = torch.full((shape[0], 1, *shape[2:]), -1.0, dtype=mask.dtype, device=mask.device)
    added_mask[grid] = 1 - strength
    spread = torch.zeros((1, 3, *shape[2:], 2), dtype=positions.dtype)
    spread[:, :, :, ::downscale, ::downscale] = positions.unflatten(2, content.shape[2:])

    tokens = math.prod(shape[2:])
    span = (state.guide_frames or 0, content.shape[2])
    entry = {"strength": 1.0, "pixel_mask": None, WEIGHT: None, **entry, "pre_filter_count": tokens, SPAN: span}
    spread = rearrange(spread, "1 coordinate t h w end -> 1 coordinate (t h w) end")
    updated = []
    for conditioning in conditionings:
        known = get_value(conditioning, "keyframe_idxs")
        updated.append(
            set_values(
                conditioning,
                {
                    "keyframe_idxs": spread if known is None else torch.cat([known.to(spread), spread], dim=2),
                    "guide_attention_entries": [*(get_value(conditioning, "guide_attention_entries") or []), entry],
                },
            )
        )
    video = replace(
        state.video.map_mask(lambda known: torch.cat([known, added_mask], dim=2)),
        clean=torch.cat([clean, added], dim=2),
        init=torch.cat([state.video.init, torch.zeros_like(added)], dim=2),
    )
    return State(video, state.audio, (state.guide_frames or 0) + content.shape[2]), updated
