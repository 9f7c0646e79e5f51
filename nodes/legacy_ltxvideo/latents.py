"""Latent tools and tiled decoding under ids of ComfyUI-LTXVideo; see shims.py."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from einops import rearrange

from ...ltx.checks import need_video_vae
from ...ltx.latents import SPATIAL, TEMPORAL
from ...ltx.ltxv.conditions import frame_mask
from ...ltx.ltxv.segments import tile_ranges
from ...utils.images import need_room
from ...utils.latents import clip_part, cross_fade, match_batches
from ..any.latent_statistics import LatentAdaIN, LatentNormalise, PerStepAdaIN, PerStepNormalise
from ..node import Node
from .schemas import number, schema, video_of, whole

STATISTICS = [number("target_mean", 0.0, -10.0, 10.0), number("target_std", 1.0, 0.0, 10.0)]
STATISTICS += [number("percentile", 95.0, 50.0, 100.0)]


class AdainLatent(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Latent.Input("latents"),
            io.Latent.Input("reference"),
            number("factor", 1.0, -10.0, 10.0),
            io.Boolean.Input("per_frame", default=False, optional=True),
        ]
        return schema("LTXVAdainLatent", "Latent AdaIN", inputs, [io.Latent.Output()])

    @classmethod
    def execute(cls, latents, reference, factor, per_frame=False):
        return LatentAdaIN.execute(latents, reference, factor, per_frame)


class StatNormLatent(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.Latent.Input("latents"), *STATISTICS, number("factor", 1.0, 0.0, 1.0)]
        inputs.append(io.Boolean.Input("clip_outliers", default=False))
        return schema("LTXVStatNormLatent", "Latent Normalise", inputs, [io.Latent.Output()])

    @classmethod
    def execute(cls, latents, target_mean, target_std, percentile, factor, clip_outliers):
        return LatentNormalise.execute(latents, target_mean, target_std, percentile, factor, clip_outliers)


class PerStepAdainPatcher(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Model.Input("model"),
            io.String.Input("factors", default="0.9, 0.75, 0.0"),
            io.Latent.Input("reference"),
            io.Boolean.Input("per_frame", default=False, optional=True),
        ]
        return schema("LTXVPerStepAdainPatcher", "Per Step AdaIN", inputs, [io.Model.Output()])

    @classmethod
    def execute(cls, model, factors, reference, per_frame=False):
        return PerStepAdaIN.execute(model, factors, reference, per_frame)


class PerStepStatNormPatcher(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Model.Input("model"),
            io.String.Input("factors", default="0.9, 0.75, 0.0"),
            *STATISTICS,
            io.Boolean.Input("clip_outliers", default=False),
        ]
        return schema("LTXVPerStepStatNormPatcher", "Per Step Normalise", inputs, [io.Model.Output()])

    @classmethod
    def execute(cls, model, factors, target_mean, target_std, percentile, clip_outliers):
        return PerStepNormalise.execute(model, factors, target_mean, target_std, percentile, clip_outliers)


class SelectLatents(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Latent.Input("samples"),
            io.Int.Input("start_index", default=0, min=-9999, max=9999),
            io.Int.Input("end_index", default=-1, min=-9999, max=9999),
        ]
        return schema("LTXVSelectLatents", "ComfyUI's LatentCut on the t axis", inputs, [io.Latent.Output()])

    @classmethod
    def execute(cls, samples, start_index, end_index):
        """`end_index` is part of the selection; both are clamped to the clip."""
        count = frames_of(samples, "samples").shape[2]
        start, end = (index + count if index < 0 else index for index in (start_index, end_index))
        start, end = (max(0, min(index, count - 1)) for index in (start, end))
        if end < start:
            raise ValueError(f"start_index {start_index} lies behind end_index {end_index}: swap them")
        chosen = {**samples, "samples": samples["samples"][:, :, start : end + 1].clone()}
        mask = samples.get("noise_mask")
        if mask is not None and mask.ndim == 5 and mask.shape[2] == count:
            chosen["noise_mask"] = mask[:, :, start : end + 1].clone()
        return io.NodeOutput(chosen)


class ImgToVideoConditionOnly(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Vae.Input("vae"),
            io.Image.Input("image"),
            io.Latent.Input("latent"),
            number("strength", 1.0, 0.0, 1.0),
            io.Boolean.Input("bypass", default=False, optional=True),
        ]
        return schema("LTXVImgToVideoConditionOnly", "LTXV Image Guide at frame 0", inputs, [io.Latent.Output()])

    @classmethod
    def execute(cls, vae, image, latent, strength, bypass=False):
        from comfy_extras.nodes_lt import LTXVImgToVideoInplace

        if bypass:
            return io.NodeOutput(latent)
        height, width = video_of(latent, "latent").shape[3:]
        need_video_vae(vae)
        need_room(image, width * SPATIAL, height * SPATIAL, "image")
        return LTXVImgToVideoInplace.execute(vae, image, latent, strength, False)


class AddLatents(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.Latent.Input("latents1"), io.Latent.Input("latents2")]
        return schema("LTXVAddLatents", "ComfyUI's LatentConcat on the t axis", inputs, [io.Latent.Output()])

    @classmethod
    def execute(cls, latents1, latents2):
        """Where one side alone has a mask, all of the other is to be generated."""
        first, second = frames_of(latents1, "latents1"), frames_of(latents2, "latents2")
        first, second = match_batches(first, second, ("latents1", "latents2"))
        need_same(first, second, 2)
        both = [{**latents1, "samples": first}, {**latents2, "samples": second}]
        joined = {**latents1, "samples": torch.cat([first, second], dim=2)}
        if any("noise_mask" in one for one in both):
            joined["noise_mask"] = torch.cat([full_mask(one) for one in both], dim=2)
        return io.NodeOutput(joined)


def frames_of(latent: dict, name: str) -> torch.Tensor:
    """The video latent [B, C, T, H, W] of a LATENT of any model, without sound."""
    samples = latent["samples"]
    if getattr(samples, "is_nested", False) or samples.ndim != 5:
        raise ValueError(
            f"{name} is no latent of a video alone: separate video and sound before, and connect the video"
        )
    return samples


def need_same(first: torch.Tensor, second: torch.Tensor, axis: int) -> None:
    """Raise ValueError unless two latents are of one size but for `axis`, on which they are joined."""
    shapes = [[size for at, size in enumerate(one.shape) if at != axis] for one in (first, second)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the latents are {tuple(first.shape)} and {tuple(second.shape)}: make them equal but for axis {axis}"
        )


def full_mask(latent: dict) -> torch.Tensor:
    """The mask of a latent for each of its places; ones where it has none."""
    samples = latent["samples"]
    return frame_mask(latent).expand(samples.shape[0], 1, *samples.shape[2:])


class LinearOverlapLatentTransition(Node):
    NODE_ID = "LTXVLinearOverlapLatentTransition"

    @classmethod
    def define_schema(cls):
        inputs = [
            io.Latent.Input("samples1"),
            io.Latent.Input("samples2"),
            whole("overlap", 1, 1, 256),
            whole("axis", 0, -4, 4, optional=True),
        ]
        return schema(cls.NODE_ID, "ComfyUI's LatentConcat", inputs, [io.Latent.Output()])

    @classmethod
    def execute(cls, samples1, samples2, overlap, axis=0):
        first, second = frames_of(samples1, "samples1"), frames_of(samples2, "samples2")
        axis %= first.ndim
        if axis:
            first, second = match_batches(first, second, ("samples1", "samples2"))
        need_same(first, second, axis)
        shortest = min(first.shape[axis], second.shape[axis])
        if overlap > shortest:
            raise ValueError(f"overlap is {overlap} and one latent has {shortest} on axis {axis}: use {shortest}")
        return io.NodeOutput({"samples": cross_fade(first, second.to(first), overlap, axis)})


class LinearOverlapLatentTransitionNode(LinearOverlapLatentTransition):
    NODE_ID = "LinearOverlapLatentTransition"


def decode_tiles(vae, latents, columns, rows, overlap, last_frame_fix, **frames):
    """Decoded frames of a latent cut into columns x rows; with `last_frame_fix` its last latent is decoded twice."""
    video_of(latents)
    need_video_vae(vae)
    samples = clip_part(latents)
    if last_frame_fix:
        samples = torch.cat([samples, samples[:, :, -1:]], dim=2)
    high, wide = (tile_ranges(samples.shape[axis], n, overlap)[0][1] for axis, n in ((3, rows), (4, columns)))
    if min(high, wide) < 2:  # the decoder mirrors at its edges
        raise ValueError(f"a tile is {wide}x{high} latents; decoding needs 2x2: use fewer tiles or a larger overlap")
    # core takes the height of a tile as tile_x
    images = vae.decode_tiled(samples, tile_x=high, tile_y=wide, overlap=overlap, **frames)
    images = rearrange(images, "... h w c -> (...) h w c")
    return io.NodeOutput(images[:-TEMPORAL] if last_frame_fix else images)


def working_place() -> list:
    return [
        io.Combo.Input("working_device", options=["cpu", "auto"], default="auto", optional=True),
        io.Combo.Input("working_dtype", options=["float16", "float32", "auto"], default="auto", optional=True),
    ]


class TiledVAEDecode(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Vae.Input("vae"),
            io.Latent.Input("latents"),
            whole("horizontal_tiles", 1, 1, 6),
            whole("vertical_tiles", 1, 1, 6),
            whole("overlap", 1, 1, 8),
            io.Boolean.Input("last_frame_fix", default=False),
            *working_place(),
        ]
        return schema("LTXVTiledVAEDecode", "ComfyUI's VAEDecodeTiled", inputs, [io.Image.Output()])

    @classmethod
    def execute(cls, vae, latents, horizontal_tiles, vertical_tiles, overlap, last_frame_fix, **place):  # noqa: ARG003
        """The place and type of the work are ComfyUI's choice."""
        return decode_tiles(vae, latents, horizontal_tiles, vertical_tiles, overlap, last_frame_fix)


