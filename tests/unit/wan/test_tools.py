"""Trajectories, sizes, RIFLEx, motion amplitude, control merge, schedules and the guider of experts."""

import json
import math

import comfy.samplers
import pytest
import torch

from harness import wan_tiny
from oner.nodes.wan.conditioning import WanFunConditioning, WanMotionAmplitude
from oner.nodes.wan.control_videos import WanControlVideoMerge, WanTrajectoryVideo
from oner.nodes.wan.experts import WanExpertsGuider
from oner.nodes.wan.riflex import WanRIFLEx
from oner.nodes.wan.schedules import SplitSigmasAtBoundary, WanScheduler
from oner.nodes.wan.sizes import WanSize
from oner.wan import motion, riflex, trajectory
from oner.wan.schedules import flow_sigmas

PROMPTS = wan_tiny.prompts()


def draw(coordinates, **inputs):
    defaults = {"width": 64, "height": 48, "length": 3, "radius": 8.0, "profile": "gauss", "coordinates": coordinates}
    return WanTrajectoryVideo.execute(**(defaults | inputs)).args[0]


def test_blob_is_the_closed_form_and_keeps_its_size_at_the_border():
    video = draw('[{"x": 60, "y": 4}]')[0, :, :, 0]
    x, y = 62, 7
    offset = 0.5 - 0.005 * 8  # of the resized map's peak
    squared = (x - 60 + offset) ** 2 + (y - 4 + offset) ** 2
    assert video[y, x] == pytest.approx(math.exp(-squared / (2 * 3.2**2)), abs=1e-6)
    assert video[40, 60] == 0


def test_coordinates_of_other_packs_are_read():
    spline = [{"x": 10, "y": 10}, {"x": 20, "y": 30}]
    same = [
        json.dumps(spline),
        json.dumps(spline).replace('"', "'"),
        json.dumps([spline]),
        json.dumps([[10, 10], [20, 30]]),
    ]
    videos = [draw(text) for text in same]
    assert all(torch.equal(video, videos[0]) for video in videos)
    two = draw(json.dumps(spline) + "\n" + json.dumps([{"x": 40, "y": 40}]))
    assert torch.equal(two, videos[0].maximum(draw('[{"x": 40, "y": 40}]')))


def test_tracks_fade_with_their_visibility():
    paths = torch.tensor([[[10.0, 10.0], [40.0, 30.0]]] * 3)
    video = draw("", tracks={"track_path": paths, "track_visibility": torch.tensor([[True, False]] * 3)})
    assert torch.equal(video, draw('[{"x": 10, "y": 10}]'))


def test_trajectory_is_drawn_on_a_control_video():
    base = torch.full((2, 48, 64, 3), 0.5)
    video = draw('[{"x": 30, "y": 20}]', control_video=base)
    assert video.min() == 0.5
    assert video.max() > 0.9


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '[{"a": 1}]'])
def test_trajectory_without_points_is_refused(text):
    with pytest.raises(ValueError, match=r"coordinates|trajector|point|tracks is not valid JSON|there is no track"):
        draw(text)


def test_default_radius_is_the_trained_one():
    assert trajectory.default_radius(720, 1280) == 50


def test_merge_takes_the_brighter_and_minds_the_length():
    one, two = wan_tiny.pixels(3, 8, 8), wan_tiny.pixels(5, 8, 8, seed=4)
    merge = lambda rule: WanControlVideoMerge.execute(one, two, rule).args[0]  # noqa: E731
    assert torch.equal(merge("cut to the shorter"), one.maximum(two[:3]))
    assert torch.equal(merge("hold the last frame")[4], one[2].maximum(two[4]))
    with pytest.raises(ValueError, match="3 frames and video_2 5"):
        merge("refuse")


def test_size_follows_an_image():
    assert WanSize.execute("16:9", "640", "16", 83).args == (832, 480, 81)
    assert WanSize.execute("16:9", "640", "32", 81, torch.zeros(1, 1280, 720, 3)).args == (480, 832, 81)


