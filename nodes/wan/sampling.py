"""Sigmas and model patches of the Wan references."""

from __future__ import annotations

from comfy_api.latest import io

from ...wan.riflex import DIVISORS, RiflexEmbedder, latent_frames_of
from ...wan.schedules import BOUNDARIES, SCHEDULES, boundary_index, flow_sigmas


class WanScheduler(io.ComfyNode):
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


class SplitSigmasAtBoundary(io.ComfyNode):
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


class WanRIFLEx(io.ComfyNode):
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
