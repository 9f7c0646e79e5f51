"""What changes from step to step on Wan gives the same through ComfyUI's compile node."""

import comfy.samplers
import torch

from harness import wan_tiny
from harness.compiled import compiled
from oner.nodes.wan.riflex import WanRIFLEx
from oner.samplers.phase_guider import Phase, PhaseGuider, PhasePlan

from .test_lora_schedule import PROMPTS, SHAPE, lora_file, schedule

SIGMAS = torch.linspace(1, 0, 5)


def sample(guider):
    guider.set_conds(PROMPTS.positive, PROMPTS.negative)
    noise, sampler = wan_tiny.noise(SHAPE), comfy.samplers.ksampler("euler")
    return guider.sample(noise, torch.zeros(SHAPE), sampler, SIGMAS, disable_pbar=True, seed=0)


def guided(model):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_cfg(3.0)
    return guider


def assert_same(result, plain):
    torch.testing.assert_close(result, plain, rtol=0, atol=1e-6 * float(plain.abs().max()))


def test_layers_skipped_in_a_part_of_the_run():
    model = wan_tiny.load()
    plan = PhasePlan((Phase(3.0, skip_layers=(1,), skip_start=0.25, skip_end=0.75),))
    assert_same(sample(PhaseGuider(compiled(model), plan)), sample(PhaseGuider(model, plan)))


def test_two_experts_with_layers_of_their_own():
    high, low = wan_tiny.load(), wan_tiny.load(seed=1)
    plan = PhasePlan((Phase(4.0, skip_layers=(0,)), Phase(3.0, skip_layers=(1,))), (0.6,))
    plain = sample(PhaseGuider(high, plan, low))
    assert_same(sample(PhaseGuider(compiled(high), plan, compiled(low))), plain)


def test_lora_strengths_that_change():
    model = wan_tiny.load()
    file = lora_file(model, 1)

    def scheduled(model):
        return guided(schedule(model, file, "1,0.5,0,0.25"))

    through_core = compiled(model)
    sample(guided(through_core))  # so that code without any LoRA is there
    assert_same(sample(scheduled(through_core)), sample(scheduled(model)))


def test_a_lora_schedule_before_the_compile_node():
    model = wan_tiny.load()
    scheduled = schedule(model, lora_file(model, 1), "1,0.5,0,0.25")
    assert_same(sample(guided(compiled(scheduled))), sample(guided(scheduled)))


def test_riflex_of_two_lengths():
    model = wan_tiny.load()
    for length in (9, 161):
        each = [WanRIFLEx.execute(one, length, 2, "paper").args[0] for one in (model, compiled(model))]
        plain, result = (sample(guided(one)) for one in each)
        assert_same(result, plain)
