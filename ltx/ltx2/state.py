"""The state of an LTX latent during conditioning: content, start and mask of each modality, read from a LATENT dict.

`samples` is the given content ("clean"), `noise_mask` says how much of each token is generated, and the key
`oner_init` (same layout as `samples`) is what the noised start is made from. They differ where an image was put over
something, or a reference was appended: LTX starts there from what lay below (zeros for appended frames), ComfyUI
from the content. `oner_init_of` is the `samples` object that the start belongs to; after core's nodes joined, repeated,
picked or took apart a latent, its samples are found there by their content. `oner_guide_frames` counts appended latent
frames; where it is absent, as behind core's guide nodes, the prompts alone tell. `oner_unwindowed` is what the mask
would be without time windows, `oner_windowed` the mask itself that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...utils.core import need
from ...utils.latents import GUIDE_FRAMES, INIT, INIT_OF, OWN, UNWINDOWED, WINDOWED, unconditioned
from ..checks import need_audio_latent, need_video_latent

_nested = need("comfy.nested_tensor", "NestedTensor")
_utils = need("comfy.utils", "reshape_mask")


@dataclass(frozen=True)
class Part:
    """One modality. clean, init: [B, C, T, H, W] or [B, C, A, M]; mask the same with one channel.

    `unwindowed`: the mask as it was without time windows, None if there are none.
    """

    clean: Tensor
    init: Tensor
    mask: Tensor
    unwindowed: Tensor | None = None

    def map_mask(self, change: Callable[[Tensor], Tensor]) -> Part:
        """The part with its mask changed, inside and outside of time windows."""
        unwindowed = None if self.unwindowed is None else change(self.unwindowed)
        return replace(self, mask=change(self.mask), unwindowed=unwindowed)

    def map_all(self, change: Callable[[Tensor], Tensor]) -> Part:
        """The part with every tensor changed in the same way."""
        return replace(self.map_mask(change), clean=change(self.clean), init=change(self.init))


@dataclass(frozen=True)
class State:
    """A LATENT taken apart. `guide_frames` of the video's latent frames are appended references; None = not said."""

    video: Part
    audio: Part | None
    guide_frames: int | None = None

    @property
    def parts(self) -> list[Part]:
        return [self.video] if self.audio is None else [self.video, self.audio]

    @property
    def clip_frames(self) -> int:
        """Latent frames of the clip itself."""
        return self.video.clean.shape[2] - (self.guide_frames or 0)

    def with_video(self, **changes) -> State:
        return replace(self, video=replace(self.video, **changes))

    def with_audio(self, **changes) -> State:
        return replace(self, audio=replace(self.audio, **changes))


def read_state(latent: dict) -> State:
    """The state of a video or audio-video LATENT; a part of batch 1 is repeated for the other one.

    Raises ValueError if its start belongs to other samples, or the batches differ.
    """
    clean = parts_of(latent["samples"])
    need_video_latent(clean[0])
    for sound in clean[1:]:
        need_audio_latent(sound)
    if len(clean) > 2:
        raise ValueError(f"latent has {len(clean)} parts; LTX-2 has two, video and audio: join these alone")
    init = _start_of(latent, clean)
    masks = [_mask(given, part) for given, part in zip(_given(latent, "noise_mask", clean), clean, strict=True)]
    unwindowed = _unwindowed(latent, clean, masks)
    parts = [Part(*values) for values in zip(clean, init, masks, unwindowed, strict=True)]
    batch = common_batch(clean)
    parts = [part.map_all(lambda x: x.expand(batch, *x.shape[1:])) for part in parts]
    return State(parts[0], parts[1] if len(parts) > 1 else None, latent.get(GUIDE_FRAMES))


def read_clip(latent: dict, what: str) -> State:
    """The state of a clip to cut, join or store; where it was sampled since it was conditioned, nothing of it is given.

    Raises ValueError if keyframes or references are appended; `what` names the node.
    """
    if latent.get(GUIDE_FRAMES):
        raise ValueError(
            f"the latent has {latent[GUIDE_FRAMES]} appended frames (keyframes, references): remove them with LTX Crop "
            f"before {what}"
        )
    return read_state(latent if is_current(latent) else unconditioned(latent))


def is_current(latent: dict) -> bool:
    """Whether what says how a latent is conditioned, if anything does, belongs to its samples."""
    return INIT not in latent or all(start is not None for start in _find_starts(latent, parts_of(latent["samples"])))


def is_conditioned(latent: dict) -> bool:
    """Whether something says which part of a latent is given, and still belongs to it."""
    return is_current(latent) and any(key in latent for key in (*OWN, "noise_mask"))


def common_batch(parts: Sequence[Tensor]) -> int:
    """The batch of the modalities, of which one may stand for all. Raises ValueError if they differ otherwise."""
    batches = {part.shape[0] for part in parts}
    if len(batches - {1}) > 1:
        raise ValueError(f"{_counts(parts)}: give as many of both, or one of either")
    return max(batches)


def need_one_batch(samples) -> None:
    """Raise ValueError if samples that are to be sampled have modalities of different batches."""
    parts = parts_of(samples)
    if len({part.shape[0] for part in parts}) > 1:
        raise ValueError(f"{_counts(parts)}: pass it through LTX Freeze or LTX Pick From Batch, which repeat the one")


def _counts(parts: Sequence[Tensor]) -> str:
    return f"the latent holds {parts[0].shape[0]} video(s) and {parts[1].shape[0]} sound(s)"


