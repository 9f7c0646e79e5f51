"""A tiny LTX-2.3 network in ComfyUI, and what sampling it needs."""

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy.sd import load_diffusion_model

from harness.pack import ROOT
from oner.ltx.ltx2.block_choice import with_exact_block

CONTEXT_WIDTH = 48 + 24  # video and audio


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="session")
def ltx2(core_ltx2):
    """The tiny LTX-2.3 of the goldens, 3 blocks, as a ModelPatcher: exact, as the pack's loader gives it."""
    return with_exact_block(core_ltx2)


@pytest.fixture(scope="session")
def core_ltx2():
    """The same as ComfyUI's loader gives it."""
    path = ROOT / "tests" / "golden" / "ltx" / "tiny_ltx23.safetensors"
    with torch.inference_mode():
        return load_diffusion_model(str(path), model_options={"dtype": torch.float32})


@pytest.fixture
def prompts():
    """Positive and negative CONDITIONING at 24 fps."""
    return [[[random(1, 11, CONTEXT_WIDTH, seed=seed), {"frame_rate": 24.0}]] for seed in (1, 2)]


@pytest.fixture
def av_latent():
    """A LATENT of 17 frames at 96x64: video [1, 128, 3, 2, 3], audio [1, 8, 18, 16]."""
    return {"samples": NestedTensor((random(1, 128, 3, 2, 3, seed=3), random(1, 8, 18, 16, seed=4)))}


@pytest.fixture
def empty_latent():
    """The same with nothing in it."""
    return {"samples": NestedTensor((torch.zeros(1, 128, 3, 2, 3), torch.zeros(1, 8, 18, 16)))}
