"""Nothing of a run of Wan is float64 on its device: solvers, phases, guidance, LoRA schedules, changes by step."""

import pytest
import torch

from harness import wan_tiny
from harness.float64 import NoFloat64, without_float64
from oner.nodes.any.latent_statistics import PerStepAdaIN, PerStepNormalise
from oner.samplers.flow_solvers import FLOW_SOLVERS, flow_sampler
from oner.samplers.phase_guider import Phase, PhaseGuider, PhasePlan
from oner.wan.schedules import flow_sigmas

from .test_lora_schedule import PROMPTS, SHAPE, lora_file, schedule

PLAN = PhasePlan((Phase(4.0, zero_star=True, projected=True), Phase(3.0, skip_layers=(1,))), (0.6,), zero_init_steps=1)


@pytest.mark.parametrize("name", FLOW_SOLVERS)
def test_no_float64_on_the_device(name):
    high, low = (wan_tiny.load(seed=seed) for seed in (0, 1))
    high = schedule(high, lora_file(high, 1), "1,0.5:0;0.25", (0.6,))
    low = PerStepAdaIN.execute(low, "0.5", {"samples": wan_tiny.noise(SHAPE)}).result[0]
    low = PerStepNormalise.execute(low, "0.5", 0.0, 1.0, 95.0, True).result[0]
    guider = PhaseGuider(high, PLAN, low)
    guider.set_conds(PROMPTS.positive, PROMPTS.negative)
    sampler, sigmas = without_float64(flow_sampler(name, 0.6)), flow_sigmas("unipc", 6, 3.0)
    out = guider.sample(wan_tiny.noise(SHAPE), torch.zeros(SHAPE), sampler, sigmas, disable_pbar=True, seed=0)
    assert out.dtype == torch.float32
    assert out.isfinite().all()


def test_the_watch_sees_what_is_made_of_the_latent_and_not_of_numbers():
    latent = torch.ones(3)
    with NoFloat64(latent):
        host = torch.tensor(latent.tolist(), dtype=torch.float64)
        assert float((host * 2).sum()) == 6
        with pytest.raises(TypeError, match="float64"):
            (latent * 2 + 1).double()
