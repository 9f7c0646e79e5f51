"""What in a graph does nothing on the model."""

from __future__ import annotations

from comfy_api.latest import io

from ...wan.lint import lint
from ..node import Node


class WanLint(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanLint",
            display_name="Wan Lint",
            category="Oner/utils",
            description="Says where the graph carries an option that does nothing on this model.",
            search_aliases=["check", "warning", "NAG", "ignored", "negative prompt cfg 1"],
            inputs=[
                io.Model.Input("model", tooltip="Wan or LTX model as it goes to the guider; passed on"),
                io.Boolean.Input("strict", default=False, tooltip="stop with an error instead of a report"),
                io.Float.Input(
                    "cfg",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="guidance it is sampled with, to check the negative prompt; 0 = do not check",
                ),
                io.Conditioning.Input("positive", optional=True, tooltip="positive prompt as it goes to the guider"),
                io.Conditioning.Input("negative", optional=True, tooltip="negative prompt as it goes to the guider"),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="the model, unchanged"),
                io.String.Output(display_name="report", tooltip="one line a finding; empty if there is none"),
            ],
        )

    @classmethod
    def execute(cls, model, strict, cfg, positive=None, negative=None):
        found = lint(model, positive, negative, (cfg,) if cfg else ())
        if strict and found:
            raise ValueError("\n".join(found))
        return io.NodeOutput(model, "\n".join(found))
