"""Loaders and model patches under ids of ComfyUI-LTXVideo; see shims.py."""

from __future__ import annotations

import logging
from pathlib import Path

import comfy.model_base
import folder_paths
import torch
from comfy_api.latest import io

from ...ltx.ltx2.block_choice import with_exact_block
from ...samplers.compiled import tell
from ...utils.files import check_weights, is_safetensors, read_weights, taken_by_core
from ..any.text_encoders import TextEncoderLoader
from ..ltx.loaders import AUDIO_PARTS, LTXICLoRALoader, check_model, load_vae, with_lora
from ..ltxv.decode import LTXVDecodeSettings
from ..node import Node
from ..paths import model_file
from .schemas import number, schema, whole

log = logging.getLogger("oner")

AFTER = io.AnyType.Input("dependencies", optional=True)  # ordered the graph; the memory manager needs no help


def check_loadable(path: str) -> list[str]:
    """The keys of a file of weights that is whole."""
    return list(check_weights(path)[0] if is_safetensors(path) else read_weights(path)[0])


def load_upscaler(name: str, what: str) -> io.NodeOutput:
    """What ComfyUI's own node loads, after the file was found whole."""
    from comfy_extras.nodes_hunyuan import LatentUpscaleModelLoader

    path = model_file("latent_upscale_models", name, what)
    check_loadable(path)
    with taken_by_core(Path(path).name, "is no latent upscaler that ComfyUI can take"):
        return LatentUpscaleModelLoader.execute(name)


class LowVRAMCheckpointLoader(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.Combo.Input("ckpt_name", options=folder_paths.get_filename_list("checkpoints")), AFTER]
        outputs = [io.Model.Output(), io.Clip.Output(), io.Vae.Output()]
        return schema("LowVRAMCheckpointLoader", "Load Checkpoint", inputs, outputs)

    @classmethod
    def execute(cls, ckpt_name, dependencies=None):  # noqa: ARG003
        import nodes

        path = model_file("checkpoints", ckpt_name, "ckpt_name")
        keys, name = check_loadable(path), Path(path).name
        with taken_by_core(name):
            model, clip, vae = nodes.CheckpointLoaderSimple().load_checkpoint(ckpt_name)
        if isinstance(model.model, comfy.model_base.LTXV | comfy.model_base.LTXAV):
            check_model(model, keys, name)
        return io.NodeOutput(with_exact_block(model), clip, vae)


class LowVRAMAudioVAELoader(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.Combo.Input("ckpt_name", options=folder_paths.get_filename_list("checkpoints")), AFTER]
        return schema("LowVRAMAudioVAELoader", "Load LTXV Audio VAE", inputs, [io.Vae.Output()])

    @classmethod
    def execute(cls, ckpt_name, dependencies=None):  # noqa: ARG003
        return io.NodeOutput(load_vae(model_file("checkpoints", ckpt_name, "ckpt_name"), AUDIO_PARTS))


class LowVRAMLatentUpscaleModelLoader(Node):
    @classmethod
    def define_schema(cls):
        files = folder_paths.get_filename_list("latent_upscale_models")
        inputs = [io.Combo.Input("model_name", options=files), AFTER]
        outputs = [io.LatentUpscaleModel.Output()]
        return schema("LowVRAMLatentUpscaleModelLoader", "Load Latent Upscale Model", inputs, outputs)

    @classmethod
    def execute(cls, model_name, dependencies=None):  # noqa: ARG003
        return load_upscaler(model_name, "model_name")


class LatentUpsamplerModelLoader(Node):
    @classmethod
    def define_schema(cls):
        files = folder_paths.get_filename_list("latent_upscale_models")
        inputs = [io.Combo.Input("upscale_model", options=files)]
        outputs = [io.LatentUpscaleModel.Output()]
        return schema("LTXVLatentUpsamplerModelLoader", "Load Latent Upscale Model", inputs, outputs)

    @classmethod
    def execute(cls, upscale_model):
        return load_upscaler(upscale_model, "upscale_model")


class GemmaCLIPModelLoader(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Combo.Input("gemma_path", options=folder_paths.get_filename_list("text_encoders")),
            io.Combo.Input("ltxv_path", options=folder_paths.get_filename_list("checkpoints")),
            io.Int.Input("max_length", default=1024, min=16, max=131072),
        ]
        return schema("LTXVGemmaCLIPModelLoader", "Text Encoder Loader", inputs, [io.Clip.Output()])

    @classmethod
    def execute(cls, gemma_path, ltxv_path, max_length):
        if max_length != 1024:
            raise ValueError(f"max_length is {max_length}; LTX-2 was trained with 1024: set it to 1024")
        folder = Path(gemma_path.replace("\\", "/")).parent
        if folder == Path("."):
            raise ValueError(
                f"gemma_path is {gemma_path}, a file without a folder of its own: put it into a folder with its "
                "config.json and tokenizer, or load it with LTXV Audio Text Encoder Loader"
            )
        return TextEncoderLoader.execute(folder.as_posix(), "ltx-2", ltxv_path)