def test_riflex_changes_one_frequency_of_the_time_axis_only():
    model = wan_tiny.load()
    (patched,) = WanRIFLEx.execute(model, 161, 2, "VideoX-Fun").args
    base = model.get_model_object("diffusion_model").rope_embedder
    changed = patched.get_model_object("diffusion_model.rope_embedder")
    ids = torch.tensor([[[3.0, 1.0, 2.0]]])
    expected, actual = base(ids), changed(ids)
    differs = (expected - actual).abs().amax((-1, -2)).flatten() > 1e-6
    assert differs.nonzero().flatten().tolist() == [1]
    assert actual.dtype == expected.dtype
    angle = 3 * 0.9 * 2 * math.pi / 41 / 4.886
    assert actual.flatten(0, 3)[1, 0, 0].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_riflex_works_with_cores_rope_scaling_and_is_gone_without_it():
    model = wan_tiny.load()
    (patched,) = WanRIFLEx.execute(model, 9, 1, "paper").args
    run = lambda m: comfy.samplers.CFGGuider(m)  # noqa: E731
    results = []
    for each in (model, patched, model):
        guider = run(each)
        guider.set_conds(PROMPTS.positive, PROMPTS.negative)
        results.append(
            guider.sample(
                wan_tiny.noise((1, 16, 3, 4, 4)),
                torch.zeros(1, 16, 3, 4, 4),
                comfy.samplers.ksampler("euler"),
                torch.tensor([1.0, 0.5, 0.0]),
                disable_pbar=True,
                seed=0,
            )
        )
    assert torch.equal(results[0], results[2])
    assert not torch.allclose(results[0], results[1], atol=1e-5)


def test_riflex_refuses_an_index_the_model_has_not():
    with pytest.raises(ValueError, match="temporal frequencies 1 to"):
        riflex.temporal_frequencies(44, 10000.0, 21, 23, 1.0)


def test_motion_amplitude_keeps_first_and_kept_frames_and_the_mean():
    latents = wan_tiny.noise((1, 16, 4, 2, 2))
    moved = motion.amplify(latents, 1.3, torch.tensor([True, False, False, True]))
    assert torch.equal(moved[:, :, 0], latents[:, :, 0])
    assert torch.equal(moved[:, :, 3], latents[:, :, 3])
    change = latents[:, :, 1] - latents[:, :, 0]
    mean = change.mean()
    expected = (latents[:, :, 0] + (change - mean) * 1.3 + mean).clamp(-6, 6)
    torch.testing.assert_close(moved[:, :, 1], expected)


def test_motion_stays_in_the_range_of_latents():
    latents = torch.tensor([0.0, 3.0, -3.0]).view(1, 1, 3, 1, 1) * torch.tensor([1.0, 0.0]).view(1, 1, 1, 1, 2)
    moved = motion.amplify(latents, 9.0)
    assert moved.flatten().tolist() == [0, 0, 6, -6, -6, 6]  # mean 1.5 and -1.5, deviation 1.5 nine times over


def test_motion_amplitude_of_1_changes_nothing_and_leaves_control_alone():
    model = wan_tiny.load("2.2 control")
    image = wan_tiny.pixels(1, 32, 32)
    positive, negative, *_ = WanFunConditioning.execute(
        model,
        PROMPTS.positive,
        PROMPTS.negative,
        wan_tiny.MeanVAE(),
        32,
        32,
        9,
        start_image=image,
        control_video=wan_tiny.pixels(9, 32, 32),
    ).args
    before = positive[0][1]["concat_latent_image"].clone()
    same = WanMotionAmplitude.execute(model, positive, negative, 1.0).args[0][0][1]["concat_latent_image"]
    more = WanMotionAmplitude.execute(model, positive, negative, 1.3).args[0][0][1]["concat_latent_image"]
    torch.testing.assert_close(same, before, rtol=1e-5, atol=1e-5)
    assert torch.equal(more[:, :16], before[:, :16])
    assert not torch.allclose(more[:, 16:], before[:, 16:], atol=1e-2)
    assert torch.equal(positive[0][1]["concat_latent_image"], before)


