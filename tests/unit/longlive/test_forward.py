"""What a forward costs on the host: graphs, device syncs, Python calls; and that the choice of attention applies."""

import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from oner.longlive.network import CausalNetwork
from oner.longlive.presets import Settings
from oner.longlive.rollout import Rollout, Segment, block_noise
from oner.longlive.schedule import KEEP_SINK

SETTINGS = Settings(window=8, sink=2, block=2, steps=2)


def take(network, prompts, settings=SETTINGS, segments=None, **options):
    parts = segments or [Segment(0, prompts[:1])]
    return Rollout(network, settings, parts, (1, 16, 4, 4), block_noise(3), torch.device("cpu"), **options)


@pytest.mark.parametrize("relative", [False, True])
def test_one_compiled_block_serves_any_length(relative, patcher, prompts):
    settings = Settings(window=8, sink=2, block=2, steps=2, relative=relative)
    graphs = []

    def count(module, _inputs):
        graphs.append(module)
        return module.forward

    torch._dynamo.reset()
    network = CausalNetwork(patcher.model.diffusion_model, torch.float32, compile_backend=count)
    compiled = take(network, prompts, settings)
    plain = take(CausalNetwork(patcher.model.diffusion_model, torch.float32), prompts, settings)
    for _ in range(4):
        torch.testing.assert_close(compiled.next_block(), plain.next_block(), atol=1e-5, rtol=0)
    filled = len(graphs)
    for _ in range(8):
        compiled.next_block()
    assert 0 < filled <= 4, "one for each number of frames while the window fills"
    assert len(graphs) == filled


def test_attention_goes_through_the_models_choice(patcher, prompts):
    calls = []

    def override(function, *args, **kwargs):
        calls.append(kwargs["transformer_options"]["block_index"])
        return function(*args, **kwargs)

    network = CausalNetwork(patcher.model.diffusion_model, torch.float32, {"optimized_attention_override": override})
    take(network, prompts).next_block()
    assert calls == [0, 0, 1, 1] * 2


class NoSync(TorchDispatchMode):
    """Fails when a value is read back from the device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return function(*args, **(kwargs or {}))


def test_no_forward_waits_for_the_device(network, prompts):
    rollout = take(network, prompts)
    for _ in range(3):
        rollout.next_block()
    flow = network.flow

    def watched(*args):
        with NoSync():
            return flow(*args)

    network.flow = watched
    rollout.next_block()


def test_bookkeeping_of_a_block_does_not_grow(network, prompts):
    """Python calls outside the network, at block 10 and at block 110."""
    rollout = take(network, prompts, segments=[Segment(0, prompts[:1]), Segment(200, prompts[1:2], KEEP_SINK)])
    network.flow = lambda x, *_: x
    counts = {}
    for block in range(111):
        calls = 0

        def profile(_frame, event, _argument):
            nonlocal calls
            calls += event == "call"

        if block in (10, 110):
            sys.setprofile(profile)
        rollout.next_block()
        sys.setprofile(None)
        counts[block] = calls
    assert 0 < counts[110] == counts[10] < 1500


def test_noise_levels_are_core_simple_schedule():
    import comfy.model_sampling
    import comfy.samplers

    class Flow(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
        pass

    sampling = Flow()
    sampling.set_parameters(shift=5.0, multiplier=1000)
    expected = comfy.samplers.calculate_sigmas(sampling, "simple", 4)
    torch.testing.assert_close(torch.tensor(Settings().schedule().sigmas), expected)
