"""Clips of LTX-2 saved, loaded, cut, joined and picked, picture and sound together."""

from pathlib import Path

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_api.latest import io
from comfy_api.latest._io import HiddenHolder

from harness.fingerprint import fingerprint
from oner.ltx.ltx2.conditioning import replace_frames
from oner.ltx.ltx2.state import read_state, write_state
from oner.nodes.ltx import av_latents
from oner.nodes.ltx.av_latents import LTXCutClip, LTXJoinClips, LTXLoadLatent, LTXPickFromBatch
from oner.nodes.ltx.latents import LTXEmptyLatent
from oner.nodes.ltx.masks import LTXFreeze, LTXTimeWindow

FPS = 24.0


class LTXSaveLatent(av_latents.LTXSaveLatent):
    hidden = HiddenHolder.from_dict(
        {io.Hidden.prompt: {"1": {"class_type": "X", "inputs": {}}}, io.Hidden.extra_pnginfo: {"a": 1}}
    )


@pytest.fixture
def folders(tmp_path, monkeypatch):
    import folder_paths

    for kind in ("input", "output"):
        (tmp_path / kind).mkdir()
        monkeypatch.setattr(folder_paths, f"{kind}_directory", str(tmp_path / kind))
    return tmp_path


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clip(frames=7, batch=1, seed=0, fps=FPS):
    """An audio-video latent of 8 (frames - 1) + 1 pictures."""
    audio = round((8 * (frames - 1) + 1) / fps * 25)
    return {
        "samples": NestedTensor((random(batch, 128, frames, 2, 3, seed=seed), random(batch, 8, audio, 16, seed=seed)))
    }


def given(latent):
    """With a first frame of strength 0.7 over other content."""
    return write_state(latent, replace_frames(read_state(latent), random(1, 128, 1, 2, 3, seed=9), 0, 0.7))


def parts(latent, key="samples"):
    return latent[key].unbind() if latent[key].is_nested else [latent[key]]


def equal(first, second, key="samples"):
    return all(torch.equal(a, b) for a, b in zip(parts(first, key), parts(second, key), strict=True))


def cut(latent, start, end, fps=FPS):
    return LTXCutClip.execute(latent, start, end, fps).result


def join(first, second, overlap=0, fps=FPS):
    return LTXJoinClips.execute(first, second, overlap, fps).result[0]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        clip,
        lambda: {"samples": random(2, 128, 3, 2, 3)},
        lambda: {**clip(), "noise_mask": NestedTensor((torch.rand(1, 1, 7, 2, 3), torch.rand(1, 1, 51, 16)))},
        lambda: {"samples": random(1, 128, 3, 2, 3).to(torch.bfloat16), "batch_index": [3]},
        lambda: given(clip()),
        lambda: LTXTimeWindow.execute(clip(), 0.5, 1.0, FPS, "video and audio").result[0],
        lambda: cut(clip(), 0.5, 0.0)[0],
        lambda: {**clip(), "samples": NestedTensor([part.expand(3, *part.shape[1:]) for part in parts(clip())])},
    ],
)
def test_a_latent_comes_back_bit_for_bit(folders, make):
    latent = make()
    before = fingerprint(latent)
    output = LTXSaveLatent.execute(latent, "latents/a")
    assert output.result[0] is latent
    assert output.ui == {"latents": [{"filename": "a_00001_.latent", "subfolder": "latents", "type": "output"}]}
    assert av_latents.saved_latents() == ["latents/a_00001_.latent [output]"]
    loaded = LTXLoadLatent.execute("latents/a_00001_.latent [output]").result[0]
    assert list(sorted(loaded)) == list(sorted(latent))
    for key, value in latent.items():
        assert equal(loaded, latent, key) if hasattr(value, "is_nested") else loaded[key] == value
        assert not hasattr(value, "dtype") or parts(loaded, key)[0].dtype == parts(latent, key)[0].dtype
    if "oner_init" in latent:
        assert torch.equal(read_state(loaded).video.init, read_state(latent).video.init)
    assert fingerprint(latent) == before


