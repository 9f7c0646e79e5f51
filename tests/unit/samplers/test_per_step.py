import torch

from oner.samplers.per_step import nearest_step


def test_a_level_belongs_to_the_step_that_starts_nearest():
    sigmas = torch.tensor([1.0, 0.8, 0.5, 0.0])
    levels = [1.0, 0.93, 0.8, 0.7, 0.5, 0.1]
    assert [nearest_step(torch.tensor([level]), sigmas) for level in levels] == [0, 0, 1, 1, 2, 2]
