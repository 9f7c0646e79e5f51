"""Camera paths and their embedding: closed forms, and core's own node at equal intrinsics."""

import json
import math

import folder_paths
import pytest
import torch
from comfy_extras.nodes_camera_trajectory import WanCameraEmbedding as CoreEmbedding

from oner.nodes.wan.camera import WanCameraEmbedding, WanCameraPathFromText
from oner.wan import camera, camera_picture, pluecker

CORE_NAMES = {"ACW": "Anti Clockwise (ACW)", "CW": "ClockWise (CW)"}
CORE_MOVES = ["Static", "Pan Up", "Pan Down", "Pan Left", "Pan Right", "Zoom In", "Zoom Out", "ACW", "CW"]


@pytest.mark.parametrize("name", CORE_MOVES)
def test_basic_moves_are_cores_at_equal_intrinsics(name):
    fx, fy, _, _ = camera.INTRINSICS
    core = CoreEmbedding.execute(CORE_NAMES.get(name, name), 48, 32, 9, 1.0, fx, fy).args[0]
    ours = pluecker.embed(camera.move([name], 9), 48, 32)
    torch.testing.assert_close(ours, core.float(), rtol=1e-5, atol=1e-5)


def test_join_goes_on_from_the_last_pose():
    first, second = camera.move(["Pan Left"], 4), camera.move(["ACW"], 5, speed=2.0)
    joined = camera.join(first, second)
    assert len(joined) == 9
    assert torch.equal(joined.w2c[4], first.w2c[-1])

    def square(w2c):
        return torch.cat([w2c, torch.tensor([[0.0, 0, 0, 1]], dtype=w2c.dtype)])

    expected = square(second.w2c[3]) @ square(first.w2c[-1])
    torch.testing.assert_close(square(joined.w2c[7]), expected)


def test_rotation_is_about_x_then_y_then_z():
    turned = camera.rotations(torch.tensor([[math.pi / 2, 0, math.pi / 2]], dtype=torch.float64))[0]
    up = turned @ torch.tensor([0.0, 1, 0], dtype=torch.float64)  # y -> z about x; z stays about z
    torch.testing.assert_close(up, torch.tensor([0.0, 0, 1], dtype=torch.float64))


def test_three_poses_use_the_cross_product_of_coordinates():
    rays = pluecker.rays(camera.move(["ACW", "Pan Up"], 3), 6, 4)
    torch.testing.assert_close((rays[..., :3] * rays[..., 3:]).sum(-1), torch.zeros(3, 4, 6), atol=1e-6, rtol=0)
    torch.testing.assert_close(rays[..., 3:].norm(dim=-1), torch.ones(3, 4, 6))


@pytest.mark.parametrize(
    ("easing", "middle"), [("linear", 0.5), ("ease in", 0.25), ("ease out", 0.75), ("ease in-out", 0.5)]
)
def test_easing_moves_the_middle(easing, middle):
    path = camera.move(["Pan Left"], 4, easing=easing)
    assert path.w2c[2, 0, 3] == pytest.approx(middle * camera.DISTANCE)


def test_easing_in_and_out_starts_and_ends_at_rest():
    """The cubic with slope 0 at 0 and at 1; its third quarter mirrors the first."""
    eased = camera.ease(torch.linspace(0, 1, 5, dtype=torch.float64), "ease in-out")
    assert eased.tolist() == pytest.approx([0, 5 / 32, 0.5, 27 / 32, 1])


def test_free_translation_is_in_scene_units_beside_the_move():
    path = camera.move(["Pan Up"], 2, translation=(0.2, 0.0, -0.4))
    assert path.w2c[1, :, 3].tolist() == pytest.approx([0.1, camera.DISTANCE / 2, -0.2])


def test_positions_are_what_the_path_takes_to_its_origin():
    """A camera stands where its own coordinates are 0, however it is turned."""
    path = camera.move(["Pan Left", "Zoom In", "ACW"], 5, rotation=(20.0, 50.0, 0.0))
    centres = camera.positions(path)
    back = torch.einsum("nij,nj->ni", path.w2c[:, :, :3], centres) + path.w2c[:, :, 3]
    torch.testing.assert_close(back, torch.zeros(5, 3, dtype=torch.float64))


def test_joined_and_resampled_paths_keep_each_frames_focal_length():
    wide, long = (camera.with_focal(camera.move([], n), fx, 2 * fx) for n, fx in ((2, 0.4), (3, 0.8)))
    joined = camera.join(wide, long)
    assert joined.intrinsics[:, 0].tolist() == [0.4, 0.4, 0.8, 0.8, 0.8]
    zoom = camera.CameraPath(joined.w2c[1:3], joined.intrinsics[1:3])  # 0.4 to 0.8
    stretched = camera.resample(zoom, 5).intrinsics
    assert stretched[:, 0].tolist() == pytest.approx([0.4, 0.5, 0.6, 0.7, 0.8])
    assert stretched[:, 1].tolist() == pytest.approx([0.8, 1.0, 1.2, 1.4, 1.6])
    assert stretched[:, 2:].unique().tolist() == [0.5]