def test_files_are_numbered_and_hold_the_graph(folders):
    from safetensors import safe_open

    for _ in range(2):
        LTXSaveLatent.execute(clip(), "shots/a")
    first, second = sorted((folders / "output" / "shots").iterdir())
    assert [first.name, second.name] == ["a_00001_.latent", "a_00002_.latent"]
    with safe_open(second, "pt") as file:
        assert file.metadata()["prompt"] == '{"1": {"class_type": "X", "inputs": {}}}'
        assert file.metadata()["a"] == "1"


def test_what_is_no_data_is_named_and_left_out(folders, caplog):
    LTXSaveLatent.execute({**clip(), "of_another_pack": object(), "batch_index": [2]}, "a")
    assert "of_another_pack of the latent is object and is not saved" in caplog.text
    loaded = LTXLoadLatent.execute("a_00001_.latent [output]").result[0]
    assert set(loaded) == {"samples", "batch_index"}


@pytest.mark.parametrize("prefix", ["../a", "/tmp/a", "a/../../b", "C:/a", "a\\b", ""])
def test_no_file_leaves_the_output_folder(folders, prefix):
    assert LTXSaveLatent.validate_inputs(prefix) is not True
    with pytest.raises(ValueError, match="filename_prefix"):
        LTXSaveLatent.execute(clip(), prefix)
    assert list(Path(folders / "output").rglob("*")) == []


def test_of_a_sampled_latent_only_the_clip_is_saved(folders):
    conditioned = given(clip())
    sampled = {**conditioned, "samples": clip(seed=5)["samples"]}
    LTXSaveLatent.execute(sampled, "a")
    loaded = LTXLoadLatent.execute("a_00001_.latent [output]").result[0]
    assert set(loaded) == {"samples"}
    assert equal(loaded, sampled)


def test_other_files_are_refused(folders):
    from safetensors.torch import save_file

    place = folders / "input"
    (place / "damaged.latent").write_bytes(b"<!DOCTYPE html>" * 9)
    save_file({"latent_tensor": torch.zeros(1)}, place / "core.latent")
    save_file({"x": torch.zeros(1)}, place / "other.latent")
    with pytest.raises(ValueError, match=r"damaged.latent is an HTML page"):
        LTXLoadLatent.execute("damaged.latent")
    with pytest.raises(ValueError, match="ComfyUI's Load Latent reads it"):
        LTXLoadLatent.execute("core.latent")
    with pytest.raises(ValueError, match="choose a file of LTX Save Latent"):
        LTXLoadLatent.execute("other.latent")


# --- cut and join -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [8.0, 23.976, 24.0, 25.0, 50.0])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.77])
def test_what_was_cut_joins_to_the_original(share, fps):
    latent = clip(fps=fps)
    seconds = 49 / fps * share
    first, second = cut(latent, 0.0, seconds, fps)[0], cut(latent, seconds, 0.0, fps)[0]
    joined = join(first, second, fps=fps)
    assert equal(joined, latent)
    assert set(joined) == {"samples"}
    if share > 0.7:
        return  # the second part is one latent frame
    middle = cut(second, 0.0, 8 / fps, fps)[0], cut(second, 8 / fps, 0.0, fps)[0]
    assert equal(join(first, join(*middle, fps=fps), fps=fps), latent)


def test_a_piece_has_its_pictures_and_their_sound():
    latent = clip()
    video, audio = parts(latent)
    piece, frames, length = cut(latent, 17 / FPS, 33 / FPS)  # latent frames 3 and 4: pictures 24 to 32
    assert (frames, length) == (2, 9)
    assert torch.equal(parts(piece)[0], video[:, :, 3:5])
    assert torch.equal(parts(piece)[1], audio[:, :, 25:34])  # 24 / 24 s to 33 / 24 s
    tail, frames, length = cut(latent, -1.0, 0.0)  # 25 / 24 s on: the nearest is picture 25
    assert (frames, length) == (3, 17)
    assert torch.equal(parts(tail)[0], video[:, :, 4:])
    head = cut(latent, 0.0, -1.0)[0]
    assert torch.equal(parts(head)[1], audio[:, :, :26])


