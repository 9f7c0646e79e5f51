"""Samplers under ids of ComfyUI-LTXVideo: clips, extensions, long and large videos made piece by piece.

They take any guider and video latents without sound. The maths is in ltx/ltxv/segments.py; see shims.py.
"""

from __future__ import annotations

import itertools
import math

import comfy.model_base
import torch
from comfy_api.latest import io
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

from ...ltx.checks import need_video_vae
from ...ltx.latents import SPATIAL, TEMPORAL, VIDEO_CHANNELS, check_size, latent_frames
from ...ltx.ltxv.guider import need_prompts
from ...ltx.ltxv.segments import (
    Clip,
    Loop,
    add_extension,
    blend_tiles,
    extension,
    guide_frame,
    in_context,
    keyframe_pieces,
    tile_ranges,
    time_pieces,
)
from ...samplers.conditionings import conditionings_of, with_conditionings, with_seed
from ...utils.latents import match_batch
from ...utils.numbers import parse_numbers
from ..node import Node
from .guides import crop_input, prepare
from .schemas import PromptList, number, prompts_and_latent, schema, video_of, whole

LOOPING_CRF = 30  # what the looping sampler compresses images with


def sampling_inputs() -> list:
    return [io.Guider.Input("guider"), io.Sampler.Input("sampler"), io.Sigmas.Input("sigmas"), io.Noise.Input("noise")]


def image_inputs(default: str = "") -> list:
    return [
        io.Image.Input("optional_cond_images", optional=True),
        io.String.Input("optional_cond_indices", default=default, optional=True),
    ]


def clip_outputs(name: str) -> list[io.Output]:
    return [io.Latent.Output(display_name=name), *prompts_and_latent()[:2]]


def read_frames(text: str, images: torch.Tensor | None, length: int) -> list[int]:
    """A frame for each image, from '0, 40, -1'; the first one for a single image without text."""
    if images is None:
        return []
    numbers = parse_numbers(text or "0", "optional_cond_indices")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"optional_cond_indices is '{text[:40]}': write frame numbers, such as 0, 40, -1")
    frames = [int(number) for number in numbers]
    if len(frames) != images.shape[0]:
        raise ValueError(
            f"optional_cond_indices names {len(frames)} frames for {images.shape[0]} images: name one each"
        )
    return [frame + length if frame < 0 else frame for frame in frames]


def need_inside(frames: list[int], length: int) -> None:
    wrong = [frame for frame in frames if not 0 <= frame < length]
    if wrong:
        raise ValueError(f"optional_cond_indices names frame {wrong[0]}; the clip has frames 0 to {length - 1}")


def encode_each(vae, images, like, crf, blur=0, crop="disabled") -> list[torch.Tensor]:
    """Latents [1, 128, 1, H, W] of images at the size of a latent."""
    if images is None:
        return []
    width, height = like.shape[4] * SPATIAL, like.shape[3] * SPATIAL
    return [vae.encode(image[None]) for image in prepare(images, width, height, crf, blur, "bilinear", crop)]


def track_like(latent: dict | None, name: str, like: torch.Tensor) -> torch.Tensor | None:
    """The video of a LATENT that goes beside another one: of its height, width and batch."""
    if latent is None:
        return None
    video = video_of(latent, name)
    if video.shape[3:] != like.shape[3:]:
        raise ValueError(
            f"{name} is {tuple(video.shape[3:])} latents high and wide, latents {tuple(like.shape[3:])}: make them "
            "equal"
        )
    return match_batch(video, like.shape[0], name, "latents")


def sample(clip: Clip, guider, sampler, sigmas, noise) -> torch.Tensor:
    guider = with_conditionings(guider, clip.conditionings)
    return clip.crop(SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, clip.latent).result[1]["samples"])


def clip_output(samples: torch.Tensor, guider) -> io.NodeOutput:
    given = conditionings_of(guider)
    positive = given["positive"]
    return io.NodeOutput({"samples": samples}, positive, given.get("negative", positive))


