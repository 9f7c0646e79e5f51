"""Every node that hands on an LTX-2 model hands on an exact one, and the switch is refused where it cannot act.

Sampled by core's guider and sampler, on a ComfyUI with a planted wrong block.
"""

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy.samplers import ksampler
from comfy_extras.nodes_custom_sampler import BasicGuider, RandomNoise, SamplerCustomAdvanced

from harness.fingerprint import fingerprint
from harness.late_block import late_core
from oner.nodes.legacy_ltxvideo.loaders import LowVRAMCheckpointLoader, Q8LoraModelLoader
from oner.nodes.legacy_ltxvideo.tricks import FetaEnhance, ModifyLTXModel
from oner.nodes.ltx.block_choice import COMFYUI, REFERENCE, LTXExactBlock
from oner.nodes.ltx.loaders import LTXICLoRALoader, LTXModelLoader
from oner.samplers.packed import pack
from tiny import write_models


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    import folder_paths

    folder = tmp_path_factory.mktemp("models")
    paths = write_models(folder, ["ltx-2.3", "ltxv-0.9", "ic-lora-ltx-2.3"])
    for name in ("checkpoints", "loras"):
        folder_paths.add_model_folder_path(name, str(folder / name), is_default=True)
    folder_paths.filename_list_cache.clear()
    return {name: path.name for name, path in paths.items()}


@pytest.fixture(scope="module")
def core_model(files):
    """As core's own loader gives it."""
    import nodes

    with torch.inference_mode():
        return nodes.CheckpointLoaderSimple().load_checkpoint(files["ltx-2.3"])[0]


def sample(model):
    def random(*shape, seed):
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

    latent = {"samples": NestedTensor((random(1, 128, 3, 2, 2, seed=3), random(1, 8, 18, 16, seed=4)))}
    guider = BasicGuider.execute(model, [[random(1, 11, 96, seed=1), {"frame_rate": 24.0}]]).result[0]
    sigmas = torch.tensor([0.9, 0.5, 0.0])
    noise = RandomNoise.execute(7).result[0]
    output = SamplerCustomAdvanced.execute(noise, guider, ksampler("euler"), sigmas, latent).result[0]
    return pack(output["samples"].unbind())


def difference(model, other):
    """Relative difference of what `model` gives on a ComfyUI with a wrong block to what `other` gives on this one."""
    expected = sample(other)
    with late_core():
        actual = sample(model)
    return float((actual - expected).abs().max() / expected.abs().max())


def test_cores_loader_alone_shows_the_fault(core_model):
    assert difference(core_model, core_model) > 1e-3


@pytest.mark.parametrize("loader", [LTXModelLoader, LowVRAMCheckpointLoader])
def test_our_loaders_give_exact_models(files, loader):
    model = loader.execute(files["ltx-2.3"]).result[0]
    assert difference(model, model) < 1e-6


NODES = {
    "exact block": lambda model, files: LTXExactBlock.execute(model, REFERENCE),
    "IC-LoRA": lambda model, files: LTXICLoRALoader.execute(model, files["ic-lora-ltx-2.3"], 0.5),
    "IC-LoRA of strength 0": lambda model, files: LTXICLoRALoader.execute(model, files["ic-lora-ltx-2.3"], 0.0),
    "old LoRA loader": lambda model, files: Q8LoraModelLoader.execute(model, files["ic-lora-ltx-2.3"], 0.5),
    "old enhance": lambda model, files: FetaEnhance.execute(model, 2.0),
    "old hooks": lambda model, files: ModifyLTXModel.execute(model),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes_that_take_cores_model_give_an_exact_one(core_model, files, name):
    before = fingerprint(core_model)
    model = NODES[name](core_model, files).result[0]
    assert fingerprint(core_model) == before
    assert difference(model, LTXExactBlock.execute(model, REFERENCE).result[0]) < 1e-6


def test_the_last_switch_counts(files, core_model):
    model = LTXModelLoader.execute(files["ltx-2.3"]).result[0]
    cores = LTXExactBlock.execute(model, COMFYUI).result[0]
    with late_core():
        assert torch.equal(sample(cores), sample(core_model))
    again = LTXExactBlock.execute(cores, REFERENCE).result[0]
    assert difference(again, model) < 1e-6


def test_the_switch_is_refused_where_it_cannot_act(files):
    with pytest.raises(ValueError, match=r"model is LTXV; this node needs an LTX-2"):
        LTXExactBlock.execute(LTXModelLoader.execute(files["ltxv-0.9"]).result[0], REFERENCE)