def test_masks_and_starts_are_cut_and_joined_with_the_clip():
    latent = given(clip())
    first, second = cut(latent, 0.0, 1.0)[0], cut(latent, 1.0, 0.0)[0]
    joined = join(first, second)
    for key in ("samples", "noise_mask", "oner_init"):
        assert equal(joined, latent, key)
    windowed = LTXTimeWindow.execute(latent, 0.0, 0.5, FPS, "video").result[0]
    again = join(cut(windowed, 0.0, 1.0)[0], cut(windowed, 1.0, 0.0)[0])
    assert equal(again, windowed, "oner_unwindowed")
    assert read_state(again).video.unwindowed is not None


@pytest.mark.parametrize(("start", "end"), [(2.0, 1.0), (0.0, 9.0), (-9.0, 0.0), (1.0, 1.0), (0.22, 0.23)])
def test_parts_that_are_not_there_are_refused(start, end):
    with pytest.raises(ValueError, match=r"the clip is 2\.042 s long|less than a latent frame"):
        cut(clip(), start, end)


def test_the_first_fades_into_the_second_over_what_both_have():
    ones = {"samples": NestedTensor((torch.ones(1, 128, 4, 2, 3), torch.ones(1, 8, 26, 16)))}
    threes = {"samples": NestedTensor((torch.full((1, 128, 5, 2, 3), 3.0), torch.full((1, 8, 34, 16), 3.0)))}
    video, audio = parts(join(ones, threes, 3))
    assert video[0, 0, :, 0, 0].tolist() == [1, 1.5, 2, 2.5, 3, 3]
    # the second's sound begins with its picture 0, picture 8 of the first: frame 8; 18 frames are shared
    assert audio[0, 0, :, 0].tolist() == pytest.approx([1] * 8 + [1 + 2 * i / 19 for i in range(1, 19)] + [3] * 16)


def test_a_clip_follows_another_without_its_single_picture():
    first, second = clip(3), clip(4, seed=3)
    joined = join(first, second)
    video, audio = parts(joined)
    assert torch.equal(video, torch.cat([parts(first)[0], parts(second)[0][:, :, 1:]], dim=2))
    # picture 1 of the second is picture 17 of the clip; its first sound lies under picture 16
    assert torch.equal(audio[:, :, :18], parts(first)[1])
    assert torch.equal(audio[:, :, 18:], parts(second)[1][:, :, 1:])
    assert audio.shape[2] == 17 + 26


def test_the_last_seconds_go_on():
    """The start of the next clip, as the workflow makes it: the end of the one before is given, the rest is made."""
    tail, frames, _ = cut(clip(), -1.0, 0.0)
    frozen = LTXFreeze.execute(LTXFreeze.execute(tail, "video").result[0], "audio").result[0]
    empty = LTXEmptyLatent.execute(96, 64, 33, FPS, 1, "one", True).result[0]
    start = join(frozen, empty)
    video, audio = parts(start, "noise_mask")
    assert video[0, 0, :, 0, 0].tolist() == [0] * 3 + [1] * 4
    assert audio[0, 0, :, 0].tolist() == [0] * 18 + [1] * 33
    assert torch.equal(parts(start)[0][:, :, :3], parts(tail)[0])
    sampled = {**start, "samples": NestedTensor([part * 1.0 + 1e-3 for part in parts(start)])}
    joined = join(clip(), sampled, frames)
    assert set(joined) == {"samples"}
    assert parts(joined)[0].shape[2] == 7 + 4
    assert abs(parts(joined)[1].shape[2] - round(81 / FPS * 25)) <= 1


