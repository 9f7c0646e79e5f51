"""One door for each kind of value that enters a node: CHECKS, by ComfyUI's name of the type.

A check gives the value as the pack's code expects it, the very object where nothing has to change, or raises a
ValueError that names the input, what it is and what to do.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from .finite import is_finite
from .sounds import check_sound


def check_number(value: Any, name: str, low: float | None, high: float | None, *, whole: bool) -> int | float:
    """A finite number within low..high, an int if `whole`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name} is {_kind(value)}, not a number: connect a node that gives one")
    value = int(value) if isinstance(value, numbers.Integral) else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is {value}: give a number")
    if whole and value != int(value):
        raise ValueError(f"{name} is {value:g}: give a whole number")
    if (low is not None and value < low) or (high is not None and value > high):
        ends = [f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else ""]
        raise ValueError(f"{name} is {str(value)[:40]}: give {' and '.join(filter(None, ends))}")
    return int(value) if whole else float(value)


def check_choice(value: Any, name: str, options: Sequence[Any] | None) -> Any:
    """One of a combo's options, if it lists them."""
    if options is None:
        return value
    listed = [option.value if isinstance(option, Enum) else option for option in options]
    if value not in listed:
        shown = repr(value[:60]) if isinstance(value, str) else _kind(value)
        if not listed:
            raise ValueError(f"{name} is {shown}: there is nothing to choose; its folder holds no file that fits")
        some = ", ".join(map(repr, listed[:20])) + (", ..." if len(listed) > 20 else "")
        raise ValueError(f"{name} is {shown}: choose one of {some}")
    return value


def check_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {_kind(value)}, not text: connect a node that gives text")
    return value


def check_flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {_kind(value)}, not true or false: connect a node that gives one of them")
    return value


def check_images(value: Any, name: str) -> Tensor:
    """An IMAGE [F, H, W, 3] in float32: grey becomes RGB, alpha is dropped, bytes become 0 to 1."""
    _need_tensor(value, name, "an image", 4)
    channels = value.shape[-1]
    if channels not in (1, 3, 4):
        raise ValueError(f"{name} has {channels} channels: connect grey, RGB or RGBA images")
    _need_finite(value, name)
    value = value.float() / 255 if value.dtype == torch.uint8 else value.float()
    if channels == 1:
        return value.expand(*value.shape[:-1], 3)
    return value[..., :3] if channels == 4 else value


def check_masks(value: Any, name: str) -> Tensor:
    """A MASK [F, H, W] in float32, also from [H, W] and [F, 1, H, W]."""
    if isinstance(value, Tensor) and value.ndim == 2:
        value = value[None]
    elif isinstance(value, Tensor) and value.ndim == 4 and value.shape[1] == 1:
        value = value[:, 0]
    _need_tensor(value, name, "a mask", 3)
    _need_finite(value, name)
    return value.float()


def check_latent(value: Any, name: str) -> dict[str, Any]:
    """A LATENT: a dict with samples that are not empty."""
    samples = value.get("samples") if isinstance(value, dict) else None
    parts = list(samples.unbind()) if getattr(samples, "is_nested", False) else [samples]  # type: ignore[union-attr]
    if not all(isinstance(part, Tensor) and part.numel() for part in parts):
        raise ValueError(f"{name} is {_kind(value)} without samples: connect a latent")
    mask = value.get("noise_mask")
    masks = list(mask.unbind()) if getattr(mask, "is_nested", False) else [] if mask is None else [mask]
    if not all(isinstance(each, Tensor) and each.numel() for each in masks):
        raise ValueError(f"{name} has a noise_mask that is {_kind(mask)}: take it out, or set a mask with values")
    for part in [*parts, *masks]:
        _need_finite(part, name)
    return value


def check_conditioning(value: Any, name: str) -> list:
    """A CONDITIONING: a list of [tensor, dict] that is not empty."""
    entries = value if isinstance(value, list | tuple) else []
    if not entries or not all(len(entry) == 2 and isinstance(entry[0], Tensor) for entry in entries):
        raise ValueError(f"{name} holds no prompt: connect a text encoder's output")
    for encoded, _ in entries:
        _need_finite(encoded, name)
    return value  # type: ignore[return-value]


