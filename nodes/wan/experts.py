"""Guidance for Wan: pairs of experts, and phases."""

from __future__ import annotations

import logging

from comfy_api.latest import io

from ...samplers.phase_guider import Phase, PhaseGuider, PhasePlan
from ...utils.numbers import whole_numbers
from ...wan.checks import need_prompts
from ...wan.experts import check_pair
from ...wan.lint import lint
from ..node import Node
from .phases import phase_inputs, phases_of, plan_input

log = logging.getLogger("oner")


def numbers(text: str, name: str, low: int, high: int) -> tuple[int, ...]:
    """'1 2' -> (1, 2); ValueError for what is no whole number between low and high."""
    given = whole_numbers(text, name, "1 2")
    if wrong := [number for number in given if not low <= number <= high]:
        raise ValueError(f"{name} holds {wrong[0]}; write numbers from {low} to {high}, or nothing")
    return given


class WanExpertsGuider(Node):
    @classmethod
    def define_schema(cls):
        def cfg(number: int) -> io.Float.Input:
            return io.Float.Input(
                f"cfg_{number}",
                default=1.0 if number > 2 else 3.5,
                min=0.0,
                max=100.0,
                step=0.1,
                tooltip=f"guidance in phase {number}, 0 to 100; 1 = the negative prompt does not run",
                advanced=number > 2,
            )

        def use_in(name: str, what: str) -> io.String.Input:
            return io.String.Input(
                name, default="", advanced=True, tooltip=f"phases with {what}, such as 1 or 1 2; empty = off"
            )

        phases, *levels = phase_inputs("phase with which model_low takes over; without model_low it has no meaning")
        return io.Schema(
            node_id="OnerWanExpertsGuider",
            display_name="Wan Experts Guider",
            category="Oner/guiders",
            description="Runs Wan 2.2's high- and low-noise experts in one run, in one to three phases with their own "
            "CFG. Also for single models.",
            search_aliases=["moe", "high noise low noise", "DualModelGuider", "CFGZeroStar", "APG", "SLG", "phases"],
            inputs=[
                io.Model.Input("model_high", tooltip="high-noise expert, or the only model"),
                io.Conditioning.Input("positive", tooltip="positive prompt"),
                io.Conditioning.Input("negative", tooltip="negative prompt"),
                phases,
                cfg(1),
                cfg(2),
                cfg(3),
                *levels,
                io.Int.Input(
                    "zero_init_steps",
                    default=0,
                    min=0,
                    max=10,
                    advanced=True,
                    tooltip="first steps that are skipped (velocity 0), as CFG-Zero* does; 0 to 10, 0 = none",
                ),
                use_in("cfg_zero_star", "CFG-Zero* (the negative velocity is scaled to fit the positive)"),
                use_in("apg", "adaptive projected guidance, against oversaturation"),
                use_in("slg", "skip-layer guidance: the negative prompt skips slg_layers"),
                io.String.Input(
                    "slg_layers",
                    default="9",
                    advanced=True,
                    tooltip="numbers of the blocks that are skipped, from 0; 9 is usual",
                ),
                io.Float.Input(
                    "slg_start_percent",
                    default=0.1,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="part of the run, 0 to 1, from which layers are skipped",
                ),
                io.Float.Input(
                    "slg_end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="part of the run, 0 to 1, until which layers are skipped",
                ),
                io.Model.Input(
                    "model_low", optional=True, tooltip="low-noise expert; without it one model runs all phases"
                ),
                plan_input(),
            ],
            outputs=[
                io.Guider.Output(
                    display_name="guider", tooltip="for one SamplerCustomAdvanced over the whole schedule"
                ),
                io.String.Output(display_name="info", tooltip="phases, thresholds and warnings"),
            ],
        )

    @classmethod
    def execute(
        cls,
        model_high,
        positive,
        negative,
        phases,
        cfg_1,
        cfg_2,
        cfg_3,
        threshold_1,
        threshold_2,
        low_from,
        zero_init_steps,
        cfg_zero_star,
        apg,
        slg,
        slg_layers,
        slg_start_percent,
        slg_end_percent,
        model_low=None,
        plan=None,
    ):
        chosen = phases_of(phases, threshold_1, threshold_2, low_from, plan)
        phases, low = chosen.phases, chosen.low_from
        if model_low is not None:
            check_pair(model_high, model_low)
        if model_low is not None and low > phases:
            raise ValueError(f"model_low begins with phase {low}, but phases is {phases}: raise phases")
        thresholds = chosen.thresholds(model_high)
        on = {
            name: numbers(text, name, 1, phases)
            for name, text in (("cfg_zero_star", cfg_zero_star), ("apg", apg), ("slg", slg))
        }
        blocks = len(model_high.model.diffusion_model.blocks)
        layers = numbers(slg_layers, "slg_layers", 0, blocks - 1) if on["slg"] else ()
        if on["slg"] and not layers:
            raise ValueError("slg names phases but slg_layers is empty: write the block numbers to skip")
        whole = PhasePlan(
            tuple(
                Phase(
                    cfg,
                    n in on["cfg_zero_star"],
                    n in on["apg"],
                    layers if n in on["slg"] else (),
                    slg_start_percent,
                    slg_end_percent,
                )
                for n, cfg in enumerate((cfg_1, cfg_2, cfg_3)[:phases], 1)
            ),
            thresholds,
            low - 1,
            zero_init_steps,
        )
        need_prompts(model_high, positive=positive, negative=negative)
        guider = PhaseGuider(model_high, whole, model_low)
        guider.set_conds(positive, negative)
        cfgs = tuple(phase.cfg for phase in whole.phases)
        warnings = lint(model_high, positive, negative, cfgs)
        for text in warnings:
            log.warning("%s", text)
        info = [
            f"phase {n}: cfg {phase.cfg:g}"
            + (f", below {thresholds[n - 2]:g}" if n > 1 else "")
            + (", low-noise expert" if model_low is not None and n >= low else "")
            for n, phase in enumerate(whole.phases, 1)
        ]
        return io.NodeOutput(guider, "\n".join([*info, *(f"warning: {text}" for text in warnings)]))
