"""Windows of a long Wan video: text to video, image to video and Fun, 5B, VACE, and pairs of experts.

The frames before a window are encoded as its first latent frames and held there by the noise mask; models with channels
for images or control are told them there as well, as they were trained. What the user's own conditioning nodes made for
the whole film is cut to the window. T latent frames, k held ones, q the film's latent frame that a window begins at.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ..samplers.conditionings import Conditionings
from ..samplers.windows.carrier import Clip, Window
from ..samplers.windows.plan import GRIDS
from .checks import need_vae, need_wan
from .conditioning import FunInputs, ReferenceRowMask, check_inputs, check_size, encode, prepare, set_values
from .frames import TEMPORAL, fit_images, fit_masks, latent_frames
from .layouts import WanLayout, model_base, read_layout
from .vace import Stream, append_lists, compose, encode_reference, encode_stream, letterbox, make_canvas

ALONG_TIME = {"camera_conditions": 2, "concat_latent_image": 2, "concat_mask": 2}  # key -> its axis of latent frames


def make_carrier(model: Any, vae: Any, width: int, height: int) -> WanCarrier | VaceCarrier:
    """The carrier of a loaded Wan MODEL. Raises ValueError for a VAE or size that it cannot take."""
    need_wan(model, "guider")
    if isinstance(model.model, model_base.WAN21_Vace):
        return VaceCarrier(model, vae, width, height)
    return WanCarrier(model, vae, width, height, read_layout(model))


class _Carrier:
    grid = GRIDS["wan"]
    sample_rate = 0

    def __init__(self, model: Any, vae: Any, width: int, height: int):
        self.format, self.vae, self.width, self.height = model.model.latent_format, vae, width, height
        need_vae(vae, self.format.latent_channels, "this Wan model")

    def slot(self, _part: int, _offset: int, frame: int) -> int:
        return -(-frame // TEMPORAL)

    def parts(self, clip: Clip, sampled: Tensor) -> list[Tensor]:
        return [sampled[:, :, clip.before :]]

    def decode(self, parts: list[Tensor], _window: Window) -> tuple[Tensor, None]:
        return self.vae.decode(parts[0]).flatten(0, 1).cpu(), None

    def fit(self, images: Tensor) -> Tensor:
        return fit_images(images, self.width, self.height)

    def hold(self, window: Window, samples: Tensor, before: int = 0) -> tuple[Tensor, Tensor | None, int]:
        """Samples with the held frames in front, the noise mask, and how many latent frames they are."""
        if window.source is not None:
            samples = samples.clone()
            samples[:, :, before:] = encode(self.vae, self.fit(window.source))
        if window.held is None:
            return samples, None, 0
        content = encode(self.vae, self.fit(window.held))  # [1, L, k, h, w]
        if window.carried is not None:  # the first one codes a single frame, which none in the middle of a clip does
            content = torch.cat([content[:, :, :1], window.carried[0][:, :, 1:].to(content)], dim=2)
        samples, mask = samples.clone(), torch.ones(1, 1, *samples.shape[2:])
        held = slice(before, before + content.shape[2])
        samples[:, :, held], mask[:, :, held] = content, 0.0
        return samples, mask, content.shape[2]


class WanCarrier(_Carrier):
    """Everything but VACE: what the model has channels for, its layout says."""

    def __init__(self, model: Any, vae: Any, width: int, height: int, layout: WanLayout):
        super().__init__(model, vae, width, height)
        self.layout = layout
        check_size(layout, width, height, 1)
        uses = {"source"}
        if layout.blocks or layout.pins_first_frame:
            uses |= {"start_image"}
        if layout.blocks:
            uses |= {"end_image"}
        if "control" in layout.blocks:
            uses |= {"control"}
        if layout.ref_conv:
            uses |= {"ref_image"}
        self.uses = frozenset(uses)

    def clip(self, window: Window, conditionings: Conditionings) -> Clip:
        frames, first = window.row.frames, window.start_image
        if window.held is not None:
            first = window.held if self.layout.blocks else None  # without channels for images the mask alone holds
        if first is not None and "start" in self.layout.blocks:
            first = first[:1]
        end = window.end_image  # up to the end of the window, also over frames that are left out
        given = FunInputs(
            start_image=first,
            end_image=None if end is None else end.expand(frames - window.last, -1, -1, -1),
            control_video=window.control,
            ref_image=window.ref_image,
        )
        notes = check_inputs(self.layout, given, frames)
        made = prepare(self.layout, self.format, self.vae, given, width=self.width, height=self.height, length=frames)
        samples, mask, held = self.hold(window, made.samples)
        values = dict(made.values)
        if mask is None:
            mask = made.noise_mask
        elif self.layout.pins_first_frame and self.layout.ref_conv:
            values["model_conds"] = {**values.get("model_conds", {}), "denoise_mask": ReferenceRowMask(mask)}
        # where nothing is given, what the user's own nodes made stands: also the CLIP features of a start image
        own = {key for key in ("clip_vision_output", "reference_latents") if _has(conditionings, key)}
        if window.ref_image is None:
            values = {key: value for key, value in values.items() if key not in own}
        cut = {name: self.cut(prompt, window, values) for name, prompt in conditionings.items()}
        latent = {"samples": samples, **({} if mask is None else {"noise_mask": mask})}
        return Clip(cut, latent, [held], notes=notes)

    def cut(self, prompt: list, window: Window, values: dict) -> list:
        """A prompt with the window's values, and with its part of what was made for the whole film."""
        out = []
        for tensor, options in prompt:
            options = _cut_along_time(options, window)
            mine = dict(values)
            if "concat_latent_image" in options and "concat_latent_image" in mine:
                mine |= self.merged(options, mine, window)
            out += set_values([[tensor, options]], mine)
        return out

    def merged(self, options: dict, values: dict, window: Window) -> dict:
        """Image channels of the user where they give something, of the held frames in front, empty elsewhere."""
        theirs, ours = options["concat_latent_image"], values["concat_latent_image"]
        if theirs.shape[1:] != ours.shape[1:]:
            raise ValueError(
                f"the prompts carry images of shape {tuple(theirs.shape[1:])}, a window of this model takes "
                f"{tuple(ours.shape[1:])}: make them for this model at {self.width}x{self.height}"
            )
        own = max(self.slot(0, window.offset, window.row.overlap), 1 if window.start_image is not None else 0)
        kept = options.get("concat_mask")
        if kept is None or "concat_mask" not in values:  # no mask channels: the user's, but for what is held
            image = theirs.clone()
            if own:
                image[:, :, :own] = ours[:, :, :own]
            return {"concat_latent_image": image}
        kept = kept.to(values["concat_mask"]).expand_as(values["concat_mask"]).clone()
        kept[:, :, :own] = 1.0
        given = (kept < 1).amax(dim=(1, 3, 4), keepdim=True)  # [1, 1, T, 1, 1]
        return {
            "concat_latent_image": torch.where(given, theirs.to(ours), ours),
            "concat_mask": torch.where(given, kept, values["concat_mask"]),
        }


