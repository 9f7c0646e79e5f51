"""The state of an LTX latent during conditioning: content, start and mask of each modality, read from a LATENT dict.

`samples` is the given content ("clean"), `noise_mask` says how much of each token is generated, and the key
`oner_init` (same layout as `samples`) is what the noised start is made from. They differ where an image was put over
something, or a reference was appended: LTX starts there from what lay below (zeros for appended frames), ComfyUI
from the content. `oner_init_of` is the very `samples` object that the start belongs to. `oner_guide_frames` counts
appended latent frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...utils.core import need

INIT, INIT_OF, GUIDE_FRAMES = "oner_init", "oner_init_of", "oner_guide_frames"

_nested = need("comfy.nested_tensor", "NestedTensor")
_utils = need("comfy.utils", "reshape_mask")


@dataclass(frozen=True)
class Part:
    """One modality. clean, init: [B, C, T, H, W] or [B, C, A, M]; mask the same with one channel."""

    clean: Tensor
    init: Tensor
    mask: Tensor


@dataclass(frozen=True)
class State:
    """A LATENT taken apart. `guide_frames` of the video's latent frames are appended references."""

    video: Part
    audio: Part | None
    guide_frames: int = 0

    @property
    def parts(self) -> list[Part]:
        return [self.video] if self.audio is None else [self.video, self.audio]

    @property
    def clip_frames(self) -> int:
        """Latent frames of the clip itself."""
        return self.video.clean.shape[2] - self.guide_frames

    def with_video(self, **changes) -> State:
        return replace(self, video=replace(self.video, **changes))

    def with_audio(self, **changes) -> State:
        return replace(self, audio=replace(self.audio, **changes))


def read_state(latent: dict) -> State:
    """The state of a video or audio-video LATENT. Raises ValueError if its start belongs to other samples."""
    samples = latent["samples"]
    clean = parts_of(samples)
    if clean[0].ndim != 5 or (len(clean) > 1 and clean[1].ndim != 4):
        shapes = ", ".join(str(tuple(part.shape)) for part in clean)
        raise ValueError(f"latent has shape {shapes}; LTX needs a video latent [B, 128, T, H, W], audio second")
    init = clean
    if INIT in latent:
        if latent.get(INIT_OF) is not samples:
            raise ValueError(
                "this latent was sampled or changed since frames were conditioned: pass it through LTX Crop or LTX "
                "Stage Hand-Over before conditioning it again"
            )
        init = parts_of(latent[INIT])
    given = latent.get("noise_mask")
    given = [] if given is None else parts_of(given)
    masks = [_mask(given[i] if i < len(given) else None, part) for i, part in enumerate(clean)]
    parts = [Part(*values) for values in zip(clean, init, masks, strict=True)]
    return State(parts[0], parts[1] if len(parts) > 1 else None, latent.get(GUIDE_FRAMES, 0))


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
    samples = _join([part.clean for part in state.parts])
    return {
        **latent,
        "samples": samples,
        "noise_mask": _join([part.mask for part in state.parts]),
        INIT: _join([part.init for part in state.parts]),
        INIT_OF: samples,
        GUIDE_FRAMES: state.guide_frames,
    }


def plain_latent(latent: dict, state: State) -> dict:
    """A LATENT dict with the content of `state` and nothing that conditions it."""
    kept = {k: v for k, v in latent.items() if k not in (INIT, INIT_OF, GUIDE_FRAMES, "noise_mask")}
    return {**kept, "samples": _join([part.clean for part in state.parts])}


def start_offsets(latent: dict) -> list[Tensor] | None:
    """init - clean of each modality, zero where it has no influence; None if it has none anywhere."""
    if INIT not in latent:
        return None
    offsets = [(part.init - part.clean) * (part.mask > 0) for part in read_state(latent).parts]
    return offsets if any(offset.any() for offset in offsets) else None


def parts_of(samples) -> list[Tensor]:
    """The latents of the modalities, video first; one for a plain latent."""
    return list(samples.unbind()) if getattr(samples, "is_nested", False) else [samples]


def _join(parts: list[Tensor]):
    return parts[0] if len(parts) == 1 else _nested.NestedTensor(parts)


def _mask(mask: Tensor | None, content: Tensor) -> Tensor:
    shape = (content.shape[0], 1, *content.shape[2:])
    if mask is None:
        return torch.ones(shape)
    return _utils.reshape_mask(mask[:, :1] if mask.ndim == content.ndim else mask, shape).to(torch.float32)