def test_free_angles_are_degrees_over_the_path():
    path = camera.move([], 2, rotation=(0.0, 90.0, 0.0))
    assert path.w2c[1, 0, 2] == pytest.approx(math.sin(math.radians(45)))


def test_rows_matrices_and_files_give_the_same_path():
    path = camera.move(["Zoom In", "CW"], 5)
    rows = torch.cat([path.intrinsics, torch.zeros(5, 2), path.w2c.flatten(1)], dim=1).tolist()
    file = "header\n" + "\n".join(" ".join(map(str, [i, *row])) for i, row in enumerate(rows))
    for text in (json.dumps(rows), json.dumps(path.w2c.tolist()), json.dumps({"w2c": path.w2c.tolist()}), file):
        assert torch.equal(camera.parse(text).w2c, path.w2c)


def test_poses_of_other_packs_are_read():
    path = camera.move(["Pan Up"], 5)
    rows = [
        [0.0, *k, 0.0, 0.0, *m] for k, m in zip(path.intrinsics.tolist(), path.w2c.flatten(1).tolist(), strict=True)
    ]
    (read,) = WanCameraPathFromText.execute(length=9, poses=rows).args
    assert len(read) == 9
    torch.testing.assert_close(read.w2c[::2], path.w2c)


def test_resampled_rotations_stay_rotations():
    path = camera.resample(camera.move(["ACW"], 3, speed=3.0), 12)
    product = path.w2c[:, :, :3] @ path.w2c[:, :, :3].transpose(1, 2)
    torch.testing.assert_close(product, torch.eye(3, dtype=torch.float64).expand(12, 3, 3))


def test_embedding_node_refuses_another_length_or_stretches():
    path = camera.move(["Pan Left"], 5)
    with pytest.raises(ValueError, match="path has 5 frames and the video 9"):
        WanCameraEmbedding.execute(path, 48, 32, 9, False, 0.0, 0.0)
    embedding, preview = WanCameraEmbedding.execute(path, 48, 32, 9, True, 0.0, 0.0).args
    assert embedding.shape == (1, 24, 3, 32, 48)
    assert preview.shape == (1, 384, 768, 3)


def test_focal_length_overrides_the_path():
    path = camera.move(["Pan Left"], 5)
    assert camera.with_focal(path, 0.5, 0.0).intrinsics[0].tolist() == [0.5, *camera.INTRINSICS[1:]]
    assert camera.with_focal(path, 0.0, 0.7).intrinsics[0].tolist() == [camera.INTRINSICS[0], 0.7, 0.5, 0.5]
    assert path.intrinsics[0, 0] == camera.INTRINSICS[0]


def test_picture_shows_start_and_end():
    picture = camera_picture.draw(camera.move(["Pan Left"], 9))[0]
    for colour in (camera_picture.START, camera_picture.END):
        assert (picture * 255).round().int().eq(torch.tensor(colour, dtype=torch.int)).all(-1).sum() > 50


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[1, 2, 3]]", "they need 18"),
        ('{"x": 1}', "no list of poses"),
        ("header\n1 2 x", "line 2 is no row"),
        ("[[[1, 2], [3, 4]]]", "3x4 or 4x4"),
        ("[[1, 2", "not valid JSON"),
        ("1, 2, 3\n4 5 6", "line 1 is no row"),  # no header: it begins with a number
        ("[[[1, 0, 0, 0], [0, 1]]]", "differ in shape or hold what is no number"),
        (str([[1.0] * 18, [float("nan")] * 18]).replace("nan", "NaN"), "pose 2 holds a value that is not finite"),
        ("[1, 2, 3]", "no lists of numbers"),
    ],
)
def test_broken_files_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        camera.parse(text)


def test_pose_files_of_the_input_folder_are_read(tmp_path, monkeypatch):
    path = camera.move(["Zoom Out"], 5)
    (tmp_path / "poses.json").write_text(json.dumps(path.w2c.tolist()))
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (read,) = WanCameraPathFromText.execute(length=0, file="poses.json").args
    assert torch.equal(read.w2c, path.w2c)
    (choice,) = (entry for entry in WanCameraPathFromText.define_schema().inputs if entry.id == "file")
    assert choice.options == ["none", "poses.json"]


@pytest.mark.parametrize(("given", "message"), [({}, "given: none"), ({"text": "[]", "file": "a.txt"}, "text, file")])
def test_one_source_of_poses_is_wanted(given, message, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("[]")
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    with pytest.raises(ValueError, match=message):
        WanCameraPathFromText.execute(length=0, **given)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1, 2]", "text: the camera rows are no lists of numbers"),
        ("[[[1, 2], [3]]]", "text: the camera poses differ in shape or hold what is no number"),
        (json.dumps([["x"] * 18]), "text: the camera poses differ in shape or hold what is no number"),
        ("[" + json.dumps([float("nan")] * 18) + "]", "text: camera pose 1 holds a value that is not finite"),
        ("[" * 100_000, "text: the text nests its lists"),
        ("[1", "text: the text is not valid JSON"),
        ('{"w2c": 3}', "text: the camera JSON holds no list of poses"),
    ],
)
def test_text_that_is_no_path_is_refused(text, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        WanCameraPathFromText.execute(0, text)
