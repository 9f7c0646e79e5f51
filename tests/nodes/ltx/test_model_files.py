"""Forms in which whole LTX files are published: quantised, the transformer alone, without connectors, small VAEs."""

import json

import folder_paths
import pytest
import torch
from safetensors.torch import save_file

from oner.nodes.ltx.loaders import LTXModelLoader
from tiny import ltx, write_models

PREFIX = "model.diffusion_model."


def quantised(state, metadata):
    """fp8 weights with a scale each, as ComfyUI saves them."""
    out, layers = {}, {}
    for key, weight in state.items():
        layer = key.removesuffix(".weight")
        if ".transformer_blocks." in key and layer != key and weight.ndim == 2 and min(weight.shape) >= 16:
            scale = weight.abs().max() / 448
            out |= {key: (weight / scale).to(torch.float8_e4m3fn), f"{layer}.weight_scale": scale}
            layers[layer] = {"format": "float8_e4m3fn"}
        else:
            out[key] = weight
    return out, {**metadata, "_quantization_metadata": json.dumps({"layers": layers})}


def scaled(state, metadata):
    """The older form of the same, with a scale for what goes in."""
    out = {key.replace("weight_scale", "scale_weight"): x for key, x in quantised(state, metadata)[0].items()}
    inputs = [key.replace("scale_weight", "scale_input") for key in out if key.endswith("scale_weight")]
    marker = {f"{PREFIX}scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}
    return out | {key: torch.tensor(0.5) for key in inputs} | marker, metadata


def alone(state, metadata):
    """The transformer alone, its connectors left to the text encoder's file."""
    own = {key.removeprefix(PREFIX): x for key, x in state.items() if key.startswith(PREFIX)}
    return {key: x for key, x in own.items() if "embeddings_connector" not in key}, metadata


@pytest.mark.parametrize("form", [quantised, scaled, alone])
def test_whole_files_of_other_forms_load(tmp_path, form):
    for name in ("checkpoints", "vae"):
        (tmp_path / name).mkdir()
        folder_paths.folder_names_and_paths[name] = ([str(tmp_path / name)], {".safetensors"})
    state, metadata = form(*ltx.ltx23_checkpoint())
    save_file(state, tmp_path / "checkpoints/a.safetensors", metadata)
    write_models(tmp_path, ["taeltx-2"])
    folder_paths.filename_list_cache.clear()
    model, vae, *_ = LTXModelLoader.execute("a.safetensors", "tiny-taeltx-2.safetensors").args
    assert type(model.model).__name__ == "LTXAV"
    assert vae.latent_channels == 128
    name = "transformer_blocks.1.attn1.to_q.weight"
    loaded = dict(model.model.diffusion_model.named_parameters())[name]
    exact = ltx.ltx23_checkpoint()[0][PREFIX + name]
    torch.testing.assert_close(
        loaded.dequantize().float() if form is quantised else loaded.float(), exact, atol=0.1, rtol=0.1
    )
