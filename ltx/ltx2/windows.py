"""Windows of a long LTX-2 video: picture and sound carried together, in one stage or two.

Sound has 25 latents a second and frames do not: frame f, counted from where the windows begin that hang together, goes
with latent round(f / fps * 25), so that no rounding adds up from window to window. A window has those from its first
frame to its end, which may be one more or less than its length alone would give. Held sound is what the window before
sampled: what a vocoder made of it would lose by encoding; that of a given video is encoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...samplers.conditionings import Conditionings
from ...samplers.windows.carrier import Clip, Window
from ...utils.latents import clip_part
from ..latents import AUDIO_BINS, AUDIO_CHANNELS, AUDIO_LATENTS_PER_SECOND, SPATIAL, audio_latent_frames
from ..windows import VideoCarrier, put_back, window_prompts
from .checks import need_audio_vae, need_audio_video_model, need_shrinkable
from .conditioning import append_keyframe, append_reference, freeze_audio, replace_frames
from .media import encode_frames, encode_latents
from .references import DOWNSCALE_FACTOR, TEMPORAL_FACTOR, iclora_factor
from .state import State, join_parts, parts_of, plain_latent, read_state, write_state

SOUNDS = ("last stage", "stage 1")
RATE_TOLERANCE = 2e-3  # 23.976 for 24: half an audio latent in 20 s


def make_carrier(
    model: Any,
    vae: Any,
    width: int,
    height: int,
    *,
    fps: float,
    audio_vae: Any = None,
    upsample: Callable[[Tensor], Tensor] | None = None,
    sound_of: str = SOUNDS[0],
    iclora: dict | None = None,
) -> AVCarrier:
    """The carrier of a loaded LTX-2 MODEL, with sound where there is an audio VAE.

    A second stage has `upsample`, which doubles the height and width of a video latent; `sound_of` then says whether
    the film has its sound or that of stage 1. `iclora`, the parameters of an IC-LoRA, lets it follow a control video.
    Raises ValueError for a model, VAE or size that it cannot take.
    """
    need_audio_video_model(model)
    if audio_vae is not None:
        need_audio_vae(audio_vae, "audio_vae")
    return AVCarrier(vae, width, height, fps, audio_vae=audio_vae, upsample=upsample, sound_of=sound_of, iclora=iclora)


@dataclass
class AVClip(Clip):
    """`sound` is what stands for the sampled one in the film, if that is not to."""

    sound: Tensor | None = None


class AVCarrier(VideoCarrier):
    """Windows of one stage."""

    def __init__(
        self,
        vae: Any,
        width: int,
        height: int,
        fps: float,
        *,
        audio_vae: Any = None,
        upsample: Callable[[Tensor], Tensor] | None = None,
        sound_of: str = SOUNDS[0],
        iclora: dict | None = None,
    ):
        super().__init__(vae, width, height, fps, multiple=SPATIAL if upsample is None else 2 * SPATIAL)
        self.audio_vae, self.upsample, self.sound_of, self.iclora = audio_vae, upsample, sound_of, iclora
        if iclora is not None:
            self.uses = self.uses | {"control"}
        if audio_vae is not None:
            self.sample_rate = int(audio_vae.first_stage_model.output_sample_rate)
            self.uses = self.uses | {"sound"}

    def slot(self, part: int, offset: int, frame: int) -> int:
        if part == 0:
            return super().slot(part, offset, frame)
        return audio_latent_frames(offset + frame, self.fps) - audio_latent_frames(offset, self.fps)

    def clip(self, window: Window, conditionings: Conditionings) -> Clip:
        prompts = window_prompts(conditionings, self.fps)
        if self.audio_vae is not None:
            _need_rate(prompts, self.fps)
        state, held = self.held(window, self.empty(window))
        given = list(prompts.values())
        if window.end_image is not None:
            content = self.encode(window.end_image, "end_image")
            state, given = append_keyframe(state, given, content, window.last, 1.0)
        if window.control is not None and self.iclora is not None:
            state, given = self.follow(window.control, state, given)
        prompts = dict(zip(prompts, given, strict=True))
        first = window.latents[1] if window.latents is not None and len(window.latents) > 1 else None
        notes = (
            ["its sound starts from nothing, as no sound is given with the source"] if self.unsounded(window) else []
        )
        return AVClip(prompts, _latent(state), held, notes=notes, sound=first if self.sound_of == SOUNDS[1] else None)

    def unsounded(self, window: Window) -> bool:
        """Whether sampling begins from a source's pictures, and from no sound."""
        source = window.source is not None and window.latents is None
        return source and self.audio_vae is not None and window.sound is None

    def follow(self, control: Tensor, state: State, prompts: list) -> tuple[State, list]:
        """A control video as reference of the IC-LoRA."""
        downscale, temporal_scale = (iclora_factor([self.iclora], key) for key in (DOWNSCALE_FACTOR, TEMPORAL_FACTOR))
        need_shrinkable(state, downscale)
        content = encode_frames(self.vae, control, state, downscale=downscale, temporal_scale=temporal_scale)
        return append_reference(state, prompts, content, 1.0, downscale=downscale, temporal_scale=temporal_scale)

    def empty(self, window: Window) -> State:
        """What a window is noised from: nothing, its source, or what the stage before sampled, at this one's size."""
        if window.latents is None:
            parts = [self.start(window)]
            if self.audio_vae is not None:
                count = self.slot(1, window.offset, window.row.frames)
                parts.append(torch.zeros(1, AUDIO_CHANNELS, count, AUDIO_BINS))
            return read_state({"samples": join_parts(parts)})
        video, *sound = window.latents
        video = video if self.upsample is None else self.upsample(video)
        width, height = (side * SPATIAL for side in (video.shape[4], video.shape[3]))
        if (width, height) != (self.width, self.height):
            raise ValueError(
                f"stage 1 and the upscaler make {width}x{height} pixels, and the film has {self.width}x{self.height}: "
                "two stages need an x2 upscaler"
            )
        return read_state({"samples": join_parts([video.to(window.latents[0]), *sound])})

    def held(self, window: Window, state: State) -> tuple[State, list[int]]:
        """The state with what of the window is given, and how much of each part the one before made."""
        mask = self.made_anew(window)
        if mask is not None:
            state = state.with_video(mask=mask)
        first, frames = self.first_frames(window)
        if first is not None:
            state = replace_frames(state, first, 0, 1.0)
        if state.audio is None:
            return state, [frames]
        if window.sound is not None:
            sound = self.encode_sound(window.sound, window.offset, state.audio.clean.shape[2])
            return freeze_audio(state.with_audio(clean=sound)), [frames, 0]
        if window.before_latents is not None:
            sound = window.before_latents[1]
        elif window.held_sound is not None:
            sound = self.encode_sound(window.held_sound, 0, self.slot(1, 0, window.row.overlap))
        else:
            return state, [frames, 0]
        clean, noised = state.audio.clean.clone(), state.audio.mask.clone()
        clean[:, :, : sound.shape[2]], noised[:, :, : sound.shape[2]] = sound, 0.0
        return state.with_audio(clean=clean, mask=noised), [frames, sound.shape[2]]

    def encode_sound(self, sound: dict, offset: int, count: int) -> Tensor:
        """Audio latents of a window's sound, which begins up to half a latent before or after the first of them."""
        waveform = F.pad(sound["waveform"], (-self.late(offset, sound["sample_rate"]), 0))
        seconds = count / AUDIO_LATENTS_PER_SECOND
        return encode_latents(self.audio_vae, {**sound, "waveform": waveform}, count, seconds).cpu()

    def late(self, offset: int, rate: int) -> int:
        """Samples from a window's first frame to the beginning of its first audio latent."""
        return round(audio_latent_frames(offset, self.fps) * rate / AUDIO_LATENTS_PER_SECOND) - round(
            offset / self.fps * rate
        )

    def parts(self, clip: Clip, sampled: Tensor) -> list[Tensor]:
        made = [clip_part({**clip.latent, "samples": sampled}), *parts_of(sampled)[1:]]
        parts = [put_back(*each) for each in zip(made, parts_of(clip.latent["samples"]), clip.held, strict=True)]
        sound = getattr(clip, "sound", None)
        return parts if sound is None else [parts[0], sound]

    def decode(self, parts: list[Tensor], window: Window) -> tuple[Tensor, Tensor | None]:
        frames = self.frames_of(parts)
        if self.audio_vae is None or window.sound is not None:
            return frames, None
        sound = self.audio_vae.decode(parts[1]).movedim(-1, 1)[0].cpu()
        return frames, F.pad(sound, (self.late(window.offset, self.sample_rate), 0))


def _latent(state: State) -> dict:
    """A LATENT of the state; without a mask where nothing of it is given."""
    given = state.guide_frames or any(bool((part.mask < 1).any()) for part in state.parts)
    return write_state({}, state) if given else plain_latent({}, state)


def _need_rate(prompts: Conditionings, fps: float) -> None:
    """Raise ValueError if prompts tell another frame rate than the film's: its sound would run beside the picture."""
    for name, prompt in prompts.items():
        for _, options in prompt:
            if not math.isclose(options["frame_rate"], fps, rel_tol=RATE_TOLERANCE):
                raise ValueError(
                    f"{name} is for {options['frame_rate']:g} frames a second, and the film has {fps:g}: set the same "
                    "in LTXVConditioning and in the plan"
                )