class SpatioTemporalTiledVAEDecode(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Vae.Input("vae"),
            io.Latent.Input("latents"),
            whole("spatial_tiles", 4, 1, 8),
            whole("spatial_overlap", 1, 0, 8),
            whole("temporal_tile_length", 16, 2, 1000),
            whole("temporal_overlap", 1, 0, 8),
            io.Boolean.Input("last_frame_fix", default=False),
            *working_place(),
        ]
        return schema("LTXVSpatioTemporalTiledVAEDecode", "ComfyUI's VAEDecodeTiled", inputs, [io.Image.Output()])

    @classmethod
    def execute(
        cls,
        vae,
        latents,
        spatial_tiles,
        spatial_overlap,
        temporal_tile_length,
        temporal_overlap,
        last_frame_fix,
        **place,  # noqa: ARG003
    ):
        if temporal_overlap >= temporal_tile_length:
            raise ValueError(
                f"temporal_overlap is {temporal_overlap} and temporal_tile_length {temporal_tile_length}: make the "
                f"tile longer, such as {temporal_overlap + 1}"
            )
        frames = {"tile_t": temporal_tile_length, "overlap_t": temporal_overlap}
        return decode_tiles(vae, latents, spatial_tiles, spatial_tiles, spatial_overlap, last_frame_fix, **frames)


LATENTS: list[type[io.ComfyNode]] = [
    AdainLatent,
    StatNormLatent,
    PerStepAdainPatcher,
    PerStepStatNormPatcher,
    SelectLatents,
    ImgToVideoConditionOnly,
    AddLatents,
    LinearOverlapLatentTransition,
    LinearOverlapLatentTransitionNode,
    TiledVAEDecode,
    SpatioTemporalTiledVAEDecode,
]
