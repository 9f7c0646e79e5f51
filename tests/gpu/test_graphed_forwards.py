"""Recorded forwards give what eager ones give, over a window that fills and a prompt that changes."""

import pytest
import torch
from safetensors.torch import save_file

from harness.causal import TEXT, wan_weights
from oner.longlive.loader import load_patcher
from oner.longlive.network import CausalNetwork
from oner.longlive.presets import Settings
from oner.longlive.rollout import Rollout, Segment, block_noise

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

SETTINGS = Settings(window=6, sink=2, block=2, steps=2)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    import comfy.model_management

    path = tmp_path_factory.mktemp("causal") / "model.safetensors"
    save_file(wan_weights(), str(path))
    patcher = load_patcher(path, model_options={"dtype": torch.float32}, disable_dynamic=True)
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    return patcher.model.diffusion_model


def take(network: CausalNetwork) -> torch.Tensor:
    prompts = torch.randn(2, 8, TEXT, generator=torch.Generator().manual_seed(7)).cuda()
    segments = [Segment(0, prompts[:1]), Segment(8, prompts[1:])]
    rollout = Rollout(network, SETTINGS, segments, (1, 16, 4, 4), block_noise(3), torch.device("cuda"))
    return torch.cat([rollout.next_block() for _ in range(8)], dim=2)


def test_recorded_forwards_are_the_eager_ones(network):
    eager = take(CausalNetwork(network, torch.float32))
    graphed = CausalNetwork(network, torch.float32, cuda_graphs=True)
    assert torch.allclose(take(graphed), eager, rtol=1e-5, atol=1e-5)
    assert torch.allclose(take(graphed), eager, rtol=1e-5, atol=1e-5), "a second take with the same graphs"
    assert eager.isfinite().all()
    assert eager.std() > 0.1


def test_a_forward_is_recorded_once_for_every_number_of_frames_attended(network):
    graphed = CausalNetwork(network, torch.float32, cuda_graphs=True)
    recorded = []
    record = graphed.graphs.record
    graphed.graphs.record = lambda inputs, text, cache: recorded.append(cache.plan.held) or record(inputs, text, cache)
    take(graphed)
    # a block attends to 2, 4 and 6 frames; where the prompt changes the window's own frames go through at once
    assert sorted(recorded) in ([2, 4, 6], [2, 4, 6, 6])
