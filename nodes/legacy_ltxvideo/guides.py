"""Nodes under ids of ComfyUI-LTXVideo around guides, IC-LoRAs, masks, tracks and light; see shims.py."""

from __future__ import annotations

import json
import logging

import comfy.utils
import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder
from comfy_extras.nodes_lt import LTXVAddGuide, LTXVImgToVideo, LTXVPreprocess

from ...ltx.checks import need_video_latent, need_video_vae
from ...ltx.latents import SPATIAL, TEMPORAL
from ...ltx.ltx2 import tracks as motion
from ...ltx.ltx2.references import DOWNSCALE_FACTOR, whole_length
from ...ltx.ltxv.conditions import append_guide, frame_mask
from ...ltx.ltxv.segments import guide_frame
from ...utils.images import need_room
from ...utils.latents import audio_part, match_batch, video_part
from ...utils.tracks import read_tracks
from ..ltx.conditioning import LTXReferenceAudio, LTXReferenceVideo
from ..ltx.hdr import BOTH, LTXHDRDecode
from ..ltx.ic_lora_guides import CUT, REFUSE, LaplacianBlend, LTXGrowMask, LTXInpaintGuide
from ..ltx.tracks import draw
from ..node import Node
from ..paths import output_prefix
from .schemas import number, prompts, prompts_and_latent, schema, video_of, whole

log = logging.getLogger("oner")

EXR_FOLDER, EXR_NAME = "output/hdr_exr", "frame"
INTERPOLATIONS = ["lanczos", "bislerp", "nearest", "bilinear", "bicubic", "area", "nearest-exact"]


def crop_input(*, optional: bool = False) -> io.Combo.Input:
    return io.Combo.Input("crop", options=["center", "disabled"], default="disabled", optional=optional)


def resize(images: torch.Tensor, width: int, height: int, interpolation: str, crop: str) -> torch.Tensor:
    if crop == "center":
        need_room(images, width, height, "image")
    pixels = images[..., :3].movedim(-1, 1)
    return comfy.utils.common_upscale(pixels, width, height, interpolation, crop).movedim(1, -1)


def prepare(images, width, height, crf, blur_radius, interpolation="bilinear", crop="disabled"):
    """Images [F, height, width, 3], compressed and blurred as the guide nodes of the pack did."""
    from comfy_extras.nodes_post_processing import Blur

    images = resize(images, width, height, interpolation, crop)
    if crf:
        images = LTXVPreprocess.execute(images, crf).result[0]
    return Blur.execute(images, blur_radius, 0.3 * blur_radius).result[0] if blur_radius else images


def pixel_size(latent: dict) -> tuple[int, int]:
    """width, height"""
    height, width = video_part(latent["samples"]).shape[3:]
    return width * SPATIAL, height * SPATIAL


# --- guides ----------------------------------------------------------------------------------------------------------


class AddGuideAdvanced(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            *prompts(),
            io.Vae.Input("vae"),
            io.Latent.Input("latent"),
            io.Image.Input("image"),
            whole("frame_idx", 0, -9999, 9999),
            number("strength", 1.0, 0.0, 1.0),
            whole("crf", 29, 0, 51),
            whole("blur_radius", 0, 0, 7),
            io.Combo.Input("interpolation", options=INTERPOLATIONS),
            crop_input(),
        ]
        return schema("LTXVAddGuideAdvanced", "LTXV Image Guide", inputs, prompts_and_latent())

    @classmethod
    def execute(
        cls, positive, negative, vae, latent, image, frame_idx, strength, crf, blur_radius, interpolation, crop
    ):
        clip = video_of(latent, "latent")
        need_video_vae(vae)
        image = prepare(image, *pixel_size(latent), crf, blur_radius, interpolation, crop)
        mask = frame_mask(latent)
        first = {**latent, "samples": clip[:1], "noise_mask": mask[:1]}  # core's node takes no batch
        try:
            positive, negative, guided = LTXVAddGuide.execute(
                positive, negative, vae, first, image, frame_idx, strength
            ).result
        except AssertionError:
            raise ValueError(
                f"frame_idx is {frame_idx} for {image.shape[0]} image(s), latent has {clip.shape[2]} latent frames, "
                f"{(clip.shape[2] - 1) * TEMPORAL + 1} frames: place them within it"
            ) from None
        joined = {
            name: torch.cat([whole, match_batch(guided[name][:, :, clip.shape[2] :], whole.shape[0], "image", name)], 2)
            for name, whole in (("samples", clip), ("noise_mask", mask))
        }
        return io.NodeOutput(positive, negative, {**guided, **joined})