class ICLoRALoaderModelOnly(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Model.Input("model"),
            io.Combo.Input("lora_name", options=folder_paths.get_filename_list("loras")),
            number("strength_model", 1.0, -100.0),
        ]
        outputs = [io.Model.Output(), io.Float.Output(display_name="latent_downscale_factor")]
        return schema("LTXICLoRALoaderModelOnly", "LTX IC-LoRA Loader", inputs, outputs)

    @classmethod
    def execute(cls, model, lora_name, strength_model):
        patched, parameters = LTXICLoRALoader.execute(model, lora_name, strength_model).result
        return io.NodeOutput(patched, float(parameters.get("reference_downscale_factor", 1)))


class Q8Patch(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.Model.Input("model")]
        return schema("LTXQ8Patch", "an fp8 checkpoint", inputs, [io.Model.Output()], accept_all_inputs=True)

    @classmethod
    def execute(cls, model, **settings):  # noqa: ARG003
        log.warning("LTXQ8Patch: the model passes unchanged; ComfyUI runs fp8 checkpoints by itself")
        return io.NodeOutput(model)


class Q8LoraModelLoader(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Model.Input("model"),
            io.Combo.Input("lora_name", options=folder_paths.get_filename_list("loras")),
            number("strength_model", 1.0, -100.0),
        ]
        return schema("LTXVQ8LoraModelLoader", "Load LoRA", inputs, [io.Model.Output()])

    @classmethod
    def execute(cls, model, lora_name, strength_model):
        return io.NodeOutput(with_exact_block(with_lora(model, lora_name, strength_model)[0]))


class PatcherVAE(Node):
    @classmethod
    def define_schema(cls):
        return schema("LTXVPatcherVAE", "nothing: leave it out", [io.Vae.Input("vae")], [io.Vae.Output()])

    @classmethod
    def execute(cls, vae):
        log.warning("LTXVPatcherVAE: the VAE passes unchanged; its Q8 kernels are not used")
        return io.NodeOutput(vae)


class SetVAEDecoderNoise(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Vae.Input("vae"),
            io.Float.Input("timestep", default=0.05, min=0.0, max=1.0, step=0.001),
            io.Float.Input("scale", default=0.025, min=0.0, max=1.0, step=0.001),
            whole("seed", 42, 0, 0xFFFFFFFFFFFFFFFF),
        ]
        return schema("Set VAE Decoder Noise", "LTXV Decode Settings", inputs, [io.Vae.Output()])

    @classmethod
    def execute(cls, vae, timestep, scale, seed):
        return LTXVDecodeSettings.execute(vae, timestep, scale, seed)


class AudioOnlyModel(Node):
    @classmethod
    def define_schema(cls):
        return schema("LTXVAudioOnlyModel", "LTX Freeze on the video", [io.Model.Input("model")], [io.Model.Output()])

    @classmethod
    def execute(cls, model):
        alone = with_exact_block(model)
        switches = {"run_vx": False, "a2v_cross_attn": False, "v2a_cross_attn": False}
        options = alone.model_options["transformer_options"]
        alone.model_options["transformer_options"] = {**options, **switches}
        tell(alone, "switches")
        return io.NodeOutput(alone)


class AudioOnlyEmptyVideoLatent(Node):
    @classmethod
    def define_schema(cls):
        return schema("LTXVAudioOnlyEmptyVideoLatent", "LTX Empty Latent", [], [io.Latent.Output()])

    @classmethod
    def execute(cls):
        return io.NodeOutput({"samples": torch.zeros(1, 128, 1, 2, 2)})


LOADERS: list[type[io.ComfyNode]] = [
    LowVRAMCheckpointLoader,
    LowVRAMAudioVAELoader,
    LowVRAMLatentUpscaleModelLoader,
    LatentUpsamplerModelLoader,
    GemmaCLIPModelLoader,
    ICLoRALoaderModelOnly,
    Q8Patch,
    Q8LoraModelLoader,
    PatcherVAE,
    SetVAEDecoderNoise,
    AudioOnlyModel,
    AudioOnlyEmptyVideoLatent,
]
