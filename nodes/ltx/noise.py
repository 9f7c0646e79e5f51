"""The noise that LTX-2 samplers start from."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2.noise import LatentNoise
from ..node import Node


class LTXNoise(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXNoise",
            display_name="LTX Noise",
            category="Oner/sampling",
            description="Random noise for video and audio latents that also honours frames put in with a strength "
            "between 0 and 1 over other content, as in a second stage.",
            search_aliases=["RandomNoise", "seed", "noise"],
            inputs=[
                io.Int.Input(
                    "noise_seed",
                    default=10,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="seed; the same noise as RandomNoise gives",
                ),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="the schedule of this sampling; needed if the latent holds frames with partial strength",
                ),
            ],
            outputs=[io.Noise.Output(display_name="noise", tooltip="for SamplerCustomAdvanced")],
        )

    @classmethod
    def execute(cls, noise_seed, sigmas=None):
        return io.NodeOutput(LatentNoise(noise_seed, None if sigmas is None or not len(sigmas) else float(sigmas[0])))
