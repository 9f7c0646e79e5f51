"""RIFLEx for Wan: clips longer than the model was trained on."""

from __future__ import annotations

from comfy_api.latest import io

from ...wan.riflex import DIVISORS, RiflexEmbedder, latent_frames_of
from ..node import Node


class WanRIFLEx(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanRIFLEx",
            display_name="Wan RIFLEx",
            category="Oner/patches",
            description="Keeps videos longer than the trained 81 frames from repeating themselves.",
            search_aliases=["ApplyRifleXRoPE", "long video", "rope", "repetition"],
            inputs=[
                io.Model.Input("model", tooltip="Wan model"),
                io.Int.Input("length", default=161, min=5, max=16384, step=4, tooltip="frames of the video; 4k+1"),
                io.Int.Input(
                    "k",
                    default=6,
                    min=1,
                    max=22,
                    advanced=True,
                    tooltip="number of the temporal frequency that is slowed down, 1 to 22; 6 for Wan",
                ),
                io.Combo.Input(
                    "divisor",
                    options=list(DIVISORS),
                    advanced=True,
                    tooltip="VideoX-Fun divides the new frequency by 4.886 once more; the paper and KJNodes do not",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="model with the changed time axis")],
        )

    @classmethod
    def execute(cls, model, length, k, divisor):
        embedder = getattr(model.get_model_object("diffusion_model"), "rope_embedder", None)
        if embedder is None or len(embedder.axes_dim) != 3:
            raise ValueError(f"the model is a {type(model.model).__name__}; RIFLEx here needs a Wan model")
        patched = model.clone()
        changed = RiflexEmbedder(embedder, latent_frames_of(length), k, DIVISORS[divisor])
        patched.add_object_patch("diffusion_model.rope_embedder", changed)
        return io.NodeOutput(patched)
