"""The sampler of LTX-Video 0.9.x."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltxv.presets import IMAGE_NOISE_SCALE
from ...ltx.ltxv.sampler import sample_ltxv
from ...samplers.fitting import FittingSampler
from ..node import Node


class LTXVSampler(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXVSampler",
            display_name="LTXV Sampler",
            category="Oner/sampling",
            description="Euler steps as LTX-Video 0.9.x takes them: every token has its own time, so that frames given "
            "with a strength between 0 and 1 come out as in the reference.",
            search_aliases=["euler", "image conditioning noise", "motion boost", "stochastic sampling", "LTX-Video"],
            inputs=[
                io.Float.Input(
                    "image_noise",
                    default=IMAGE_NOISE_SCALE,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="noise on frames given with strength 1, times sigma squared, drawn anew at each step; more "
                    "= more motion; 0 = off; no effect without given frames",
                ),
                io.Boolean.Input(
                    "stochastic",
                    default=False,
                    tooltip="go to the clean latent and noise it again at each step, as 2B 0.9.6 distilled wants",
                ),
            ],
            outputs=[io.Sampler.Output(display_name="sampler", tooltip="for SamplerCustomAdvanced; LTX-Video only")],
        )

    @classmethod
    def execute(cls, image_noise, stochastic):
        options = {"image_noise_scale": image_noise, "stochastic": stochastic}
        return io.NodeOutput(FittingSampler(sample_ltxv, options))
