"""LTX IC-LoRA Loader: what it says of a LoRA's layers and factors, and what it refuses."""

import logging

import folder_paths
import pytest
import torch
from safetensors.torch import save_file

from oner.nodes.legacy_ltxvideo.loaders import ICLoRALoaderModelOnly, Q8LoraModelLoader
from oner.nodes.ltx.loaders import LTXICLoRALoader, LTXModelLoader
from tiny import loras, write_models

PREFIX = "diffusion_model."


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_models(folder, ["ltx-2.3"])
    (folder / "loras").mkdir()
    for name in ("checkpoints", "loras"):
        folder_paths.folder_names_and_paths[name] = ([str(folder / name)], {".safetensors"})
    return folder


@pytest.fixture(scope="module")
def model(place):
    with torch.inference_mode():
        return LTXModelLoader.execute("tiny-ltx-2.3.safetensors").args[0]


@pytest.fixture
def write(place):
    def write(metadata=None, change=lambda key: key, name="x.safetensors", keep=lambda key: True):
        lora = {change(key): tensor for key, tensor in loras.ltx2_lora()[0].items() if keep(key)}
        save_file(lora, place / "loras" / name, metadata)
        folder_paths.filename_list_cache.clear()
        return name

    return write


def patched_weight(model):
    return model.patch_weight_to_device(f"{PREFIX}transformer_blocks.0.attn1.to_q.weight", return_weight=True)


@pytest.mark.parametrize("prefix", ["transformer.", "base_model.model.", "model.diffusion_model.", ""])
@pytest.mark.parametrize("loader", [LTXICLoRALoader, ICLoRALoaderModelOnly, Q8LoraModelLoader])
def test_every_prefix_gives_the_same_model(model, write, prefix, loader):
    plain = patched_weight(loader.execute(model, write(), 1.0).args[0])
    renamed = loader.execute(model, write(change=lambda key: prefix + key.removeprefix(PREFIX)), 1.0).args[0]
    assert torch.equal(patched_weight(renamed), plain)
    assert not torch.equal(plain, patched_weight(model))


@pytest.mark.parametrize("loader", [LTXICLoRALoader, ICLoRALoaderModelOnly, Q8LoraModelLoader])
def test_a_lora_of_which_nothing_fits_is_refused(model, write, loader):
    name = write({"reference_downscale_factor": "2"}, change=lambda key: key.replace("transformer_blocks", "blocks"))
    with pytest.raises(ValueError, match=r"none of the 204 keys of x\.safetensors fits this model"):
        loader.execute(model, name, 1.0)


def test_what_matched_and_what_did_not_is_logged(model, write, caplog):
    name = write(change=lambda key: key.replace("transformer_blocks.2.", "transformer_blocks.9."))
    with caplog.at_level(logging.INFO, logger="oner"):
        LTXICLoRALoader.execute(model, name, 1.0)
    assert "x.safetensors: 68 layers, rank 4, scale 1" in caplog.text
    assert "68 keys without a layer in this model: diffusion_model.transformer_blocks.9." in caplog.text


@pytest.mark.parametrize(("written", "factor"), [("None", 1), ("", 1), ("2", 2)])
def test_the_factor_of_the_metadata(model, write, written, factor):
    name = write({"reference_downscale_factor": written})
    assert LTXICLoRALoader.execute(model, name, 1.0).args[1]["reference_downscale_factor"] == factor
    assert ICLoRALoaderModelOnly.execute(model, name, 1.0).args[1] == float(factor)
    patched = LTXICLoRALoader.execute(model, name, 1.0).args[0]
    assert patched.get_attachment("lora_metadata")["reference_downscale_factor"] == written, "for ComfyUI's own node"


@pytest.mark.parametrize("written", ["1.5", "abc", "0", "-1"])
def test_another_factor_names_the_file(model, write, written):
    sentence = rf"^x\.safetensors: reference_downscale_factor is '{written}' in the LoRA's metadata"
    with pytest.raises(ValueError, match=sentence):
        LTXICLoRALoader.execute(model, write({"reference_downscale_factor": written}), 1.0)


def test_one_tensor_alone_is_refused(model, write):
    with pytest.raises(ValueError, match="none of the 1 keys"):
        LTXICLoRALoader.execute(model, write(keep=lambda key: key.endswith("blocks.0.attn1.to_q.lora_A.weight")), 1.0)
