"""Checkpoints of LongLive, Self-Forcing and Causal-Forcing."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io

from ...longlive.loader import WRAPPERS, apply_lora, load_reported, save_clean
from ..node import Node
from ..paths import file_beside, model_file

DTYPES = {"default": None, "bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
FP8 = {"fp8_e4m3fn": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2}


class LongLiveLoader(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLongLiveLoader",
            display_name="LongLive Model Loader",
            category="Oner/loaders",
            description="Load a causal Wan model as it is published (LongLive, Self-Forcing, Causal-Forcing): training "
            "checkpoints are unwrapped, the model is set up for block-by-block rollout, the LoRA is matched and "
            "counted.",
            search_aliases=["self forcing", "causal forcing", "longlive_base.pt", "generator_ema"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=folder_paths.get_filename_list("diffusion_models"),
                    tooltip=".pt or .safetensors from models/diffusion_models",
                ),
                io.Combo.Input(
                    "lora_name",
                    options=["none", *folder_paths.get_filename_list("loras")],
                    default="none",
                    tooltip="LoRA from models/loras, such as LongLive's lora.pt; more can follow with core's LoRA "
                    "loader",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-4.0,
                    max=4.0,
                    step=0.01,
                    tooltip="strength of the LoRA, -4 to 4; LongLive's is meant for 1",
                ),
                io.Combo.Input(
                    "part",
                    options=["auto", *WRAPPERS],
                    default="auto",
                    advanced=True,
                    tooltip="which weights of a training checkpoint; auto takes the first of the others that is there",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=[*DTYPES, *FP8],
                    default="default",
                    advanced=True,
                    tooltip="precision the weights are kept in; LongLive was trained in bfloat16",
                ),
                io.String.Input(
                    "save_as",
                    default="",
                    advanced=True,
                    tooltip="also write a clean safetensors file of this name beside the model, which core's own "
                    "loader takes as causal; empty = do not; a file that exists is left as it is",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="causal model for LongLive Rollout"),
                io.String.Output(display_name="report", tooltip="what was read and how much of it matched"),
            ],
        )

    @classmethod
    def execute(cls, model_name, lora_name, strength, part, weight_dtype, save_as):
        path = model_file("diffusion_models", model_name, "model_name")
        target = file_beside(Path(path), save_as, "save_as") if save_as else None
        dtype = {**DTYPES, **FP8}[weight_dtype]
        model, report = load_reported(path, part, {"dtype": dtype} if dtype else {})
        if lora_name == "none" and strength != 1.0:
            raise ValueError(f"strength is {strength:g} but no LoRA is chosen: choose one or set strength to 1")
        if lora_name != "none":
            lora = model_file("loras", lora_name, "lora_name")
            model, matched = apply_lora(model, lora, strength)
            report += "\n" + matched
        if target:
            report += "\n" + write_clean(path, target, part)
        return io.NodeOutput(model, report)


def write_clean(path: str, target: Path, part: str) -> str:
    """Write the checkpoint's weights, without any LoRA, to a file that is not there yet; gives words."""
    if os.path.lexists(target):
        return f"{target.name} exists already and was left as it is"
    return f"{target.name}: {save_clean(path, target, part)} tensors written"
