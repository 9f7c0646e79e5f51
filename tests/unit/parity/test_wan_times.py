"""A golden's timesteps are compared in whatever form they are: one, one a frame or one a token."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness import pack
from parity.wan import same_length

WAN = pack.ROOT / "tests" / "golden" / "wan"


def with_times(tmp_path, scenario, change):
    """A copy of the scenario's tensors with other times; gives its JSON's name."""
    tensors = load_file(WAN / "conditioning" / f"{scenario}.safetensors")
    names = [name for name in tensors if name.endswith(".timestep")]
    tensors |= {name: change(tensors[name]) for name in names}
    path = tmp_path / "wan/conditioning" / f"{scenario}.safetensors"
    path.parent.mkdir(parents=True)
    save_file(tensors, path)
    return f"wan/conditioning/{scenario}.json"


@pytest.mark.parametrize("count", [3, 3 * 24])  # frames; tokens of 3 frames of 8x12 latents
def test_ours_is_one_and_the_golden_is_a_list(tmp_path, parity_of, count):
    name = with_times(tmp_path, "wan22_inp_start_end", lambda times: times.repeat(1, count))
    assert parity_of(name)[0] == {"ok"}


def test_one_other_time_in_the_list_is_noticed(tmp_path, parity_of):
    def but_one(times):
        times = times.repeat(1, 72)
        times[0, 40] += 1
        return times

    outcomes, printed = parity_of(with_times(tmp_path, "wan22_inp_start_end", but_one))
    assert outcomes == {"failed"}
    assert ".timestep: error" in printed


def test_ours_is_a_list_and_the_golden_is_one(tmp_path, parity_of):
    """The first frame is given, so its time is 0: a golden that says one time for all is another result."""
    outcomes, printed = parity_of(with_times(tmp_path, "wan22_5b_inp_start", lambda times: times.max().reshape(1)))
    assert outcomes == {"failed"}
    assert ".timestep: error 1.0e+00" in printed


@pytest.mark.parametrize(
    ("ours", "golden", "compared"),
    [
        ([5], [5], [[5], [5]]),
        ([5, 5, 5], [5], [[5, 5, 5], [5, 5, 5]]),
        ([0, 5, 5], [5], [[0, 5, 5], [5, 5, 5]]),
        ([5], [0, 5, 5], [[5, 5, 5], [0, 5, 5]]),
        ([0, 5, 5], [0, 0, 5, 5, 5, 5], [[0, 0, 5, 5, 5, 5], [0, 0, 5, 5, 5, 5]]),
        ([9, 0, 5, 5], [0, 0, 5, 5, 5, 5], [[0, 0, 5, 5, 5, 5], [0, 0, 5, 5, 5, 5]]),  # a reference frame first
        ([9, 0, 5, 5], [5], [[9, 0, 5, 5], [5, 5, 5, 5]]),
    ],
)
def test_the_shorter_one_is_expanded(ours, golden, compared):
    pair = same_length(torch.tensor([ours]), torch.tensor([golden]), frames=3)
    assert [times.tolist() for times in pair] == compared