class VaceCarrier(_Carrier):
    """VACE: the held frames are control frames to keep, references stand in front of the clip."""

    grid = GRIDS["vace"]
    uses = frozenset({"start_image", "end_image", "ref_image", "control", "mask", "source"})

    def clip(self, window: Window, conditionings: Conditionings) -> Clip:
        frames = window.row.frames
        cut = {
            name: [[tensor, _cut_vace(options, window)] for tensor, options in prompt]
            for name, prompt in conditionings.items()
        }
        theirs = next((o for _, o in cut["positive"] if "vace_frames" in o), None)
        notes: list[str] = []
        if theirs is None or window.control is not None:
            values = self.values(window)
            cut = {name: append_lists(prompt, values) for name, prompt in cut.items()}
            before = values["vace_frames"][0].shape[2] - latent_frames(frames)
        elif window.ref_image is not None or window.start_image is not None or window.end_image is not None:
            raise ValueError(
                "the prompts carry VACE frames already: give start, end and reference images to the node that made "
                "them, or connect the prompts without it"
            )
        else:
            before = theirs["vace_frames"][0].shape[2] - latent_frames(frames)
            if window.held is not None:
                content, kept = encode_stream(self.vae, self.held_stream(window.held))
                cut = {name: [[t, _overlay(o, content, kept, before)] for t, o in p] for name, p in cut.items()}
        shape = (1, 16, before + latent_frames(frames), self.height // 8, self.width // 8)
        samples, mask, held = self.hold(window, torch.zeros(shape), before)
        latent = {"samples": samples, **({} if mask is None else {"noise_mask": mask})}
        return Clip(cut, latent, [held], before, notes)

    def held_stream(self, held: Tensor) -> Stream:
        images = self.fit(held)
        return Stream(images, torch.zeros(images.shape[:3]))

    def values(self, window: Window) -> dict[str, list]:
        """VACE's inputs for a window: control or nothing, with what is held, starts and ends put over it."""
        if window.mask is not None and window.control is None:
            raise ValueError("mask_video says what of control_video VACE makes anew: connect control_video as well")
        canvas = make_canvas(self.width, self.height, "")
        mask = None if window.mask is None else fit_masks(window.mask, self.width, self.height)
        stream, _ = compose(canvas, window.row.frames, control=window.control, mask=mask)
        first = window.held if window.held is not None else window.start_image
        if first is not None:
            stream.video[: len(first)], stream.mask[: len(first)] = self.fit(first), 0.0
        if window.end_image is not None:
            stream.video[window.last], stream.mask[window.last] = self.fit(window.end_image)[0], 0.0
        parts = [encode_stream(self.vae, stream)]
        if window.ref_image is not None:
            picture = letterbox(window.ref_image, self.width, self.height)
            parts.insert(0, encode_reference(self.vae, self.format, picture))
        joined = [torch.cat(each, dim=2) for each in zip(*parts, strict=True)]
        return {"vace_frames": [joined[0]], "vace_mask": [joined[1]], "vace_strength": [1.0]}


def _has(conditionings: Conditionings, key: str) -> bool:
    return any(options.get(key) is not None for prompt in conditionings.values() for _, options in prompt)


def _film(window: Window) -> int:
    """Latent frames of the whole film."""
    return latent_frames(window.film + (1 - window.film) % TEMPORAL)


def _cut_along_time(options: dict, window: Window) -> dict:
    options = dict(options)
    for key, axis in ALONG_TIME.items():
        value = options.get(key)
        if value is not None:
            options[key] = _part(value, axis, window, key)
    if options.get("model_conds"):
        options["model_conds"] = {
            key: _cut_cond(value, window, key) for key, value in options["model_conds"].items() if key != "denoise_mask"
        }
    return options


def _part(value: Tensor, axis: int, window: Window, what: str) -> Tensor:
    """The window's part of something that was made for the whole film; around that, its first or last frame."""
    if value.shape[axis] < _film(window):
        raise ValueError(
            f"the prompts carry {what} for {value.shape[axis]} latent frames, and the film has {_film(window)} "
            f"({window.film} frames): make it as long, by connecting length of Window Plan"
        )
    first = -(-window.first // TEMPORAL)
    index = torch.arange(first, first + latent_frames(window.row.frames)).clamp(0, value.shape[axis] - 1)
    return value.index_select(axis, index.to(value.device))


def _cut_cond(value: Any, window: Window, what: str) -> Any:
    tensor = getattr(value, "cond", None)
    if not isinstance(tensor, Tensor) or tensor.ndim != 5:
        return value
    value = copy.copy(value)
    value.cond = _part(tensor, 2, window, what)
    return value


def _cut_vace(options: dict, window: Window) -> dict:
    if not options.get("vace_frames"):
        return options
    before = max(0, options["vace_frames"][0].shape[2] - _film(window))  # references

    def part(each: Tensor) -> Tensor:
        return torch.cat([each[:, :, :before], _part(each[:, :, before:], 2, window, "VACE frames")], dim=2)

    return {**options, **{key: [part(each) for each in options[key]] for key in ("vace_frames", "vace_mask")}}


def _overlay(options: dict, content: Tensor, kept: Tensor, before: int) -> dict:
    """VACE's inputs with the held frames put over the clip's first ones."""
    span = slice(before, before + content.shape[2])
    frames, masks = [each.clone() for each in options["vace_frames"]], [each.clone() for each in options["vace_mask"]]
    for each, mask in zip(frames, masks, strict=True):
        each[:, :, span], mask[:, :, span] = content.to(each), kept.to(mask)
    return {**options, "vace_frames": frames, "vace_mask": masks}
