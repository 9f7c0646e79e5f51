"""Text encoders from Hugging Face folders, for every family of the pack."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io

from ..node import Node
from ..paths import encoder_folder

NONE = "none"
DEPTH = 4  # folders below a text_encoders path; a repository's text_encoder folder in a folder of its own needs 2
PROJECTION_FOLDERS = ("checkpoints", "diffusion_models", "text_encoders")


def encoder_folders() -> list[str]:
    """Every folder below the text_encoders paths that holds a config.json, relative, with forward slashes."""
    found = set()
    for base in folder_paths.get_folder_paths("text_encoders"):
        for place, below, files in os.walk(base, followlinks=True):
            name = Path(place).relative_to(base)
            below[:] = [] if len(name.parts) >= DEPTH else [b for b in below if not b.startswith(".")]
            if "config.json" in files and name.parts:
                found.add(name.as_posix())
    return sorted(found)


def projection_files(encoders: list[str]) -> list[str]:
    """Every safetensors file that may hold a projection: not the encoders' own weights."""
    names = {name for kind in PROJECTION_FOLDERS for name in folder_paths.get_filename_list(kind)}
    inside = tuple(f"{folder}/" for folder in encoders)
    return sorted(
        name
        for name in names
        if name.lower().endswith((".safetensors", ".sft")) and not name.replace("\\", "/").startswith(inside)
    )


def find_projection(name: str) -> Path:
    for kind in PROJECTION_FOLDERS:
        path = folder_paths.get_full_path(kind, name)
        if path is not None:
            return Path(path)
    raise ValueError(f"{name} is not in {', '.join(PROJECTION_FOLDERS)}: press R to read them again")


class TextEncoderLoader(Node):
    @classmethod
    def define_schema(cls):
        folders = encoder_folders()
        return io.Schema(
            node_id="OnerTextEncoderLoader",
            display_name="Text Encoder Loader",
            category="Oner/loaders",
            description="Loads Gemma 3 (LTX-2), Gemma 4 (LTX-2.5), T5 (LTX-Video) or UMT5 (Wan) from a Hugging Face "
            "folder: config.json, one or several safetensors files, tokenizer. For single files use ComfyUI's loaders.",
            search_aliases=["load clip", "gemma", "umt5", "t5xxl", "hugging face", "sharded", "LTXAVTextEncoderLoader"],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=folders,
                    tooltip="folder below models/text_encoders with a config.json, weights and a tokenizer",
                ),
                io.Combo.Input(
                    "type",
                    options=["ltx-2", "ltx-video", "wan"],
                    tooltip="model to encode for: ltx-2 (Gemma 3: LTX-2, LTX-2.3; Gemma 4: LTX-2.5), ltx-video (T5), "
                    "wan (UMT5)",
                ),
                io.Combo.Input(
                    "projection",
                    options=[NONE, *projection_files(folders)],
                    default=NONE,
                    optional=True,
                    tooltip="ltx-2 only: the LTX-2 checkpoint you sample with, or a file with its "
                    "text_embedding_projection, as LTX-2.5's text encoder file; none for the other types",
                ),
                io.Combo.Input(
                    "device",
                    options=["default", "cpu"],
                    default="default",
                    optional=True,
                    advanced=True,
                    tooltip="default: ComfyUI decides; cpu: encode on the processor, slow but without GPU memory",
                ),
            ],
            outputs=[io.Clip.Output(display_name="clip", tooltip="for CLIP Text Encode; takes CLIP LoRAs")],
        )

    @classmethod
    def execute(cls, folder, type, projection=NONE, device="default"):
        if type == "ltx-2" and projection == NONE:
            raise ValueError("projection is none; ltx-2 needs the text projection of its checkpoint: choose that file")
        if type != "ltx-2" and projection != NONE:
            raise ValueError(f"projection is {projection}, but {type} has none: set it to none")
        path = str(encoder_folder(folder))
        cpu = torch.device("cpu")
        options = {"load_device": cpu, "offload_device": cpu} if device == "cpu" else {}

        # core's encoder modules import transformers
        if type == "wan":
            from ...wan.text_encoder import load_umt5

            return io.NodeOutput(load_umt5(path, options))
        from ...ltx.text_encoder import load_gemma, load_t5

        if type == "ltx-2":
            return io.NodeOutput(load_gemma(path, str(find_projection(projection)), options))
        return io.NodeOutput(load_t5(path, options))