class BaseSampler(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Model.Input("model"),
            io.Vae.Input("vae"),
            whole("width", 768, 64, 16384, 32),
            whole("height", 512, 64, 16384, 32),
            whole("num_frames", 97, 1, 16384, 8),
            *sampling_inputs(),
            *image_inputs(),
            number("strength", 0.9, 0.0, 1.0, optional=True),
            crop_input(optional=True),
            whole("crf", 35, 0, 100, optional=True),
            whole("blur", 0, 0, 10, optional=True),
        ]
        use = "EmptyLTXVLatentVideo, LTXV Image Guide and SamplerCustomAdvanced"
        return schema("LTXVBaseSampler", use, inputs, clip_outputs("denoised"))

    @classmethod
    def execute(
        cls,
        model,  # noqa: ARG003 - the guider has it
        vae,
        width,
        height,
        num_frames,
        guider,
        sampler,
        sigmas,
        noise,
        optional_cond_images=None,
        optional_cond_indices="",
        strength=0.9,
        crop="disabled",
        crf=35,
        blur=0,
    ):
        check_size(width, height, num_frames)
        need_video_vae(vae)
        empty = torch.zeros(1, VIDEO_CHANNELS, latent_frames(num_frames), height // SPATIAL, width // SPATIAL)
        frames = read_frames(optional_cond_indices, optional_cond_images, num_frames)
        need_inside(frames, num_frames)
        clip = Clip(empty, conditionings_of(guider))
        for frame, content in zip(frames, encode_each(vae, optional_cond_images, empty, crf, blur, crop), strict=True):
            clip.place(content, frame, strength)
        return clip_output(sample(clip, guider, sampler, sigmas, noise), guider)


class ExtendSampler(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Model.Input("model"),
            io.Vae.Input("vae"),
            io.Latent.Input("latents"),
            whole("num_new_frames", 80, -1, 16384, 1),
            whole("frame_overlap", 16, 16, 128, 8),
            *sampling_inputs(),
            number("strength", 0.5, 0.0, 1.0),
            io.Latent.Input("optional_guiding_latents", optional=True),
            *image_inputs(),
            number("cond_image_strength", 1.0, 0.0, 1.0, optional=True),
        ]
        return schema("LTXVExtendSampler", "LTXV Image Guide with a clip", inputs, clip_outputs("denoised_video"))

    @classmethod
    def execute(
        cls,
        model,  # noqa: ARG003 - the guider has it
        vae,
        latents,
        num_new_frames,
        frame_overlap,
        guider,
        sampler,
        sigmas,
        noise,
        strength,
        optional_guiding_latents=None,
        optional_cond_images=None,
        optional_cond_indices="",
        cond_image_strength=1.0,
    ):
        need_video_vae(vae)
        old, overlap = video_of(latents), frame_overlap // TEMPORAL
        guiding = track_like(optional_guiding_latents, "optional_guiding_latents", old)
        if num_new_frames < 0 and guiding is None:
            raise ValueError(
                "num_new_frames is -1, the length of optional_guiding_latents: connect them, or set a length"
            )
        added = guiding.shape[2] if num_new_frames < 0 else num_new_frames // TEMPORAL
        if overlap > old.shape[2]:
            raise ValueError(
                f"frame_overlap is {frame_overlap} and latents hold {old.shape[2]} latent frames: use less"
            )
        guiding = None if guiding is None else guiding[:, :, :added]
        clip = extension(old, added, overlap, conditionings_of(guider), strength=strength, reference=guiding)
        length = (clip.frames - 1) * TEMPORAL + 1
        frames = read_frames(optional_cond_indices, optional_cond_images, length)
        need_inside(frames, length)
        for frame, content in zip(frames, encode_each(vae, optional_cond_images, old, 35), strict=True):
            clip.place(content, frame, cond_image_strength)
        return clip_output(add_extension(old, sample(clip, guider, sampler, sigmas, noise), overlap), guider)


class InContextSampler(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Vae.Input("vae"),
            *sampling_inputs(),
            io.Latent.Input("guiding_latents"),
            io.Image.Input("optional_cond_images", optional=True),
            whole("num_frames", -1, -1, 16384, optional=True),
            io.String.Input("optional_cond_indices", default="0", optional=True),
        ]
        use = "LTX Reference Video and SamplerCustomAdvanced"
        return schema("LTXVInContextSampler", use, inputs, clip_outputs("denoised_video"))

    @classmethod
    def execute(
        cls,
        vae,
        guider,
        sampler,
        sigmas,
        noise,
        guiding_latents,
        optional_cond_images=None,
        num_frames=-1,
        optional_cond_indices="0",
    ):
        guiding = video_of(guiding_latents, "guiding_latents")
        need_video_vae(vae)
        count = guiding.shape[2] if num_frames < 1 else latent_frames(num_frames)
        length = (count - 1) * TEMPORAL + 1
        frames = read_frames(optional_cond_indices, optional_cond_images, length)
        need_inside(frames, length)
        images = encode_each(vae, optional_cond_images, guiding, 35)
        clip = in_context(guiding, frames, conditionings_of(guider), 1.0, count)
        for frame, content in zip(frames, images, strict=True):
            clip.place(content, frame, 1.0)
        return clip_output(sample(clip, guider, sampler, sigmas, noise), guider)


class TiledSampler(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Model.Input("model"),
            io.Vae.Input("vae"),
            io.Noise.Input("noise"),
            io.Sampler.Input("sampler"),
            io.Sigmas.Input("sigmas"),
            io.Guider.Input("guider"),
            io.Latent.Input("latents"),
            whole("horizontal_tiles", 1, 1, 6),
            whole("vertical_tiles", 1, 1, 6),
            whole("overlap", 1, 1, 8),
            number("latents_cond_strength", 0.15, 0.0, 1.0),
            io.Boolean.Input("boost_latent_similarity", default=False),
            crop_input(),
            *image_inputs("0"),
            io.String.Input("images_cond_strengths", default="0.9", optional=True),
        ]
        outputs = [io.Latent.Output(display_name="output"), io.Latent.Output(display_name="denoised_output")]
        return schema("LTXVTiledSampler", "SamplerCustomAdvanced, one tile at a time", inputs, outputs)

    @classmethod
    def execute(
        cls,
        model,  # noqa: ARG003 - the guider has it
        vae,
        noise,
        sampler,
        sigmas,
        guider,
        latents,
        horizontal_tiles,
        vertical_tiles,
        overlap,
        latents_cond_strength,
        boost_latent_similarity,
        crop,
        optional_cond_images=None,
        optional_cond_indices="0",
        images_cond_strengths="0.9",
    ):
        whole_video = video_of(latents)
        need_video_vae(vae)
        last = whole_video.shape[2] - 1
        length = last * TEMPORAL + 1
        frames = read_frames(optional_cond_indices, optional_cond_images, length)
        need_inside(frames, length)
        strengths = parse_numbers(images_cond_strengths, "images_cond_strengths")
        strengths += strengths[-1:] * (len(frames) - len(strengths))  # the last one serves the rest
        images = encode_each(vae, optional_cond_images, whole_video, 0, crop=crop)

        def one(rows, columns):
            def cut(x):
                return x[..., slice(*rows), slice(*columns)]

            clip = Clip(cut(whole_video), conditionings_of(guider))
            for frame, content, strength in zip(frames, images, strengths, strict=False):
                clip.place(cut(content), frame, strength)
            if boost_latent_similarity:
                for index in sorted({last // 2, last}):
                    own = cut(whole_video)[:, :, index : index + 1]
                    clip.guide(own, guide_frame(index), latents_cond_strength)
            return sample(clip, guider, sampler, sigmas, noise)

        video = sample_tiles(whole_video, horizontal_tiles, vertical_tiles, overlap, one)
        return io.NodeOutput({"samples": video}, {"samples": video.clone()})


def sample_tiles(like: torch.Tensor, horizontal: int, vertical: int, overlap: int, one) -> torch.Tensor:
    """one(rows, columns) for each tile, blended."""
    sides = [tile_ranges(like.shape[3], vertical, overlap), tile_ranges(like.shape[4], horizontal, overlap)]
    return blend_tiles([(one(rows, columns), rows, columns) for rows in sides[0] for columns in sides[1]], like)


def read_prompts(prompts: list | None, guider) -> list[list]:
    """A CONDITIONING for each piece, from MultiPromptProvider's list or a single one, at the guider's frame rate."""
    if not prompts:
        return []
    several = prompts if isinstance(prompts[0][0], list) else [prompts]
    rates = [options["frame_rate"] for _, options in conditionings_of(guider)["positive"] if "frame_rate" in options]
    shared = {"frame_rate": rates[0]} if rates else {}
    return [[[tensor, {**shared, **options}] for tensor, options in one] for one in several]


class LoopingSampler(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Model.Input("model"),
            io.Vae.Input("vae"),
            io.Noise.Input("noise"),
            io.Sampler.Input("sampler"),
            io.Sigmas.Input("sigmas"),
            io.Guider.Input("guider"),
            io.Latent.Input("latents"),
            whole("temporal_tile_size", 80, 24, 1000, 8),
            whole("temporal_overlap", 24, 16, 80, 8),
            number("guiding_strength", 1.0, 0.0, 1.0),
            number("temporal_overlap_cond_strength", 0.5, 0.0, 1.0),
            number("cond_image_strength", 1.0, 0.0, 1.0),
            whole("horizontal_tiles", 1, 1, 6),
            whole("vertical_tiles", 1, 1, 6),
            whole("spatial_overlap", 1, 1, 8),
            io.Image.Input("optional_cond_images", optional=True),
            io.Latent.Input("optional_guiding_latents", optional=True),
            number("adain_factor", 0.0, 0.0, 1.0, optional=True),
            PromptList("optional_positive_conditionings", optional=True),
            io.Latent.Input("optional_negative_index_latents", optional=True),
            whole("guiding_start_step", 0, 0, 1000, optional=True),
            whole("guiding_end_step", 1000, 0, 1000, optional=True),
            io.String.Input("optional_cond_image_indices", default="0", optional=True),
            io.Latent.Input("optional_normalizing_latents", optional=True),
        ]
        use = "ComfyUI's LTXV context windows"
        return schema("LTXVLoopingSampler", use, inputs, [io.Latent.Output(display_name="denoised_output")])

    @classmethod
    def execute(
        cls,
        model,  # noqa: ARG003 - the guider has it
        vae,
        noise,
        sampler,
        sigmas,
        guider,
        latents,
        temporal_tile_size,
        temporal_overlap,
        guiding_strength,
        temporal_overlap_cond_strength,
        cond_image_strength,
        horizontal_tiles,
        vertical_tiles,
        spatial_overlap,
        optional_cond_images=None,
        optional_guiding_latents=None,
        adain_factor=0.0,
        optional_positive_conditionings=None,
        optional_negative_index_latents=None,
        guiding_start_step=0,
        guiding_end_step=1000,
        optional_cond_image_indices="0",
        optional_normalizing_latents=None,
    ):
        video = video_of(latents)
        need_video_vae(vae)
        size, overlap = temporal_tile_size // TEMPORAL, temporal_overlap // TEMPORAL
        if overlap >= size:
            raise ValueError(
                f"temporal_overlap is {temporal_overlap}, the tile {temporal_tile_size}: use a larger tile"
            )
        if guiding_start_step > 0 or guiding_end_step < len(sigmas) - 1:
            raise ValueError(
                f"guiding_start_step is {guiding_start_step} and guiding_end_step {guiding_end_step}: guides for part "
                "of the steps are not available; set 0 and 1000"
            )
        pieces = time_pieces(video.shape[2], size, overlap)
        length = (video.shape[2] - 1) * TEMPORAL + 1
        frames = read_frames(optional_cond_image_indices, optional_cond_images, length)
        routed = keyframe_pieces(frames, length, len(pieces), size, overlap)
        images = encode_each(vae, optional_cond_images, video, LOOPING_CRF, crop="center")
        guiding = track_like(optional_guiding_latents, "optional_guiding_latents", video)
        before = track_like(optional_negative_index_latents, "optional_negative_index_latents", video)
        normalizing = track_like(optional_normalizing_latents, "optional_normalizing_latents", video)
        for name, one in (("guiding", guiding), ("normalizing", normalizing)):
            if one is not None and one.shape[2] != video.shape[2]:
                raise ValueError(
                    f"the {name} latents have {one.shape[2]} latent frames, latents {video.shape[2]}: make them equal"
                )

        prompts = read_prompts(optional_positive_conditionings, guider)
        if isinstance(guider.model_patcher.model, comfy.model_base.LTXV):
            for one in prompts:
                need_prompts(guider.model_patcher, optional_positive_conditionings=one)

        def conditionings(piece):
            own = conditionings_of(guider)
            return {**own, "positive": prompts[min(piece, len(prompts) - 1)]} if prompts else own

        def run(clip, seed):
            return sample(clip, guider, sampler, sigmas, with_seed(noise, seed))

        step = TEMPORAL * (size - overlap)
        loop = Loop(
            run=run,
            conditionings=conditionings,
            pieces=pieces,
            overlap=overlap,
            images=[{frames[i] - piece * step: images[i] for i in routed[piece]} for piece in range(len(pieces))],
            strength=temporal_overlap_cond_strength,
            image_strength=cond_image_strength,
            reference_strength=guiding_strength,
            adain=adain_factor,
            reference=guiding,
            before=before,
            normalizing=normalizing,
        )
        count = itertools.count()

        def one(rows, columns):
            tile, tiles = next(count), horizontal_tiles * vertical_tiles
            return loop.tile(video, slice(*rows), slice(*columns), lambda start: noise.seed + start * tiles + tile)

        return io.NodeOutput({"samples": sample_tiles(video, horizontal_tiles, vertical_tiles, spatial_overlap, one)})


class MultiPromptProvider(Node):
    NODE_ID = "MultiPromptProvider"

    @classmethod
    def define_schema(cls):
        inputs = [io.String.Input("prompts", multiline=True), io.Clip.Input("clip")]
        outputs = [io.Conditioning.Output(display_name="conditionings")]
        return schema(cls.NODE_ID, "a CLIPTextEncode for each prompt", inputs, outputs)

    @classmethod
    def execute(cls, prompts, clip):
        """A list for LTXVLoopingSampler, a CONDITIONING for each prompt between bars."""
        texts = [text.strip() for text in prompts.split("|") if text.strip()]
        if not texts:
            raise ValueError("prompts is empty: write one prompt for each tile, with | between")
        return io.NodeOutput([clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in texts])


class LTXVMultiPromptProvider(MultiPromptProvider):
    NODE_ID = "LTXVMultiPromptProvider"


SAMPLERS: list[type[io.ComfyNode]] = [
    BaseSampler,
    ExtendSampler,
    InContextSampler,
    TiledSampler,
    LoopingSampler,
    MultiPromptProvider,
    LTXVMultiPromptProvider,
]
