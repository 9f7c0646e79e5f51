"""Loaders for LTX checkpoints as released (transformer, video and audio VAE, vocoder in one file) and for IC-LoRAs."""

from __future__ import annotations

import comfy.sd
import comfy.utils
import folder_paths
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ...ltx.generation import detect_generation, has_part, read_header
from ...ltx.ltx2.block_choice import with_exact_block
from ...ltx.ltx2.references import lora_factors, merge_factors
from .conditioning import ICLoRAParameters

FOLDERS = ("checkpoints", "diffusion_models")


def load_audio_vae(path: str) -> comfy.sd.VAE:
    sd, metadata = comfy.utils.load_torch_file(path, return_metadata=True)
    parts = {"audio_vae.": "autoencoder.", "vocoder.": "vocoder."}
    vae = comfy.sd.VAE(sd=comfy.utils.state_dict_prefix_replace(sd, parts, filter_keys=True), metadata=metadata)
    vae.throw_exception_if_invalid()
    return vae


class LTXModelLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        files = [name for folder in FOLDERS for name in folder_paths.get_filename_list(folder)]
        return io.Schema(
            node_id="OnerLTXModelLoader",
            display_name="LTX Model Loader",
            category="Oner/loaders",
            description="Loads an LTX-Video, LTX-2 or LTX-2.3 file: the transformer, and the VAEs it carries. Refuses "
            "LTX-2.5, which ComfyUI would load with weights missing.",
            search_aliases=["LTX-2 checkpoint", "LTX-2.3", "LTXV loader", "audio VAE loader", "load LTX"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=sorted(set(files)),
                    tooltip="LTX safetensors file in models/checkpoints or models/diffusion_models",
                )
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="the transformer"),
                io.Vae.Output(display_name="vae", tooltip="the video VAE, if the file has one"),
                io.Vae.Output(display_name="audio_vae", tooltip="the audio VAE with its vocoder, if the file has them"),
                io.Combo.Output(
                    display_name="file",
                    tooltip="name of the file, for projection of Text Encoder Loader: both follow one choice then",
                ),
            ],
        )

    @classmethod
    def execute(cls, model_name):
        folder = next((f for f in FOLDERS if folder_paths.get_full_path(f, model_name)), FOLDERS[0])
        path = folder_paths.get_full_path_or_raise(folder, model_name)
        if not path.endswith((".safetensors", ".sft")):
            raise ValueError(f"model_name is {model_name}; LTX models are read from .safetensors files")
        keys, metadata = read_header(path)
        try:
            detect_generation(keys, metadata)
        except ValueError as error:
            raise ValueError(f"model_name is {model_name}: {error}") from None

        if has_part(keys, "model.diffusion_model."):
            with_vae = has_part(keys, "vae.")
            model, _, vae, _ = comfy.sd.load_checkpoint_guess_config(path, output_vae=with_vae, output_clip=False)
        else:  # the transformer alone
            model, with_vae = comfy.sd.load_diffusion_model(path), False
        if not with_vae:
            vae = ExecutionBlocker(f"{model_name} has no video VAE: load one with Load VAE")
        if has_part(keys, "audio_vae."):
            audio_vae = load_audio_vae(path)
        else:
            audio_vae = ExecutionBlocker(f"{model_name} has no audio VAE: load one with Load LTXV Audio VAE")
        return io.NodeOutput(with_exact_block(model), vae, audio_vae, model_name)


class LTXICLoRALoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXICLoRALoader",
            display_name="LTX IC-LoRA Loader",
            category="Oner/loaders",
            description="Load an in-context LoRA and the factors its metadata names for reference videos. Chain "
            "several: they must agree.",
            search_aliases=["IC-LoRA", "LTXICLoRALoaderModelOnly", "GetICLoRAParameters", "in-context", "control LoRA"],
            inputs=[
                io.Model.Input("model", tooltip="LTX-2 model"),
                io.Combo.Input(
                    "lora_name", options=folder_paths.get_filename_list("loras"), tooltip="LoRA file in models/loras"
                ),
                io.Float.Input(
                    "strength", default=1.0, min=-10.0, max=10.0, step=0.01, tooltip="factor on the LoRA, 1 = as is"
                ),
                ICLoRAParameters.Input(
                    "iclora_parameters",
                    optional=True,
                    tooltip="factors of IC-LoRAs loaded before, to be checked against",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="model with the LoRA"),
                ICLoRAParameters.Output(display_name="iclora_parameters", tooltip="for LTX Reference Video"),
            ],
        )

    @classmethod
    def execute(cls, model, lora_name, strength, iclora_parameters=None):
        path = folder_paths.get_full_path_or_raise("loras", lora_name)
        lora, metadata = comfy.utils.load_torch_file(path, safe_load=True, return_metadata=True)
        factors = merge_factors([iclora_parameters or {}, lora_factors(metadata or {})])
        if strength:
            model, _ = comfy.sd.load_lora_for_models(model, None, lora, strength, 0, lora_metadata=metadata)
        return io.NodeOutput(with_exact_block(model), factors)
