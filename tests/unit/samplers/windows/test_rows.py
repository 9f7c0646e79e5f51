"""What a row of the plan changes of a guider, and only there."""

import comfy.samplers
import pytest
import torch

from harness import wan_tiny
from oner.samplers.lora_schedule import KEY, ScheduledLora, add_scheduled_lora
from oner.samplers.phase_guider import Phase, PhaseGuider, PhasePlan
from oner.samplers.windows.plan import Row
from oner.samplers.windows.rows import adapted
from oner.wan.lora_files import read_patches

PROMPTS = wan_tiny.prompts()
SHAPE = (1, 16, 3, 4, 4)


def with_lora(model, name, multiplier):
    weight = model.model.diffusion_model.blocks[0].ffn[0].weight
    generator = torch.Generator().manual_seed(len(name))
    file = {
        "diffusion_model.blocks.0.ffn.0.lora_down.weight": torch.randn(2, weight.shape[1], generator=generator),
        "diffusion_model.blocks.0.ffn.0.lora_up.weight": torch.randn(weight.shape[0], 2, generator=generator),
    }
    return add_scheduled_lora(model, ScheduledLora(name, read_patches(model, file)[0], multiplier))


def sample(guider):
    return guider.sample(
        wan_tiny.noise(SHAPE),
        torch.zeros(SHAPE),
        comfy.samplers.ksampler("euler"),
        torch.tensor([1.0, 0.5, 0.0]),
        disable_pbar=True,
        seed=0,
    )


def cfg_guider(model, cfg=3.0):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(PROMPTS.positive, PROMPTS.negative)
    guider.set_cfg(cfg)
    return guider


def multipliers(model):
    return [lora.multiplier for lora in model.get_attachment(KEY)[1]]


def test_multipliers_of_a_row_are_those_of_a_schedule_made_with_them():
    plain = wan_tiny.load()
    guider = cfg_guider(with_lora(with_lora(plain, "a", "1"), "bb", "0"))
    before = sample(guider)
    changed = adapted(guider, Row(0, 17, 0, 17, loras="0.5 1"))
    wanted = cfg_guider(with_lora(with_lora(plain, "a", "0.5"), "bb", "1"))
    assert torch.equal(sample(changed), sample(wanted))
    assert not torch.equal(sample(changed), before)
    assert multipliers(guider.model_patcher) == ["1", "0"]
    assert torch.equal(sample(guider), before)


def test_both_models_of_a_pair_get_them():
    model = with_lora(wan_tiny.load(), "a", "1")
    guider = PhaseGuider(model, PhasePlan((Phase(1.0), Phase(1.0)), (0.7,)), with_lora(wan_tiny.load(seed=1), "a", "1"))
    guider.set_conds(PROMPTS.positive, PROMPTS.negative)
    changed = adapted(guider, Row(0, 17, 0, 17, loras="0.25"))
    assert multipliers(changed.model_patcher) == multipliers(changed.second.model_patcher) == ["0.25"]
    assert multipliers(guider.second.model_patcher) == ["1"]


def test_another_number_of_multipliers_is_refused():
    guider = cfg_guider(with_lora(wan_tiny.load(), "a", "1"))
    with pytest.raises(ValueError, match=r"gives 2 multipliers, and the model has 1 scheduled LoRAs \(a\)"):
        adapted(guider, Row(0, 17, 0, 17, loras="1 1"))


def test_the_cfg_of_a_row_is_a_copys():
    guider = cfg_guider(wan_tiny.load())
    changed = adapted(guider, Row(0, 17, 0, 17, cfg=1.5))
    assert torch.equal(sample(changed), sample(cfg_guider(guider.model_patcher, 1.5)))
    assert guider.cfg == 3.0


def test_a_guider_with_rules_of_its_own_has_no_place_for_cfg():
    guider = PhaseGuider(wan_tiny.load(), PhasePlan((Phase(1.0),)))
    with pytest.raises(ValueError, match="rules of its own for cfg"):
        adapted(guider, Row(0, 17, 0, 17, cfg=1.5))


def test_a_row_that_changes_nothing_leaves_the_guider():
    guider = cfg_guider(wan_tiny.load())
    assert adapted(guider, Row(0, 17, 0, 17)) is guider


def test_a_guider_without_a_negative_prompt_has_no_place_for_cfg():
    guider = comfy.samplers.CFGGuider(wan_tiny.load())
    guider.inner_set_conds({"positive": PROMPTS.positive})
    with pytest.raises(ValueError, match="has no negative prompt for it to act on"):
        adapted(guider, Row(0, 17, 0, 17, cfg=1.5))
