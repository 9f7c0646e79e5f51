"""A tiny causal Wan model with random weights, in a file as users have it, and the tiny Wan 2.1 VAE of the goldens."""

import pytest
import torch
from safetensors.torch import save_file

from harness import causal


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "causal.safetensors"
    save_file(causal.wan_weights(), str(path))
    return path


@pytest.fixture(scope="session")
def patcher(model_file):
    from oner.longlive.loader import load_patcher

    with torch.inference_mode():
        return load_patcher(model_file, model_options={"dtype": torch.float32})


@pytest.fixture
def network(patcher):
    from oner.longlive.network import CausalNetwork

    return CausalNetwork(patcher.model.diffusion_model, torch.float32)


@pytest.fixture(scope="session")
def vae():
    with torch.inference_mode():
        return causal.tiny_vae()


@pytest.fixture
def prompts():
    return causal.tiny_prompts()
