"""Phases of a Wan run: their widgets, and one plan of them for the guider and every LoRA schedule."""

from __future__ import annotations

from comfy_api.latest import io

from ...samplers.phase_guider import check_falling
from ...wan.experts import ExpertPhases
from ..node import Node, own_type

PhasesType = own_type("ONER_WAN_PHASES", ExpertPhases, "Wan Phase Plan")
DEFAULT = ExpertPhases()


def phase_inputs(low_from: str) -> list[io.Input]:
    """The widgets phases, threshold_1, threshold_2 and low_from; `low_from` is the tooltip of the last."""

    def threshold(number: int) -> io.Float.Input:
        return io.Float.Input(
            f"threshold_{number}",
            default=getattr(DEFAULT, f"threshold_{number}"),
            min=0.0,
            max=1.0,
            step=0.001,
            advanced=True,
            tooltip=f"noise level, 0 to 1, below which phase {number + 1} begins; 0 = the trained boundary of the pair",
        )

    return [
        io.Int.Input(
            "phases",
            default=DEFAULT.phases,
            min=1,
            max=3,
            tooltip="parts of the run, by noise level, each with its own cfg and LoRA strengths; 1 to 3",
        ),
        threshold(1),
        threshold(2),
        io.Combo.Input("low_from", options=["phase 2", "phase 3"], advanced=True, tooltip=low_from),
    ]


def plan_input() -> io.Input:
    return PhasesType.Input(
        "plan",
        optional=True,
        tooltip="from Wan Phase Plan, in place of phases, threshold_1, threshold_2 and low_from, which then stay at "
        "their defaults",
    )


def shown(name: str, value: float) -> str:
    return f"phase {value}" if name == "low_from" else f"{value:g}"


def phases_of(
    phases: int, threshold_1: float, threshold_2: float, low_from: str, plan: ExpertPhases | None = None
) -> ExpertPhases:
    """The plan if there is one, else what the widgets say. ValueError for a widget the plan would overrule."""
    own = ExpertPhases(phases, threshold_1, threshold_2, int(low_from.split()[1]))
    if plan is None:
        return own
    for name, default in vars(DEFAULT).items():
        value = getattr(own, name)
        if value != default:
            raise ValueError(
                f"{name} is {shown(name, value)} here and {shown(name, getattr(plan, name))} in the connected plan: "
                f"set it back to its default {shown(name, default)} here, or unplug the plan"
            )
    return plan


def check_phases(plan: ExpertPhases) -> None:
    """ValueError for what is wrong with any model: given thresholds that rise, a low-noise expert that never begins."""
    if plan.phases == 3 and plan.threshold_1 and plan.threshold_2:
        check_falling((plan.threshold_1, plan.threshold_2))
    if plan.low_from > max(plan.phases, DEFAULT.low_from):  # with 1 phase the default says nothing
        raise ValueError(
            f"low_from is phase {plan.low_from}, but phases is {plan.phases}: raise phases to {plan.low_from}, or set "
            f"low_from to phase {DEFAULT.low_from}"
        )


class WanPhasePlan(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanPhasePlan",
            display_name="Wan Phase Plan",
            category="Oner/guiders",
            description="Phases of a Wan run, said once for Wan Experts Guider and every LoRA Schedule.",
            search_aliases=["switch threshold", "guidance phases", "boundary", "high noise low noise", "WanGP"],
            inputs=phase_inputs("phase with which the low-noise expert takes over; with 1 phase it has no meaning"),
            outputs=[
                PhasesType.Output(display_name="plan", tooltip="for Wan Experts Guider and LoRA Schedule"),
                io.String.Output(display_name="info", tooltip="a line for each phase: noise levels and expert"),
            ],
        )

    @classmethod
    def execute(cls, phases, threshold_1, threshold_2, low_from):
        plan = phases_of(phases, threshold_1, threshold_2, low_from)
        check_phases(plan)
        return io.NodeOutput(plan, plan.describe())
