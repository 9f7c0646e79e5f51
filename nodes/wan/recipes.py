"""Accelerator recipes, shipped and imported from WanGP."""

from __future__ import annotations

import os

import comfy.samplers
import folder_paths
import torch
from comfy_api.latest import io

from ...samplers.flow_solvers import FLOW_SOLVERS, flow_sampler
from ...samplers.lora_schedule import ScheduledLora, add_scheduled_lora
from ...samplers.phase_guider import PhaseGuider
from ...wan import recipes, wangp
from ...wan.checks import need_prompts
from ...wan.experts import check_pair
from ...wan.lint import lint
from ...wan.lora_files import read_patches
from ...wan.schedules import flow_sigmas
from ..node import Node
from ..paths import input_path
from .lora import NONE, read_file

MEDIA = (".json", ".mp4", ".mkv")


class WanRecipe(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanRecipe",
            display_name="Wan Recipe",
            category="Oner/sampling",
            description="Steps, sigmas, CFG phases, solver and LoRA schedule of an accelerator in one node: Lightning, "
            "Lightx2v, FusioniX, CausVid, FastWan, reward LoRAs, distilled LTX-2.3, or an imported one.",
            search_aliases=[
                "lightning",
                "lightx2v",
                "fusionix",
                "causvid",
                "fastwan",
                "distilled LTX",
                "accelerator profile",
                "4 steps",
            ],
            inputs=[
                io.Model.Input("model", tooltip="model, or the high-noise expert of a pair"),
                io.Conditioning.Input("positive", tooltip="positive prompt"),
                io.Conditioning.Input("negative", tooltip="negative prompt; runs only in phases with a cfg above 1"),
                io.Combo.Input("recipe", options=list(recipes.shipped()), tooltip="which accelerator"),
                io.Float.Input(
                    "lora_strength",
                    default=1.0,
                    min=0.0,
                    max=4.0,
                    step=0.01,
                    advanced=True,
                    tooltip="factor on all LoRA strengths of the recipe, 0 to 4; 0 = sample its schedule without LoRAs",
                ),
                io.Model.Input("model_low", optional=True, tooltip="low-noise expert"),
                io.String.Input(
                    "recipe_json",
                    optional=True,
                    force_input=True,
                    tooltip="a recipe as JSON, from WanGP Import; takes the place of the chosen one",
                ),
            ],
            outputs=[
                io.Guider.Output(display_name="guider", tooltip="for SamplerCustomAdvanced"),
                io.Sampler.Output(display_name="sampler", tooltip="the recipe's solver"),
                io.Sigmas.Output(display_name="sigmas", tooltip="the recipe's noise levels"),
                io.String.Output(
                    display_name="report", tooltip="what the recipe sets, and what the LoRA files matched"
                ),
            ],
        )

    @classmethod
    def execute(cls, model, positive, negative, recipe, lora_strength, model_low=None, recipe_json=None):
        chosen = recipes.from_text(recipe_json) if recipe_json else recipes.shipped()[recipe]
        if len(chosen.cfg) > 1 and model_low is None:
            raise ValueError(f"recipe {chosen.name!r} is for a pair of experts: connect model_low")
        if model_low is not None:
            if chosen.low_from > len(chosen.cfg):
                raise ValueError(f"recipe {chosen.name!r} is for one model: disconnect model_low")
            check_pair(model, model_low)
        files = folder_paths.get_filename_list("loras")
        missing = recipes.missing_files(chosen, files) if lora_strength else []
        if missing:
            raise ValueError("\n".join(missing))
        report = [cls.describe(chosen)]
        for index, wanted in enumerate(chosen.loras if lora_strength else ()):
            name = recipes.find_file(wanted, files)
            file = read_file(name)
            used = [
                each if each is not None and chosen.serves(index, second) else None
                for second, each in enumerate((model, model_low))
            ]
            for second, each in enumerate(used):
                if each is None:
                    continue
                patches, found = read_patches(each, file, name=name)
                token = scale_token(chosen.tokens[index], lora_strength)
                lora = ScheduledLora(name, patches, token, chosen.thresholds, chosen.low_from - 1)
                patched = add_scheduled_lora(each, lora)
                model, model_low = (model, patched) if second else (patched, model_low)
                report.append(found.text(f"{name} on {'model_low' if second else 'model'}, multiplier {token}"))
        if chosen.sigmas:
            sigmas = torch.tensor(chosen.sigmas)
        else:
            shift = chosen.shift or model.get_model_object("model_sampling").shift
            sigmas = flow_sigmas(recipes.SCHEDULES[chosen.solver], chosen.steps, shift)
        if chosen.solver in FLOW_SOLVERS:
            sampler = flow_sampler(chosen.solver)
        else:
            sampler = comfy.samplers.ksampler(chosen.solver)
        need_prompts(model, positive=positive, negative=negative)
        guider = PhaseGuider(model, chosen.plan, model_low)
        guider.set_conds(positive, negative)
        report += [f"warning: {text}" for text in lint(model, positive, negative, ())]
        return io.NodeOutput(guider, sampler, sigmas, "\n".join(report))

    @staticmethod
    def describe(chosen: recipes.Recipe) -> str:
        shift = "the model's shift" if chosen.shift is None else f"shift {chosen.shift:g}"
        levels = "a fixed list of noise levels" if chosen.sigmas else shift
        limits = f", thresholds {' / '.join(f'{t:g}' for t in chosen.thresholds)}" if chosen.thresholds else ""
        cfgs = " / ".join(f"{cfg:g}" for cfg in chosen.cfg)
        text = f"{chosen.name}: {chosen.steps} steps, {chosen.solver}, {levels}, cfg {cfgs}{limits}"
        return f"{text}\n{chosen.notes}" if chosen.notes else text


def scale_token(token: str, factor: float) -> str:
    """A multiplier token with every value scaled: '1;0.5' by 0.5 -> '0.5;0.25'."""
    if factor == 1.0:
        return token

    def scaled(text: str) -> str:
        return ":".join(f"{float(value) * factor:g}" for value in text.split(":"))

    return ";".join(",".join(scaled(value) for value in phase.split(",")) for phase in token.split(";"))


class WanGPImport(Node):
    @classmethod
    def define_schema(cls):
        folder = folder_paths.get_input_directory()
        files = sorted(f for f in os.listdir(folder) if f.lower().endswith(MEDIA)) if os.path.isdir(folder) else []
        return io.Schema(
            node_id="OnerWanGPImport",
            display_name="WanGP Import",
            category="Oner/utils",
            description="Reads a WanGP profile, settings or finetune file, or the settings inside a WanGP video, as a "
            "recipe, and says where the other settings belong.",
            search_aliases=["Wan2GP", "wgp settings", "finetune json", "video comment", "lset"],
            inputs=[
                io.Combo.Input(
                    "file", options=[NONE, *files], tooltip="JSON or video in the input folder; none = the text"
                ),
                io.String.Input("text", default="", multiline=True, tooltip="the JSON itself, where no file is chosen"),
            ],
            outputs=[
                io.String.Output(display_name="recipe_json", tooltip="for Wan Recipe"),
                io.String.Output(
                    display_name="report", tooltip="what was read, what belongs to which node, unknown keys"
                ),
            ],
        )

    @classmethod
    def execute(cls, file, text):
        if (file == NONE) == (not text.strip()):
            raise ValueError("give either a file or a text, not both and not none")
        imported = wangp.read_file(input_path(file, "file")) if file != NONE else wangp.read_text(text)
        return io.NodeOutput(recipes.to_text(imported.recipe), imported.report())
