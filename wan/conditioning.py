"""The Wan Fun conditioning: from images to what ComfyUI's Wan models read, in each model's exact layout.

Source: VideoX-Fun pipelines (commit 804a425). ComfyUI's own nodes differ: they omit the zero reference and the zero
CLIP features the models were trained with, leave the 5B first frame unpinned, and give 5B reference tokens the wrong
timestep. Letters: B batch, L latent channels, T latent frames, h w latents. Latents here are raw VAE latents unless
said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.clip_vision
import torch
from torch import Tensor

from ..utils.core import need
from ..utils.images import fit_length
from . import camera_5b
from .frames import fit_images, fit_masks, latent_frames, lay_out, mask_latents
from .layouts import CAMERA_CHANNELS, CLIP_WIDTH, WanLayout

conds = need("comfy.conds", "CONDRegular.process_cond")

# Limits of a step range are moved off the values schedules take, so that no step falls into two ranges.
RANGE_NUDGE = 1e-5


@dataclass(frozen=True)
class FunInputs:
    """What the user gives. Images [F, H, W, C] in 0..1, masks [F, H, W], camera [1, 24, T, H, W]."""

    start_image: Tensor | None = None
    end_image: Tensor | None = None
    inpaint_video: Tensor | None = None
    inpaint_mask: Tensor | None = None
    control_video: Tensor | None = None
    ref_image: Tensor | None = None
    clip_vision_output: Any = None
    camera: Tensor | None = None


def nearest(value: int, multiple: int, offset: int = 0) -> str:
    """'832 or 848': the allowed values around `value`."""
    below = (value - offset) // multiple * multiple + offset
    return f"{below} or {below + multiple}" if below > 0 else f"{below + multiple}"


def check_size(layout: WanLayout, width: int, height: int, length: int) -> None:
    """Refuse sizes and lengths the model cannot take."""
    for name, value in (("width", width), ("height", height)):
        if value % layout.multiple:
            raise ValueError(
                f"{name} is {value}; {layout.name} needs multiples of {layout.multiple}: use "
                f"{nearest(value, layout.multiple)}"
            )
    if length % 4 != 1:
        raise ValueError(f"length is {length}; Wan needs 4k+1 frames: use {nearest(length, 4, 1)}")


def check_inputs(layout: WanLayout, given: FunInputs, length: int) -> list[str]:
    """Refuse what the model has no place for; give the warnings for what it takes but was not trained for."""
    blocks, warnings = layout.blocks, []
    image = given.start_image is not None
    if given.camera is not None and not layout.camera:
        raise ValueError(
            f"camera is given, but the model ({layout.name}) has no control adapter: load a Fun Control-Camera model "
            "or disconnect camera"
        )
    if given.control_video is not None and "control" not in blocks:
        raise ValueError(
            f"control_video is given, but the model ({layout.name}) has no control channels: load a Fun Control model "
            "or disconnect control_video"
        )
    if given.ref_image is not None and not layout.ref_conv:
        raise ValueError(
            f"ref_image is given, but the model ({layout.name}) has no reference convolution: load a Fun V1.1 or 2.2 "
            "Control model that has one, or use start_image"
        )
    if given.clip_vision_output is not None and not layout.clip_tokens:
        raise ValueError(
            f"clip_vision_output is given, but the model ({layout.name}) has no image embedding: disconnect "
            "clip_vision_output"
        )
    if (given.inpaint_video is None) != (given.inpaint_mask is None):
        raise ValueError("inpaint_video and inpaint_mask belong together: connect both or none")
    for name in ("start_image", "end_image", "inpaint_video"):
        pinned_only = name == "start_image" and layout.pins_first_frame
        if getattr(given, name) is not None and not blocks and not pinned_only:
            raise ValueError(
                f"{name} is given, but the model ({layout.name}) has no channels for images: load an inpaint, "
                "image-to-video or control model"
            )
    if "start" in blocks:
        if given.inpaint_video is not None:
            raise ValueError(
                f"inpaint_video is given, but the model ({layout.name}) has no mask channels: use an inpaint model or "
                "a Wan 2.2 Control model"
            )
        if image and given.start_image.shape[0] != 1:
            raise ValueError(f"start_image has {given.start_image.shape[0]} frames; {layout.name} takes 1")
        if given.end_image is not None:
            warnings.append(
                f"end_image: {layout.name} was not trained on end frames and its last frames may wash out; Wan 2.2 "
                "Control was"
            )
    if not blocks and image and given.start_image.shape[0] != 1:
        raise ValueError(f"start_image has {given.start_image.shape[0]} frames; {layout.name} takes 1")
    kept = sum(images.shape[0] for images in (given.start_image, given.end_image) if images is not None)
    if kept > length:
        raise ValueError(f"start_image and end_image have {kept} frames together; length is {length}")
    return warnings


def check_camera(camera: Tensor, width: int, height: int, length: int) -> None:
    """Refuse a camera embedding that was made for another size or length."""
    expected = (CAMERA_CHANNELS, latent_frames(length), height, width)
    if tuple(camera.shape[1:]) != expected:
        raise ValueError(
            f"camera is {tuple(camera.shape[1:])} (channels, latent frames, height, width), not {expected}: give the "
            "camera embedding the same width, height and length"
        )


def latent_zeros(latent_format: Any, *shape: int) -> Tensor:
    """Raw latents that are zero in the model's normalised space: 'nothing', as the models were trained."""
    return latent_format.process_out(torch.zeros(shape))


