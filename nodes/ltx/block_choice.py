"""Which block LTX-2 is computed with: that of the reference, or ComfyUI's own for comparison."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2.block_choice import with_chosen_block
from ...ltx.ltx2.checks import need_audio_video_model
from ..node import Node

REFERENCE, COMFYUI = "as the reference", "as ComfyUI computes it"


class LTXExactBlock(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXExactBlock",
            display_name="LTX Exact Block",
            category="Oner/patches",
            description="Compute LTX-2 as its reference does, where a ComfyUI after 0.30 is 2 to 10 % off. This pack's "
            "loaders, guiders and samplers do so without this node: it is for graphs without them, and to compare.",
            search_aliases=["LTX-2 fix", "wrong audio", "reference numbers", "compare with ComfyUI"],
            inputs=[
                io.Model.Input("model", tooltip="LTX-2, 2.3 or 2.5 model, from any loader"),
                io.Combo.Input(
                    "block",
                    options=[REFERENCE, COMFYUI],
                    tooltip="as the reference: exact on every ComfyUI; as ComfyUI computes it: left to this ComfyUI, "
                    "also under this pack's guiders and samplers",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="the model with that block")],
        )

    @classmethod
    def execute(cls, model, block):
        need_audio_video_model(model)
        return io.NodeOutput(with_chosen_block(model, exact=block == REFERENCE))