class ImgToVideoAdvanced(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            *prompts(),
            io.Vae.Input("vae"),
            io.Image.Input("image"),
            whole("width", 768, 64, 16384, 32),
            whole("height", 512, 64, 16384, 32),
            whole("length", 97, 9, 16384, 8),
            whole("batch_size", 1, 1, 4096),
            whole("crf", 29, 0, 51),
            whole("blur_radius", 0, 0, 7),
            io.Combo.Input("interpolation", options=INTERPOLATIONS),
            crop_input(),
            number("strength", 0.9, 0.0, 1.0),
        ]
        return schema("LTXVImgToVideoAdvanced", "LTXV Image Guide", inputs, prompts_and_latent())

    @classmethod
    def execute(
        cls,
        positive,
        negative,
        vae,
        image,
        width,
        height,
        length,
        batch_size,
        crf,
        blur_radius,
        interpolation,
        crop,
        strength,
    ):
        need_video_vae(vae)
        image = prepare(image, width, height, crf, blur_radius, interpolation, crop)
        return LTXVImgToVideo.execute(positive, negative, image, vae, width, height, length, batch_size, strength)


class AddLatentGuide(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Vae.Input("vae"),
            *prompts(),
            io.Latent.Input("latent"),
            io.Latent.Input("guiding_latent"),
            whole("latent_idx", 0, -9999, 9999),
            number("strength", 1.0, 0.0, 1.0),
        ]
        return schema("LTXVAddLatentGuide", "LTXV Image Guide or LTX Reference Video", inputs, prompts_and_latent())

    @classmethod
    def execute(cls, vae, positive, negative, latent, guiding_latent, latent_idx, strength):  # noqa: ARG003 - the guide is encoded
        """A negative index lies before the clip: context that is seen and not shown."""
        guide, clip = video_of(guiding_latent, "guiding_latent"), video_of(latent, "latent")
        if guide.shape[3:] != clip.shape[3:]:
            raise ValueError(
                f"guiding_latent is {tuple(guide.shape[3:])} latents high and wide, latent {tuple(clip.shape[3:])}: "
                "make them equal"
            )
        return io.NodeOutput(*append_guide(positive, negative, latent, guide, guide_frame(latent_idx), strength))


def iclora_inputs() -> list:
    return [
        *prompts(),
        io.Vae.Input("vae"),
        io.Latent.Input("latent"),
        io.Image.Input("image"),
        whole("frame_idx", 0, -9999, 9999),
        number("strength", 1.0, 0.0, 1.0),
        number("latent_downscale_factor", 1.0, 1.0, 10.0),
        crop_input(),
        io.Boolean.Input("use_tiled_encode", default=False),
        whole("tile_size", 256, 64, 512, 32),
        whole("tile_overlap", 64, 16, 256, 16),
    ]


