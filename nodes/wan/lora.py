"""LoRAs for Wan: every file format, pairs of experts, and strengths that change over a run."""

from __future__ import annotations

import folder_paths
from comfy_api.latest import io

from ...samplers.lora_files import read_lora
from ...samplers.lora_schedule import ScheduledLora, add_scheduled_lora
from ...wan.lora_files import load_any_lora, read_patches
from ..node import Node
from ..paths import model_file
from .phases import phase_inputs, phases_of, plan_input

NONE = "none"


def read_file(name: str, what: str = "lora_name"):
    return read_lora(model_file("loras", name, what))[0]


def file_input(name: str, tooltip: str, *, optional: bool = False) -> io.Combo.Input:
    files = folder_paths.get_filename_list("loras")
    return io.Combo.Input(name, options=[NONE, *files] if optional else files, tooltip=tooltip)


def scale_input() -> io.Float.Input:
    return io.Float.Input(
        "scale_without_alpha",
        default=1.0,
        min=0.0,
        max=10.0,
        step=0.01,
        advanced=True,
        tooltip="factor, 0 to 10, on layers whose alpha is not in the file; 0.5 for PEFT files of VideoX-Fun's trainer",
    )


class WanLoraLoader(Node):
    @classmethod
    def define_schema(cls):
        strength = {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01}
        return io.Schema(
            node_id="OnerWanLoraLoader",
            display_name="Wan LoRA Loader",
            category="Oner/loaders",
            description="Loads a LoRA in any key style onto one model or a pair of experts, and reports what matched.",
            search_aliases=["LoraLoaderModelOnly", "lora pair", "high low lora", "peft", "kohya"],
            inputs=[
                io.Model.Input("model", tooltip="model, or the high-noise expert of a pair"),
                file_input("lora_name", "LoRA file for model"),
                io.Float.Input("strength", **strength, tooltip="strength on model, -100 to 100"),
                file_input("lora_low_name", "LoRA file for model_low; none = the same file as model", optional=True),
                io.Float.Input("strength_low", **strength, tooltip="strength on model_low, -100 to 100"),
                scale_input(),
                io.Model.Input("model_low", optional=True, tooltip="low-noise expert"),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="model with the LoRA"),
                io.Model.Output(
                    display_name="model_low",
                    tooltip="low-noise expert with its LoRA; without model_low the same as model",
                ),
                io.String.Output(display_name="report", tooltip="layers, rank, scale, and keys that fit nothing"),
            ],
        )

    @classmethod
    def execute(cls, model, lora_name, strength, lora_low_name, strength_low, scale_without_alpha, model_low=None):
        if model_low is None and lora_low_name != NONE:
            raise ValueError(
                f"lora_low_name is {lora_low_name}, but model_low is not connected: connect it or choose none"
            )
        lora = read_file(lora_name)
        patched, report = load_any_lora(model, lora, strength, scale_without_alpha, lora_name)
        text = [report.text()]
        if model_low is None:
            return io.NodeOutput(patched, patched, text[0])
        low_name = lora_name if lora_low_name == NONE else lora_low_name
        if lora_low_name != NONE:
            lora = read_file(lora_low_name, "lora_low_name")
        patched_low, report = load_any_lora(model_low, lora, strength_low, scale_without_alpha, low_name)
        text.append(report.text())
        return io.NodeOutput(patched, patched_low, "\n".join(text))


class LoraSchedule(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLoraSchedule",
            display_name="LoRA Schedule",
            category="Oner/patches",
            description="A LoRA whose strength changes by phase, step or prompt. Weights stay untouched.",
            search_aliases=["lora multiplier", "per step lora", "WanGP", "lora keyframe", "hook lora"],
            inputs=[
                io.Model.Input("model", tooltip="model, or the high-noise expert of a pair"),
                file_input("lora_name", "LoRA file in any key style"),
                io.String.Input(
                    "multiplier",
                    default="1",
                    tooltip="strength over the run: ; separates phases, , equal parts of a phase, : positive from "
                    "negative prompt. 0,0.5;1 = 0 in the first half of phase 1, 0.5 in its second, 1 in phase 2",
                ),
                *phase_inputs(
                    "phase with which the low-noise expert begins. Where the multiplier names too few phases: with "
                    "phase 2 its last one goes on to the end, with phase 3 its first one is repeated"
                ),
                scale_input(),
                io.Model.Input("model_low", optional=True, tooltip="low-noise expert; gets the same schedule"),
                io.Sigmas.Input("sigmas", optional=True, tooltip="schedule of the run, for the table in the report"),
                plan_input(),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="model with the scheduled LoRA"),
                io.Model.Output(
                    display_name="model_low", tooltip="low-noise expert with it; without model_low the same as model"
                ),
                io.String.Output(display_name="report", tooltip="what matched, and the strength at each step"),
            ],
        )

    @classmethod
    def execute(
        cls,
        model,
        lora_name,
        multiplier,
        phases,
        threshold_1,
        threshold_2,
        low_from,
        scale_without_alpha,
        model_low=None,
        sigmas=None,
        plan=None,
    ):
        chosen = phases_of(phases, threshold_1, threshold_2, low_from, plan)
        thresholds = chosen.thresholds(model)
        file, out, text = read_file(lora_name), [], []
        for each in (model, model_low):
            if each is None:
                out.append(out[0])
                continue
            patches, report = read_patches(each, file, scale_without_alpha, lora_name)
            lora = ScheduledLora(lora_name, patches, multiplier.strip(), thresholds, chosen.low_from - 1)
            out.append(add_scheduled_lora(each, lora))
            text.append(report.text())
        if sigmas is not None:
            text.append("strength by step: " + " ".join(str(value) for value in lora.strengths(sigmas)))
        return io.NodeOutput(*out, "\n".join(text))
