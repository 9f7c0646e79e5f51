"""A film made window by window: each gets the end of the one before, is sampled, decoded, joined to it and written.

What a window is made with stands in its key, so one that was made before, in this run or another, is taken from the
cache. Nothing is kept but the frames that the next window needs. F pixel frames, T latent frames.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ...utils.core import need
from ...utils.seeds import mix64
from ..conditionings import Conditionings, conditionings_of, with_conditionings, with_seed
from ..fitting import whole
from .carrier import LAG, Carrier, Clip, Window
from .drift import DriftSettings, DriftState
from .plan import Row, WindowPlan
from .text_bias import KEY, at_window

_nested = need("comfy.nested_tensor", "NestedTensor")

CARRY = ("frames", "latents")
FADE = 0.02  # seconds over which the sound of two windows fades


@dataclass(frozen=True)
class Made:
    """A finished window: its frames as they are in the film (the overlap's as it made them), and what goes on from it.

    frames [overlap + out, H, W, 3] uint8; latents and noise [1, C, T, ...] of each stage and part; sound [channels, N].
    """

    frames: Tensor
    latents: list[list[Tensor]]
    noise: list[list[Tensor]]
    sound: Tensor | None = None
    drift: dict[str, Tensor] = field(default_factory=dict)
    line: str = ""  # of the report


@dataclass(frozen=True)
class Stage:
    """One sampling of a window, with what SamplerCustomAdvanced takes; the first makes it, a later one refines it."""

    carrier: Carrier
    guider: Any
    sampler: Any
    sigmas: Tensor
    noise: Any


class Cache(Protocol):
    def get(self, key: str) -> Made | None: ...

    def put(self, key: str, made: Made) -> None: ...


class Footage(Protocol):
    """Frames that come from outside: a picture list or a video file."""

    count: int
    digest: str  # names its content

    def frames(self, start: int, end: int) -> Tensor:
        """Images [end - start, H, W, 3], uint8 or 0..1."""


@dataclass(frozen=True)
class Given:
    """What the windows are given beside their prompts; `prefix` is the video that the film continues.

    Its sound has the sample rate of the film's.
    """

    prefix: Footage | None = None
    prefix_sound: dict | None = None  # AUDIO
    source: Footage | None = None
    control: Footage | None = None
    mask: Footage | None = None
    start_image: Tensor | None = None
    end_images: Tensor | None = None
    ref_images: Tensor | None = None
    sound: dict | None = None  # AUDIO of the film


@dataclass(frozen=True)
class Settings:
    """How windows are joined: what is carried over, and over how many frames the old ones fade into the new."""

    carry: str = "frames"
    crossfade: int = 4
    identity: str = ""  # names all that the frames depend on beside the rows: models, prompts, sizes
    timed: bool = False  # whether the guider's prompts carry something over the time of the film


class Film:
    """One run of a plan. `sink(frames, sound)` gets the finished frames in order; `encode(text)` makes a CONDITIONING.

    `adapt(guider, row)` gives a guider with what a row changes of it; `progress(window, stage)` the sampler's callback.
    `newest` are the last `keep` frames of the film.
    """

    def __init__(
        self,
        plan: WindowPlan,
        stages: list[Stage],
        *,
        sink: Callable[[Tensor, Tensor | None], None],
        given: Given | None = None,
        settings: Settings | None = None,
        encode: Callable[[str], list] | None = None,
        adapt: Callable[[Any, Row], Any] = lambda guider, _row: guider,
        drift: DriftSettings | None = None,
        cache: Cache | None = None,
        progress: Callable[[int, int], Callable | None] = lambda _window, _stage: None,
        keep: int = 0,
    ):
        self.plan, self.stages, self.carrier = plan, stages, stages[-1].carrier
        self.sink, self.given, self.settings = sink, given or Given(), settings or Settings()
        self.encode, self.adapt, self.cache, self.progress = encode, adapt, cache, progress
        self.drift = None if drift is None else DriftState(drift)
        self.keys = keys_of(plan, self.settings, self.given, drift)
        self.sampled: list[int] = []  # windows that were sampled in this run, not found
        self.report: list[str] = []
        self.keep, self.newest = keep, torch.empty(0)
        self.tail = torch.empty(0)  # the newest frames of the film, as many as a later window needs
        self.last: Made | None = None
        self.tails_of: dict[str, list[list[Tensor]]] = {}  # newest latents and noise of the shot
        self.waiting = torch.empty(0)  # frames that the next window may still fade into
        self.sound: Tensor | None = None  # samples from `written` on
        self.done = plan.rows[0].start  # the film's frames before the next that goes to the sink
        self.written = round(self.done / plan.fps * self.carrier.sample_rate)  # samples before it

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes to the sink; 0 without."""
        return self.carrier.sample_rate if self.given.sound is None else self.given.sound["sample_rate"]

    def run(self) -> None:
        """Make every window. What is finished is in the sink, whatever ends the run."""
        self.begin()
        try:
            for index, row in enumerate(self.plan.rows):
                made = self.cache.get(self.keys[index]) if self.cache is not None else None
                if made is None:
                    made = self.make(index, row)
                    self.sampled.append(index)
                    if self.cache is not None:
                        self.cache.put(self.keys[index], made)
                self.join(index, row, made)
        finally:
            self.write(self.waiting)
            self.waiting = self.waiting[:0]

    def begin(self) -> None:
        prefix = self.given.prefix
        if prefix is None or not self.plan.prefix:
            return
        for start in range(0, prefix.count, 64):
            end = min(start + 64, prefix.count)
            self.sink(to_bytes(prefix.frames(start, end)), self.prefix_sound(start, end))
        longest = max(row.overlap for row in self.plan.rows)
        self.tail = to_bytes(prefix.frames(max(0, prefix.count - longest), prefix.count))

    def prefix_sound(self, start: int, end: int) -> Tensor | None:
        """The sound of frames of the given video; silence where it has none and the film has."""
        sound, like = self.given.prefix_sound, self.given.sound
        if sound is not None and self.sample_rate and sound["sample_rate"] != self.sample_rate:
            raise ValueError(
                f"the sound of the given video has {sound['sample_rate']} samples a second, the film's "
                f"{self.sample_rate}: resample it"
            )
        if sound is None and self.sample_rate:
            channels = 2 if like is None else like["waveform"].shape[1]
            sound = {"sample_rate": self.sample_rate, "waveform": torch.zeros(1, channels, 0)}
        return None if sound is None else stretch(sound, start / self.plan.fps, end / self.plan.fps)["waveform"][0]

    def make(self, index: int, row: Row) -> Made:
        """Sample and decode a window."""
        text = self.encode(row.prompt) if row.prompt and self.encode else None
        latents: list[list[Tensor]] = []
        noises: list[list[Tensor]] = []
        notes: list[str] = []
        for number, stage in enumerate(self.stages):
            window = self.window(index, row, number, latents[-1] if latents else None)
            clip = stage.carrier.clip(window, self.prompts(stage, window, text))
            seed = self.seed(index, row, whole(stage.noise.seed))
            noise = self.draw(index, row, number, clip, seed)
            own = row if number == 0 else dataclasses.replace(row, cfg=None)  # which is that of the first stage
            guider = with_conditionings(self.adapt(stage.guider, own), clip.conditionings)
            sampled = guider.sample(
                joined(noise),
                clip.latent["samples"],
                stage.sampler,
                stage.sigmas,
                denoise_mask=clip.latent.get("noise_mask"),
                callback=self.progress(index, number),
                disable_pbar=True,
                seed=seed,
            )
            latents.append(stage.carrier.parts(clip, sampled.to("cpu", torch.float32)))
            noises.append([noise[0][:, :, clip.before :].clone(), *noise[1:]])
            notes += clip.notes
        held, drift = self.held(row), self.drift
        if drift is not None and held is not None:
            latents[-1][0], line = drift.correct_latent(index, latents[-1][0], self.carrier.slot(0, 0, row.overlap))
            notes.append(line)
        frames, sound = self.carrier.decode(latents[-1], window)
        frames = frames[: row.overlap + row.out].float()
        if drift is not None and held is not None:
            frames, line = drift.correct(index, frames, held)
            notes.append(line)
        state = {} if drift is None or held is None else drift.tensors()
        return Made(to_bytes(frames), latents, noises, sound, state, "; ".join(filter(None, notes)))

    def prompts(self, stage: Stage, window: Window, text: list | None) -> Conditionings:
        """The guider's prompts for a window: with the plan's text if it has one, else a time line's part."""
        conditionings = conditionings_of(stage.guider)
        if text:
            return with_text(conditionings, text)
        return {name: at_window(each, window.first, window.row.frames) for name, each in conditionings.items()}

    def held(self, row: Row) -> Tensor | None:
        """The frames before a window that it has too, in 0..1; None where it begins anew."""
        return self.tail[len(self.tail) - row.overlap :].float() / 255 if row.overlap else None

    def window(self, index: int, row: Row, stage: int, latents: list[Tensor] | None) -> Window:
        given, first, end = self.given, row.start - row.overlap, row.start - row.overlap + row.frames

        def part(footage: Footage | None) -> Tensor | None:
            return None if footage is None else piece(footage, first, end)

        mask, held_sound = part(given.mask), None
        if index == 0 and row.overlap and given.prefix_sound is not None:
            times = ((given.prefix.count - frames) / self.plan.fps for frames in (row.overlap, 0))
            held_sound = stretch(given.prefix_sound, *times)
        return Window(
            row,
            self.plan.film,
            offset=first - beginning(self.plan, index),
            carry=self.settings.carry,
            held=self.held(row),
            held_sound=held_sound,
            before_latents=self.tails(index, row, stage, "latents"),
            latents=latents,
            start_image=given.start_image if row.start == 0 else None,
            end_image=None if row.end is None else given.end_images[row.end - 1][None],
            ref_image=None if row.ref is None else given.ref_images[row.ref - 1][None],
            control=part(given.control),
            mask=None if mask is None else mask.mean(-1),
            source=part(given.source),
            sound=None if given.sound is None else stretch(given.sound, first / self.plan.fps, end / self.plan.fps),
        )

    def tails(self, index: int, row: Row, stage: int, what: str) -> list[Tensor] | None:
        """The latents, or the noise, of the frames that a window shares with those before; None if there is none."""
        if self.last is None or not row.overlap:
            return None
        before, carrier = self.plan.rows[index - 1], self.stages[stage].carrier
        end, offset = before.overlap + before.out, before.start - before.overlap - beginning(self.plan, index - 1)
        counts = (
            carrier.slot(i, offset, end) - carrier.slot(i, offset, end - row.overlap)
            for i in range(len(self.tails_of[what][stage]))
        )
        return [part[:, :, part.shape[2] - n :] for part, n in zip(self.tails_of[what][stage], counts, strict=True)]

    def remember(self, index: int, row: Row, made: Made, longest: int) -> None:
        """Add a window's own latents and noise to those of its shot, as many as `longest` frames need."""
        offset = row.start - row.overlap - beginning(self.plan, index)
        for what, stages in (("latents", made.latents), ("noise", made.noise)):
            joined: list[list[Tensor]] = []
            for stage, parts in enumerate(stages):
                carrier, before = self.stages[stage].carrier, self.tails_of.get(what) if row.overlap else None
                joined.append([])
                for i, part in enumerate(parts):
                    end = carrier.slot(i, offset, row.overlap + row.out)
                    if before is not None:  # its overlap is there already
                        own = part[:, :, carrier.slot(i, offset, row.overlap) : end]
                        whole = torch.cat([before[stage][i], own], dim=2)
                    else:
                        whole = part[:, :, :end]
                    joined[-1].append(whole[:, :, max(0, whole.shape[2] - carrier.slot(i, 0, longest) - 1) :].clone())
            self.tails_of[what] = joined

    def seed(self, index: int, row: Row, seed: int) -> int:
        """The noise seed of a window: of the first the given one; it does not depend on the length of other shots."""
        if row.seed_is_own:
            return row.seed
        place = place_of(self.plan, index)
        base = mix64(seed, *place) if any(place) else seed
        return (base + row.seed) % 2**64

    def draw(self, index: int, row: Row, stage: int, clip: Clip, seed: int) -> list[Tensor]:
        """The noise of a window, of each part; frames that the window before has too have the same as there."""
        noise = unjoined(with_seed(self.stages[stage].noise, seed).generate_noise(clip.latent))
        for i, tail in enumerate(self.tails(index, row, stage, "noise") or ()):
            start = clip.before if i == 0 else 0
            noise[i] = noise[i].clone()
            noise[i][:, :, start : start + tail.shape[2]] = tail
        return noise

    def join(self, index: int, row: Row, made: Made) -> None:
        """Fade the film into a window and hand on what no later window can change."""
        if self.drift is not None:
            self.watch_drift(index, row, made)
        frames, new = made.frames, made.frames[row.overlap :]
        fade = min(self.settings.crossfade, row.overlap, len(self.waiting))
        if fade:
            self.waiting = torch.cat(
                [self.waiting[:-fade], cross_fade(self.waiting[-fade:], frames[row.overlap - fade : row.overlap])]
            )
            self.tail = torch.cat([self.tail[:-fade], self.waiting[-fade:]])
        self.join_sound(index, row, made)
        after = self.plan.rows[index + 1 :]
        keep = min(self.settings.crossfade, after[0].overlap) if after else 0
        if made.sound is not None and after and after[0].overlap:
            keep = max(keep, math.ceil((LAG + FADE) * self.plan.fps))
        film = torch.cat([self.waiting, new]) if len(self.waiting) else new
        keep = min(keep, len(film))
        self.write(film[: len(film) - keep])
        self.waiting = film[len(film) - keep :].clone()
        longest = max((each.overlap for each in after), default=0)
        joined_tail = torch.cat([self.tail, new]) if len(self.tail) else new
        self.tail = joined_tail[max(0, len(joined_tail) - longest) :].clone()
        self.remember(index, row, made, longest)
        self.last = made
        self.report.append(f"window {index + 1}: frames {row.start} to {row.start + row.out - 1}; {made.line}")

    def watch_drift(self, index: int, row: Row, made: Made) -> None:
        """Stand where the drift control does after a window; a shot's first one stays as it is, whatever is set."""
        if row.overlap:
            self.drift = DriftState.load(self.drift.settings, made.drift)
        else:
            self.drift.correct_latent(index, made.latents[-1][0], 0)
            frames = made.frames.float() / 255
            self.drift.correct(index, frames, frames[:0])

    def join_sound(self, index: int, row: Row, made: Made) -> None:
        """Fade the film's sound into a window's, where it ends: also before the frames."""
        if made.sound is None:
            return
        rate, fps = self.carrier.sample_rate, self.plan.fps
        begin = beginning(self.plan, index)
        first = round(begin / fps * rate) + round((row.start - row.overlap - begin) / fps * rate)
        old = made.sound[:, :0] if self.sound is None else self.sound  # samples from `written` on
        at = max(first, self.written + old.shape[1])
        old = fitted(old, at - self.written)
        new = made.sound[:, : round((row.start + row.out) / fps * rate) - first]
        new = fitted(new, max(new.shape[1], at - first))
        fade = min(at - max(first, self.written), round(FADE * rate))
        weights = (torch.arange(fade) + 1) / (fade + 1)
        coming = new[:, at - first - fade : at - first]
        kept = old.shape[1] - fade
        self.sound = torch.cat([old[:, :kept], torch.lerp(old[:, kept:], coming, weights), new[:, at - first :]], 1)

    def write(self, frames: Tensor) -> None:
        if not len(frames):
            return
        start, self.done = self.done, self.done + len(frames)
        if self.keep:
            self.newest = (torch.cat([self.newest, frames]) if len(self.newest) else frames)[-self.keep :].clone()
        sound = None
        if self.given.sound is not None:
            sound = stretch(self.given.sound, start / self.plan.fps, self.done / self.plan.fps)["waveform"][0]
        elif self.sound is not None:
            count = round(self.done / self.plan.fps * self.carrier.sample_rate) - self.written
            sound, self.sound = fitted(self.sound, count), self.sound[:, count:]
            self.written += count
        self.sink(frames, sound)


def keys_of(plan: WindowPlan, settings: Settings, given: Given, drift: DriftSettings | None) -> list[str]:
    """A key for each window, of all that its frames depend on; a new shot's does not depend on what lies before it."""
    keys: list[str] = []
    base = [settings.identity, settings.carry, plan.fps]
    for index, row in enumerate(plan.rows):
        first = row.start - row.overlap
        facts: dict[str, Any] = {name: value for name, value in dataclasses.asdict(row).items() if name != "start"}
        facts["place"] = place_of(plan, index)
        facts["first"] = first if settings.timed else None
        for name in ("source", "control", "mask"):
            footage = getattr(given, name)
            facts[name] = None if footage is None else [footage.digest, first]
        facts["sound"] = None if given.sound is None else [digest(given.sound["waveform"]), first]
        facts["start_image"] = digest(given.start_image) if row.start == 0 else None
        facts["end_image"] = None if row.end is None else digest(given.end_images[row.end - 1])
        facts["ref_image"] = None if row.ref is None else digest(given.ref_images[row.ref - 1])
        if row.overlap:
            sound = None if given.prefix_sound is None else digest(given.prefix_sound["waveform"])
            facts["before"] = keys[-1] if keys else [given.prefix.digest, sound]
            facts["crossfade"] = settings.crossfade
            facts["drift"] = None if drift is None else drift.plain()
        keys.append(hashlib.sha256(json.dumps([base, facts], sort_keys=True).encode()).hexdigest()[:40])
    return keys


def place_of(plan: WindowPlan, index: int) -> tuple[int, int]:
    """Which shot of the film a window is in, and which of its windows it is."""
    starts = [i for i, row in enumerate(plan.rows[: index + 1]) if i == 0 or row.new_shot]
    return plan.shots_before + len(starts) - 1, index - starts[-1]


def beginning(plan: WindowPlan, index: int) -> int:
    """The film frame at which the windows begin that hang together with a window, those held of a video with them."""
    while index and plan.rows[index].overlap:
        index -= 1
    return plan.rows[index].start - plan.rows[index].overlap


def with_text(conditionings: Conditionings, text: list) -> Conditionings:
    """The prompts with another text in every entry of the positive one."""
    if "positive" not in conditionings:
        raise ValueError(
            f"the plan has prompts, and the guider's are {', '.join(conditionings)}: use one with a positive prompt"
        )
    if any(KEY in options for _, options in conditionings["positive"]):
        raise ValueError(
            "the plan has prompts, and positive is a time line of its own: leave the prompts of Window Plan empty, or "
            "connect a plain prompt"
        )
    tensor, options = text[0]
    return {**conditionings, "positive": [[tensor, {**each, **options}] for _, each in conditionings["positive"]]}


def piece(footage: Footage, start: int, end: int) -> Tensor:
    """Frames [end - start, H, W, 3] in 0..1 of footage; before its first frame that one, after its last that one."""
    low, high = min(max(0, start), footage.count - 1), max(1, min(end, footage.count))
    frames = footage.frames(low, max(high, low + 1))
    frames = frames.float() / 255 if frames.dtype == torch.uint8 else frames.float()
    index = torch.arange(start, end).clamp(low, low + len(frames) - 1) - low
    return frames[index]


def stretch(sound: dict, start: float, end: float) -> dict:
    """The sound from one time to another, in seconds; silence where there is none."""
    rate, waveform = sound["sample_rate"], sound["waveform"]
    first, last = round(start * rate), round(end * rate)
    part = waveform[..., max(0, first) : max(0, last)]
    part = torch.nn.functional.pad(part, (max(0, -first), 0))
    return {"sample_rate": rate, "waveform": torch.nn.functional.pad(part, (0, last - first - part.shape[-1]))}


def to_bytes(frames: Tensor) -> Tensor:
    """Images as uint8 on the CPU."""
    return frames.cpu() if frames.dtype == torch.uint8 else frames.cpu().mul(255).round().clamp(0, 255).to(torch.uint8)


def cross_fade(old: Tensor, new: Tensor) -> Tensor:
    """Frames [n, H, W, 3] uint8 going over from old to new; the first is not wholly old, the last not wholly new."""
    weights = ((torch.arange(len(old)) + 1) / (len(old) + 1)).view(-1, 1, 1, 1)
    return to_bytes(torch.lerp(old.float(), new.float(), weights) / 255)


def digest(tensor: Tensor | None) -> str | None:
    if tensor is None:
        return None
    name = f"{tuple(tensor.shape)} {tensor.dtype}".encode()
    return hashlib.sha256(name + tensor.cpu().contiguous().numpy().tobytes()).hexdigest()[:32]


def fitted(sound: Tensor, count: int) -> Tensor:
    """Samples [channels, count]: cut, or silence behind."""
    return torch.nn.functional.pad(sound[:, :count], (0, max(0, count - sound.shape[1])))


def joined(parts: list[Tensor]) -> Any:
    return parts[0] if len(parts) == 1 else _nested.NestedTensor(parts)


def unjoined(samples: Any) -> list[Tensor]:
    return list(samples.unbind()) if getattr(samples, "is_nested", False) else [samples]