def with_guides(latent: dict, state: State, counts: list[int]) -> State:
    """`state` with the appended frames that each prompt tells of. Raises ValueError if they or the latent disagree."""
    if len(set(counts)) > 1:
        listed = " and ".join(map(str, counts))
        raise ValueError(
            f"positive and negative prompt tell of {listed} appended frames: take both through every LTX Keyframe and "
            "LTX Reference Video"
        )
    if latent.get(GUIDE_FRAMES, counts[0]) != counts[0]:
        raise ValueError(
            f"the latent has {latent[GUIDE_FRAMES]} appended frames, the prompts tell of {counts[0]}: connect the "
            "prompts and the latent of the same node"
        )
    return replace(state, guide_frames=counts[0])


def write_state(latent: dict, state: State) -> dict:
    """A new LATENT dict with the state; other keys are kept."""
    samples = join_parts([part.clean for part in state.parts])
    mask = join_parts([part.mask for part in state.parts])
    own: dict = {INIT: join_parts([part.init for part in state.parts]), INIT_OF: samples}
    if state.guide_frames is not None:
        own[GUIDE_FRAMES] = state.guide_frames
    if any(part.unwindowed is not None for part in state.parts):
        own[UNWINDOWED] = join_parts(
            [part.mask if part.unwindowed is None else part.unwindowed for part in state.parts]
        )
        own[WINDOWED] = mask
    kept = {key: value for key, value in latent.items() if key not in OWN}
    return {**kept, "samples": samples, "noise_mask": mask, **own}


def plain_latent(latent: dict, state: State) -> dict:
    """A LATENT dict with the content of `state` and nothing that conditions it."""
    return {**unconditioned(latent), "samples": join_parts([part.clean for part in state.parts])}


def start_offsets(latent: dict) -> list[Tensor] | None:
    """init - clean of each modality, zero where it has no influence; None if it has none anywhere."""
    if INIT not in latent:
        return None
    clean = parts_of(latent["samples"])
    masks = [_mask(given, part) for given, part in zip(_given(latent, "noise_mask", clean), clean, strict=True)]
    offsets = [
        (init - part) * (mask > 0) for init, part, mask in zip(_start_of(latent, clean), clean, masks, strict=True)
    ]
    return offsets if any(offset.any() for offset in offsets) else None


def parts_of(samples) -> list[Tensor]:
    """The latents of the modalities, video first; one for a plain latent."""
    return list(samples.unbind()) if getattr(samples, "is_nested", False) else [samples]


def join_parts(parts: list[Tensor]):
    """Samples of the modalities: a plain latent, or ComfyUI's NestedTensor of video and audio."""
    return parts[0] if len(parts) == 1 else _nested.NestedTensor(parts)


def _given(latent: dict, key: str, parts: list[Tensor]) -> list[Tensor | None]:
    """A mask of each modality, None where the latent has none."""
    value = latent.get(key)
    given = [] if value is None else parts_of(value)
    return [given[i] if i < len(given) else None for i in range(len(parts))]


def _unwindowed(latent: dict, clean: list[Tensor], masks: list[Tensor]) -> list[Tensor | None]:
    """The mask of each modality without time windows; None where there are none, or the mask is another one by now."""
    found: list[Tensor | None] = []
    for i, (part, mask) in enumerate(zip(clean, masks, strict=True)):
        before, after = (_given(latent, key, clean)[i] for key in (UNWINDOWED, WINDOWED))
        valid = before is not None and torch.equal(_mask(after, part), mask)
        found.append(_mask(before, part) if valid else None)
    return found


def _start_of(latent: dict, clean: list[Tensor]) -> list[Tensor]:
    """The start of each modality: the content where nothing else is said. Raises ValueError if it is another's."""
    starts = clean if INIT not in latent else _find_starts(latent, clean)
    if any(start is None for start in starts):
        raise ValueError(
            "this latent was sampled or changed since frames were conditioned: pass it through LTX Crop or LTX Stage "
            "Hand-Over before conditioning it again"
        )
    return starts


def _find_starts(latent: dict, clean: list[Tensor]) -> list:
    """The start of each modality in a latent that has one; None for samples that it does not belong to.

    What has been done to the latent since it was conditioned may have made other objects of the same samples, with
    others beside them: samples that are not found by their content were sampled or changed.
    """
    if latent[INIT_OF] is latent["samples"]:
        return parts_of(latent[INIT])
    known = {x.ndim: (x, start) for x, start in zip(parts_of(latent[INIT_OF]), parts_of(latent[INIT]), strict=True)}
    starts: list[Tensor | None] = []
    for part in clean:
        if part.ndim not in known:  # joined since
            starts.append(part)
            continue
        content, start = known[part.ndim]
        places = [_place(sample, content, i) for i, sample in enumerate(part)]
        starts.append(None if None in places else start[places])
    return starts


def _place(sample: Tensor, content: Tensor, expected: int) -> int | None:
    """The index of a sample in a batch, the expected one before others; None if it is not there."""
    order = sorted(range(content.shape[0]), key=lambda i: i != expected)
    return next((i for i in order if torch.equal(content[i].to(sample), sample)), None)


def _mask(mask: Tensor | None, content: Tensor) -> Tensor:
    shape = (content.shape[0], 1, *content.shape[2:])
    if mask is None:
        return torch.ones(shape)
    return _utils.reshape_mask(mask[:, :1] if mask.ndim == content.ndim else mask, shape).to(torch.float32)
