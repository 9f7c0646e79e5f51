"""Sampler and schedule of LTX-Video 0.9.x."""

from __future__ import annotations

import comfy.samplers
import torch
from comfy_api.latest import io

from ...ltx.ltxv.presets import IMAGE_NOISE_SCALE
from ...ltx.ltxv.sampler import sample_ltxv
from ...ltx.ltxv.schedules import THRESHOLD, linear_quadratic


class LTXVSampler(io.ComfyNode):
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
        return io.NodeOutput(comfy.samplers.KSAMPLER(sample_ltxv, options))


class LinearQuadraticSigmas(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLinearQuadraticSigmas",
            display_name="Linear Quadratic Sigmas",
            category="Oner/sigmas",
            description="The schedule of LTX-Video 0.9.x: half of the steps in small strides, the rest on a parabola. "
            "Steps can be left out at either end, as the two passes of multi-scale do.",
            search_aliases=["linear_quadratic", "skip steps", "multi-scale", "LTX-Video", "split sigmas"],
            inputs=[
                io.Int.Input("steps", default=30, min=1, max=10000, tooltip="steps of the whole schedule"),
                io.Int.Input(
                    "skip_initial_steps",
                    default=0,
                    min=0,
                    max=9999,
                    tooltip="steps left out at the start: begin at a lower noise level, for a second pass; 13B dev: 17",
                ),
                io.Int.Input(
                    "skip_final_steps",
                    default=0,
                    min=0,
                    max=9999,
                    tooltip="steps left out at the end; the last step that remains goes to 0; 13B dev, first pass: 3",
                ),
                io.Float.Input(
                    "threshold",
                    default=THRESHOLD,
                    min=0.001,
                    max=0.999,
                    step=0.001,
                    advanced=True,
                    tooltip="share of the noise that the linear half removes (0..1)",
                ),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas", tooltip="noise levels from high to 0")],
        )

    @classmethod
    def execute(cls, steps, skip_initial_steps, skip_final_steps, threshold=THRESHOLD):
        left = steps - skip_initial_steps - skip_final_steps
        if left < 1:
            raise ValueError(
                f"{skip_initial_steps} + {skip_final_steps} steps are skipped of {steps}: leave at least one"
            )
        levels = linear_quadratic(steps, threshold)[skip_initial_steps : steps - skip_final_steps]
        return io.NodeOutput(torch.tensor([*levels, 0.0]))
