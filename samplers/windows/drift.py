"""Drift control: each new window brought back to the colours, and the sharpness, of what is committed.

The frames of a new window's overlap show what was committed before. What the colours of the one differ in from the
other is drift: a map fitted on these pairs alone goes over the whole window, so that a change of light inside of it
stays. The map is one for all frames, unless it fades. F frames, H W pixels; images hold sRGB code values in 0..1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...utils.colour import delta_e, lab_to_linear, linear_to_lab, linear_to_srgb, luma, mapped, srgb_to_linear
from ...utils.latent_statistics import match_moments
from . import colour_fit
from .colour_fit import Statistics
from .sharpness import NONE, amount_for, detail, unsharp

PAIRS_AFFINE, PAIRS_MATRIX, MKL, LAB, LATENT = "pairs affine", "pairs matrix", "MKL", "Lab", "latent AdaIN"
MODES = (PAIRS_AFFINE, PAIRS_MATRIX, MKL, LAB, LATENT)
PREVIOUS, FIRST, BLEND = "previous", "first", "blend"
ANCHORS = (PREVIOUS, FIRST, BLEND)
REPORT, HOLD = "report", "hold"
SHARPNESS = (REPORT, HOLD)
PAIRS = 3  # overlap frames that a fit of pairs needs
MEASURED = 16  # frames of a first window at most, evenly spaced
DIFFERENT = 0.08  # code values: what is further apart after the fit shows something else
LATENT_FACTOR = 0.3  # of AdaIN at strength 1


@dataclass(frozen=True)
class DriftSettings:
    """How windows are held together.

    `mode`: "pairs affine" fits a gain and an offset of linear light to each channel of the overlap's pairs, "pairs
    matrix" all channels from all; "MKL" (light) and "Lab" match means and spreads; "latent AdaIN" matches those of the
    latents before they are decoded. `anchor`: "previous" = the committed overlap, "first" = the statistics of the
    first window (with pairs: spreads for affine, MKL for the matrix), "blend" = both maps, `share` of the first.
    `fade` lets the strength fall to 0 from the end of the overlap to the end of the window. `sharpness`: "report" or
    "hold", by an unsharp mask of at most 0.4.
    """

    mode: str = PAIRS_AFFINE
    strength: float = 1.0
    anchor: str = PREVIOUS
    share: float = 0.3
    fade: bool = False
    sharpness: str = REPORT

    def plain(self) -> dict[str, Any]:
        """As JSON can say it."""
        return asdict(self)

    @property
    def first_share(self) -> float:
        """How much of the map comes from the first window."""
        return {PREVIOUS: 0.0, FIRST: 1.0, BLEND: self.share}[self.anchor]


@dataclass(frozen=True)
class Reference:
    """What the first window of a shot looks like: statistics, and the energy of its finest band."""

    colours: Statistics
    energy: float

    @classmethod
    def of(cls, frames: Tensor) -> Reference:
        frames = frames[:: -(-len(frames) // MEASURED)]
        return cls(colour_fit.statistics(colour_fit.samples(frames)), detail(frames).band)

    def tensors(self) -> dict[str, Tensor]:
        return {**vars(self.colours), "energy": torch.tensor(self.energy, dtype=torch.float64)}

    @classmethod
    def load(cls, tensors: dict[str, Tensor]) -> Reference:
        return cls(Statistics(*(tensors[name] for name in Statistics.__annotations__)), float(tensors["energy"]))


@dataclass(frozen=True)
class Correction:
    """A map of colours [3, 4] of linear light or of Lab, an unsharp mask, and what the report says of them."""

    matrix: Tensor
    of_lab: bool = False
    amount: float = 0.0
    strength: float = 1.0
    overlap: int = 0
    fade: bool = False
    report: str = ""

    def apply(self, frames: Tensor) -> Tensor:
        """Frames [F, H, W, 3] of a window, its overlap first; a frame that nothing is done to keeps its bits."""
        if self.is_nothing:
            return frames
        out = torch.empty_like(frames)
        for index, frame in enumerate(frames):
            out[index] = self._apply(frame, self.strength * self._share(index, len(frames)))
        return out

    @property
    def is_nothing(self) -> bool:
        return not self.strength or (not self.amount and torch.equal(self.matrix, colour_fit.identity()))

    def _share(self, index: int, count: int) -> float:
        """How much of the strength a frame gets: all of it in the overlap, then less and less down to none."""
        if not self.fade or index < self.overlap:
            return 1.0
        return (count - 1 - index) / (count - self.overlap)

    def _apply(self, frame: Tensor, strength: float) -> Tensor:
        if not strength:
            return frame
        if not torch.equal(self.matrix, colour_fit.identity()):
            light = map_light(srgb_to_linear(frame.clamp(0, 1)), self.partial(strength), self.of_lab)
            frame = linear_to_srgb(light).clamp(0, 1)
        return unsharp(frame[None], strength * self.amount)[0]

    def partial(self, strength: float) -> Tensor:
        return torch.lerp(colour_fit.identity(), self.matrix, strength)


def map_light(light: Tensor, matrix: Tensor, of_lab: bool) -> Tensor:
    """Linear light [..., 3] in 0..1 after a map of it or of its Lab."""
    light = lab_to_linear(mapped(linear_to_lab(light), matrix)) if of_lab else mapped(light, matrix)
    return light.clamp(0, 1)


def fit(new: Tensor, committed: Tensor, settings: DriftSettings, reference: Reference) -> Correction:
    """What brings a new window back, from its overlap [N, H, W, 3] as it shows it and as it was committed.

    `reference` is what the anchors "first" and "blend" hold on to. The correction does nothing, and its report says
    why, where pairs are fitted and are fewer than 3 or show something else.
    """
    light, before = colour_fit.samples(new), colour_fit.samples(committed)
    nothing = Correction(colour_fit.identity(), overlap=len(new))
    maps, refused = _maps(light, before, len(new), settings, reference)
    if refused:
        return replace(nothing, report=refused)
    of_lab = settings.mode == LAB
    matrix = torch.stack([share * each for share, each in maps]).sum(0) if maps else colour_fit.identity()
    matrix = matrix.round(decimals=6)  # frames without drift keep their bits, others do not hang on the order of a sum
    colours = replace(nothing, matrix=matrix, of_lab=of_lab, strength=settings.strength)
    # Sharpness is measured where the colours are right, so that a gain does not count as sharpness.
    details = detail(replace(colours, strength=1.0).apply(new))
    target = _energy(detail(committed).band, settings, reference)
    amount = amount_for(details, target) if settings.sharpness == HOLD else 0.0
    after = map_light(light, colours.partial(settings.strength), of_lab)
    report = [
        f"delta-E {float(delta_e(light, before).mean()):.2f} -> {float(delta_e(after, before).mean()):.2f}",
        f"luma {_luma(light.mean(0)):.3f} -> {_luma(after.mean(0)):.3f} (committed {_luma(before.mean(0)):.3f}, "
        f"first {_luma(reference.colours.light_mean):.3f})",
    ]
    if maps:
        gains, offsets = matrix[:, :3].diagonal().tolist(), matrix[:, 3].tolist()
        report.append(f"gains {' '.join(f'{gain:.3f}' for gain in gains)}")
        held = " (held at a limit)" if any(colour_fit.at_a_limit(each) for _, each in maps) else ""
        report.append(f"offsets {' '.join(f'{offset:+.3f}' for offset in offsets)}{held}")
    ratio, after_mask = ((details.energy(a) + NONE) / target for a in (0.0, settings.strength * amount))
    report.append(f"sharpness {ratio:.2f}" + (f" -> {after_mask:.2f}" if settings.sharpness == HOLD else ""))
    return replace(colours, amount=amount, fade=settings.fade, report=", ".join(report))


def _luma(light: Tensor) -> float:
    """Code value of the luminance of mean light [3]."""
    return float(linear_to_srgb(luma(light)))


def _energy(committed: float, settings: DriftSettings, reference: Reference) -> float:
    """What the finest band should have, not 0: as the committed overlap, as the first window, or between the two."""
    share = settings.first_share
    return (committed + NONE) ** (1 - share) * (reference.energy + NONE) ** share


def _maps(
    light: Tensor, before: Tensor, count: int, settings: DriftSettings, reference: Reference
) -> tuple[list[tuple[float, Tensor]], str]:
    """The maps of colours to blend, each with its share, or why there are none."""
    share, now = settings.first_share, colour_fit.statistics(light)
    maps = []
    if settings.mode == LATENT:
        return [], ""
    if share < 1 and settings.mode in (PAIRS_AFFINE, PAIRS_MATRIX):
        if count < PAIRS:
            return [], f"left as it is: a fit of pairs needs {PAIRS} overlap frames, there are {count}"
        matrix = colour_fit.fit_pairs(light, before, settings.mode == PAIRS_MATRIX)
        apart = colour_fit.residual(mapped(light, matrix), before)
        if apart > DIFFERENT:
            return [], (
                f"left as it is: after the fit the overlap is {apart:.2f} off what was committed, more than "
                f"{DIFFERENT:g}, so it shows something else"
            )
        maps.append((1 - share, matrix))
    elif share < 1:
        maps.append((1 - share, _match(settings.mode, now, colour_fit.statistics(before))))
    if share > 0:
        maps.append((share, _match(settings.mode, now, reference.colours)))
    return maps, ""


def _match(mode: str, source: Statistics, target: Statistics) -> Tensor:
    matchers = {LAB: colour_fit.match_lab, PAIRS_AFFINE: colour_fit.match_spreads}
    return matchers.get(mode, colour_fit.match_mkl)(source, target)


@dataclass(frozen=True)
class Moments:
    """Mean and std [1, C, 1, 1, 1] of latents, in float32."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, latent: Tensor) -> Moments:
        latent = latent.float().cpu()
        return cls(latent.mean((2, 3, 4), keepdim=True), latent.std((2, 3, 4), keepdim=True))