class AddVideoICLoRAGuide(Node):
    @classmethod
    def define_schema(cls):
        return schema("LTXAddVideoICLoRAGuide", "LTX Reference Video", iclora_inputs(), prompts_and_latent())

    @classmethod
    def execute(
        cls,
        positive,
        negative,
        vae,
        latent,
        image,
        frame_idx,
        strength,
        latent_downscale_factor,
        crop,
        use_tiled_encode,
        tile_size,
        tile_overlap,
        attention_strength=1.0,
        attention_mask=None,
    ):
        if frame_idx:
            raise ValueError(
                f"frame_idx is {frame_idx}; references start with the clip here: set it to 0, or use ComfyUI's "
                "LTXVAddGuide"
            )
        if latent_downscale_factor != round(latent_downscale_factor):
            raise ValueError(f"latent_downscale_factor is {latent_downscale_factor:g}: use a whole number, such as 2")
        if use_tiled_encode:
            log.info("LTXAddVideoICLoRAGuide: tiles of %d, %d are left to ComfyUI's encoder", tile_size, tile_overlap)
        need_video_latent(video_part(latent["samples"]))
        image = image[: whole_length(image.shape[0])]
        if crop == "disabled":
            image = resize(image, *pixel_size(latent), "bilinear", crop)
        factors = {DOWNSCALE_FACTOR: round(latent_downscale_factor)}
        if attention_mask is not None and attention_mask.shape[0] > 1:
            attention_mask = attention_mask[: image.shape[0]]
        return LTXReferenceVideo.execute(
            positive, negative, vae, image, latent, strength, attention_strength, attention_mask, factors
        )


class AddVideoICLoRAGuideAdvanced(AddVideoICLoRAGuide):
    @classmethod
    def define_schema(cls):
        inputs = [
            *iclora_inputs(),
            number("attention_strength", 1.0, 0.0, 1.0),
            io.Mask.Input("attention_mask", optional=True),
        ]
        return schema("LTXAddVideoICLoRAGuideAdvanced", "LTX Reference Video", inputs, prompts_and_latent())


class SetAudioRefTokens(Node):
    @classmethod
    def define_schema(cls):
        inputs = [*prompts(), io.Latent.Input("audio_latent")]
        outputs = [*prompts_and_latent()[:2], io.Latent.Output(display_name="frozen_audio")]
        return schema("LTXVSetAudioRefTokens", "LTX Reference Audio, and LTX Freeze in stage 2", inputs, outputs)

    @classmethod
    def execute(cls, positive, negative, audio_latent):
        positive, negative = LTXReferenceAudio.execute(positive, negative, audio_latent).result
        audio = audio_part(audio_latent["samples"])
        audio = audio_latent["samples"] if audio is None else audio
        frozen = {**audio_latent, "samples": audio, "noise_mask": torch.zeros_like(audio[:, :1])}
        return io.NodeOutput(positive, negative, frozen)


# --- masks, tracks, light --------------------------------------------------------------------------------------------


class InpaintPreprocess(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.Image.Input("images"), io.Mask.Input("mask")]
        return schema("LTXVInpaintPreprocess", "LTX Inpaint Guide", inputs, [io.Image.Output()])

    @classmethod
    def execute(cls, images, mask):
        frames = images.shape[0] if mask.shape[0] == 1 else min(images.shape[0], mask.shape[0])
        return LTXInpaintGuide.execute(images[:frames], mask[:frames])


class DilateVideoMask(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            whole("spatial_radius", 5, 1, 300),
            whole("temporal_radius", 0, 0, 10),
            io.Mask.Input("mask", optional=True),
            io.Image.Input("image_as_mask", optional=True),
        ]
        return schema("LTXVDilateVideoMask", "LTX Grow Mask", inputs, [io.Mask.Output()])

    @classmethod
    def execute(cls, spatial_radius, temporal_radius, mask=None, image_as_mask=None):
        if (mask is None) == (image_as_mask is None):
            raise ValueError("connect one of mask and image_as_mask")
        mask = image_as_mask.mean(-1) if mask is None else mask
        return LTXGrowMask.execute(mask, spatial_radius, temporal_radius if mask.shape[0] > 1 else 0)


class LaplacianPyramidBlend(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Image.Input("image_a"),
            io.Image.Input("image_b"),
            io.Mask.Input("mask"),
            io.Boolean.Input("trim_to_shortest", default=False),
            whole("mask_low_res_dilation", 5, 0, 15),
        ]
        return schema("LTXVLaplacianPyramidBlend", "Laplacian Blend", inputs, [io.Image.Output()])

    @classmethod
    def execute(cls, image_a, image_b, mask, trim_to_shortest, mask_low_res_dilation):
        lengths = CUT if trim_to_shortest else REFUSE
        return LaplacianBlend.execute(image_a, image_b, mask, mask_low_res_dilation, lengths)


