"""Which scales of LTX-Video guidance apply at a noise level, and what they do to the passes."""

import pytest
import torch

from oner.ltx.ltxv.guidance import GuidanceEntry, GuidanceSchedule, combine, combine_pack
from oner.ltx.ltxv.presets import DEV_FIRST, PACK_PRESETS, PRESETS, pack_guidance
from oner.ltx.ltxv.schedules import linear_quadratic

LEVELS = [float(level) for level in torch.tensor(linear_quadratic(30))[:-3]]


def scales(schedule):
    return [(entry.cfg, entry.stg, entry.rescale) for entry in map(schedule.at, LEVELS)]


def test_reference_lookup_gives_the_first_pass_of_the_dev_pipeline():
    expected = [(1, 0, 1)] * 3 + [(6, 4, 0.5)] * 2 + [(8, 4, 0.5)] * 5 + [(6, 4, 1)] * 4 + [(1, 2, 1)] * 5
    assert scales(DEV_FIRST) == expected + [(1, 1, 1)] * 8


def test_pack_lookup_gives_what_its_graphs_ran():
    schedule = PACK_PRESETS["13b Dynamic"]
    expected = [(1, 0, 1)] * 3 + [(6, 4, 0.5)] * 5 + [(8, 4, 0.5)] * 4 + [(6, 4, 1)] * 5
    assert scales(schedule)[2:] == expected + [(1, 2, 1)] * 6 + [(1, 1, 1)] * 2
    assert [sigma > schedule.skip_above for sigma in LEVELS[:4]] == [True, True, False, False]


def test_the_two_lookups_disagree_on_most_steps_of_the_dev_pipeline():
    reference = [DEV_FIRST.at(sigma) for sigma in LEVELS]
    pack = PACK_PRESETS["13b Dynamic"]
    other = [None if sigma > pack.skip_above else pack.at(sigma) for sigma in LEVELS]
    assert sum(a != b for a, b in zip(reference, other, strict=True)) >= 20


def test_below_the_last_key_the_last_entry_holds():
    schedule = GuidanceSchedule.binned((0.9, 0.5), (2, 3), (0, 0), (1, 1), ((), ()))
    assert [schedule.index(sigma) for sigma in (1.0, 0.7, 0.5, 0.1)] == [0, 1, 1, 1]


def test_a_sigma_that_is_listed_meets_its_own_entry():
    keys = (1.0, 0.9, 0.6, 0.1)
    schedule = GuidanceSchedule.binned(keys, [1] * 4, [0] * 4, [1] * 4, [()] * 4)
    assert [schedule.index(float(torch.tensor(key))) for key in keys] == [0, 1, 2, 3]


def test_every_stage_has_a_preset_of_the_pack():
    assert {stage.pack for preset in PRESETS.values() for stage in preset.stages.values()} <= set(PACK_PRESETS)
    assert pack_guidance(PRESETS["13B 0.9.8 dev"].stages["first pass"]).lookup == "pack-compatible"


def test_lists_of_unequal_length_are_refused_by_name():
    with pytest.raises(ValueError, match="stg has 1 entries and sigmas has 2: give one for each"):
        GuidanceSchedule.binned((1.0, 0.5), (1, 1), (1,), (1, 1), ((), ()))


def test_sigmas_out_of_order_are_refused():
    with pytest.raises(ValueError, match=r"sigmas are 0.5, 1.0; list them from high to low"):
        GuidanceSchedule.binned((0.5, 1.0), (1, 1), (1, 1), (1, 1), ((), ()))


@pytest.fixture
def passes():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 4, generator=generator, dtype=torch.float64) for _ in range(3)]


def test_rescale_brings_back_the_contrast_of_each_sample(passes):
    c, n, p = passes
    guided = combine(c, n, p, GuidanceEntry(cfg=3.0, stg=1.0, rescale=0.7), cfg_star=False)
    plain = n + 3.0 * (c - n) + (c - p)
    for row, raw, positive in zip(guided, plain, c, strict=True):
        assert torch.allclose(row, raw * (0.7 * positive.std() / raw.std() + 0.3))


@pytest.mark.parametrize(
    ("entry", "scale"), [(GuidanceEntry(3.0, 0.0, 0.7), "no STG"), (GuidanceEntry(3.0, 1.0, 1.0), "off")]
)
def test_rescale_acts_only_beside_stg_and_not_at_one(passes, entry, scale):
    c, n, p = passes
    plain = n + 3.0 * (c - n) + (entry.stg * (c - p) if entry.stg else 0)
    assert torch.allclose(combine(c, n, p if entry.stg else None, entry, cfg_star=False), plain), scale


def test_cfg_star_removes_what_the_negative_pass_has_too_much(passes):
    c, _, _ = passes
    guided = combine(c, 2.5 * c, None, GuidanceEntry(cfg=4.0), cfg_star=True)
    assert torch.allclose(guided, c)  # a negative pass in the direction of the positive one has no effect


def test_pack_rescale_one_is_full_for_each_sample(passes):
    c, n, p = passes
    guided = combine_pack(c, n, p, GuidanceEntry(cfg=3.0, stg=1.0, rescale=1.0), cfg_star=False)
    assert torch.allclose(guided.flatten(1).std(1), c.flatten(1).std(1))
