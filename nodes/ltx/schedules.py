"""Sigma schedules for LTX-Video and LTX-2."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...ltx.ltx2.checks import need_audio_video_model
from ...ltx.ltx2.presets import PRESETS, generation_of
from ...ltx.schedules import BASE_SHIFT, MAX_SHIFT, SIGMA_PRESETS, TERMINAL, shifted_sigmas
from ...utils.latents import video_part
from ..node import Node


class LTXSigmaPreset(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXSigmaPreset",
            display_name="LTX Sigma Preset",
            category="Oner/sigmas",
            description="The fixed sigma lists the distilled LTX-2 models were trained with.",
            search_aliases=["distilled sigmas", "LTX-2 sigmas", "manual sigmas", "stage 2 sigmas"],
            inputs=[
                io.Combo.Input(
                    "preset",
                    options=list(SIGMA_PRESETS),
                    tooltip="stage 1: 8 steps from pure noise; stage 2: 3 steps from 0.909; tiled: 2 steps from 0.625; "
                    "LTX-2.5 stage 2: 3 steps from 0.85",
                )
            ],
            outputs=[
                io.Sigmas.Output(display_name="sigmas", tooltip="noise levels from high to 0, one more than steps")
            ],
        )

    @classmethod
    def execute(cls, preset):
        return io.NodeOutput(torch.tensor(SIGMA_PRESETS[preset]))


class LTXScheduler(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXScheduler",
            display_name="LTX Scheduler",
            category="Oner/sigmas",
            description="The schedule of the full LTX models, shifted by the number of video tokens. Reads audio-video "
            "latents, whose audio part does not count.",
            search_aliases=["LTX2Scheduler", "LTXVScheduler", "token shift", "sigmas"],
            inputs=[
                io.Int.Input(
                    "steps",
                    default=30,
                    min=0,
                    max=10000,
                    tooltip="sampling steps; 0 = as many as the connected model wants: LTX-2.3, LTX-2.5 30, LTX-2 40",
                ),
                io.Float.Input(
                    "max_shift",
                    default=MAX_SHIFT,
                    min=0.0,
                    max=100.0,
                    step=0.01,
                    advanced=True,
                    tooltip="log-shift at 4096 video tokens",
                ),
                io.Float.Input(
                    "base_shift",
                    default=BASE_SHIFT,
                    min=0.0,
                    max=100.0,
                    step=0.01,
                    advanced=True,
                    tooltip="log-shift at 1024 video tokens",
                ),
                io.Float.Input(
                    "terminal",
                    default=TERMINAL,
                    min=0.0,
                    max=0.99,
                    step=0.01,
                    advanced=True,
                    tooltip="stretch the schedule so that the last sigma above 0 has this value; 0 = do not stretch",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="video or audio-video latent whose token count sets the shift; without one: 4096 tokens, "
                    "as the LTX-2 pipelines other than HQ do",
                ),
                io.Model.Input("model", optional=True, tooltip="LTX-2 model to take the steps from where they are 0"),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas", tooltip="noise levels from 1 to 0, steps + 1 values")],
        )

    @classmethod
    def execute(cls, steps, max_shift, base_shift, terminal, latent=None, model=None):
        if steps == 0:
            steps = default_steps(model)
        size = {} if latent is None else {"tokens": video_part(latent["samples"]).shape[2:].numel()}
        return io.NodeOutput(
            shifted_sigmas(steps, **size, max_shift=max_shift, base_shift=base_shift, terminal=terminal or None)
        )


def default_steps(model) -> int:
    """Steps of the generation that `model` is of. Raises ValueError without an LTX-2 model."""
    if model is None:
        raise ValueError("steps is 0 but no model is connected: connect the model, or set steps, e.g. 30 for LTX-2.3")
    need_audio_video_model(model)
    return PRESETS[generation_of(model.model.diffusion_model)].steps