def test_motion_amplitude_without_image_is_refused():
    with pytest.raises(ValueError, match="no start image"):
        WanMotionAmplitude.execute(wan_tiny.load(), PROMPTS.positive, PROMPTS.negative, 1.2)


def test_flow_table_is_cores_normal():
    model = wan_tiny.load().clone()
    sampling = model.get_model_object("model_sampling")
    sampling.set_parameters(shift=5.0)
    core = comfy.samplers.calculate_sigmas(sampling, "normal", 20)
    torch.testing.assert_close(flow_sigmas("flow", 20, 5.0), core, rtol=1e-6, atol=1e-6)


def test_halves_of_a_split_schedule_are_the_whole():
    (sigmas,) = WanScheduler.execute("dpmpp", 20, 5.0, 1.0).args
    high, low, steps = SplitSigmasAtBoundary.execute(sigmas, 0.9).args
    assert torch.equal(torch.cat([high[:-1], low]), sigmas)
    assert steps == 8
    assert low[0] < 0.9 <= high[-2]


def test_denoise_takes_the_end_of_a_longer_schedule():
    (sigmas,) = WanScheduler.execute("dpmpp", 5, 5.0, 0.5).args
    assert torch.equal(sigmas, flow_sigmas("dpmpp", 10, 5.0)[5:])


def guider(high, low=None, **inputs):
    defaults = {
        "phases": 2,
        "cfg_1": 3.5,
        "cfg_2": 3.5,
        "cfg_3": 1.0,
        "threshold_1": 0.0,
        "threshold_2": 0.0,
        "low_from": "phase 2",
        "zero_init_steps": 0,
        "cfg_zero_star": "",
        "apg": "",
        "slg": "",
        "slg_layers": "1",
        "slg_start_percent": 0.0,
        "slg_end_percent": 1.0,
    }
    return WanExpertsGuider.execute(high, PROMPTS.positive, PROMPTS.negative, **(defaults | inputs), model_low=low).args


def test_experts_guider_takes_the_trained_boundary():
    assert guider(wan_tiny.load("text"))[0].plan.thresholds == (0.875,)
    assert guider(wan_tiny.load("2.2 inpaint"))[0].plan.thresholds == (0.9,)
    plan = guider(wan_tiny.load("text"), phases=3, threshold_1=0.965, low_from="phase 3", slg="1 2")[0].plan
    assert plan.thresholds == (0.965, 0.875)
    assert plan.second_from == 2
    assert [phase.skip_layers for phase in plan.phases] == [(1,), (1,), ()]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"low": "2.2 inpaint"}, "two experts of one pair"),
        ({"low": "text", "phases": 1}, "begins with phase 2"),
        ({"slg": "3"}, "numbers from 1 to 2"),
        ({"slg": "1", "slg_layers": "9"}, "numbers from 0 to 2"),
        ({"slg": "1", "slg_layers": ""}, "slg_layers is empty"),
        ({"cfg_1": 1.0, "apg": "1"}, "would do nothing"),
    ],
)
def test_experts_guider_refuses_what_cannot_work(inputs, message):
    low = wan_tiny.load(inputs["low"]) if "low" in inputs else None
    with pytest.raises(ValueError, match=message):
        guider(wan_tiny.load("text"), **(inputs | {"low": low}))


@pytest.mark.parametrize("radius", [10, 25, 50])
def test_blob_is_the_resized_map_at_every_size(radius):
    """The original draws a 200-pixel map with its peak at index 100 and resizes it to twice the radius."""
    index = torch.arange(200.0)
    line = torch.exp(-((index - 100) ** 2) / (2 * 40.0**2))
    resized = torch.nn.functional.interpolate(line.view(1, 1, -1), 2 * radius, mode="linear", antialias=False)[0, 0]
    drawn = trajectory.draw(torch.tensor([[[60.0, 60.0]]]), 120, 120, radius)[0]
    row = drawn[60 - round(trajectory.centre_offset(radius)), 60 - radius : 60 + radius]
    inside = slice(radius // 4, -(radius // 4))
    scale = row.max() / resized.max()  # the row may lie half a pixel beside the peak
    torch.testing.assert_close(row[inside], resized[inside] * scale, atol=0.02, rtol=0)
