"""The linear-quadratic schedule of LTX-Video."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...ltx.ltxv.schedules import THRESHOLD, linear_quadratic
from ..node import Node


class LinearQuadraticSigmas(Node):
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
