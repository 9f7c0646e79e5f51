"""Drift control on clips that were made to drift: what is taken out, what stays, and what is left alone."""

import functools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from oner.samplers.windows import colour_fit
from oner.samplers.windows.drift import (
    ANCHORS,
    BLEND,
    FIRST,
    HOLD,
    LAB,
    LATENT,
    MKL,
    MODES,
    PAIRS_AFFINE,
    PAIRS_MATRIX,
    PREVIOUS,
    DriftSettings,
    DriftState,
    Reference,
    fit,
)
from oner.samplers.windows.sharpness import detail, unsharp
from oner.utils import colour

HEIGHT, WIDTH = 64, 96
WINDOW, OVERLAP, WINDOWS = 17, 5, 12
COLOURS = [mode for mode in MODES if mode != LATENT]


@functools.cache
def film(count, low=0.08, high=0.9, seed=0):
    """[count, H, W, 3]: a coloured landscape with detail that passes by, a pixel a frame."""
    generator = torch.Generator().manual_seed(seed)
    wide = torch.zeros(3, HEIGHT, WIDTH + count)
    for share, rows, columns in ((0.8, 5, 7 + count // 40), (0.2, 32, 48 + count // 4)):
        drawn = torch.rand(1, 3, rows, columns, generator=generator)
        wide += share * F.interpolate(drawn, size=wide.shape[1:], mode="bicubic", align_corners=False)[0]
    wide = low + (high - low) * (wide - wide.min()) / (wide.max() - wide.min())
    return torch.stack([wide[:, :, f : f + WIDTH].movedim(0, -1) for f in range(count)])


def in_light(change):
    return lambda frames: colour.linear_to_srgb(change(colour.srgb_to_linear(frames)).clamp(0, 1))


def brighter(values):
    return (values * 1.06 + 0.02).clamp(0, 1)


def delta_e(first, second):
    return colour.delta_e(colour.srgb_to_linear(first), colour.srgb_to_linear(second)).mean().item()


def correct(clip, shared, settings, reference=None):
    """A clip whose first frames show what `shared` shows, and the report."""
    correction = fit(clip[: len(shared)], shared, settings, reference or Reference.of(shared))
    return correction.apply(clip), correction.report


@pytest.mark.parametrize("mode", [PAIRS_AFFINE, PAIRS_MATRIX])
@pytest.mark.parametrize(
    ("drift", "low", "high"), [(in_light(brighter), 0.08, 0.9), (brighter, 0.2, 0.8)], ids=["light", "code values"]
)
def test_a_gain_and_an_offset_are_taken_out(mode, drift, low, high):
    frames = film(33, low, high)
    fixed, report = correct(drift(frames), frames[:9], DriftSettings(mode))
    assert delta_e(fixed, frames) < 0.1 * delta_e(drift(frames), frames)
    assert report.startswith("delta-E ")


def test_a_mix_of_channels_needs_the_matrix():
    mix = torch.tensor([[0.97, 0.04, 0], [0.02, 1.0, -0.02], [0, 0.05, 0.94]])
    frames = film(33)
    drifted = in_light(lambda light: colour.mapped(light, mix))(frames)
    left = {mode: delta_e(correct(drifted, frames[:9], DriftSettings(mode))[0], frames) for mode in COLOURS}
    assert left[PAIRS_MATRIX] < 0.02 * delta_e(drifted, frames)
    assert min(left[mode] for mode in COLOURS if mode != PAIRS_MATRIX) > 10 * left[PAIRS_MATRIX]


@pytest.mark.parametrize("mode", [PAIRS_AFFINE, PAIRS_MATRIX])
def test_what_moved_otherwise_in_a_part_of_the_overlap_does_not_bend_the_fit(mode):
    frames = film(33)
    drifted = in_light(brighter)(frames)
    shared = frames[:9].clone()
    shared[:, 8:40, 16:56] = torch.tensor([0.7, 0.15, 0.1])  # a fifth of the picture
    clean = fit(drifted[:9], frames[:9], DriftSettings(mode), Reference.of(frames)).matrix
    bent = fit(drifted[:9], shared, DriftSettings(mode), Reference.of(frames)).matrix
    assert (bent - clean).abs().max() < 2e-3


@pytest.mark.parametrize("mode", COLOURS)
def test_a_change_of_light_inside_the_window_stays(mode):
    """The lamp goes on after the overlap; what is taken out of all frames is what the overlap shows."""
    frames = film(33).clone()
    frames[12:] = in_light(lambda light: light * 1.1)(frames[12:] * 0.9)
    drifted = in_light(lambda light: light * 1.05)(frames)
    fixed, _ = correct(drifted, frames[:9], DriftSettings(mode))
    lamp, kept = (float(f[12:].mean() / f[:9].mean()) for f in (frames, fixed))
    assert kept == pytest.approx(lamp, rel=5e-3)
    assert delta_e(fixed, frames) < 0.35 * delta_e(drifted, frames)


def test_without_drift_every_bit_stays():
    frames = film(33)
    for mode in COLOURS:
        assert torch.equal(correct(frames, frames[:9], DriftSettings(mode, sharpness=HOLD))[0], frames)


@pytest.mark.parametrize("mode", COLOURS)
def test_each_mode_and_half_of_its_strength(mode):
    frames = film(33)
    drifted = in_light(brighter)(frames)
    whole, _ = correct(drifted, frames[:9], DriftSettings(mode))
    half, _ = correct(drifted, frames[:9], DriftSettings(mode, strength=0.5))
    none, _ = correct(drifted, frames[:9], DriftSettings(mode, strength=0.0))
    assert torch.equal(none, drifted)
    before, middle, after = (delta_e(each, frames) for each in (drifted, half, whole))
    assert after < 0.25 * before
    assert 0.4 * before < middle < 0.65 * before


def test_fade_falls_to_nothing_at_the_end_of_the_window():
    frames = film(33)
    drifted = in_light(brighter)(frames)
    constant, _ = correct(drifted, frames[:9], DriftSettings())
    fading, _ = correct(drifted, frames[:9], DriftSettings(fade=True))
    assert torch.equal(fading[:9], constant[:9])
    assert torch.equal(fading[-1], drifted[-1])
    left = [delta_e(fading[f], frames[f]) / delta_e(drifted[f], frames[f]) for f in range(9, 33)]
    assert left == sorted(left)
    assert left[11] == pytest.approx(0.5, abs=0.05)


def test_gains_and_offsets_have_limits():
    frames = film(9, 0.2, 0.7)
    for factor, gain in ((1.3, 0.85), (0.8, 1.18)):
        drifted = in_light(lambda light, factor=factor: light * factor)(frames)
        correction = fit(drifted, frames, DriftSettings(), Reference.of(frames))
        assert correction.matrix[:, :3].diagonal().tolist() == pytest.approx([gain] * 3)
        assert "(held at a limit)" in correction.report
    assert colour_fit.limited_row(torch.eye(3)[0].double(), 0, torch.zeros(3).double(), torch.tensor(0.5)).tolist() == [
        1,
        0,
        0,
        0.06,
    ]


def test_a_row_of_the_matrix_is_drawn_in_as_a_whole():
    row = torch.tensor([1.1, 0.3, -0.1], dtype=torch.float64)
    limited = colour_fit.limited_row(row, 0, torch.full((3,), 0.5).double(), torch.tensor(0.5).double())
    assert limited[:3].tolist() == pytest.approx([1.05, 0.15, -0.05])  # half of the way: green is at its limit
    assert limited[3].item() == pytest.approx(0.5 - 0.5 * 1.15 + 0.0, abs=0.02)


@pytest.mark.parametrize("anchor", [PREVIOUS, BLEND])
def test_fewer_than_three_pairs_are_left_as_they_are(anchor):
    frames = film(33)
    drifted = in_light(brighter)(frames)
    fixed, report = correct(drifted, frames[:2], DriftSettings(anchor=anchor))
    assert torch.equal(fixed, drifted)
    assert report == "left as it is: a fit of pairs needs 3 overlap frames, there are 2"
    for mode in (MKL, LAB):  # which match statistics
        assert delta_e(correct(drifted, frames[:2], DriftSettings(mode))[0], frames) < 2


def test_other_content_is_left_as_it_is():
    frames, other = film(33), film(33, seed=5)
    fixed, report = correct(frames, other[:9], DriftSettings())
    assert torch.equal(fixed, frames)
    assert report.startswith("left as it is: after the fit the overlap is 0.")
    assert report.endswith("more than 0.08, so it shows something else")


@pytest.mark.parametrize("mode", COLOURS)
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_constant_picture_becomes_the_other_constant(mode, level):
    frames = torch.full((9, 32, 32, 3), level)
    target = torch.full_like(frames, abs(level - 0.02))
    fixed, report = correct(frames, target, DriftSettings(mode, sharpness=HOLD))
    assert "nan" not in report
    assert "sharpness 1.00 -> 1.00" in report
    torch.testing.assert_close(fixed, target, rtol=0, atol=2e-3)


def test_white_and_black_borders_stay_white_and_black():
    frames = film(17).clone()
    frames[:, :8], frames[:, -8:] = 0, 1
    fixed, _ = correct(brighter(frames), frames[:9], DriftSettings())
    assert fixed[:, :7].max() < 0.02
    drifted = in_light(lambda light: light * 0.95)(frames)
    fixed, _ = correct(drifted, frames[:9], DriftSettings())
    assert fixed[:, -7:].min() > 0.998


def test_sharpness_is_measured_and_held():
    frames = film(33)
    soft = unsharp(frames, -0.2)
    energies = [detail(clip[:9]).band for clip in (soft, frames)]
    left, report = correct(soft, frames[:9], DriftSettings())
    assert report.endswith(f"sharpness {energies[0] / energies[1]:.2f}")
    assert energies[0] < 0.85 * energies[1]
    held, report = correct(soft, frames[:9], DriftSettings(sharpness=HOLD))
    assert report.endswith("-> 1.00")
    assert detail(held).band == pytest.approx(detail(frames).band, rel=0.01)
    assert detail(left).band < 0.85 * detail(frames).band
    crisp, _ = correct(unsharp(frames, 0.2), frames[:9], DriftSettings(sharpness=HOLD))
    assert detail(crisp).band == pytest.approx(detail(frames).band, rel=0.01)


def test_the_unsharp_mask_has_a_limit():
    frames = film(9)
    blurred = unsharp(unsharp(frames, -0.4), -0.4)
    correction = fit(blurred, frames, DriftSettings(sharpness=HOLD), Reference.of(frames))
    assert correction.amount == 0.4


def test_the_first_window_is_what_holds_where_it_is_the_anchor():
    """A picture that was committed too bright: the pairs agree with it, the first window does not."""
    frames = film(17)
    first = Reference.of(frames)
    drifted = in_light(lambda light: light * 1.08)(frames)
    off = {
        anchor: abs(float(correct(drifted, drifted[:9], DriftSettings(anchor=anchor), first)[0].mean() - frames.mean()))
        for anchor in ANCHORS
    }
    assert off[PREVIOUS] == pytest.approx(abs(float(drifted.mean() - frames.mean())))
    assert off[FIRST] < 0.3 * off[PREVIOUS]
    assert off[FIRST] < off[BLEND] < off[PREVIOUS]
    more, less = (
        correct(drifted, drifted[:9], DriftSettings(anchor=BLEND, share=share), first)[0].mean() for share in (0.9, 0.1)
    )
    assert more < less


@pytest.mark.parametrize("mode", COLOURS)
def test_the_number_of_threads_changes_no_bit(mode):
    frames = torch.rand(4, 240, 416, 3, generator=torch.Generator().manual_seed(0))
    settings, made = DriftSettings(mode, anchor=BLEND, sharpness=HOLD), []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        made.append(correct(drift_a_window(frames) * 0.9, frames, settings)[0])
    torch.set_num_threads(before)
    assert torch.equal(*made)


# --- a run of windows ------------------------------------------------------------------------------------------------

DRIFT_A_WINDOW = torch.tensor([[1.02, 0.01, 0, 0.004], [0, 1.03, -0.01, 0], [0, 0.015, 0.98, 0.002]])


def drift_a_window(frames):
    """What each window adds to the frames it goes on from: about 1 of delta-E."""
    return in_light(lambda light: colour.mapped(light, DRIFT_A_WINDOW))(frames)


def run_windows(state, rest, committed, first=0, drift=drift_a_window):
    """The committed frames of windows from `first` on. `rest` is the film from a window's first frame on, in the
    colours that were carried until there: a map that goes over a window goes over all that follows from it.
    """
    film_ = []
    for index in range(first, WINDOWS):
        shown = drift(rest) if index else rest
        if state is not None:
            shown, _ = state.correct(index, shown, committed)
        film_.append(shown[len(committed) : WINDOW])
        committed, rest = shown[WINDOW - OVERLAP : WINDOW], shown[WINDOW - OVERLAP :]
        yield film_[-1], rest, committed


def last_window(settings, drift=drift_a_window):
    """The last window of a run, and the film's own frames there."""
    total = WINDOW + (WINDOWS - 1) * (WINDOW - OVERLAP)
    frames = film(total)
    state = settings and DriftState(settings)
    *_, (made, _, _) = run_windows(state, frames, frames[:0], drift=drift)
    return made, frames[-len(made) :]


def test_twelve_windows_drift_far_without_control():
    made, frames = last_window(None)
    assert delta_e(made, frames) > 10
    assert float(colour.luma(made).mean() / colour.luma(frames).mean()) > 1.1


@pytest.mark.parametrize(
    ("mode", "most", "share"),
    [(PAIRS_AFFINE, 7, 0.01), (PAIRS_MATRIX, 0.05, 0.001), (MKL, 7, 0.02), (LAB, 5, 0.01)],
    ids=COLOURS,
)
def test_twelve_windows_keep_their_light(mode, most, share):
    made, frames = last_window(DriftSettings(mode))
    assert delta_e(made, frames) < most
    assert float(colour.luma(made).mean() / colour.luma(frames).mean()) == pytest.approx(1, abs=share)


def test_the_first_window_holds_what_pairs_cannot_see():
    """Drift that grows inside of a window leaves the overlap as it was: pairs find none of it."""
    frames = film(1).expand(WINDOW + (WINDOWS - 1) * (WINDOW - OVERLAP), -1, -1, -1)

    def drift(rest):
        part = (torch.arange(len(rest)) / (WINDOW - 1)).clamp(max=1)[:, None, None, None]
        return torch.lerp(rest, in_light(lambda light: light * 1.03)(rest), part)

    def light(settings):
        *_, (made, _, _) = run_windows(DriftState(settings), frames, frames[:0], drift=drift)
        return float(colour.luma(made).mean() / colour.luma(frames).mean())

    previous, blend, first = (light(DriftSettings(anchor=anchor)) for anchor in (PREVIOUS, BLEND, FIRST))
    assert previous > 1.1
    assert 1 < first < 1.02 < blend < 1.06


def test_a_state_that_was_saved_goes_on_with_the_same_bits(tmp_path):
    from safetensors.torch import load_file, save_file

    settings = DriftSettings(PAIRS_MATRIX, anchor=BLEND, sharpness=HOLD, fade=True)
    frames = film(WINDOW + (WINDOWS - 1) * (WINDOW - OVERLAP))
    state = DriftState(settings)
    whole = list(run_windows(state, frames, frames[:0]))
    state = DriftState(settings)
    for done, (_, rest, committed) in enumerate(run_windows(state, frames, frames[:0])):  # noqa: B007
        if done == 4:
            break
    save_file(state.tensors(), tmp_path / "state.safetensors")
    loaded = DriftState.load(DriftSettings(**settings.plain()), load_file(tmp_path / "state.safetensors"))
    resumed = list(run_windows(loaded, rest, committed, first=5))
    assert len(resumed) == 7
    assert all(torch.equal(a, b) for (a, _, _), (b, _, _) in zip(resumed, whole[5:], strict=True))


def test_a_new_shot_stays_and_is_the_first_from_then_on():
    frames, other = film(33), film(33, seed=5)
    state = DriftState(DriftSettings(anchor=FIRST))
    state.correct(0, frames, frames[:0])
    shot, report = state.correct(1, other, other[:0])
    assert torch.equal(shot, other)
    assert report.startswith("window 2: begins a shot")
    assert torch.equal(state.reference.colours.light_mean, Reference.of(other).colours.light_mean)


def test_given_frames_before_the_first_window_are_the_first():
    frames = film(33)
    state = DriftState(DriftSettings())
    fixed, report = state.correct(0, drift_a_window(frames), frames[:5])
    assert report.startswith("window 1: delta-E ")
    assert delta_e(fixed, frames) < 0.6 * delta_e(drift_a_window(frames), frames)
    assert torch.equal(state.reference.colours.light_mean, Reference.of(frames[:5]).colours.light_mean)


# --- latents ---------------------------------------------------------------------------------------------------------


def latents(seed, gain=1.0, offset=0.0):
    return torch.randn(1, 8, 6, 4, 5, generator=torch.Generator().manual_seed(seed)) * gain + offset


def channel_means(latent):
    return latent.mean((0, 2, 3, 4))


def test_latents_come_three_tenths_nearer_to_the_first_window():
    state = DriftState(DriftSettings(LATENT, anchor=FIRST))
    first, drifted = latents(0), latents(1, 1.5, 0.4)
    assert torch.equal(state.correct_latent(0, first, 0)[0], first)
    fixed, report = state.correct_latent(1, drifted, 2)
    goal = channel_means(first)
    assert report.startswith("window 2: latent means off by ")
    torch.testing.assert_close(channel_means(fixed) - goal, 0.7 * (channel_means(drifted) - goal), rtol=1e-4, atol=1e-5)
    half = DriftState(DriftSettings(LATENT, strength=0.5, anchor=FIRST))
    half.correct_latent(0, first, 0)
    torch.testing.assert_close(
        channel_means(half.correct_latent(1, drifted, 2)[0]) - goal,
        0.85 * (channel_means(drifted) - goal),
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_overlap_does_not_count_for_what_the_first_latents_look_like():
    state = DriftState(DriftSettings(LATENT))
    given = latents(0)
    given[:, :, :2] += 9
    state.correct_latent(0, given, 2)
    assert state.first.mean.abs().max() < 1


@pytest.mark.parametrize("anchor", ANCHORS)
def test_anchors_of_latents(anchor):
    """Window 2 is unlike window 1; window 3 comes nearer to the one that is the anchor."""
    state = DriftState(DriftSettings(LATENT, anchor=anchor, share=0.5))
    state.correct_latent(0, latents(0), 0)
    state.correct_latent(1, latents(1, offset=10), 2)
    second = state.previous.mean.mean()
    fixed, _ = state.correct_latent(2, latents(2, offset=10), 2)
    goal = {PREVIOUS: second, FIRST: 0, BLEND: second / 2}[anchor]
    assert fixed.mean().item() == pytest.approx(0.7 * 10 + 0.3 * float(goal), abs=0.1)


def test_latents_fade_and_go_on_from_a_saved_state():
    settings = DriftSettings(LATENT, fade=True)
    state = DriftState(settings)
    state.correct_latent(0, latents(0), 0)
    loaded = DriftState.load(settings, state.tensors())
    drifted = latents(1, offset=1.0)
    fixed, _ = state.correct_latent(1, drifted, 2)
    assert torch.equal(loaded.correct_latent(1, drifted, 2)[0], fixed)
    assert torch.equal(fixed[:, :, -1], drifted[:, :, -1])
    shift = [float((drifted - fixed)[:, :, f].mean()) for f in range(1, 6)]
    assert shift == sorted(shift, reverse=True)


def test_only_latent_adain_changes_latents_and_it_no_colours():
    state = DriftState(DriftSettings(PAIRS_AFFINE))
    given = latents(0)
    assert state.correct_latent(0, given, 0) == (given, "")
    frames = film(33)
    drifted = drift_a_window(frames)
    assert torch.equal(correct(drifted, frames[:9], DriftSettings(LATENT))[0], drifted)
    soft = unsharp(frames, -0.2)
    held, report = correct(soft, frames[:9], replace(DriftSettings(LATENT), sharpness=HOLD))
    assert "gains" not in report
    assert detail(held).band == pytest.approx(detail(frames).band, rel=0.01)
