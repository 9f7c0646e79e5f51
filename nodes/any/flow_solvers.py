"""Samplers of flow models with more than one step of history."""

from __future__ import annotations

from comfy_api.latest import io

from ...samplers.flow_solvers import FLOW_SOLVERS, flow_sampler
from ..node import Node


class FlowSampler(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerFlowSampler",
            display_name="Flow Sampler",
            category="Oner/sampling",
            description="UniPC and DPM++ 2M in the flow form of the Wan reference; core's differ.",
            search_aliases=["uni_pc", "dpmpp_2m", "unipc flow", "dpm++ flow"],
            inputs=[
                io.Combo.Input(
                    "solver", options=list(FLOW_SOLVERS), tooltip="UniPC is the default of the Wan reference"
                ),
                io.Float.Input(
                    "restart_below",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="noise level, 0 to 1, below which the solver starts its history anew, for example the "
                    "experts' boundary; 0 = never, as in the reference",
                ),
            ],
            outputs=[io.Sampler.Output(display_name="sampler", tooltip="for SamplerCustomAdvanced")],
        )

    @classmethod
    def execute(cls, solver, restart_below):
        return io.NodeOutput(flow_sampler(solver, restart_below))