def check_kind(value: Any, name: str, kind: type | Callable[[Any], bool], remedy: str) -> Any:
    """A value of a class, or one that a question says yes to; `remedy` says what to connect."""
    if not (isinstance(value, kind) if isinstance(kind, type) else kind(value)):
        raise ValueError(f"{name} is {_kind(value)}: connect {remedy}")
    return value


def offers(*names: str) -> Callable[[Any], bool]:
    """Whether a value has what nodes use of it: another pack's model or guider need not be of ComfyUI's class.

    A text has an `encode` too, and is none of these.
    """
    return lambda value: not isinstance(value, str) and all(hasattr(value, name) for name in names)


def check_tracks(value: Any, name: str) -> dict[str, Tensor]:
    """TRACKS: places [F, N, 2] of N tracks, and whether they are seen, for each frame and track or for all."""
    path, seen = (value.get(key) if isinstance(value, dict) else None for key in ("track_path", "track_visibility"))
    if not isinstance(path, Tensor) or not isinstance(seen, Tensor) or path.ndim != 3 or path.shape[2] != 2:
        raise ValueError(f"{name} is {_kind(value)} without places of tracks: connect LTX Tracks or a track node")
    if not path.numel():
        raise ValueError(f"{name} holds no track: give at least one")
    _need_finite(path, name)
    if seen.ndim > 2 or any(n not in (1, m) for n, m in zip(seen.shape[::-1], path.shape[1::-1], strict=False)):
        raise ValueError(
            f"{name} has {tuple(path.shape[:2])} places and says for {tuple(seen.shape)} whether they are seen: make "
            "them equal"
        )
    return value


def check_sigmas(value: Any, name: str) -> Tensor:
    """SIGMAS: finite numbers from 0 on, one dimension, also none."""
    if not isinstance(value, Tensor) or value.ndim != 1:
        raise ValueError(f"{name} is {_kind(value)}, not sigmas: connect a scheduler")
    _need_finite(value, name)
    if (value < 0).any():
        raise ValueError(f"{name} go down to {float(value.min()):g}: noise levels are 0 or more")
    return value


def _need_tensor(value: Any, name: str, what: str, dimensions: int) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is {_kind(value)}, not {what}: connect {what}")
    shape = "x".join(map(str, value.shape))
    if value.ndim != dimensions:
        raise ValueError(f"{name} has shape {shape}, {what} has {dimensions} dimensions: connect {what}")
    if not value.numel():
        raise ValueError(f"{name} is empty (shape {shape}): connect {what} of at least one frame")


def _need_finite(value: Tensor, name: str) -> None:
    if not is_finite(value):
        raise ValueError(f"{name} holds NaN or infinite values: look at what the node before gave")


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {'x'.join(map(str, value.shape)) or 'none'}"
    return (
        f"{type(value).__name__} {str(value)[:40]!r}" if isinstance(value, str | int | float) else type(value).__name__
    )


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "IMAGE": check_images,
    "MASK": check_masks,
    "AUDIO": check_sound,
    "LATENT": check_latent,
    "CONDITIONING": check_conditioning,
    "SIGMAS": check_sigmas,
    "TRACKS": check_tracks,
    "STRING": check_text,
    "BOOLEAN": check_flag,
    "LATENT_UPSCALE_MODEL": functools.partial(
        check_kind,  # ComfyUI 0.27 and older load the bare network
        kind=lambda value: hasattr(value, "load_device") or hasattr(value, "state_dict"),
        remedy="LatentUpscaleModelLoader",
    ),
    **{
        name: functools.partial(check_kind, kind=offers(*used), remedy=remedy)
        for name, used, remedy in (
            ("MODEL", ("model", "model_options", "clone"), "a model"),
            ("VAE", ("encode",), "a VAE"),
            ("CLIP", ("tokenize",), "a text encoder"),
            ("GUIDER", ("model_patcher", "original_conds", "sample"), "a guider such as CFGGuider"),
            ("SAMPLER", ("sample",), "a sampler such as KSamplerSelect"),
            ("NOISE", ("seed", "generate_noise"), "noise such as RandomNoise"),
            ("VIDEO", ("get_stream_source", "get_components"), "a video such as LoadVideo"),
        )
    },
}