def encode(vae: Any, images: Tensor) -> Tensor:
    """Raw latents [1, L, T, h, w] of images [F, H, W, 3], on the CPU in float32."""
    return vae.encode(images[..., :3]).float().cpu()


class ReferenceRowMask(conds.CONDRegular):  # type: ignore[name-defined]
    """A denoise mask [B, 1, T, h, w] that reaches the model with one frame more in front: the reference tokens' row.

    The frame is added last of all, so that context windows cut the mask to the frames of their window first.
    """

    def process_cond(self, batch_size: int, **kwargs: Any) -> conds.CONDRegular:  # type: ignore[name-defined]
        mask = super().process_cond(batch_size, **kwargs).cond
        return conds.CONDRegular(torch.cat([torch.ones_like(mask[:, :, :1]), mask], dim=2))


def zero_clip(tokens: int) -> comfy.clip_vision.Output:
    """The CLIP vision output of no image: zero features, which is not the same as no features."""
    output = comfy.clip_vision.Output()
    output.penultimate_hidden_states = torch.zeros(1, tokens, CLIP_WIDTH)
    return output


@dataclass(frozen=True)
class Prepared:
    """Conditioning values for both prompts, and the latent to start from.

    `values` hold every step; `free` are the values that replace them where control is off (outside its step range).
    """

    values: dict[str, Any]
    free: dict[str, Any]
    samples: Tensor  # [B, L, T, h, w]
    noise_mask: Tensor | None
    notes: list[str]


