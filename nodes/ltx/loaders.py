"""Loaders for LTX checkpoints as released (all parts in one file, from LTX-2.5 on each in its own) and for IC-LoRAs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import comfy.sd
import comfy.utils
import folder_paths
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ...ltx.checks import need_video_vae
from ...ltx.generation import LTX_2_5, detect_generation, has_part, need_core_for_2_5
from ...ltx.ltx2.block_choice import with_exact_block
from ...ltx.ltx2.checks import need_audio_vae
from ...ltx.ltx2.references import lora_factors, merge_factors
from ...samplers.lora_files import add_lora, read_lora
from ...utils import files
from ..node import Node
from ..paths import model_file
from ..types import ICLoRAParameters

FOLDERS = ("checkpoints", "diffusion_models")
OWN = "of the model file"
CONNECTORS = ("audio_embeddings_connector.", "video_embeddings_connector.")  # some files leave them to the encoder's
VAE_PARTS = ("encoder.", "decoder.", "autoencoder.", "vocoder.")
AUDIO_PARTS = {"audio_vae.": "autoencoder.", "vocoder.": "vocoder."}


def load_vae(path: str, parts: dict[str, str] | None = None) -> comfy.sd.VAE:
    """The VAE of a file, or of the keys with some prefixes, which get new ones."""
    sd, metadata = files.read_weights(path)
    sd = comfy.utils.state_dict_prefix_replace(dict(sd), parts or AUDIO_PARTS, filter_keys=parts is not None)
    name, given = Path(path).name, list(sd)
    with files.taken_by_core(name, "is no VAE that ComfyUI can take"):
        vae = comfy.sd.VAE(sd=sd, metadata=metadata)
        vae.throw_exception_if_invalid()
    files.check_complete(vae.first_stage_model, given, name, optional=VAE_PARTS)
    return vae


def load_model(path: str, with_vae: bool, keys: Iterable[str]) -> tuple:
    """The transformer of a file, and its video VAE if that is wanted, or None. `keys` are the file's."""
    name, vae = Path(path).name, None
    with files.taken_by_core(name):
        if with_vae:
            model, _, vae, _ = comfy.sd.load_checkpoint_guess_config(path, output_vae=True, output_clip=False)
        else:
            model = comfy.sd.load_diffusion_model(path)
    check_model(model, keys, name)
    if with_vae:
        with files.taken_by_core(name, "has no VAE that ComfyUI can take"):
            vae.throw_exception_if_invalid()
        own = [key.removeprefix("vae.") for key in keys if key.startswith("vae.")]
        files.check_complete(vae.first_stage_model, own, name, optional=VAE_PARTS)
    return model, vae


def with_lora(model, name: str, strength: float) -> tuple:
    """The model with a LoRA of models/loras, and that file's metadata; nothing is added at strength 0."""
    lora, metadata = read_lora(model_file("loras", name, "lora_name"))
    patched, _ = add_lora(model, lora, strength, name=name)
    if not strength:
        return model, metadata
    if metadata:  # where ComfyUI's loaders leave it
        patched.set_attachments("lora_metadata", metadata)
    return patched, metadata


def check_model(model, keys: Iterable[str], name: str) -> None:
    """Raise ValueError if a file with these keys lacks weights of the network that ComfyUI built for it."""
    own = [key.removeprefix("model.").removeprefix("diffusion_model.") for key in keys]
    files.check_complete(model.model.diffusion_model, own, name, always="transformer_blocks.", optional=CONNECTORS)


class LTXModelLoader(Node):
    @classmethod
    def define_schema(cls):
        names = [name for folder in FOLDERS for name in folder_paths.get_filename_list(folder)]
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
                    options=sorted(set(names)),
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
        path = model_file(folder, model_name, "model_name")
        if not path.endswith((".safetensors", ".sft")):
            raise ValueError(f"model_name is {model_name}; LTX models are read from .safetensors files")
        keys, metadata = files.check_weights(path)
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
            vae = load_vae(model_file("vae", vae_name, "vae_name"))
            need_video_vae(vae, "vae_name")
        if audio_vae_name != OWN:
            audio_vae = load_vae(model_file("vae", audio_vae_name, "audio_vae_name"))
            need_audio_vae(audio_vae, "audio_vae_name")
        elif has_part(keys, "audio_vae."):
            audio_vae = load_vae(path, AUDIO_PARTS)
        model, carried = load_model(path, own_vae, keys)
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
        model, metadata = with_lora(model, lora_name, strength)
        try:
            factors = lora_factors(metadata)
        except ValueError as error:
            raise ValueError(f"{lora_name}: {error}") from None
        factors = merge_factors([iclora_parameters or {}, factors])
        return io.NodeOutput(with_exact_block(model), factors)
