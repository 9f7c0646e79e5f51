"""The synthetic world and its judge: what is rendered is read back."""

from dataclasses import replace

import pytest
import torch

from pocket import judge, world


def scenes(count, frames, **kinds):
    return world.sample_scenes(count, torch.Generator().manual_seed(3), frames, **kinds)


@pytest.mark.parametrize(("frames", "anywhere"), [(9, False), (17, False), (33, True)])
def test_judge_reads_every_attribute_of_clean_clips(frames, anywhere):
    some = scenes(120 // frames, frames, held_out=None, anywhere=anywhere)
    score = judge.score(world.render(some, frames), some)
    assert score == {"colour": 1.0, "shape": 1.0, "direction": 1.0, "background": 1.0}


def test_judge_reads_noisy_clips_and_other_sizes():
    some = scenes(8, 9)
    clips = world.render(some, 9, size=96)
    clips = clips + 0.04 * torch.randn(clips.shape, generator=torch.Generator().manual_seed(0))
    assert min(judge.score(clips, some).values()) == 1.0


def test_judge_finds_the_position_within_half_a_unit():
    some = scenes(12, 9)
    truth = world.trajectory(some, 9)
    for clip, path in zip(world.render(some, 9), truth, strict=True):
        error = (judge.judge(clip).path - path + 32) % 64 - 32
        assert error.abs().max() < 0.5 or judge.judge(clip).shape == "triangle"
        assert error.abs().max() < 1.5


def test_judge_reports_an_empty_clip_as_showing_nothing():
    assert judge.judge(torch.full((9, 64, 64, 3), 0.93)) is None


def test_judge_tells_wrong_clips_apart():
    some = scenes(8, 9)
    wrong = [replace(s, direction="left" if s.direction != "left" else "right") for s in some]
    assert judge.score(world.render(some, 9), wrong)["direction"] == 0.0


def test_judge_reads_pitch_and_pan():
    for shape in world.SHAPES:
        scene = world.place(world.Scene("red", shape, "right", "dark"), 24)
        sound = world.tone(scene, 24)
        assert judge.pitch(sound, 16000) == shape
        pan = judge.balance(sound)
        assert (pan[1:] > pan[:-1]).all()
    assert judge.pitch(torch.zeros(2, 1000), 16000) is None


def test_held_out_combinations_are_never_drawn_for_training_and_leave_every_pair_seen():
    assert not any(s.held_out for s in scenes(500, 9))
    assert all(s.held_out for s in scenes(100, 9, held_out=True))
    seen = {c[:3] for c in world.combinations(False)}
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert len({(c[i], c[j]) for c in seen}) == len({(c[i], c[j]) for c in world.combinations()})


def test_captions_are_parsed_back():
    for scene in scenes(20, 9):
        parsed = world.parse(world.caption(scene))
        assert (*parsed.words, parsed.background) == (*scene.words, scene.background)
    with pytest.raises(ValueError, match="giraffe"):
        world.parse("a red giraffe")


def test_the_same_seed_draws_the_same_scenes():
    assert scenes(5, 9) == scenes(5, 9)


@pytest.mark.parametrize("control", [world.canny, world.depth, world.pose, world.path_map])
def test_control_signals_follow_the_shape(control):
    scene = [world.place(world.Scene("red", "square", "right", "dark"), 9)]
    signal = control(scene, 9)
    assert signal.shape == (1, 9, 64, 64, 3)
    weight = (signal - signal[:, :, :1, :1]).abs().amax(-1)[0].clamp(min=0.2) - 0.2
    path = judge.positions(weight)
    assert (path[-1, 0] - path[0, 0]).item() == pytest.approx(12.0, abs=2.5)


def test_a_camera_shift_moves_the_picture_the_other_way():
    scene = replace(world.place(world.Scene("red", "circle", "right", "dark"), 9), speed=0.0)
    seen = judge.judge(world.camera_shift(world.render([scene], 9), (2, 0))[0])
    assert seen.direction == "left"


def test_masks_cover_the_shape_and_outlines_are_hollow():
    scene = world.place(world.Scene("red", "circle", "right", "dark"), 1)
    full, ring = world.masks([scene], 1), world.masks([replace(scene, outlined=True)], 1)
    centre = round(scene.x), round(scene.y)
    assert full[0, 0, centre[1], centre[0]] > 0.99
    assert ring[0, 0, centre[1], centre[0]] < 0.01
    assert ring.sum() > 0.3 * full.sum()
