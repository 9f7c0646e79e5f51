"""Sound in a video that grows piece by piece: where it was put, without a seam, to the last sample."""

import io
import threading

import av
import numpy as np
import pytest
import torch

from oner.utils.media import FragmentEncoder, VideoStream, boxes, fragment_ends, masked

PIECES = (9, 12, 1, 12, 40)  # frames
RATES = (16_000, 24_000, 44_100, 48_000)


def moving(frames, seed=0, size=(48, 64)):
    return torch.randint(0, 256, (frames, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def length(frames, fps, rate):
    return round(frames / fps * rate)


def cut(sound, fps, rate, pieces=PIECES):
    """(frames, samples) of each piece, for a sound as long as all of them."""
    done = 0
    for i, count in enumerate(pieces):
        yield moving(count, i), sound[:, length(done, fps, rate) : length(done + count, fps, rate)]
        done += count


def encode(sound, fps, rate, pieces=PIECES, **options):
    encoder = FragmentEncoder(fps, sample_rate=rate, channels=sound.shape[0], **options)
    data = b"".join(encoder.encode(frames, samples) for frames, samples in cut(sound, fps, rate, pieces))
    return data + encoder.finish()


def hear(data):
    """(time of the first sample, sound [C, N]) of a file's bytes."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
    return frames[0].time, torch.from_numpy(np.concatenate([frame.to_ndarray() for frame in frames], 1))


def tone(rate, count, channels=2):
    waves = [torch.sin(torch.arange(count) / rate * 2 * torch.pi * 220 * (i + 1)) for i in range(channels)]
    return 0.5 * torch.stack(waves)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("channels", "fps"), [(1, 16), (2, 24), (2, 23.976)])
def test_impulses_are_heard_where_they_were_put(rate, channels, fps):
    count = length(sum(PIECES), fps, rate)
    borders = [length(sum(PIECES[:i]), fps, rate) for i in range(1, len(PIECES))]
    spots = [200, borders[0] - 1, borders[1], borders[3] + 700, count - 300]
    sound = torch.zeros(channels, count)
    sound[:, spots] = 0.9
    start, heard = hear(encode(sound, fps, rate))
    assert start == 0
    assert count <= heard.shape[1] < count + 1024
    for channel in heard:
        for spot in spots:
            first = max(0, spot - 600)
            assert abs(first + int(channel[first : spot + 600].abs().argmax()) - spot) <= 1


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (24_000, 2), (48_000, 2)])
def test_pieces_sound_as_one(rate, channels):
    sound = tone(rate, length(sum(PIECES), 16, rate), channels)
    start, heard = hear(encode(sound, 16, rate))
    whole_start, whole = hear(encode(sound, 16, rate, pieces=(sum(PIECES),)))
    assert start == whole_start
    assert torch.equal(heard, whole)
    noise = (heard[:, : sound.shape[1]] - sound).square().mean() / sound.square().mean()
    assert float(noise.log10() * 10) < -25  # decibels


def test_both_tracks_begin_at_0_and_end_together():
    sound = tone(24_000, length(sum(PIECES), 16, 24_000))
    with av.open(io.BytesIO(encode(sound, 16, 24_000, metadata={"workflow": "{}"}))) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (container.start_time, video.start_time, audio.start_time) == (0, 0, 0)
        assert (audio.rate, audio.layout.name, audio.codec_context.name) == (24_000, "stereo", "aac")
        assert float(video.duration * video.time_base) == sum(PIECES) / 16
        # FFmpeg counts the block of silence that is skipped
        assert audio.duration == sound.shape[1] + 1024
        assert container.metadata["workflow"] == "{}"
        pictures = [frame.time for frame in container.decode(video=0)]
    assert pictures == pytest.approx([i / 16 for i in range(sum(PIECES))])


@pytest.mark.parametrize("second", [0.3, 0.6, 2.5])
def test_seeking_finds_picture_and_sound_of_the_same_time(second):
    sound = tone(48_000, length(sum(PIECES), 16, 48_000))
    data = encode(sound, 16, 48_000)
    begins = [sum(PIECES[:i]) / 16 for i in range(len(PIECES))]
    with av.open(io.BytesIO(data)) as container:
        container.seek(int(second * av.time_base))
        assert next(container.decode(video=0)).time == max(time for time in begins if time <= second)
    _, whole = hear(data)
    with av.open(io.BytesIO(data)) as container:
        container.seek(int(second * av.time_base))
        frames = list(container.decode(audio=0))
    after = torch.from_numpy(
        np.concatenate([frame.to_ndarray() for frame in frames[1:]], 1)
    )  # the first lacks its half
    at = round(frames[1].time * 48_000)
    assert frames[1].time <= second
    assert torch.allclose(after, whole[:, at:], atol=1e-5)


def test_pieces_shorter_than_a_block():
    pieces, rate = (1,) * 30, 24_000  # 800 samples each
    sound = torch.zeros(1, length(30, 30, rate))
    sound[:, 12_345] = 0.9
    data = encode(sound, 30, rate, pieces)
    assert int(hear(data)[1][0].abs().argmax()) == 12_345
    with av.open(io.BytesIO(data)) as container:
        assert [frame.time for frame in container.decode(video=0)] == pytest.approx([i / 30 for i in range(30)])


def test_the_same_pieces_give_the_same_bytes_on_a_busy_machine():
    sound = tone(24_000, length(sum(PIECES), 16, 24_000)) + 0.1 * torch.randn(2, length(sum(PIECES), 16, 24_000))
    quiet = encode(sound, 16, 24_000)
    busy = [b""] * 3
    threads = [threading.Thread(target=lambda i=i: busy.__setitem__(i, encode(sound, 16, 24_000))) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert busy == [quiet] * 3


def record(path, sound, rate=24_000, end="finish"):
    stream = VideoStream(path, 16, sample_rate=rate, channels=sound.shape[0])
    for frames, samples in cut(sound, 16, rate):
        stream.add(frames, samples)
    getattr(stream, end)()
    return stream


@pytest.mark.parametrize("end", ["finish", "close"])
def test_a_stream_writes_what_the_encoder_gives(tmp_path, end):
    sound = tone(24_000, length(sum(PIECES), 16, 24_000))
    stream = record(tmp_path / "a.mp4", sound, end=end)
    assert (tmp_path / "a.mp4").read_bytes() == encode(sound, 16, 24_000)
    assert stream.finish() == (sum(PIECES), len(PIECES) + 1)


def test_a_file_plays_up_to_its_last_piece_when_the_next_one_is_torn(tmp_path):
    sound = tone(24_000, length(sum(PIECES), 16, 24_000))
    record(tmp_path / "a.mp4", sound)
    data, whole = (tmp_path / "a.mp4").read_bytes(), hear((tmp_path / "a.mp4").read_bytes())[1]
    ends = fragment_ends(tmp_path / "a.mp4")
    assert len(ends) == len(PIECES) + 2
    for done in range(1, len(PIECES)):
        begin, end, frames = ends[done], ends[done + 1], sum(PIECES[:done])
        for written in (0, 8, 100, end - begin):
            torn = data[:begin] + masked(data[begin:end])[:written]
            with av.open(io.BytesIO(torn)) as container:
                assert len(list(container.decode(video=0))) == frames
            heard = hear(torn)[1]
            assert length(frames, 16, 24_000) - 3 * 1024 < heard.shape[1] <= length(frames, 16, 24_000)
            assert torch.equal(heard, whole[:, : heard.shape[1]])


def test_core_reads_picture_and_sound_in_step(tmp_path):
    from comfy_api.latest._input_impl.video_types import VideoFromFile

    sound = torch.zeros(2, length(sum(PIECES), 16, 24_000))
    sound[:, 30_000] = 0.9
    record(tmp_path / "a.mp4", sound)
    parts = VideoFromFile(str(tmp_path / "a.mp4")).get_components()
    assert parts.images.shape[0] == sum(PIECES)
    assert parts.audio["sample_rate"] == 24_000
    assert int(parts.audio["waveform"][0, 0].abs().argmax()) == 30_000


def test_sound_that_is_not_as_long_as_the_picture_is_refused():
    encoder = FragmentEncoder(16, sample_rate=24_000)
    encoder.encode(moving(8), torch.zeros(2, 12_001))  # one sample more is rounding
    with pytest.raises(ValueError, match=r"16 frames at 16 per second are 24000 samples at 24000 Hz.* has 24002"):
        encoder.encode(moving(8), torch.zeros(2, 12_001))
    encoder.encode(moving(8), torch.zeros(2, 11_998))


@pytest.mark.parametrize(
    ("rate", "samples", "message"),
    [
        (None, torch.zeros(2, 12_000), "a piece with sound"),
        (24_000, None, "a piece without sound"),
        (24_000, torch.zeros(1, 12_000), "1 channels, the video has 2"),
    ],
)
def test_pieces_are_all_with_sound_or_all_without(rate, samples, message):
    with pytest.raises(ValueError, match=message):
        FragmentEncoder(16, sample_rate=rate).encode(moving(8), samples)


@pytest.mark.parametrize(
    ("rate", "channels", "message"), [(50_000, 2, "AAC has no 50000 Hz: resample"), (48_000, 6, "6 channels")]
)
def test_sound_that_aac_cannot_hold_is_refused(rate, channels, message):
    with pytest.raises(ValueError, match=message):
        FragmentEncoder(16, sample_rate=rate, channels=channels)


def test_a_failure_of_the_thread_is_told_by_finish(tmp_path):
    stream = VideoStream(tmp_path / "a.mp4", 16, sample_rate=24_000)
    stream.add(moving(8), torch.zeros(2, 12_000))
    stream.add(moving(8), torch.zeros(2, 9))
    with pytest.raises(OSError, match=r"12009: give each piece.*8 frames in a\.mp4 are kept"):
        stream.finish()
    assert [kind for kind, _, _ in boxes((tmp_path / "a.mp4").read_bytes())] == [b"ftyp", b"moov", b"moof", b"mdat"]


def test_a_file_with_sound_is_not_appended_to(tmp_path):
    with pytest.raises(ValueError, match=r"a\.mp4 has sound and cannot go on"):
        VideoStream(tmp_path / "a.mp4", 16, sample_rate=24_000, resume=(9, 1))
