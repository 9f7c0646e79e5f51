"""LTX-2 workflows give the latents of ComfyUI 0.30, whose block is the reference's, on every ComfyUI.

EXPECTED are projections of each sampling stage's latent on seeded directions, made on ComfyUI 0.30.0.
"""

from contextlib import nullcontext

import pytest
import torch

from harness.late_block import late_core
from workflows import load
from workflows.builder import substitute

DIRECTIONS = 8
EXPECTED = {
    "LTX_2.3_Distilled_Text_to_Video": [
        [-2.955629, 0.8519586, -2.226892, 0.9688249, 2.669336, -1.33985, 1.212006, 1.331514],
        [0.5252305, -0.7427254, -0.2614416, -1.744585, -0.7487032, -0.3870919, -0.2538545, 1.385207],
    ],
    "LTX_2.3_Text_to_Video": [[0.3115084, 0.3074628, 1.896352, -3.157039, -1.504578, 0.5421716, 1.687572, -0.2242565]],
    "LTX_2.3_Two_Stage_Text_to_Video": [
        [-1.749222, 0.4294083, 0.6883571, -0.9939534, -0.6863289, 0.6967298, 1.319667, 1.117693],
        [1.172503, -0.04556824, 0.4010691, -1.339611, 0.04227115, -0.3344952, -0.2814151, 0.5010685],
    ],
}


def projections(latent):
    """[DIRECTIONS]: of picture and sound, each of unit size, so that neither hides the other."""
    flat = torch.cat([part.flatten() / part.norm() for part in latent["samples"].unbind()]).double()
    generator = torch.Generator().manual_seed(0)
    return torch.randn(DIRECTIONS, len(flat), generator=generator, dtype=torch.float64) @ flat


def stages(executor, workflow, **changes):
    """The projections of every sampled latent, in the order of the stages."""
    ids = sorted(id for id, node in workflow.prompt.items() if node["class_type"] == "SamplerCustomAdvanced")
    result = executor.run(substitute(workflow.tiny_prompt(), changes))
    for file in result.files:
        file.unlink()
    return torch.stack([projections(result.output(id)) for id in ids])


def relative(actual, expected):
    return float((actual - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("core", [nullcontext, late_core], ids=["this ComfyUI", "one with a wrong block"])
@pytest.mark.parametrize("name", EXPECTED)
def test_workflow_gives_the_latents_of_0_30(executor, name, core):
    with core():
        actual = stages(executor, load(name))
    assert relative(actual, torch.tensor(EXPECTED[name], dtype=torch.float64)) < 1e-5


def test_the_switch_shows_what_comfyui_computes_itself(executor):
    workflow = load("LTX_2.3_Text_to_Video")
    with late_core():
        actual = stages(executor, workflow, **{"exact_block.block": "as ComfyUI computes it"})
    assert relative(actual, torch.tensor(EXPECTED[workflow.name], dtype=torch.float64)) > 1e-3