class SparseTrackEditor(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Image.Input("image", optional=True),
            io.String.Input("points_store", default="", multiline=True),
            io.String.Input("coordinates", default="", multiline=True),
            whole("points_to_sample", 121, 2, 10000),
        ]
        use = "LTX Tracks, with the points of any spline editor"
        return schema("LTXVSparseTrackEditor", use, inputs, [io.String.Output(display_name="tracks")])

    @classmethod
    def execute(cls, points_store, coordinates, points_to_sample, image=None):  # noqa: ARG003 - the editor showed it
        """The saved splines, sampled; what was sampled before serves where no control points are saved."""
        saved = points_store if points_store.strip() not in ("", "[]") else coordinates
        curves = [motion.follow(t, points_to_sample, motion.SPLINE, motion.EVEN_TIME) for t in read_tracks(saved)]
        points = [[{"x": round(x), "y": round(y)} for x, y in curve.tolist()] for curve in curves]
        return io.NodeOutput(json.dumps(points))


class DrawTracks(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.String.Input("tracks", force_input=True),
            whole("width", 512, 1, 16384),
            whole("height", 512, 1, 16384),
        ]
        return schema("LTXVDrawTracks", "LTX Draw Tracks", inputs, [io.Image.Output()])

    @classmethod
    def execute(cls, tracks, width, height):
        return io.NodeOutput(draw(motion.tracks_of(read_tracks(tracks)), width, height))


class HDRDecodePostprocess(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Image.Input("image"),
            number("exposure", 0.0, -10.0, 10.0, optional=True),
            io.Boolean.Input("save_exr", default=False, optional=True),
            io.String.Input("output_dir", default=EXR_FOLDER, optional=True),
            io.String.Input("filename_prefix", default=EXR_NAME, optional=True),
            io.Boolean.Input("half_precision", default=True, optional=True),
        ]
        outputs = [io.Image.Output(display_name="tonemapped"), io.Image.Output(display_name="hdr_linear")]
        use = "LTX HDR Decode and Save Image (Advanced)"
        return schema("LTXVHDRDecodePostprocess", use, inputs, outputs, enable_expand=True)

    @classmethod
    def validate_inputs(cls, save_exr=False, output_dir=EXR_FOLDER, filename_prefix=EXR_NAME):
        """The same check as in execute, before anything is sampled; connected values are not known yet."""
        connected = output_dir is None or filename_prefix is None
        if not save_exr or connected:
            return True
        try:
            output_prefix(output_dir, filename_prefix)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        image,
        exposure=0.0,
        save_exr=False,
        output_dir=EXR_FOLDER,
        filename_prefix=EXR_NAME,
        half_precision=True,  # noqa: ARG003 - ComfyUI writes 32 bits, which hold all of them
    ):
        made = LTXHDRDecode.execute(image, exposure, BOTH)
        if not save_exr:
            return made
        graph = GraphBuilder()
        graph.node(
            "SaveImageAdvanced",
            images=made.result[1],
            filename_prefix=output_prefix(output_dir, filename_prefix),
            format="exr",
            **{"format.bit_depth": "32-bit float", "format.input_color_space": "linear"},
        )
        return io.NodeOutput(*made.result, expand=graph.finalize())


GUIDES: list[type[io.ComfyNode]] = [
    AddGuideAdvanced,
    ImgToVideoAdvanced,
    AddLatentGuide,
    AddVideoICLoRAGuide,
    AddVideoICLoRAGuideAdvanced,
    SetAudioRefTokens,
    InpaintPreprocess,
    DilateVideoMask,
    LaplacianPyramidBlend,
    SparseTrackEditor,
    DrawTracks,
    HDRDecodePostprocess,
]
