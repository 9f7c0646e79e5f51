"""The tiny LTX-2.5 files: the layout of the released ones on every ComfyUI, loaded by core's loaders from 0.33 on."""

from __future__ import annotations

import comfy.nested_tensor
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import pytest
import torch
from safetensors import safe_open

from harness.pack import core_is_at_least
from oner.ltx.ltx2.presets import PRESETS, generation_of
from tiny import write_models

HAS_2_5 = core_is_at_least("0.33.0")
since_0_33 = pytest.mark.skipif(not HAS_2_5, reason="LTX-2.5 needs ComfyUI 0.33.0")
PREFIX = "model.diffusion_model."


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    names = ["ltx-2.5", "ltx-2.5-deep", "ltx-2.5-vae", "ltx-2.5-audio-vae", "ltx-2.5-projection"]
    return write_models(tmp_path_factory.mktemp("models"), names)


@pytest.fixture
def all_keys_used(caplog):
    """Core only logs keys that are missing, left over or not loaded."""
    caplog.set_level("DEBUG")
    yield
    complaints = ("missing", "unexpected", "leftover", "not loaded", "left over keys in diffusion")
    log = [record.getMessage() for record in caplog.get_records("call")]
    assert not [line for line in log if any(word in line.lower() for word in complaints)]


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def keys_of(path):
    with safe_open(path, "pt") as file:
        return set(file.keys()), file.metadata()


def load_vae(path):
    state, metadata = comfy.utils.load_torch_file(str(path), return_metadata=True)
    return comfy.sd.VAE(sd=state, metadata=metadata)


def sample(model, seed):
    """Two Euler steps from sigma 1 to 0.4 on video [1, 128, 2, 2, 2] and audio [1, 8, 9, 16]."""
    latent = comfy.nested_tensor.NestedTensor((noise(1, 128, 2, 2, 2), noise(1, 8, 9, 16)))
    sampler, sigmas = comfy.samplers.sampler_object("euler"), torch.tensor([1.0, 0.7, 0.4])
    text = [[noise(1, 8, 96, seed=seed), {"frame_rate": 24, "unprocessed_ltxav_embeds": True}]]
    return comfy.sample.sample_custom(model, latent, 1.0, sampler, sigmas, text, text, latent * 0).unbind()


def test_the_transformer_has_the_layout_of_the_released_file(paths):
    """Keys as harvested from Lightricks/LTX-2.5: no bias in the video's feed-forward alone, a keyframe marker."""
    keys, metadata = keys_of(paths["ltx-2.5"])
    block = f"{PREFIX}transformer_blocks.0."
    assert {f"{block}ff.net.{layer}.weight" for layer in ("0.proj", "2")} <= keys
    assert not {f"{block}ff.net.{layer}.bias" for layer in ("0.proj", "2")} & keys
    assert {f"{block}audio_ff.net.{layer}.bias" for layer in ("0.proj", "2")} <= keys
    connector = "embeddings_connector.transformer_1d_blocks.0.ff.net.2.bias"
    for name in ("keyframes_abs_pos_embedding", "prompt_adaln_single.linear.bias", f"video_{connector}"):
        assert PREFIX + name in keys
    assert metadata["model_version"] == "2.5.0"


def test_a_vae_that_this_comfyui_cannot_build_is_an_empty_file(paths):
    assert (paths["ltx-2.5-vae"].stat().st_size > 0) is HAS_2_5


@since_0_33
@pytest.mark.usefixtures("all_keys_used")
def test_the_transformer_samples_in_both_modalities(paths):
    model = comfy.sd.load_diffusion_model(str(paths["ltx-2.5"]))
    network = model.model.diffusion_model
    assert network.keyframes_abs_pos_embedding is not None
    assert network.transformer_blocks[0].ff.net[2].bias is None
    for one, two in zip(sample(model, 2), sample(model, 4), strict=True):
        assert torch.isfinite(one).all()
        assert (one - two).std() > 0.01  # the prompt is visible


@since_0_33
@pytest.mark.usefixtures("all_keys_used")
def test_the_deep_one_has_the_block_that_its_guidance_perturbs(paths):
    network = comfy.sd.load_diffusion_model(str(paths["ltx-2.5-deep"])).model.diffusion_model
    assert generation_of(network) == "LTX-2.5"
    assert max(PRESETS["LTX-2.5"].video.stg_blocks) < len(network.transformer_blocks)


@since_0_33
@pytest.mark.usefixtures("all_keys_used")
def test_the_diffusion_vae_decodes_and_encodes(paths):
    vae = load_vae(paths["ltx-2.5-vae"])
    assert type(vae.first_stage_model).__name__ == "CausalDiffusionVAE"
    frames = vae.decode(noise(1, 128, 2, 3, 3))
    assert frames.shape == (1, 9, 96, 96, 3)
    assert frames.std() > 0.05
    latent = vae.encode(frames[0])
    assert latent.shape == (1, 128, 2, 3, 3)
    assert latent.std() > 0.05


@pytest.mark.usefixtures("all_keys_used")
def test_the_audio_vae_decodes_to_48_khz_and_encodes(paths):
    vae = load_vae(paths["ltx-2.5-audio-vae"])
    assert vae.audio_sample_rate_output == 48000
    wave = vae.decode(noise(1, 8, 10, 16))  # [B, samples, 2]; 10 latents are 37 mel frames of 10 ms
    assert wave.shape == (1, 37 * 480, 2)
    assert vae.encode(wave).shape[1::2] == (8, 16)


def test_the_projection_file_names_its_gemma_and_no_version(paths):
    keys, metadata = keys_of(paths["ltx-2.5-projection"])
    assert "gemma4_unified" in metadata["gemma_config"]
    assert "model_version" not in metadata
    assert len(keys) == 4
