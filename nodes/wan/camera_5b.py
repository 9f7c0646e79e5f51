"""Loader for the one Wan Fun model ComfyUI's own loader does not know."""

from __future__ import annotations

import folder_paths
import torch
from comfy_api.latest import io

from ...wan.camera_5b import load_camera_5b
from ..node import Node
from ..paths import model_file

OPTIONS: dict[str, dict] = {
    "default": {},
    "fp8_e4m3fn": {"dtype": torch.float8_e4m3fn},
    "fp8_e4m3fn_fast": {"dtype": torch.float8_e4m3fn, "fp8_optimizations": True},
    "fp8_e5m2": {"dtype": torch.float8_e5m2},
}


class Wan5BCameraLoader(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWan5BCameraLoader",
            display_name="Wan 5B Camera Loader",
            category="Oner/loaders",
            description="Loads Wan 2.2 Fun 5B Control-Camera, which ComfyUI's Load Diffusion Model does not recognise.",
            search_aliases=["UNETLoader", "Load Diffusion Model", "Wan2.2-Fun-5B-Control-Camera", "could not detect"],
            inputs=[
                io.Combo.Input(
                    "unet_name",
                    options=folder_paths.get_filename_list("diffusion_models"),
                    tooltip="file of the 5B camera model in models/diffusion_models; other models are refused",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(OPTIONS),
                    advanced=True,
                    tooltip="how weights are kept; default = as in the file, fp8 halves the memory (not the adapter's)",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="for Wan Fun Conditioning and the guider; takes a camera")
            ],
        )

    @classmethod
    def execute(cls, unet_name, weight_dtype):
        path = model_file("diffusion_models", unet_name, "unet_name")
        return io.NodeOutput(load_camera_5b(path, dict(OPTIONS[weight_dtype])))
