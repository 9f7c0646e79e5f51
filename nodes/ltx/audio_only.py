"""The audio half of LTX-2 alone, through the switches that core's network has for its two halves."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2.block_choice import with_exact_block
from ...ltx.ltx2.checks import need_audio_video_model
from ...samplers.compiled import tell
from ..node import Node


class LTXAudioOnly(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXAudioOnly",
            display_name="LTX Audio Only",
            category="Oner/patches",
            description="Switch off the video half of LTX-2, to make sound alone from text. The latent keeps a video "
            "part, which the model neither reads nor changes: freeze it with LTX Freeze.",
            search_aliases=["text to audio", "t2a", "speech", "music", "sound effects"],
            inputs=[io.Model.Input("model", tooltip="LTX-2 or LTX-2.3 model")],
            outputs=[io.Model.Output(display_name="model", tooltip="the model with its audio half alone")],
        )

    @classmethod
    def execute(cls, model):
        need_audio_video_model(model)
        model = with_exact_block(model)
        switches = {"run_vx": False, "v2a_cross_attn": False}
        known = model.model_options.get("transformer_options", {})
        model.model_options["transformer_options"] = {**known, **switches}
        tell(model, "switches")
        return io.NodeOutput(model)
