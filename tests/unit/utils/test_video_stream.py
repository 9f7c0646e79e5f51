import io
import struct
from fractions import Fraction

import av
import pytest
import torch

from oner.utils.media import FragmentEncoder, VideoStream, boxes, find_box, fragment_ends, masked, to_uint8


def moving(frames, seed=0, size=(48, 64)):
    return torch.randint(0, 256, (frames, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def times(path):
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def write(path, pieces, **options):
    stream = VideoStream(path, 16, **options)
    for piece in pieces:
        stream.add(piece)
    counts = stream.flush()
    stream.close()
    return counts


def test_all_frames_arrive_in_time(tmp_path):
    counts = write(tmp_path / "a.mp4", [moving(9), moving(12, 1), moving(12, 2)])
    assert counts == (33, 3)
    assert times(tmp_path / "a.mp4") == pytest.approx([i / 16 for i in range(33)])


def test_a_file_plays_up_to_its_last_piece_when_the_next_one_is_torn(tmp_path):
    write(tmp_path / "a.mp4", [moving(9), moving(12, 1), moving(12, 2)])
    data = (tmp_path / "a.mp4").read_bytes()
    header, first, second, third = fragment_ends(tmp_path / "a.mp4")
    assert third == len(data)
    assert header < first
    for written in (0, 8, 500, third - second):  # how far the write of the third piece got before the process died
        torn = data[:second] + masked(data[second:])[:written]
        (tmp_path / "torn.mp4").write_bytes(torn)
        assert len(times(tmp_path / "torn.mp4")) == 21
        assert fragment_ends(tmp_path / "torn.mp4") == [header, first, second]


def test_a_resumed_file_has_the_bytes_of_an_uninterrupted_one(tmp_path):
    pieces = [moving(9), moving(12, 1), moving(12, 2)]
    write(tmp_path / "whole.mp4", pieces, metadata={"workflow": "{}"})
    counts = write(tmp_path / "part.mp4", pieces[:2], metadata={"workflow": "{}"})
    with open(tmp_path / "part.mp4", "ab") as file:
        file.write(b"half a fragment")
    write(tmp_path / "part.mp4", pieces[2:], resume=counts)
    assert (tmp_path / "part.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_the_workflow_is_embedded(tmp_path):
    write(tmp_path / "a.mp4", [moving(9)], metadata={"workflow": '{"nodes": []}'})
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["workflow"] == '{"nodes": []}'


def test_a_failed_write_is_reported_and_keeps_what_was_written(tmp_path):
    stream = VideoStream(tmp_path / "a.mp4", 16)
    stream.add(moving(9))
    stream.flush()
    stream.add(torch.zeros(3, 47, 63, 3, dtype=torch.uint8))  # odd sizes cannot be yuv420p: any failure of the thread
    with pytest.raises(OSError, match=r"9 frames in a\.mp4 are kept"):
        stream.flush()
    stream.close()
    assert len(times(tmp_path / "a.mp4")) == 9


def test_core_reads_the_length_of_the_file(tmp_path):
    from comfy_api.latest._input_impl.video_types import VideoFromFile

    write(tmp_path / "a.mp4", [moving(9), moving(12, 1)])
    video = VideoFromFile(str(tmp_path / "a.mp4"))
    assert video.get_components().images.shape[0] == 21
    assert video.get_duration() == pytest.approx(21 / 16)


def test_bytes_are_rounded_and_clamped():
    images = torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.5]).view(1, 5, 1, 1).expand(3, -1, 2, 2)
    assert to_uint8(images)[:, 0, 0, 0].tolist() == [0, 0, 128, 255, 255]


def plain_fragment(frames, done, number, fps=16, crf=18, metadata=None):
    """What a piece of `frames` must be after `done` frames: a video of its own, its header kept by the first alone."""
    buffer, rate = io.BytesIO(), Fraction(fps).limit_denominator(1001)
    flags = {"movflags": "empty_moov+default_base_moof+use_metadata_tags+frag_keyframe"}
    options = {"crf": str(crf), "preset": "veryfast", "bf": "0", "g": "100000", "mbtree": "0"}
    with av.open(buffer, "w", format="mp4", options=flags) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for i, picture in enumerate(frames.numpy()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = i, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = bytearray(buffer.getvalue())
    timescale = struct.unpack_from(">I", data, find_box(data, b"moov", b"trak", b"mdia", b"mdhd") + 12)[0]
    struct.pack_into(">I", data, find_box(data, b"moof", b"mfhd") + 4, number)
    struct.pack_into(">Q", data, find_box(data, b"moof", b"traf", b"tfdt") + 4, round(done * timescale / rate))
    kept = (b"moof", b"mdat") if done else (b"ftyp", b"moov", b"moof", b"mdat")
    return b"".join(bytes(data[start:end]) for kind, start, end in boxes(data) if kind in kept)


@pytest.mark.parametrize("fps", [16, 23.976])
def test_a_silent_file_keeps_its_bytes(fps):
    """Takes go on by appending, those of earlier versions too."""
    encoder, metadata = FragmentEncoder(fps, metadata={"prompt": "{}"}), {"prompt": "{}"}
    done = 0
    for number, piece in enumerate([moving(9), moving(12, 1), moving(12, 2)], 1):
        assert encoder.encode(piece) == plain_fragment(piece, done, number, fps, metadata=metadata)
        done += len(piece)


def test_a_piece_with_a_cut_in_it_is_one_fragment(tmp_path):
    shots = torch.cat([torch.full((30, 48, 64, 3), 20, dtype=torch.uint8), moving(1).expand(30, -1, -1, -1)])
    counts = write(tmp_path / "a.mp4", [moving(9), shots, moving(12, 2)])
    assert counts == (81, 3)
    assert len(fragment_ends(tmp_path / "a.mp4")) == 4
    assert times(tmp_path / "a.mp4") == pytest.approx([i / 16 for i in range(81)])
