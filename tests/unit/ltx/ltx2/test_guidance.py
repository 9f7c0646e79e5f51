"""The guidance formula, which passes it needs, and its lookup by noise level."""

import pytest
import torch

from oner.ltx.ltx2.guidance import Binned, Guidance, guide, needed_passes

NAMES = ("positive", "negative", "perturbed", "isolated")


@pytest.fixture
def passes():
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(2, 5, 7, generator=generator, dtype=torch.float64) for name in NAMES}


def test_every_term_has_its_scale(passes):
    c, n, p, i = (passes[name] for name in NAMES)
    guided = guide(passes, Guidance(cfg=3.0, stg=0.5, modality=2.0))
    torch.testing.assert_close(guided, c + 2 * (c - n) + 0.5 * (c - p) + 1 * (c - i))


@pytest.mark.parametrize("scale", [1e-6, 0.1, -0.1])
def test_a_small_scale_counts_as_well(scale, passes):
    c = passes["positive"]
    for name, guidance in (
        ("negative", Guidance(cfg=1 + scale)),
        ("perturbed", Guidance(stg=scale)),
        ("isolated", Guidance(modality=1 + scale)),
    ):
        assert guidance.passes == {"positive", name}
        torch.testing.assert_close((guide(passes, guidance) - c) / scale, c - passes[name], rtol=1e-6, atol=1e-6)


def test_full_rescale_gives_each_sample_the_contrast_of_its_positive_pass(passes):
    guided = guide(passes, Guidance(cfg=7.0, rescale=1.0))
    assert torch.allclose(guided.flatten(1).std(1), passes["positive"].flatten(1).std(1), rtol=1e-12)


def test_rescale_counts_only_what_it_is_told_to(passes):
    passes = {name: x0.clone() for name, x0 in passes.items()}
    guidance, first = Guidance(cfg=3.0, rescale=0.7), lambda x: x[:, :4]
    expected = guide({name: x0[:, :4] for name, x0 in passes.items()}, guidance)
    torch.testing.assert_close(guide(passes, guidance, first)[:, :4], expected)


def test_neutral_guidance_needs_and_gives_the_positive_pass(passes):
    assert Guidance().passes == {"positive"}
    assert torch.equal(guide({"positive": passes["positive"]}, Guidance()), passes["positive"])


@pytest.mark.parametrize(
    ("video", "audio", "needed"),
    [
        (Guidance(), Guidance(), ("positive",)),
        (Guidance(cfg=3.0), Guidance(), ("positive", "negative")),
        (Guidance(), Guidance(stg=1.0, stg_blocks=(0,)), ("positive", "perturbed")),
        (Guidance(modality=3.0), Guidance(cfg=7.0), ("positive", "negative", "isolated")),
    ],
)
def test_a_pass_runs_when_a_modality_needs_it(video, audio, needed):
    assert needed_passes([video, audio]) == needed


def test_the_negative_pass_can_be_asked_for():
    assert needed_passes([Guidance()], negative=True) == ("positive", "negative")


def test_a_block_is_perturbed_only_when_stg_is_on():
    assert Guidance(stg_blocks=(3,)).perturbed_blocks == frozenset()
    assert Guidance(stg=1.0, stg_blocks=(3,)).perturbed_blocks == {3}


def test_the_lowest_bin_above_sigma_counts():
    binned = Binned(((0.5, Guidance(cfg=5)), (1.0, Guidance(cfg=10)), (0.2, Guidance(cfg=2))))
    assert [binned.at(sigma).cfg for sigma in (1.2, 1.0, 0.7, 0.5, 0.3, 0.2, 0.0)] == [10, 10, 10, 5, 5, 2, 2]


def test_skip_step_evaluates_the_first_of_each_group():
    assert [Guidance(skip_step=2).skips(step) for step in range(7)] == [False, True, True, False, True, True, False]