def prepare(
    layout: WanLayout,
    latent_format: Any,
    vae: Any,
    given: FunInputs,
    *,
    width: int,
    height: int,
    length: int,
    batch_size: int = 1,
    control_strength: float = 1.0,
) -> Prepared:
    """Encode the inputs and build the conditioning of one model; the inputs must have been checked."""
    notes: list[str] = []
    images = {
        name: None if getattr(given, name) is None else fit_images(getattr(given, name), width, height)
        for name in ("start_image", "end_image", "inpaint_video", "control_video", "ref_image")
    }
    shape = (1, layout.latent_channels, latent_frames(length), height // layout.spatial, width // layout.spatial)
    zeros = latent_zeros(latent_format, *shape)
    keep = torch.zeros(1, 4, *shape[2:])
    parts: dict[str, Tensor] = {}

    if "masked" in layout.blocks or layout.pins_first_frame:
        mask = None if given.inpaint_mask is None else fit_masks(given.inpaint_mask, width, height)
        video, mask = lay_out(
            length,
            height,
            width,
            start=images["start_image"],
            end=images["end_image"],
            inpaint=images["inpaint_video"],
            inpaint_mask=mask,
        )
        parts["masked"] = zeros
        if (mask < 1).any():  # grey alone is not encoded: the models know 'nothing' as zero
            parts["masked"] = encode(vae, video if layout.blocks else images["start_image"][:1])
            keep = mask_latents(mask, *shape[3:])
    if "start" in layout.blocks:
        parts["start"] = zeros.clone()
        if images["start_image"] is not None:
            parts["start"][:, :, :1] = encode(vae, images["start_image"])[:, :, :1]
        if images["end_image"] is not None:
            parts["start"][:, :, -1:] = encode(vae, images["end_image"][-1:])[:, :, :1]
    if "control" in layout.blocks:
        parts["control"] = zeros
        if images["control_video"] is not None:
            frames = images["control_video"].shape[0]
            if frames != length:
                notes.append(
                    f"control_video has {frames} frames: "
                    + (
                        f"{frames - length} dropped at the end"
                        if frames > length
                        else f"the last one is held for {length - frames} more"
                    )
                )
            control = encode(vae, fit_length(images["control_video"], length))
            parts["control"] = scale_latents(latent_format, control, control_strength)

    values: dict[str, Any] = {}
    free: dict[str, Any] = {}
    if layout.blocks:
        order = [block for block in layout.blocks if block != "mask"]
        values["concat_latent_image"] = torch.cat([parts[block] for block in order], dim=1)
        if "control" in order and images["control_video"] is not None:
            without = {**parts, "control": zeros}
            free["concat_latent_image"] = torch.cat([without[block] for block in order], dim=1)
        if "mask" in layout.blocks:
            values |= {"concat_mask": 1.0 - keep, "concat_mask_index": layout.mask_index}
    if layout.camera and given.camera is not None and control_strength != 0.0:
        # at 0 there is no camera at all: the adapter has biases, so a zero embedding is not the same
        camera = given.camera * control_strength
        values["camera_conditions"], free["camera_conditions"] = camera, None
        if layout.pins_first_frame:
            values["model_conds"], free["model_conds"] = {"camera_conditions": camera_5b.regular(camera)}, {}
    if layout.ref_conv:
        ref = images["ref_image"]
        ref = latent_zeros(latent_format, *shape[:2], 1, *shape[3:]) if ref is None else encode(vae, ref[:1])
        values["reference_latents"] = [ref]
    if layout.clip_tokens:
        features = given.clip_vision_output
        values["clip_vision_output"] = zero_clip(layout.clip_tokens) if features is None else features
        if given.clip_vision_output is None and any(images[k] is not None for k in ("start_image", "ref_image")):
            notes.append(
                "no clip_vision_output: the model gets zero image features; encode the reference or start image with "
                "CLIP vision for full image adherence"
            )

    samples = zeros
    noise_mask = None
    if layout.pins_first_frame and bool((keep[:, :, :1] == 1).all()):
        samples = torch.cat([parts["masked"][:, :, :1], zeros[:, :, 1:]], dim=2)
        noise_mask = torch.ones(1, 1, *shape[2:])
        noise_mask[:, :, :1] = 0.0
        if layout.ref_conv:
            row = {"denoise_mask": ReferenceRowMask(noise_mask)}
            values["model_conds"] = {**values.get("model_conds", {}), **row}
            if "model_conds" in free:
                free["model_conds"] = row
        notes.append("the first latent frame is pinned: sample the latent of this node")
    samples = samples.repeat(batch_size, 1, 1, 1, 1) if noise_mask is not None else torch.zeros(batch_size, *shape[1:])
    return Prepared(values, free, samples, noise_mask, notes)


def scale_latents(latent_format: Any, raw: Tensor, strength: float) -> Tensor:
    """Blend raw control latents towards 'no control' (zero in normalised space)."""
    if strength == 1.0:
        return raw
    return latent_format.process_out(latent_format.process_in(raw.clone()) * strength)


def set_values(conditioning: list, values: dict[str, Any]) -> list:
    """The conditioning with the values set; a value of None removes the key. Nothing received is written to."""
    out = []
    for tensor, options in conditioning:
        merged = {key: value for key, value in {**options, **values}.items() if value is not None}
        if "reference_latents" in values:
            merged["reference_latents"] = [*options.get("reference_latents", []), *values["reference_latents"]]
        if "model_conds" in values:
            merged["model_conds"] = {**options.get("model_conds", {}), **values["model_conds"]}
            if "denoise_mask" in values["model_conds"]:
                merged["denoise_mask"] = None  # else core puts the sampler's mask in the place of this one
        out.append([tensor, merged])
    return out


def restrict(conditioning: list, start: float, end: float) -> list:
    """The conditioning limited to a part of the run, inside the limits it may already have."""
    out = []
    for tensor, options in conditioning:
        low = max(start, options.get("start_percent", 0.0))
        high = min(end, options.get("end_percent", 1.0))
        if low < high:
            out.append([tensor, {**options, "start_percent": low, "end_percent": high}])
    return out


def apply(conditioning: list, prepared: Prepared, start_percent: float, end_percent: float) -> list:
    """Conditioning for the model; outside start_percent..end_percent (parts of the run) control is off.

    The parts do not overlap, so each step still costs one forward a prompt.
    """
    controlled = set_values(conditioning, prepared.values)
    if not prepared.free or (start_percent <= 0.0 and end_percent >= 1.0):
        return controlled
    free = set_values(conditioning, {**prepared.values, **prepared.free})
    if end_percent <= start_percent:
        return free
    low = max(start_percent - RANGE_NUDGE, 0.0)
    high = min(end_percent + RANGE_NUDGE, 1.0)
    out = restrict(free, 0.0, low) if low > 0.0 else []
    out += restrict(controlled, low, high)
    return out + (restrict(free, high, 1.0) if high < 1.0 else [])
