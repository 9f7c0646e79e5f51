"""Frames that come back from disk as they were, or not at all."""

import os

import pytest
import torch

from oner.utils.lossless import read_frames, write_frames


def noise(frames, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (frames, height, width, 3), dtype=torch.uint8, generator=generator)


def smooth(frames, height, width):
    small = torch.rand(1, 3, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    large = torch.nn.functional.interpolate(small, size=(frames, height, width), mode="trilinear")[0]
    return large.mul(255).round().to(torch.uint8).movedim(0, -1)  # not contiguous


@pytest.mark.parametrize("make", [noise, smooth])
@pytest.mark.parametrize("size", [(9, 48, 64), (5, 17, 33), (1, 33, 17), (3, 9, 7), (3, 16, 16)])
def test_frames_come_back_bit_for_bit(tmp_path, make, size):
    frames = make(*size)
    write_frames(tmp_path / "a.mkv", frames)
    back = read_frames(tmp_path / "a.mkv")
    assert back.dtype == torch.uint8
    assert torch.equal(back, frames)
    assert os.listdir(tmp_path) == ["a.mkv"]


@pytest.mark.parametrize(("start", "end"), [(0, 1), (7, 12), (29, None), (5, 5), (0, 30), (25, 99)])
def test_a_range_is_read_alone(tmp_path, start, end):
    frames = noise(30, 16, 24)
    write_frames(tmp_path / "a.mkv", frames)
    assert torch.equal(read_frames(tmp_path / "a.mkv", start, end), frames[start:end])


def test_the_same_frames_are_the_same_bytes(tmp_path):
    for name in ("a.mkv", "b.mkv"):
        write_frames(tmp_path / name, noise(9, 48, 64))
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    write_frames(tmp_path / "a.mkv", noise(2, 16, 24))
    with pytest.raises(ValueError, match="shape"):
        write_frames(tmp_path / "a.mkv", noise(2, 16, 24)[..., :2])  # two channels are no picture: any failure
    assert os.listdir(tmp_path) == ["a.mkv"]
    assert torch.equal(read_frames(tmp_path / "a.mkv"), noise(2, 16, 24))


def test_damage_is_found_wherever_it_is(tmp_path):
    """A changed byte is in nothing that matters, or named; never do other frames come back."""
    frames = noise(3, 17, 33)
    write_frames(tmp_path / "a.mkv", frames)
    data, found = (tmp_path / "a.mkv").read_bytes(), 0
    for place in range(0, len(data), 13):
        changed = bytearray(data)
        changed[place] ^= 0x10
        (tmp_path / "b.mkv").write_bytes(changed)
        try:
            assert torch.equal(read_frames(tmp_path / "b.mkv"), frames)
        except ValueError:
            found += 1
    assert found > 0.8 * len(data) / 13


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.9])
def test_a_file_that_ends_early_is_refused(tmp_path, share):
    write_frames(tmp_path / "a.mkv", noise(9, 17, 33))
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"a\.mkv is damaged .*: delete it"):
        read_frames(tmp_path / "a.mkv")


def test_no_file_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_frames(tmp_path / "a.mkv")