class DriftState:
    """What a run of windows keeps between them: what the first one looks like, and the latents of the last.

    Windows come in order, each once. Where one has no overlap a shot begins: it stays as it is, and is the first from
    then on. Where the first window of all has one, the given frames are the first. `tensors` is all of the state: one
    made from them by `load` goes on with the same bits.
    """

    def __init__(self, settings: DriftSettings):
        self.settings = settings
        self.reference: Reference | None = None
        self.first: Moments | None = None
        self.previous: Moments | None = None

    def correct(self, index: int, frames: Tensor, committed: Tensor) -> tuple[Tensor, str]:
        """Frames [F, H, W, 3] of window `index` (from 0), its overlap first, and a line for the report.

        `committed` [N, H, W, 3] are the frames of the overlap as they were committed, none where a shot begins. Frames
        that will be left out (a blurred tail) should not be among `frames`.
        """
        if not len(committed):
            self.reference = Reference.of(frames)
            luma_ = _luma(self.reference.colours.light_mean)
            return frames, f"window {index + 1}: begins a shot, others of it are held to it, luma {luma_:.3f}"
        if self.reference is None:
            self.reference = Reference.of(committed)
        correction = fit(frames[: len(committed)], committed, self.settings, self.reference)
        return correction.apply(frames), f"window {index + 1}: {correction.report}"

    def correct_latent(self, index: int, latent: Tensor, overlap: int) -> tuple[Tensor, str]:
        """Latent [1, C, T, h, w] of window `index` before it is decoded, its `overlap` latent frames first, and a line.

        Only "latent AdaIN" changes it: towards mean and std, channel by channel, of the first window, the one before or
        between, each measured without its overlap.
        """
        if self.settings.mode != LATENT:
            return latent, ""
        own = Moments.of(latent[:, :, overlap:])
        if not overlap or self.first is None or self.previous is None:
            self.first = self.previous = own
            return latent, f"window {index + 1}: its latents are the first"
        share = self.settings.first_share
        mean, std = (
            torch.lerp(getattr(self.previous, name), getattr(self.first, name), share) for name in ("mean", "std")
        )
        factor = torch.full((latent.shape[2], 1, 1), LATENT_FACTOR * self.settings.strength)
        if self.settings.fade:
            left = latent.shape[2] - overlap
            factor[overlap:] *= torch.arange(left - 1, -1, -1)[:, None, None] / left
        matched = match_moments(latent.float().cpu(), mean, std, factor).to(latent)
        self.previous = Moments.of(matched[:, :, overlap:])
        off = [float((each.mean - mean).abs().mean()) for each in (own, self.previous)]
        return matched, f"window {index + 1}: latent means off by {off[0]:.3f} -> {off[1]:.3f}"

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name; what is not there yet is missing."""
        named = {} if self.reference is None else {f"first.{k}": v for k, v in self.reference.tensors().items()}
        for name, moments in (("latent_first", self.first), ("latent_previous", self.previous)):
            named |= {} if moments is None else {f"{name}.{k}": v for k, v in vars(moments).items()}
        return named

    @classmethod
    def load(cls, settings: DriftSettings, tensors: dict[str, Tensor]) -> DriftState:
        state = cls(settings)
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            part, _, field = name.partition(".")
            parts.setdefault(part, {})[field] = tensor
        state.reference = Reference.load(parts["first"]) if "first" in parts else None
        state.first = Moments(**parts["latent_first"]) if "latent_first" in parts else None
        state.previous = Moments(**parts["latent_previous"]) if "latent_previous" in parts else None
        return state
