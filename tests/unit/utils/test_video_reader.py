"""Ranges of a video are what the whole of it is, as ComfyUI's loader gives it."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from oner.utils.media import VideoStream
from oner.utils.video_reader import VideoReader

RANGES = {
    "forward": [(0, 9), (9, 18), (18, 40)],
    "overlapping": [(0, 17), (12, 29), (24, 40), (39, 40)],
    "backward": [(30, 40), (18, 31), (0, 9), (5, 6), (39, 40), (0, 40)],
    "apart": [(3, 5), (25, 26), (38, 40)],
}
FILES = ("h264.mp4", "h264.mkv", "h264.ts", "ffv1.mkv", "pieces.mp4", "hevc.mp4")


def moving(frames, height, width, seed=0):
    """Smooth pictures, so that codecs keep them apart, no two alike."""
    small = torch.rand(1, 3, frames, 3, 4, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(small, size=(frames, height, width), mode="trilinear")[0]
    return large.mul(255).round().to(torch.uint8).movedim(0, -1).contiguous()


def tone(rate, seconds):
    time = torch.arange(round(rate * seconds)) / rate
    return torch.stack([0.5 * torch.sin(time * 1000), 0.5 * torch.sin(time * 3000 + time**2)])


def write(
    path, frames=None, codec="libx264", pix_fmt="yuv420p", times=None, sound=None, rate=48_000, rotate=0, **options
):
    """A file with frames at 25 per second or at `times` in 1/1000 s, and PCM sound in Matroska, AAC else."""
    frames = moving(40, 48, 72) if frames is None else frames
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"g": "12", "bf": "2", "threads": "1", **options})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotate:
            stream.set_display_rotation(rotate) if hasattr(stream, "set_display_rotation") else pytest.skip("PyAV")
        if sound is not None:
            track = container.add_stream("pcm_s16le" if path.suffix == ".mkv" else "aac", rate=rate)
            track.layout = "stereo"
            track.codec_context.options = {"aac_pns": "0"}
        for i, picture in enumerate(frames.numpy()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24" if picture.shape[-1] == 3 else "rgba")
            frame.pts, frame.time_base = (times[i], Fraction(1, 1000)) if times else (i, Fraction(1, 25))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            layout, kind = "stereo", "s16" if path.suffix == ".mkv" else "fltp"
            for start in range(0, sound.shape[1], 1024):
                part = sound[:, start : start + 1024]
                given = (part * 32767).round().short().T.reshape(1, -1) if kind == "s16" else part
                frame = av.AudioFrame.from_ndarray(given.contiguous().numpy(), format=kind, layout=layout)
                frame.sample_rate, frame.pts = rate, start
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


def make(tmp_path, name):
    kind, path = name.split(".")[0], tmp_path / name
    if kind == "h264":
        return write(path)
    if kind == "ffv1":
        return write(path, codec="ffv1", pix_fmt="bgr0")
    if kind == "hevc":
        return write(path, codec="libx265", **{"x265-params": "keyint=12:open-gop=1:log-level=none"})
    stream = VideoStream(path, 25)
    for piece in moving(40, 48, 72).split([9, 12, 12, 7]):
        stream.add(piece)
    stream.finish()
    return path


def as_core_reads(path, start_time=0, duration=0):
    """Frames [F, H, W, 3] uint8, and the sound if any."""
    from comfy_api.latest._input_impl.video_types import VideoFromFile

    video = VideoFromFile(path if isinstance(path, io.BytesIO) else str(path), start_time=start_time, duration=duration)
    parts = video.get_components()
    return (parts.images * 255).round().to(torch.uint8), parts.audio and parts.audio["waveform"][0]


@pytest.mark.parametrize("order", RANGES)
@pytest.mark.parametrize("name", FILES)
def test_ranges_are_the_whole(tmp_path, name, order):
    path = make(tmp_path, name)
    whole = moving(40, 48, 72) if name == "ffv1.mkv" else as_core_reads(path)[0]
    reader = VideoReader(path)
    assert (reader.count, reader.height, reader.width, reader.rate) == (40, 48, 72, 25)
    assert reader.sound is None
    for start, end in RANGES[order]:
        assert torch.equal(reader.read(start, end), whole[start:end])


def test_a_range_that_is_written_to_changes_no_other(tmp_path):
    reader = VideoReader(write(tmp_path / "a.mp4"))
    frames = reader.read(0, 9)
    kept = frames.clone()
    frames.zero_()
    assert torch.equal(reader.read(3, 9), kept[3:])


def test_ranges_one_after_the_other_decode_every_frame_once(tmp_path, monkeypatch):
    reader, moves = VideoReader(write(tmp_path / "a.mp4", g="100")), []
    monkeypatch.setattr(reader, "move", lambda time, move=reader.move: (moves.append(time), move(time)))
    for start, end in RANGES["forward"] + RANGES["overlapping"][1:]:
        reader.read(start, end)
    assert len(moves) == 2  # to the beginning, and back for the second pass


def test_bytes_that_others_read_too(tmp_path):
    source = io.BytesIO(write(tmp_path / "a.mp4").read_bytes())
    whole, _ = as_core_reads(source)
    reader = VideoReader(source)
    parts = []
    for start in range(0, 40, 10):
        source.seek(start)  # ComfyUI does so whenever it is asked for anything
        parts.append(reader.read(start, start + 10))
    assert torch.equal(torch.cat(parts), whole)


def test_frames_of_a_varying_rate_are_counted(tmp_path):
    times = [0, 10, 200, 210, 900, 901, 1500, 1540, 1541, 2000]
    path = write(tmp_path / "a.mkv", moving(10, 48, 64), times=times)
    whole, _ = as_core_reads(path)
    reader = VideoReader(path)
    assert reader.count == len(whole) == 10
    for start, end in [(0, 4), (4, 10), (2, 7)]:
        assert torch.equal(reader.read(start, end), whole[start:end])


def test_alpha_is_dropped(tmp_path):
    frames = torch.cat([moving(5, 32, 64), torch.full((5, 32, 64, 1), 77, dtype=torch.uint8)], -1)
    path = write(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="bgra")
    whole, _ = as_core_reads(path)
    given = VideoReader(path).read(0, 5)
    assert torch.equal(given, frames[..., :3])
    assert int((given.int() - whole.int()).abs().max()) <= 1


@pytest.mark.parametrize("sign", [1, -1])
def test_a_turned_video_is_upright(tmp_path, sign):
    path = write(tmp_path / "a.mp4", moving(5, 48, 72))
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # the matrix: 16.16 numbers, a b u c d v x y w
    turn = [0, 1, 0, -1, 0, 0, 0, 0, 16384] if sign > 0 else [0, -1, 0, 1, 0, 0, 0, 0, 16384]
    data[at : at + 36] = np.array([n * 65536 for n in turn], dtype=">i4").tobytes()
    path.write_bytes(data)
    whole, _ = as_core_reads(path)
    reader = VideoReader(path)
    assert (reader.height, reader.width) == (72, 48)
    assert torch.equal(reader.read(0, 5), whole)


@pytest.mark.parametrize(("start_time", "duration"), [(0, 0.5), (0.4, 0), (0.41, 0.8), (1.2, 9)])
@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv"])
def test_a_trim_is_kept_as_the_loader_keeps_it(tmp_path, name, start_time, duration):
    path = write(tmp_path / name, sound=tone(48_000, 1.6))
    whole, _ = as_core_reads(path, start_time, duration)
    reader = VideoReader(path, start_time, duration)
    assert reader.count == len(whole)
    assert torch.equal(reader.read(0, reader.count), whole)
    heard = VideoReader(path).sound.read(start_time, start_time + 0.3)
    assert torch.allclose(reader.sound.read(0, 0.3), heard, atol=1e-5)


def test_what_is_trimmed_away_is_silent(tmp_path):
    sound = VideoReader(write(tmp_path / "a.mkv", sound=tone(48_000, 1.6)), 0.5, 0.5).sound
    assert float(sound.read(0.4, 0.5).abs().max()) > 0.3
    assert not sound.read(0.5, 0.7).any()


SECONDS = {"forward": [(0, 0.4), (0.4, 0.9), (0.9, 1.6)], "overlapping": [(0, 0.5), (0.3, 0.9), (0.8, 1.6)]}
SECONDS |= {"backward": [(1.1, 1.6), (0.7, 1.2), (0, 0.5)], "past the end": [(1.5, 2.0), (2.0, 2.1), (1.0, 3.0)]}


@pytest.mark.parametrize("order", SECONDS)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_sound_of_ranges_is_the_whole(tmp_path, name, rate, order):
    path = write(tmp_path / name, sound=tone(rate, 1.6), rate=rate)
    _, whole = as_core_reads(path)
    whole = torch.cat([whole, torch.zeros(2, 2 * rate)], 1)
    sound = VideoReader(path).sound
    assert (sound.sample_rate, sound.channels) == (rate, 2)
    for begin, end in SECONDS[order]:
        assert torch.allclose(sound.read(begin, end), whole[:, round(begin * rate) : round(end * rate)], atol=1e-5)


def test_sound_and_picture_of_a_growing_file(tmp_path):
    impulse = torch.zeros(2, 24_000 * 40 // 25)
    impulse[:, 30_000] = 0.9
    stream, frames = VideoStream(tmp_path / "a.mp4", 25, sample_rate=24_000), moving(40, 48, 72)
    for start, end in [(0, 17), (17, 40)]:
        stream.add(frames[start:end], impulse[:, start * 960 : end * 960])
    stream.finish()
    reader = VideoReader(tmp_path / "a.mp4")
    assert reader.count == 40
    assert int(reader.sound.read(1.0, 1.6)[0].abs().argmax()) == 6_000
    assert int(reader.sound.read(0.7, 1.3)[0].abs().argmax()) == 13_200


@pytest.mark.parametrize(("start", "end"), [(0, 41), (-1, 3), (5, 5), (40, 41)])
def test_frames_that_are_not_there(tmp_path, start, end):
    reader = VideoReader(write(tmp_path / "a.mp4"))
    with pytest.raises(ValueError, match=r"a\.mp4 has 40 frames, not "):
        reader.read(start, end)


def test_files_that_are_no_video(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"a\.mp4 is no video"):
        VideoReader(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match=r"b\.mp4 is no video"):
        VideoReader(tmp_path / "b.mp4")
    with pytest.raises(ValueError, match=r"c\.mp4 has no frames from second 9 on"):
        VideoReader(write(tmp_path / "c.mp4"), 9)


@pytest.mark.parametrize("name", ["h264.mkv", "ffv1.mkv", "pieces.mp4"])
def test_a_file_that_ends_early_gives_what_it_has(tmp_path, name):
    path = make(tmp_path, name)
    whole = VideoReader(path).read(0, 40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    reader = VideoReader(path)
    assert 9 < reader.count < 40
    assert torch.equal(reader.read(2, reader.count - 1), whole[2 : reader.count - 1])


def test_a_frame_that_is_damaged_is_named(tmp_path):
    path = write(tmp_path / "a.mp4", g="1")
    whole = VideoReader(path).read(0, 40)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    at = data.index(packets[20])
    path.write_bytes(data[:at] + b"\xff" * len(packets[20]) + data[at + len(packets[20]) :])
    reader = VideoReader(path)
    assert torch.equal(reader.read(10, 20), whole[10:20])
    with pytest.raises(ValueError, match=r"frame 20 of a\.mp4 cannot be decoded"):
        reader.read(15, 25)
    assert torch.equal(reader.read(21, 30), whole[21:30])
