"""Samplers of the LTX-2 pipelines, exact for partial strengths."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2.solvers import make_sampler
from ...samplers.res2s import NOISE_SEED
from ..node import Node

SAMPLER_TIP = "for SamplerCustomAdvanced"


class LTXEulerSampler(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXEulerSampler",
            display_name="LTX Euler Sampler",
            category="Oner/sampling",
            description="Euler as the LTX-2 pipelines run it: exact for frames given with a strength between 0 and 1, "
            "and for references with attention weights.",
            search_aliases=[
                "euler",
                "masked sampler",
                "image to video sampler",
                "gradient estimation",
                "KSamplerSelect",
            ],
            inputs=[
                io.DynamicCombo.Input(
                    "method",
                    options=[
                        io.DynamicCombo.Option("euler", []),
                        io.DynamicCombo.Option(
                            "euler ancestral",
                            [
                                io.Float.Input(
                                    "eta",
                                    default=1.0,
                                    min=0.0,
                                    max=1.0,
                                    step=0.01,
                                    tooltip="share of fresh noise a step, 0 to 1",
                                ),
                                io.Float.Input(
                                    "s_noise",
                                    default=1.0,
                                    min=0.0,
                                    max=10.0,
                                    step=0.01,
                                    tooltip="factor on the fresh noise",
                                ),
                                io.Int.Input(
                                    "step_seed",
                                    default=10010,
                                    min=0,
                                    max=0xFFFFFFFFFFFFFFFF,
                                    tooltip="seed of the fresh noise; LTX-2 takes its seed + 10000",
                                ),
                            ],
                        ),
                        io.DynamicCombo.Option(
                            "CFG++",
                            [
                                io.Float.Input(
                                    "randomness",
                                    default=0.0,
                                    min=0.0,
                                    max=1.0,
                                    step=0.01,
                                    tooltip="share of fresh noise a step, 0 to 1",
                                ),
                                io.Float.Input(
                                    "noise_scale",
                                    default=1.0,
                                    min=0.0,
                                    max=10.0,
                                    step=0.01,
                                    tooltip="factor on the fresh noise",
                                ),
                                io.Int.Input(
                                    "noise_seed",
                                    default=10010,
                                    min=0,
                                    max=0xFFFFFFFFFFFFFFFF,
                                    tooltip="seed of the fresh noise",
                                ),
                            ],
                        ),
                        io.DynamicCombo.Option(
                            "gradient estimation",
                            [
                                io.Float.Input(
                                    "gamma",
                                    default=2.0,
                                    min=1.0,
                                    max=5.0,
                                    step=0.01,
                                    tooltip="how far the velocity is moved on; 1 = Euler",
                                )
                            ],
                        ),
                    ],
                    tooltip="CFG++ needs a guider with a negative prompt; gradient estimation needs fewer steps",
                )
            ],
            outputs=[io.Sampler.Output(display_name="sampler", tooltip=SAMPLER_TIP)],
        )

    @classmethod
    def execute(cls, method):
        options = {OPTION_NAMES.get(key, key): value for key, value in method.items() if key != "method"}
        return io.NodeOutput(make_sampler(SOLVER_NAMES[method["method"]], **options))


SOLVER_NAMES = {
    "euler": "euler",
    "euler ancestral": "euler_ancestral_rf",
    "CFG++": "euler_cfg_pp",
    "gradient estimation": "gradient_estimation",
}
# Inputs of a dynamic combo have names of their own; the solvers share theirs.
OPTION_NAMES = {"step_seed": "noise_seed", "randomness": "eta", "noise_scale": "s_noise"}


class LTXRes2sSampler(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXRes2sSampler",
            display_name="LTX Res2s Sampler",
            category="Oner/sampling",
            description="The second-order sampler of the LTX-2 HQ pipeline: two evaluations a step, one more at the "
            "end. Its own noise does not depend on the seed of the picture unless you change step_seed.",
            search_aliases=["res_2s", "HQ sampler", "second order", "RES4LYF", "exponential"],
            inputs=[
                io.Int.Input(
                    "step_seed",
                    default=NOISE_SEED,
                    min=-1,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip="seed of the noise added a step; -1 as in the LTX-2 HQ pipeline",
                ),
                io.Float.Input(
                    "eta",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="share of fresh noise a full step, 0 to 1; half steps always have 0.5",
                ),
                io.Boolean.Input(
                    "anchor_refinement",
                    default=True,
                    advanced=True,
                    tooltip="improve the anchor of short steps from the half step, without an evaluation",
                ),
            ],
            outputs=[io.Sampler.Output(display_name="sampler", tooltip=SAMPLER_TIP)],
        )

    @classmethod
    def execute(cls, step_seed, eta=0.5, anchor_refinement=True):
        sampler = make_sampler("res2s", noise_seed=step_seed, eta=eta, anchor_refinement=anchor_refinement)
        return io.NodeOutput(sampler)
