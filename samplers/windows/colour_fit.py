"""The colour map from one set of frames to another: a matrix [3, 4] in linear light or in Lab.

From pairs, frames that show the same content twice, by robust least squares; from two sets of statistics by their means
and spreads, or by the linear map of Monge and Kantorovich (MKL: Pitie and Kokaram 2007). M samples: the mean light of
blocks of 8 x 8 pixels. What follows from them is computed in float64 on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...utils.colour import linear_to_lab, linear_to_srgb, luma, mapped, srgb_to_linear

BLOCK = 8  # pixels: 64 of them become one sample, so that noise and sharpness do not count
GAINS = (0.85, 1.18)  # what a map may do to a channel, and to grey; of light or of Lab's lightness
MIXING = 0.15  # of another channel
OFFSET = 0.06  # of light
SHIFT = 6.0  # of a mean in Lab
SCALES = (0.05, 0.05, 0.03, 0.02, 0.02, 0.01, 0.01, 0.01)  # light: a sample that is off by one of these counts 1 / e
CLIPPED = 1e-3  # how much a sample counts whose new light is cut off at black or white
RIDGE = 1e-5  # variance of light that says nothing about a gain: frames of one colour get an offset


@dataclass(frozen=True)
class Statistics:
    """What frames look like, without where: of their light and of their Lab, means [3] and covariances [3, 3]."""

    light_mean: Tensor
    light_cov: Tensor
    lab_mean: Tensor
    lab_cov: Tensor


def samples(frames: Tensor) -> Tensor:
    """[M, 3] in float64: mean linear light of the blocks of frames [F, H, W, 3], smaller ones in small frames."""
    height, width = (max(side // BLOCK, min(side, BLOCK)) for side in frames.shape[1:3])
    blocks = [
        F.adaptive_avg_pool2d(srgb_to_linear(frame.float().clamp(0, 1)).movedim(-1, 0), (height, width)).movedim(0, -1)
        for frame in frames
    ]
    return torch.stack(blocks).flatten(0, 2).cpu().double()


def statistics(light: Tensor) -> Statistics:
    """Of samples [M, 3]."""
    lab = linear_to_lab(light)
    return Statistics(light.mean(0), covariance(light), lab.mean(0), covariance(lab))


def covariance(values: Tensor) -> Tensor:
    centred = values - values.mean(0)
    return centred.T @ centred / len(values)


def identity() -> Tensor:
    return torch.eye(3, 4, dtype=torch.float64)


def fit_pairs(new: Tensor, committed: Tensor, full: bool) -> Tensor:
    """The map of linear light that makes samples [M, 3] of the one those of the other; `full` = with mixed channels.

    A sample counts the less the more it is off: first by its luma as it is, so that what moved does not count, then by
    what the map before left, in the channel where that is most, ever more strictly. Errors weigh as the eye sees them.
    """
    off = luma(committed - new).abs()
    seen = (committed + 0.02) ** (-4 / 3)  # square of the slope of lightness
    cut_off = ((new > 0.99) | (new < 1e-4)) & ((new - committed).abs() > 1e-3)
    for scale in SCALES:
        weights = torch.exp(-off / scale)[:, None] * seen * torch.where(cut_off, CLIPPED, 1.0)
        weights = weights / weights.sum(0)
        gains = torch.stack([_gains(new, committed, weights[:, k : k + 1], k, full) for k in range(3)])
        new_means, committed_mean = weights.T @ new, (weights * committed).sum(0)  # [3, 3] by row, [3]
        offsets = committed_mean - (gains * new_means).sum(1)
        off = (committed - mapped(new, torch.cat([gains, offsets[:, None]], 1))).abs().amax(1)
    return torch.stack([limited_row(gains[k], k, new_means[k], committed_mean[k]) for k in range(3)])


def _gains(new: Tensor, committed: Tensor, weight: Tensor, channel: int, full: bool) -> Tensor:
    """[3]: how a channel of `committed` follows from those of `new`, by weights [M, 1] that sum to 1."""
    used = [0, 1, 2] if full else [channel]
    source, change = new[:, used], (committed - new)[:, channel : channel + 1]
    source, change = source - (weight * source).sum(0), change - (weight * change).sum(0)
    spread = (weight * source).T @ source + RIDGE * torch.eye(len(used), dtype=torch.float64)
    gains = identity()[channel, :3]
    gains[used] += torch.linalg.solve(spread, (weight * source).T @ change)[:, 0]
    return gains


def limited_row(gains: Tensor, channel: int, source: Tensor, target: Tensor) -> Tensor:
    """[4]: gains [3] of a channel of light, as far from none as the limits let, and the offset that then fits.

    `source` is the mean light [3] before, `target` that of the channel after.
    """
    kept = identity()[channel, :3]
    change = gains - kept
    ways = [(float(way), GAINS[0] - 1, GAINS[1] - 1) for way in (change[channel], change.sum())]  # also on grey
    ways += [(float(change[other]), -MIXING, MIXING) for other in range(3) if other != channel]
    gains = kept + min(1.0, *(_share(*way) for way in ways)) * change
    offset = (target - gains @ source).clamp(-OFFSET, OFFSET)
    return torch.cat([gains, offset[None]])


def _share(way: float, low: float, high: float) -> float:
    return high / way if way > high else low / way if way < low else 1.0


def match_spreads(source: Statistics, target: Statistics) -> Tensor:
    """Means and deviations of light, channel by channel."""
    ratio = ((target.light_cov.diagonal() + RIDGE) / (source.light_cov.diagonal() + RIDGE)).sqrt()
    return _limited(torch.diag(ratio), source, target)


def match_mkl(source: Statistics, target: Statistics) -> Tensor:
    """Means and covariances of light, with the least change of colours."""
    ridge = RIDGE * torch.eye(3, dtype=torch.float64)
    root = _root(source.light_cov + ridge)
    back = torch.linalg.inv(root)
    return _limited(back @ _root(root @ (target.light_cov + ridge) @ root) @ back, source, target)


def match_lab(source: Statistics, target: Statistics) -> Tensor:
    """Means and deviations in Lab: a map of Lab."""
    source_var, target_var = source.lab_cov.diagonal(), target.lab_cov.diagonal()
    ratio = ((target_var + 0.1) / (source_var + 0.1)).sqrt().clamp(*GAINS)
    shift = (target.lab_mean - source.lab_mean).clamp(-SHIFT, SHIFT)
    offset = source.lab_mean + shift - ratio * source.lab_mean
    return torch.cat([torch.diag(ratio), offset[:, None]], 1)


def _limited(gains: Tensor, source: Statistics, target: Statistics) -> Tensor:
    return torch.stack([limited_row(row, k, source.light_mean, target.light_mean[k]) for k, row in enumerate(gains)])


def at_a_limit(matrix: Tensor) -> bool:
    """Whether a map of light or of Lab, not one of two blended, would go further if it might."""
    gains = matrix[:, :3]
    mixing = gains - torch.diag(gains.diagonal())
    ends = [
        (gains.diagonal(), GAINS),
        (gains.sum(1), GAINS),
        (mixing, (-MIXING, MIXING)),
        (matrix[:, 3], (-OFFSET, OFFSET)),
    ]
    return any(bool(((values - end).abs() < 1e-9).any()) for values, limits in ends for end in limits)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T


def residual(new: Tensor, committed: Tensor) -> float:
    """How far samples are apart in sRGB code values, in the channel where it is most, in the middle one of them."""
    first, second = (linear_to_srgb(light.clamp(0, 1)) for light in (new, committed))
    return float((first - second).abs().amax(1).median())
