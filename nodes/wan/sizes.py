"""Sizes and lengths the Wan models were trained on."""

from __future__ import annotations

from comfy_api.latest import io

from ...wan.sizes import BASES, bucket_size, whole_length
from ..node import Node

ASPECTS = {"16:9": (16, 9), "9:16": (9, 16), "4:3": (4, 3), "3:4": (3, 4), "1:1": (1, 1), "21:9": (21, 9)}


class WanSize(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanSize",
            display_name="Wan Size",
            category="Oner/utils",
            description="The trained width and height nearest to an image's shape, and a length of 4k+1 frames.",
            search_aliases=["aspect ratio", "resolution bucket", "width height length", "fun bucket"],
            inputs=[
                io.Combo.Input("aspect", options=list(ASPECTS), tooltip="width to height; an image overrides it"),
                io.Combo.Input(
                    "base",
                    options=[str(base) for base in BASES],
                    default="640",
                    tooltip="size class: 512 for small, 640 for 480p, 960 for 720p; 256 only for quick trials",
                ),
                io.Combo.Input("multiple", options=["16", "32"], tooltip="16; 32 for 5B models"),
                io.Int.Input(
                    "length",
                    default=81,
                    min=1,
                    max=16384,
                    tooltip="frames, rounded down to 4k+1; 81 at 16 fps, 121 at 24 fps for 5B models",
                ),
                io.Image.Input("image", optional=True, tooltip="image whose shape decides"),
            ],
            outputs=[
                io.Int.Output(display_name="width", tooltip="pixels"),
                io.Int.Output(display_name="height", tooltip="pixels"),
                io.Int.Output(display_name="length", tooltip="frames, 4k+1"),
            ],
        )

    @classmethod
    def execute(cls, aspect, base, multiple, length, image=None):
        shape = ASPECTS[aspect] if image is None else (image.shape[2], image.shape[1])
        return io.NodeOutput(*bucket_size(*shape, int(base), int(multiple)), whole_length(length))