def test_clips_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="overlap is 5 and one clip has 4 latent frames"):
        join(clip(4), clip(7), 5)
    with pytest.raises(ValueError, match="second has no sound, the other one has"):
        join(clip(), {"samples": random(1, 128, 3, 2, 3)})
    with pytest.raises(ValueError, match=r"first is \(2, 3\) latents high and wide, second \(2, 2\)"):
        join({"samples": random(1, 128, 3, 2, 3)}, {"samples": random(1, 128, 3, 2, 2)})
    with pytest.raises(ValueError, match="first holds 2 clips and second 3"):
        join(clip(batch=2), clip(batch=3))
    silent = {"samples": NestedTensor((random(1, 128, 7, 2, 3), random(1, 8, 3, 16)))}
    with pytest.raises(ValueError, match="sounds have 3 and 51 latent frames, and the second's picture begins at 50"):
        join(silent, clip())
    for node in (lambda x: cut(x, 0.0, 1.0), lambda x: join(x, clip()), lambda x: LTXPickFromBatch.execute(x, 0, 1, 1)):
        with pytest.raises(ValueError, match=r"has 1 appended frames .*: remove them with LTX Crop before LTX"):
            node({**clip(), "oner_guide_frames": 1})


def test_one_clip_goes_on_in_two_ways():
    joined = join(clip(batch=1), clip(batch=2, seed=3), 2)
    singles = [
        join(clip(), {"samples": NestedTensor([p[i : i + 1] for p in parts(clip(batch=2, seed=3))])}, 2) for i in (0, 1)
    ]
    for i, one in enumerate(singles):
        assert all(torch.equal(a[i : i + 1], b) for a, b in zip(parts(joined), parts(one), strict=True))


# --- batches ----------------------------------------------------------------------------------------------------------


def test_clips_are_picked_and_repeated():
    latent = clip(batch=3)
    picked = LTXPickFromBatch.execute(latent, 1, 2, 2).result[0]
    for part, whole in zip(parts(picked), parts(latent), strict=True):
        assert torch.equal(part, whole[[1, 2, 1, 2]])
    assert picked["batch_index"] == [1, 2, 4, 5]  # as core's nodes number them
    assert LTXPickFromBatch.execute(picked, 1, 1, 1).result[0]["batch_index"] == [2]
    assert equal(
        LTXPickFromBatch.execute(latent, -1, 0, 1).result[0], LTXPickFromBatch.execute(latent, 2, 1, 1).result[0]
    )
    assert set(LTXPickFromBatch.execute(latent, 0, 0, 2).result[0]) == {"samples"}
    with pytest.raises(ValueError, match=r"start is 2 and count 2; the latent holds 3 clip\(s\)"):
        LTXPickFromBatch.execute(latent, 2, 2, 1)


def test_masks_and_starts_are_picked_with_the_clips():
    latent = given(clip(batch=2))
    picked = LTXPickFromBatch.execute(latent, 1, 1, 2).result[0]
    for key in ("samples", "noise_mask", "oner_init"):
        assert all(torch.equal(a, b[[1, 1]]) for a, b in zip(parts(picked, key), parts(latent, key), strict=True))


def test_one_sound_is_repeated_for_a_batch():
    video, audio = parts(clip(batch=2))
    latent = {"samples": NestedTensor((video, audio[:1]))}
    assert torch.equal(parts(LTXPickFromBatch.execute(latent, 0, 0, 1).result[0])[1], audio[[0, 0]])


def test_nothing_received_is_written_to():
    received = [given(clip(batch=2)), given(clip(batch=2, seed=4))]
    before = fingerprint(received)
    cut(received[0], 0.3, 1.0)
    join(*received, 2)
    LTXPickFromBatch.execute(received[0], 0, 1, 2)
    assert fingerprint(received) == before
