"""What LongLive's golden files say is read: the formula of a trajectory and the entry of a checkpoint."""

import pytest
import torch

from harness import pack
from parity.longlive import prompts_of, sinks_of

GOLDEN = pack.ROOT / "tests" / "golden"
TRAJECTORY = "longlive/ll2/unipc_4step.json"
FORMS = "longlive/ll1/mini_forms.json"
CHECKPOINT = "models/ll1_mini_generator_ema_fsdp.pt"


@pytest.fixture
def two_entries(tmp_path):
    """A checkpoint with the golden weights in "generator_ema" and others in "generator"; gives its name."""
    content = torch.load(GOLDEN / "longlive" / CHECKPOINT, weights_only=True)
    content["generator"] = {name: tensor * 0.9 for name, tensor in content["generator_ema"].items()}
    path = tmp_path / "longlive/models/two.pt"
    path.parent.mkdir(parents=True)
    torch.save(content, path)
    return "models/two.pt"


@pytest.mark.parametrize(("suffix", "outcome"), [("#generator_ema", "ok"), ("#generator", "failed"), ("", "failed")])
def test_entry_of_a_checkpoint_is_the_one_named(parity_of, two_entries, suffix, outcome):
    outcomes, printed = parity_of(FORMS, lambda data: data.update(model_files=[two_entries + suffix]))
    assert outcomes == {outcome}
    assert "could not be run" not in printed


def test_an_entry_that_the_file_lacks_names_those_it_has(parity_of):
    outcomes, printed = parity_of(FORMS, lambda data: data.update(model_files=[CHECKPOINT + "#generator"]))
    assert outcomes == {"failed"}
    assert 'the file has no "generator"; it holds: generator_ema' in printed


def test_trajectory_follows_the_formula_of_the_file(parity_of):
    same = "v(x,t) = tanh(x)/1 + sin(t/1000 + x*3) * 0.3"
    assert parity_of(TRAJECTORY, lambda data: data.update(velocity_formula=same))[0] == {"ok"}


def test_another_formula_fails_against_the_trajectory(parity_of):
    other = "v(x,t) = tanh(x) + 0.3*sin(2*x + t/1000)"
    outcomes, printed = parity_of(TRAJECTORY, lambda data: data.update(velocity_formula=other))
    assert outcomes == {"failed"}
    assert "worst formula x" in printed


def test_a_formula_that_is_no_arithmetic_fails(parity_of):
    outcomes, printed = parity_of(TRAJECTORY, lambda data: data.update(velocity_formula="v(x,t) = exp(x)"))
    assert outcomes == {"failed"}
    assert "'exp(x)'" in printed


def shots(**changes):
    """What the comparison of shots reads of a rollout of blocks of 2 frames, cuts at blocks 1 and 3."""
    return {"sink_frames": 2, "multi_shot_sink": True, "global_sink_frames": 2, "shot_start_blocks": [1, 3]} | changes


def test_prompts_of_blocks_are_those_of_their_shots():
    assert prompts_of(shots(prompt_index_per_block=[0, 2, 2, 1])) == ([0, 2, 2, 1], [0, 2, 2, 1])
    assert prompts_of(shots(prompt_index_per_block=[0, 2, 1, 1])) == ([0, 2, 2, 1], [0, 2, 1, 1])


def test_another_sink_for_the_whole_take_matters_with_shot_sinks_only():
    assert sinks_of(shots(global_sink_frames=4)) == (2, 4)
    assert sinks_of(shots(global_sink_frames=4, multi_shot_sink=False)) == (2, 2)
    assert sinks_of({"sink_frames": 3}) == (3, 3)
