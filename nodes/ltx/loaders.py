"""Loaders for LTX checkpoints as released (all parts in one file, from LTX-2.5 on each in its own) and for IC-LoRAs."""

from __future__ import annotations

import comfy.sd
import comfy.utils
import folder_paths
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ...ltx.generation import LTX_2_5, detect_generation, has_part, need_core_for_2_5, read_header
from ...ltx.ltx2.block_choice import with_exact_block
from ...ltx.ltx2.checks import need_audio_vae
from ...ltx.ltx2.references import lora_factors, merge_factors
from ..node import Node
from .conditioning import ICLoRAParameters
from .latents import check_video_vae

FOLDERS = ("checkpoints", "diffusion_models")
OWN = "of the model file"
AUDIO_PARTS = {"audio_vae.": "autoencoder.", "vocoder.": "vocoder."}


def load_vae(path: str, parts: dict[str, str] | None = None) -> comfy.sd.VAE:
    """The VAE of a file, or of the keys with some prefixes, which get new ones."""
    sd, metadata = comfy.utils.load_torch_file(path, return_metadata=True)
    if parts is not None:
        sd = comfy.utils.state_dict_prefix_replace(sd, parts, filter_keys=True)
    vae = comfy.sd.VAE(sd=sd, metadata=metadata)
    vae.throw_exception_if_invalid()
    return vae


def load_model(path: str, with_vae: bool) -> tuple:
    """The transformer of a file, and its video VAE if that is wanted, or None."""
    if not with_vae:
        return comfy.sd.load_diffusion_model(path), None
    model, _, vae, _ = comfy.sd.load_checkpoint_guess_config(path, output_vae=True, output_clip=False)
    return model, vae


class LTXModelLoader(Node):
    @classmethod
    def define_schema(cls):
        files = [name for folder in FOLDERS for name in folder_paths.get_filename_list(folder)]
        vaes = [OWN, *folder_paths.get_filename_list("vae")]
        return io.Schema(
            node_id="OnerLTXModelLoader",
            display_name="LTX Model Loader",
            category="Oner/loaders",
            description="Loads an LTX-Video, LTX-2, LTX-2.3 or LTX-2.5 file: the transformer, and the VAEs it carries "
            "or those of other files. Says if this ComfyUI is too old for LTX-2.5.",
            search_aliases=["LTX-2 checkpoint", "LTX-2.3", "LTX-2.5", "LTXV loader", "audio VAE loader", "load LTX"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=sorted(set(files)),
                    tooltip="LTX safetensors file in models/checkpoints or models/diffusion_models",
                ),
                io.Combo.Input(
                    "vae_name",
                    options=vaes,
                    default=OWN,
                    optional=True,
                    tooltip="file in models/vae with the video VAE, as LTX-2.5 has it; else that of the model file",
                ),
                io.Combo.Input(
                    "audio_vae_name",
                    options=vaes,
                    default=OWN,
                    optional=True,
                    tooltip="file in models/vae with the audio VAE and its vocoder; else those of the model file",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="the transformer"),
                io.Vae.Output(display_name="vae", tooltip="the video VAE, if there is one"),
                io.Vae.Output(display_name="audio_vae", tooltip="the audio VAE with its vocoder, if there is one"),
                io.Combo.Output(
                    display_name="file",
                    tooltip="name of the file, for projection of Text Encoder Loader: both follow one choice then",
                ),
            ],
        )

    @classmethod
    def execute(cls, model_name, vae_name=OWN, audio_vae_name=OWN):
        folder = next((f for f in FOLDERS if folder_paths.get_full_path(f, model_name)), FOLDERS[0])
        path = folder_paths.get_full_path_or_raise(folder, model_name)
        if not path.endswith((".safetensors", ".sft")):
            raise ValueError(f"model_name is {model_name}; LTX models are read from .safetensors files")
        keys, metadata = read_header(path)
        try:
            generation = detect_generation(keys, metadata)
        except ValueError as error:
            raise ValueError(f"model_name is {model_name}: {error}") from None
        if generation == LTX_2_5:
            need_core_for_2_5(model_name)

        vae = ExecutionBlocker(f"{model_name} has no video VAE: choose a file in vae_name")
        audio_vae = ExecutionBlocker(f"{model_name} has no audio VAE: choose a file in audio_vae_name")
        own_vae = vae_name == OWN and has_part(keys, "vae.")
        if vae_name != OWN:
            vae = load_vae(folder_paths.get_full_path_or_raise("vae", vae_name))
            check_video_vae(vae)
        if audio_vae_name != OWN:
            audio_vae = load_vae(folder_paths.get_full_path_or_raise("vae", audio_vae_name))
            need_audio_vae(audio_vae, "audio_vae_name")
        elif has_part(keys, "audio_vae."):
            audio_vae = load_vae(path, AUDIO_PARTS)
        model, carried = load_model(path, own_vae)
        return io.NodeOutput(with_exact_block(model), carried if own_vae else vae, audio_vae, model_name)


class LTXICLoRALoader(Node):
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
