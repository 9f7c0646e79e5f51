"""Sigmas of the Wan references."""

from __future__ import annotations

from comfy_api.latest import io

from ...wan.schedules import BOUNDARIES, SCHEDULES, boundary_index, flow_sigmas
from ..node import Node


class WanScheduler(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanScheduler",
            display_name="Wan Scheduler",
            category="Oner/sigmas",
            description="The exact sigma tables of the Wan references: Flow (Euler), UniPC and DPM++, shifted once.",
            search_aliases=["flow sigmas", "unipc sigmas", "shift", "VideoX-Fun scheduler"],
            inputs=[
                io.Combo.Input(
                    "schedule",
                    options=list(SCHEDULES),
                    tooltip="flow for euler; unipc and dpmpp for the flow samplers of that name",
                ),
                io.Int.Input("steps", default=50, min=1, max=10000, tooltip="steps of a whole run"),
                io.Float.Input(
                    "shift",
                    default=5.0,
                    min=0.01,
                    max=100.0,
                    step=0.01,
                    tooltip="Fun and image to video 5, text to video 2.2 and VACE 12, Lightning 5",
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="below 1: only the last part of the run, for video to video",
                ),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas", tooltip="noise levels from 1 to 0")],
        )

    @classmethod
    def execute(cls, schedule, steps, shift, denoise):
        whole = max(round(steps / denoise), steps)
        return io.NodeOutput(flow_sigmas(schedule, whole, shift)[-(steps + 1) :])


class SplitSigmasAtBoundary(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerSplitSigmasAtBoundary",
            display_name="Split Sigmas at Boundary",
            category="Oner/sigmas",
            description="Splits a schedule where Wan 2.2 changes its expert, for two samplers.",
            search_aliases=["SplitSigmas", "high low noise", "moe boundary", "expert"],
            inputs=[
                io.Sigmas.Input("sigmas", tooltip="a whole schedule"),
                io.Float.Input(
                    "boundary",
                    default=BOUNDARIES["image to video, Fun"],
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="noise level; 0.9 for image to video and Fun, 0.875 for text to video and VACE",
                ),
            ],
            outputs=[
                io.Sigmas.Output(display_name="high", tooltip="steps at or above the boundary"),
                io.Sigmas.Output(display_name="low", tooltip="the other steps; their sampler must add no noise"),
                io.Int.Output(display_name="high_steps", tooltip="steps in high"),
            ],
        )

    @classmethod
    def execute(cls, sigmas, boundary):
        index = boundary_index(sigmas, boundary)
        return io.NodeOutput(sigmas[: index + 1], sigmas[index:], index)
