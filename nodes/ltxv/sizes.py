"""Legal sizes for LTX-Video, padding to them and back."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltxv.presets import DOWNSCALE_FACTOR
from ...ltx.ltxv.sizes import first_pass_side, fit_frames, pad_frames, padded_length, padded_side
from ..node import Node

MAX_SIDE = 16384
WIDTH = io.Int.Input("width", default=1216, min=64, max=MAX_SIDE, tooltip="width you want, in pixels")
HEIGHT = io.Int.Input("height", default=704, min=64, max=MAX_SIDE, tooltip="height you want, in pixels")
FINAL_WIDTH = io.Int.Input("width", default=1216, min=1, max=MAX_SIDE, tooltip="width you want, in pixels")
FINAL_HEIGHT = io.Int.Input("height", default=704, min=1, max=MAX_SIDE, tooltip="height you want, in pixels")
LENGTH = io.Int.Input("length", default=121, min=1, max=MAX_SIDE, tooltip="frames you want")


class LTXVSizes(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXVSizes",
            display_name="LTXV Sizes",
            category="Oner/latent",
            description="The sizes an LTX model can make for the one you want: sides in multiples of 32, length 8k+1, "
            "and the small size of a multi-scale first pass. LTXV Fit Frames brings the result back.",
            search_aliases=["padding", "multiple of 32", "8n+1", "multi-scale", "resolution", "round size"],
            inputs=[
                WIDTH,
                HEIGHT,
                LENGTH,
                io.Float.Input(
                    "downscale_factor",
                    default=DOWNSCALE_FACTOR,
                    min=0.1,
                    max=1.0,
                    step=0.0000001,
                    round=False,
                    advanced=True,
                    tooltip="size of the first pass to the size you want; the pipelines use 2/3",
                ),
            ],
            outputs=[
                io.Int.Output(display_name="width", tooltip="padded width, in pixels"),
                io.Int.Output(display_name="height", tooltip="padded height, in pixels"),
                io.Int.Output(display_name="length", tooltip="padded length, in frames"),
                io.Int.Output(display_name="first_pass_width", tooltip="width of the first pass, half of the second"),
                io.Int.Output(display_name="first_pass_height", tooltip="height of the first pass, in pixels"),
            ],
        )

    @classmethod
    def execute(cls, width, height, length, downscale_factor=DOWNSCALE_FACTOR):
        padded = padded_side(width), padded_side(height)
        first = [first_pass_side(side, downscale_factor) for side in padded]
        if min(first) < 32:
            raise ValueError(
                f"{width}x{height} times {downscale_factor:g} is less than 32 pixels: choose a larger size or factor"
            )
        return io.NodeOutput(*padded, padded_length(length), *first)


class LTXVPadFrames(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXVPadFrames",
            display_name="LTXV Pad Frames",
            category="Oner/video",
            description="Pad an image or a clip to multiples of 32 pixels and 8k+1 frames by repeating its edges and "
            "last frame, so that nothing is cropped away before encoding.",
            search_aliases=["padding", "multiple of 32", "8n+1", "video to video", "extend edges"],
            inputs=[io.Image.Input("image", tooltip="image or clip of any size and length")],
            outputs=[
                io.Image.Output(display_name="image", tooltip="padded frames"),
                io.Int.Output(display_name="width", tooltip="width before padding, for LTXV Fit Frames"),
                io.Int.Output(display_name="height", tooltip="height before padding, in pixels"),
                io.Int.Output(display_name="length", tooltip="length before padding, in frames"),
            ],
        )

    @classmethod
    def execute(cls, image):
        length, height, width, _ = image.shape
        return io.NodeOutput(pad_frames(image), width, height, length)


class LTXVFitFrames(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXVFitFrames",
            display_name="LTXV Fit Frames",
            category="Oner/video",
            description="Bring decoded frames to the size and length you asked for: resize what multi-scale enlarged "
            "to the padded size, then crop the padding.",
            search_aliases=["crop back", "unpad", "resize", "multi-scale"],
            inputs=[io.Image.Input("images", tooltip="decoded frames"), FINAL_WIDTH, FINAL_HEIGHT, LENGTH],
            outputs=[io.Image.Output(display_name="images", tooltip="frames of exactly this size and length")],
        )

    @classmethod
    def execute(cls, images, width, height, length):
        if len(images) < length:
            raise ValueError(
                f"there are {len(images)} frames and length is {length}: set length to {len(images)} or less"
            )
        return io.NodeOutput(fit_frames(images, width, height, length))
