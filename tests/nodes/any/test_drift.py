"""Drift Control and Match Drift: what their widgets set, and what they refuse."""

import pytest
import torch

from oner.nodes.any.drift import DriftControl, MatchDrift
from oner.samplers.windows.drift import DriftSettings, Reference, fit


def frames(count=12, seed=0):
    small = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(seed))
    picture = torch.nn.functional.interpolate(small, size=(32, 48), mode="bilinear")[0].movedim(0, -1)
    return torch.stack([picture.roll(f, 1) for f in range(count)]) * 0.6 + 0.2


def settings(mode="pairs affine", strength=1.0, anchor=None, fade=False, sharpness="report"):
    return DriftControl.execute(mode, strength, anchor or {"anchor": "previous"}, fade, sharpness).args[0]


def match(drift, images=None, reference=None, overlap=5):
    clip = (frames()[-5:] * 1.04).clamp(0, 1) if images is None else images
    return MatchDrift.execute(clip, frames() if reference is None else reference, overlap, drift).args


def test_the_widgets_are_the_settings():
    assert settings() == DriftSettings()
    blend = settings("Lab", 0.5, {"anchor": "blend", "first_share": 0.6}, True, "hold")
    assert blend == DriftSettings("Lab", 0.5, "blend", 0.6, True, "hold")


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "pairs matrix"},
        {"mode": "MKL"},
        {"mode": "Lab"},
        {"strength": 0.5},
        {"anchor": {"anchor": "first"}},
        {"anchor": {"anchor": "blend", "first_share": 0.3}},
        {"fade": True},
        {"sharpness": "hold"},
    ],
    ids=str,
)
def test_every_widget_changes_the_clip(other):
    clip = torch.cat([frames()[-5:], frames(seed=1)[:5]]) * 1.04 + torch.tensor([0.01, 0, 0.02])
    clip = (clip[:, :, 1:] + clip[:, :, :-1]) / 2  # softer than the reference
    reference = frames()[:, :, 1:]
    plain, report = match(settings(), clip, reference)
    changed, other_report = match(settings(**other), clip, reference)
    assert not torch.equal(plain, changed)
    assert other_report != report or other == {"fade": True}


def test_the_share_of_a_blend_counts():
    blends = [match(settings(anchor={"anchor": "blend", "first_share": share}))[0] for share in (0.1, 0.9)]
    assert not torch.equal(*blends)


def test_the_clip_is_what_the_fit_makes_of_it():
    clip = (frames()[-5:] * 1.04).clamp(0, 1)
    fixed, report = match(settings(), clip)
    expected = fit(clip, frames()[-5:], DriftSettings(), Reference.of(frames()))
    assert torch.equal(fixed, expected.apply(clip))
    assert report == expected.report
    assert (fixed - frames()[-5:]).abs().max() < 0.006 < 0.02 < (clip - frames()[-5:]).abs().max()


@pytest.mark.parametrize(
    ("images", "overlap", "mode", "sentence"),
    [
        (frames(4), 5, "Lab", "overlap is 5 and images has 4 frames: give the number of frames both show"),
        (frames(20), 13, "Lab", "overlap is 13 and reference has 12 frames: give the number of frames both show"),
        (frames()[:, :16], 5, "Lab", "images is 48x16 pixels and reference 48x32: scale one of them to the other"),
        (frames(), 5, "latent AdaIN", "drift has the mode latent AdaIN, which needs latents: choose another mode"),
        (frames(), 0, "Lab", "overlap is 0: give at least 1"),
    ],
)
def test_what_cannot_be_matched_is_said(images, overlap, mode, sentence):
    with pytest.raises(ValueError, match=sentence):
        match(settings(mode), images, overlap=overlap)


def test_a_share_without_a_blend_is_refused():
    with pytest.raises(ValueError, match="no input 'first_share'"):
        settings(anchor={"anchor": "first", "first_share": 0.3})


def test_a_value_of_another_kind_is_no_drift():
    with pytest.raises(ValueError, match=r"drift is float '0\.5': connect Drift Control"):
        match(0.5)
