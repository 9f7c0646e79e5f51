"""Videos made ready for IC-LoRAs: sizes, the green guides of in- and outpainting, and the way back into the source."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io

from ...ltx.latents import SPATIAL, check_size
from ...ltx.ltx2 import ic_lora_guides as guides
from ...ltx.ltx2.references import DOWNSCALE_FACTOR, TEMPORAL_FACTOR, iclora_factor
from ...utils.images import fill_and_crop, fit_length
from ..node import Node
from ..types import ICLoRAParameters

MAX_SIDE = 16384
FIT, KEEP = "fit inside", "keep size"
REFUSE, CUT, REPEAT = "refuse", "cut to the shorter", "repeat the last frame"


def side(name: str, tip: str, default: int = 0) -> io.Int.Input:
    return io.Int.Input(name, default=default, min=0, max=MAX_SIDE, step=32, tooltip=tip)


def length_input() -> io.Int.Input:
    return io.Int.Input(
        "length", default=0, min=0, max=MAX_SIDE + 1, tooltip="frames to keep, 8k+1; 0 = as many of the video as fit"
    )


def sizes() -> list[io.Int.Output]:
    return [
        io.Int.Output(display_name="width", tooltip="pixels, for LTX Empty Latent"),
        io.Int.Output(display_name="height", tooltip="pixels, for LTX Empty Latent"),
        io.Int.Output(display_name="length", tooltip="frames, for LTX Empty Latent"),
    ]


def size_of(video) -> tuple[int, int, int]:
    """width, height, length"""
    return video.shape[2], video.shape[1], video.shape[0]


def fit_mask_length(mask, length, given=None):
    """A mask for each frame of a video: one for all, or cut or held as its `given` frames were brought to `length`."""
    least = length if given is None else min(length, given)
    if mask.shape[0] != 1 and mask.shape[0] < least:
        raise ValueError(f"mask has {mask.shape[0]} frames, the video {least}: give 1 or at least {least}")
    return fit_length(mask[:least], length)


def need_same_size(name: str, given, video) -> None:
    if given.shape[1:3] != video.shape[1:3]:
        raise ValueError(
            f"{name} is {given.shape[2]}x{given.shape[1]} pixels, the video {video.shape[2]}x{video.shape[1]}: pass "
            "both through LTX Fit Video"
        )


class LTXFitVideo(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXFitVideo",
            display_name="LTX Fit Video",
            category="Oner/conditioning",
            description="Bring a video, and its mask, to a size and length that LTX and the IC-LoRA can take, and tell "
            "the empty latent which.",
            search_aliases=["resize video", "reference video", "IC-LoRA", "multiple of 32", "8n+1", "trim", "crop"],
            inputs=[
                io.Image.Input("video", tooltip="frames of any size and length"),
                side("width", "pixels; scaled to fill, then cropped; 0 = the legal width nearest to the video's"),
                side("height", "pixels; scaled to fill, then cropped; 0 = the legal height nearest to the video's"),
                length_input(),
                io.Combo.Input(
                    "stages", options=["one", "two"], tooltip="two stages need multiples of 64 pixels instead of 32"
                ),
                io.Mask.Input("mask", optional=True, tooltip="one mask, or one a frame; fitted like the video"),
                ICLoRAParameters.Input(
                    "iclora_parameters",
                    optional=True,
                    tooltip="factors of the IC-LoRA: a reference shrunk n times needs multiples of n times as much",
                ),
                io.Combo.Input(
                    "if_too_short",
                    options=[REFUSE, REPEAT],
                    default=REFUSE,
                    optional=True,
                    advanced=True,
                    tooltip="what to do with a video shorter than length; repeating also takes a video of 8k frames to "
                    "8k+1 where length is 0",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="video", tooltip="fitted frames"),
                io.Mask.Output(display_name="mask", tooltip="fitted masks, one a frame; zeros without a mask"),
                *sizes(),
            ],
        )

    @classmethod
    def execute(cls, video, width, height, length, stages, mask=None, iclora_parameters=None, if_too_short=REFUSE):
        factors = [iclora_parameters or {}]
        multiple = SPATIAL * (2 if stages == "two" else 1) * iclora_factor(factors, DOWNSCALE_FACTOR)
        nearest = guides.nearest_size(video.shape[2], video.shape[1], multiple)
        width, height = width or nearest[0], height or nearest[1]
        for name, value in (("width", width), ("height", height)):
            if value % multiple:
                low = value // multiple * multiple
                choices = f"{low} or {low + multiple}" if low else str(multiple)
                raise ValueError(
                    f"{name} is {value}; with {stages} stage{'s' * (stages == 'two')} and this IC-LoRA it must be a "
                    f"multiple of {multiple}: use {choices}"
                )
        frames = guides.fit_length(
            video, length, iclora_factor(factors, TEMPORAL_FACTOR), repeat=if_too_short == REPEAT
        )
        if mask is None:
            fitted = torch.zeros(frames.shape[0], height, width)
        else:
            need_same_size("mask", mask, video)
            fitted = guides.fit_mask(fit_mask_length(mask, frames.shape[0], video.shape[0]), width, height)
        frames = fill_and_crop(frames[..., :3], width, height)
        return io.NodeOutput(frames, fitted, *size_of(frames))


class LTXOutpaintGuide(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXOutpaintGuide",
            display_name="LTX Outpaint Guide",
            category="Oner/conditioning",
            description="Put a video on a larger canvas whose margin has the green that the in- and outpainting "
            "IC-LoRA fills. The mask and the video on its canvas are for blending the source back.",
            search_aliases=["outpainting", "extend canvas", "uncrop", "aspect ratio", "IC-LoRA", "ImagePadForOutpaint"],
            inputs=[
                io.Image.Input("video", tooltip="frames of any size and length"),
                side("width", "pixels of the canvas, multiple of 32; of 64 with two stages", 1216),
                side("height", "pixels of the canvas, multiple of 32; of 64 with two stages", 704),
                length_input(),
                io.Combo.Input(
                    "scale", options=[FIT, KEEP], tooltip="scale the video until it touches two sides, or keep its size"
                ),
                io.Float.Input(
                    "horizontal", default=0.5, min=0.0, max=1.0, step=0.01, tooltip="place: 0 left, 1 right"
                ),
                io.Float.Input("vertical", default=0.5, min=0.0, max=1.0, step=0.01, tooltip="place: 0 top, 1 bottom"),
            ],
            outputs=[
                io.Image.Output(display_name="guide", tooltip="video with green margin, for LTX Reference Video"),
                io.Image.Output(
                    display_name="video", tooltip="video on the canvas, its edges repeated into the margin"
                ),
                io.Mask.Output(display_name="mask", tooltip="1 in the margin, one mask a frame"),
                *sizes(),
            ],
        )

    @classmethod
    def execute(cls, video, width, height, length, scale, horizontal, vertical):
        check_size(width, height, 1)
        frames = guides.fit_length(video[..., :3], length)
        if scale == FIT:
            frames = guides.fit_inside(frames, width, height)
        elif frames.shape[1] > height or frames.shape[2] > width:
            raise ValueError(
                f"the video is {frames.shape[2]}x{frames.shape[1]} pixels, the canvas {width}x{height}: make the "
                f"canvas larger or set scale to '{FIT}'"
            )
        canvas, mask = guides.place_on_canvas(frames, width, height, horizontal, vertical)
        if not mask.any():
            raise ValueError(
                f"the video fills the canvas of {width}x{height}: nothing is left to paint; make it larger"
            )
        return io.NodeOutput(guides.paint_green(canvas, mask), canvas, mask, *size_of(canvas))


class LTXInpaintGuide(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXInpaintGuide",
            display_name="LTX Inpaint Guide",
            category="Oner/conditioning",
            description="Paint what is to be made anew in the green that the in- and outpainting IC-LoRA fills.",
            search_aliases=["LTXVInpaintPreprocess", "inpainting", "green key", "66FF00", "remove object", "IC-LoRA"],
            inputs=[
                io.Image.Input("video", tooltip="frames, as from LTX Fit Video"),
                io.Mask.Input("mask", tooltip="above 0.5 = make anew; one mask for all frames, or one a frame"),
            ],
            outputs=[io.Image.Output(display_name="guide", tooltip="frames with green, for LTX Reference Video")],
        )

    @classmethod
    def execute(cls, video, mask):
        need_same_size("mask", mask, video)
        mask = fit_mask_length(mask, video.shape[0])
        if not (mask > 0.5).any():
            raise ValueError("the mask is nowhere above 0.5: nothing would be made anew; draw or connect a mask")
        return io.NodeOutput(guides.paint_green(video, mask))


class LTXGrowMask(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXGrowMask",
            display_name="LTX Grow Mask",
            category="Oner/conditioning",
            description="Grow a video mask in space and in time and make it black and white, so that it covers "
            "outlines and fast movement whole.",
            search_aliases=["LTXVDilateVideoMask", "dilate", "expand mask", "temporal mask", "max pool"],
            inputs=[
                io.Mask.Input("mask", tooltip="one mask, or one a frame; above 0.5 counts as masked"),
                io.Int.Input("grow", default=5, min=0, max=300, tooltip="pixels to grow on each side"),
                io.Int.Input("grow_frames", default=0, min=0, max=100, tooltip="frames to grow before and after"),
            ],
            outputs=[io.Mask.Output(display_name="mask", tooltip="0 and 1")],
        )

    @classmethod
    def execute(cls, mask, grow, grow_frames):
        if grow_frames and mask.shape[0] == 1:
            raise ValueError(f"grow_frames is {grow_frames} and there is one mask: give a mask a frame, or set it to 0")
        return io.NodeOutput(guides.grow_mask(mask, grow, grow_frames))


class LaplacianBlend(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLaplacianBlend",
            display_name="Laplacian Blend",
            category="Oner/image",
            description="Put one video into another without a visible seam: coarse shapes and colours blend over a "
            "wide border, fine detail over a narrow one. Far from the mask the outside stays bit by bit.",
            search_aliases=["LTXVLaplacianPyramidBlend", "pyramid blending", "composite", "seamless", "inpaint stitch"],
            inputs=[
                io.Image.Input("inside", tooltip="shown where the mask is white, such as the generated video"),
                io.Image.Input("outside", tooltip="shown where the mask is black, such as the source"),
                io.Mask.Input("mask", tooltip="0 to 1, one mask for all frames, or one a frame"),
                io.Int.Input(
                    "grow",
                    default=5,
                    min=0,
                    max=15,
                    tooltip="how far to widen the mask first, in 64ths of the long side, so that what was removed does "
                    "not shine through; 0 = the mask as it is",
                ),
                io.Combo.Input("lengths", options=[REFUSE, CUT], tooltip="what to do when the videos differ in length"),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="blended frames")],
        )

    @classmethod
    def execute(cls, inside, outside, mask, grow, lengths):
        need_same_size("inside", inside, outside)
        need_same_size("mask", mask, outside)
        counts = inside.shape[0], outside.shape[0]
        if counts[0] != counts[1] and lengths == REFUSE:
            raise ValueError(
                f"inside has {counts[0]} frames and outside {counts[1]}: make them equal, or set lengths to '{CUT}'"
            )
        inside, outside = inside[: min(counts), ..., :3], outside[: min(counts), ..., :3]
        mask = fit_mask_length(mask, outside.shape[0])
        device, result = comfy.model_management.get_torch_device(), torch.empty_like(outside)
        progress = comfy.utils.ProgressBar(outside.shape[0])
        for start in range(0, outside.shape[0], guides.BLEND_CHUNK):
            comfy.model_management.throw_exception_if_processing_interrupted()
            chunk = slice(start, start + guides.BLEND_CHUNK)
            weights = guides.blend_mask(mask[chunk].to(device).float(), grow)
            blended = guides.blend_back(inside[chunk].to(device).float(), outside[chunk].to(device).float(), weights)
            result[chunk] = blended.to(result)
            progress.update(len(blended))
        return io.NodeOutput(result)
