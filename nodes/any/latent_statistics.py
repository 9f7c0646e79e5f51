"""Statistics of latents, once or at each step."""

from __future__ import annotations

from comfy_api.latest import io

from ...samplers.per_step import with_step_change
from ...utils.latent_statistics import compress_tones, match_statistics, normalise
from ...utils.latents import clip_part, with_clip_part
from ...utils.numbers import parse_numbers
from ..node import Node

PER_FRAME = io.Boolean.Input(
    "per_frame", default=False, advanced=True, tooltip="measure each frame by itself instead of the whole clip"
)
FACTORS = io.String.Input(
    "factors",
    default="0.9, 0.75, 0.0",
    tooltip="how much is applied at each step (0 = nothing, 1 = all); the last one holds for the steps after it",
)
MEAN = io.Float.Input("mean", default=0.0, min=-10.0, max=10.0, step=0.01, tooltip="mean of every channel afterwards")
STD = io.Float.Input("std", default=1.0, min=0.0, max=10.0, step=0.01, tooltip="standard deviation afterwards")
PERCENTILE = io.Float.Input(
    "percentile",
    default=95.0,
    min=50.0,
    max=100.0,
    step=0.1,
    tooltip="measure only the central part of the values (percent), so that outliers do not count",
)
CLIP = io.Boolean.Input(
    "clip_outliers", default=False, tooltip="also clamp the values outside of that part to its edge"
)
MODEL_OUT = io.Model.Output(display_name="model", tooltip="model with the change; others are not affected")


def require_same_channels(video, reference) -> None:
    """AdaIN goes channel by channel; a reference for another batch size or model cannot serve."""
    if reference.shape[1] != video.shape[1] or reference.shape[0] not in (1, video.shape[0]):
        raise ValueError(
            f"reference has batch {reference.shape[0]} and {reference.shape[1]} channels, the latent {video.shape[0]} "
            f"and {video.shape[1]}: use a reference of the same model with the same batch size, or 1"
        )


def require_frames(video, reference, per_frame: bool) -> None:
    """With statistics of each frame, frames are paired."""
    if per_frame and reference.shape[2] not in (1, video.shape[2]):
        raise ValueError(
            f"reference has {reference.shape[2]} latent frames and the latent {video.shape[2]}: with per_frame they "
            "must be equal, or 1"
        )


class LatentAdaIN(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLatentAdaIN",
            display_name="Latent AdaIN",
            category="Oner/latent",
            description="Give a latent the mean and contrast of another one, channel by channel. Multi-scale uses it "
            "after upsampling; it also stops colours from drifting.",
            search_aliases=["LTXVAdainLatent", "adaptive instance normalization", "match statistics", "colour drift"],
            inputs=[
                io.Latent.Input("latent", tooltip="latent to change; of an audio-video latent only the video"),
                io.Latent.Input("reference", tooltip="latent whose statistics are taken, of any size"),
                io.Float.Input(
                    "factor",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    tooltip="0 = unchanged, 1 = full; the reference multi-scale uses 1",
                ),
                PER_FRAME,
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="changed latent")],
        )

    @classmethod
    def execute(cls, latent, reference, factor, per_frame=False):
        video, other = clip_part(latent), clip_part(reference)
        require_same_channels(video, other)
        require_frames(video, other, per_frame)
        return io.NodeOutput(with_clip_part(latent, match_statistics(video, other.to(video), factor, per_frame)))


class LatentNormalise(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLatentNormalise",
            display_name="Latent Normalise",
            category="Oner/latent",
            description="Bring every channel of a latent to a mean and contrast, against overexposed or faded results.",
            search_aliases=["LTXVStatNormLatent", "statistical normalization", "overbaked", "contrast"],
            inputs=[
                io.Latent.Input("latent", tooltip="latent to change; of an audio-video latent only the video"),
                MEAN,
                STD,
                PERCENTILE,
                io.Float.Input(
                    "factor", default=1.0, min=0.0, max=1.0, step=0.01, tooltip="0 = unchanged, 1 = fully normalised"
                ),
                CLIP,
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="changed latent")],
        )

    @classmethod
    def execute(cls, latent, mean, std, percentile, factor, clip_outliers):
        video = normalise(clip_part(latent), mean, std, percentile, factor, clip_outliers)
        return io.NodeOutput(with_clip_part(latent, video))


class LatentToneMap(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLatentToneMap",
            display_name="Latent Tone Map",
            category="Oner/latent",
            description="Compress large latent values before decoding. The 13B 0.9.8 distilled pipeline uses 0.6 after "
            "its second pass, where LTXV Decode Settings applies it after the decode noise.",
            search_aliases=["tone_map_compression_ratio", "dynamic range", "overexposed"],
            inputs=[
                io.Latent.Input("latent", tooltip="latent to change; of an audio-video latent only the video"),
                io.Float.Input(
                    "compression", default=0.6, min=0.0, max=1.0, step=0.01, tooltip="0 = unchanged, 1 = strongest"
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="changed latent")],
        )

    @classmethod
    def execute(cls, latent, compression):
        return io.NodeOutput(with_clip_part(latent, compress_tones(clip_part(latent), compression)))


class PerStepAdaIN(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerPerStepAdaIN",
            display_name="Per Step AdaIN",
            category="Oner/patches",
            description="While sampling, give the predicted video the mean and contrast of a reference latent, with a "
            "factor for each step. Works with any sampler and gives the same result on every run.",
            search_aliases=["LTXVPerStepAdainPatcher", "adain", "colour drift", "normalize steps"],
            inputs=[
                io.Model.Input("model", tooltip="any video model"),
                FACTORS,
                io.Latent.Input("reference", tooltip="latent whose statistics are taken, of any size"),
                PER_FRAME,
            ],
            outputs=[MODEL_OUT],
        )

    @classmethod
    def execute(cls, model, factors, reference, per_frame=False):
        other = clip_part(reference)

        def change(video, factor):
            require_same_channels(video, other)
            require_frames(video, other, per_frame)
            return match_statistics(video, other.to(video), factor, per_frame)

        return io.NodeOutput(with_step_change(model, parse_factors(factors), change))


class PerStepNormalise(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerPerStepNormalise",
            display_name="Per Step Normalise",
            category="Oner/patches",
            description="While sampling, bring the predicted video to a mean and contrast, a factor for each step. "
            "Works with any sampler and gives the same result on every run.",
            search_aliases=["LTXVPerStepStatNormPatcher", "statistical normalization", "overbaked", "normalize steps"],
            inputs=[io.Model.Input("model", tooltip="any video model"), FACTORS, MEAN, STD, PERCENTILE, CLIP],
            outputs=[MODEL_OUT],
        )

    @classmethod
    def execute(cls, model, factors, mean, std, percentile, clip_outliers):
        def change(video, factor):
            return normalise(video, mean, std, percentile, factor, clip_outliers)

        return io.NodeOutput(with_step_change(model, parse_factors(factors), change))


def parse_factors(text: str) -> list[float]:
    """At least one number."""
    factors = parse_numbers(text, "factors")
    if not factors:
        raise ValueError("factors is empty: give one number for each step, the last one holds for the rest")
    return factors
