"""High dynamic range: what the HDR IC-LoRA made, as linear light and as a picture for ordinary screens."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2 import hdr
from ..node import Node

PREVIEW, BOTH = "preview", "preview and linear"


class LTXHDRDecode(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXHDRDecode",
            display_name="LTX HDR Decode",
            category="Oner/image",
            description="Turn the LogC3 pictures that the HDR IC-LoRA makes into linear light for EXR files, and into "
            "a tone-mapped picture to look at.",
            search_aliases=["LTXVHDRDecodePostprocess", "LogC", "ARRI", "EXR", "tonemap", "Reinhard", "linear"],
            inputs=[
                io.Image.Input("image", tooltip="decoded frames of the HDR IC-LoRA, LogC3 coded, 0 to 1"),
                io.Float.Input(
                    "exposure",
                    default=0.0,
                    min=-10.0,
                    max=10.0,
                    step=0.1,
                    tooltip="stops (EV) to brighten by, -10 to 10",
                ),
                io.Combo.Input(
                    "expose",
                    options=[PREVIEW, BOTH],
                    advanced=True,
                    tooltip="what the exposure changes; linear light is best exposed later, in grading",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="preview", tooltip="sRGB picture, 0 to 1, tone-mapped after Reinhard"),
                io.Image.Output(
                    display_name="linear",
                    tooltip="linear light from 0 to 10000, 0.18 = mid grey: save as EXR with colour space linear",
                ),
            ],
        )

    @classmethod
    def execute(cls, image, exposure, expose=PREVIEW):
        linear = hdr.decode_hdr(image[..., :3])
        exposed = hdr.expose(linear, exposure)
        return io.NodeOutput(hdr.tone_map(exposed), exposed if expose == BOTH else linear)
