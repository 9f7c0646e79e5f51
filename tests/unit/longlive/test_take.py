import dataclasses
import signal
import threading
import time

import av
import pytest
import torch
from safetensors.torch import save_file

from harness.causal import tiny_recorder, wan_weights
from oner.longlive.loader import apply_lora, load_patcher
from oner.longlive.presets import Settings
from oner.longlive.rollout import Segment
from oner.longlive.schedule import NEW_SINK
from oner.longlive.session import load_state, save_state
from oner.longlive.take import LATENTS, STATE, Take, make, read_latents, resume, resume_video
from oner.samplers.fingerprint import fingerprint
from oner.utils.media import fragment_ends

SETTINGS = Settings(window=6, sink=2, block=2, steps=2)


class Cancelled(BaseException):
    """Like ComfyUI's interrupt, no Exception."""


@pytest.fixture
def record(tmp_path, patcher, prompts, vae):
    """Start a recorder in a folder of a name; the text changes at frame 8."""

    def record(name, *, of=patcher, vae=vae, settings=SETTINGS, **options):
        segments = [Segment(0, prompts[:1]), Segment(8, prompts[1:2], NEW_SINK)]
        return tiny_recorder(tmp_path / name, of, segments, settings, vae=vae, **options)

    return record


@pytest.fixture
def whole(record):
    recorder = record("whole")
    recorder.start()
    make(recorder, 7)
    return recorder


def same_files(one, two):
    return all(
        (one.folder / name).read_bytes() == (two.folder / name).read_bytes() for name in (LATENTS, "video_0.mp4")
    )


def test_a_take_has_all_latents_frames_and_pieces(whole):
    take = Take(whole.folder)
    assert take.finished() == 14
    assert take.latents().shape == (1, 16, 14, 2, 2)
    assert len(fragment_ends(whole.folder / "video_0.mp4")) == 1 + 7
    assert len(whole.images) == 4


@pytest.mark.parametrize("blocks", [1, 4, 6])
def test_a_continued_take_equals_an_uninterrupted_one(blocks, record, whole):
    part = record("part")
    part.start()
    make(part, blocks)
    rest = record("rest")
    assert resume(Take(part.folder), rest)
    make(rest, 7 - blocks)
    assert same_files(rest, whole)
    assert Take(part.folder).finished() == 2 * blocks, "continuing leaves its source alone"


@pytest.mark.parametrize("forward", [1, 7, 12, 13, 14])  # in a step, in a clean pass, in the recache, in its block
def test_a_cancelled_take_goes_on_exactly(forward, record, whole):
    count = 0

    def stop():
        nonlocal count
        count += 1
        if count == forward + 3:
            raise Cancelled

    part = record("part", before_forward=stop)
    part.start()
    with pytest.raises(Cancelled):
        make(part, 7)
    done = Take(part.folder).finished() // 2
    rest = record("rest")
    assert resume(Take(part.folder), rest)
    make(rest, 7 - done)
    assert same_files(rest, whole)


def test_a_take_cancelled_while_decoding_keeps_the_block(record, whole, monkeypatch):
    part = record("part")
    part.start()
    decode = part.decoder.decode_one

    def stop(latent):
        if part.decoder.frames == 5:
            raise Cancelled
        return decode(latent)

    monkeypatch.setattr(part.decoder, "decode_one", stop)
    with pytest.raises(Cancelled):
        make(part, 7)
    done = Take(part.folder).finished() // 2
    assert done >= 3, "the block is kept, and what was sampled meanwhile"
    rest = record("rest")
    resume(Take(part.folder), rest)
    make(rest, 7 - done)
    assert same_files(rest, whole)


def test_a_block_is_decoded_while_the_next_one_is_sampled(record, whole, monkeypatch):
    """Decoding of block 0 waits for a forward of block 1: only possible side by side."""
    sampling = threading.Event()
    part = record("part", before_forward=lambda: part.rollout.next_frame == 2 and sampling.set())
    part.start()
    decode = part.decoder.decode

    def wait(latents):
        assert sampling.wait(60), "block 1 is sampled only after block 0 is decoded"
        return decode(latents)

    monkeypatch.setattr(part.decoder, "decode", wait)
    make(part, 7)
    assert same_files(part, whole)


def test_sampling_waits_for_a_slow_decoder(record, monkeypatch):
    """One block is decoded and one waits, so memory is bounded; the third is held back."""
    ahead = []
    part = record("part")
    part.start()
    decode = part.decoder.decode

    def watch(latents):
        time.sleep(0.05)  # enough for sampling to run away if it could; slower sampling passes as well
        ahead.append(part.rollout.next_frame // 2 - part.decoder.frames // 2)
        return decode(latents)

    monkeypatch.setattr(part.decoder, "decode", watch)
    make(part, 7)
    assert len(ahead) == 7
    assert max(ahead) <= 3


def test_a_failing_decoder_stops_the_take_and_keeps_its_blocks(record, whole, monkeypatch):
    part = record("part")
    part.start()

    def fail(_latent):
        raise torch.OutOfMemoryError("no memory to decode")

    monkeypatch.setattr(part.decoder, "decode_one", fail)
    with pytest.raises(torch.OutOfMemoryError, match="no memory to decode"):
        make(part, 7)
    done = Take(part.folder).finished() // 2
    assert 1 <= done < 7, "it stopped on the way"
    assert not part.worker.thread.is_alive()
    rest = record("rest")
    resume(Take(part.folder), rest)
    make(rest, 7 - done)
    assert same_files(rest, whole)


def test_weights_that_core_brings_as_needed_are_used_by_one_thread_only(record, whole, monkeypatch):
    part = record("part")
    monkeypatch.setattr(part.decoder, "casts_weights", lambda: True)
    part.start()
    assert part.worker.thread is None
    make(part, 7)
    assert same_files(part, whole)


def test_a_take_longer_than_a_piece_is_copied_without_a_gap(record):
    """Latents are copied 64 frames at a time."""
    settings = dataclasses.replace(SETTINGS, steps=1)
    long = record("long", vae=None, settings=settings)
    long.start()
    make(long, 34)
    rest = record("rest", vae=None, settings=settings)
    resume(Take(long.folder), rest)
    rest.close()
    assert (rest.folder / LATENTS).read_bytes() == (long.folder / LATENTS).read_bytes()


def test_a_growing_take_is_saved_after_its_first_block_and_every_third(record):
    saved = []
    recorder = record("growing", vae=None)
    take = Take(recorder.folder)
    recorder.start()
    make(
        recorder,
        7,
        checkpoint_blocks=3,
        on_block=lambda _: saved.append(take.finished() if (take.folder / STATE).exists() else 0),
    )
    assert saved == [0, 2, 2, 6, 6, 6, 12]  # latent frames, as each block is finished and before it is saved


def test_a_take_without_video_can_get_one_later(record, whole):
    part = record("part", vae=None)
    part.start()
    make(part, 5)
    rest = record("rest")
    resume(Take(part.folder), rest)
    make(rest, 2)
    assert same_files(rest, whole)


def test_a_fork_keeps_what_was_before_and_says_it_is_not_exact(record, whole):
    fork = record("fork")
    assert not resume(Take(whole.folder, 10), fork)
    make(fork, 2)
    ours, theirs = (read_latents(r.folder, (1, 16, 2, 2), 14) for r in (fork, whole))
    assert torch.equal(ours[:, :, :10], theirs[:, :, :10])
    error = (ours - theirs)[:, :, 10:].square().mean().sqrt() / theirs.square().mean().sqrt()
    assert 0 < error < 0.2
    size = fragment_ends(whole.folder / "video_0.mp4")[5]
    assert (fork.folder / "video_0.mp4").read_bytes()[:size] == (whole.folder / "video_0.mp4").read_bytes()[:size]


def test_the_video_of_a_fork_goes_on_without_a_gap(record, whole):
    """The first latent frame is one picture, each later one four, at 16 a second."""
    fork = record("fork")
    resume(Take(whole.folder, 10), fork)
    make(fork, 2)
    with av.open(str(fork.folder / "video_0.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([i / 16 for i in range(4 * 14 - 3)])
    assert Take(fork.folder).plain()["video"] == [[4 * 14 - 3, 7]]


@pytest.mark.parametrize("frames", [2, 10, 14])
def test_a_fork_goes_on_after_as_many_pictures_as_its_latents_are(record, whole, frames):
    """Of F latent frames 4 F - 3, in one piece a block, also at the very end of the take."""
    fork = record("fork")
    given = Take(whole.folder, frames)
    latents = read_latents(whole.folder, (1, 16, 2, 2), frames)
    counts = resume_video(given, given.plain(), {}, fork, latents, exact=False)
    assert counts == [(4 * frames - 3, frames // 2)]


def test_an_unbounded_window_grows_when_a_take_goes_on(record):
    settings = dataclasses.replace(SETTINGS, window=-1, sink=0)
    long, part = record("long", settings=settings, frames=12), record("part", settings=settings, frames=8)
    for recorder, blocks in ((long, 6), (part, 4)):
        recorder.start()
        make(recorder, blocks)
    rest = record("rest", settings=settings, frames=12)
    resume(Take(part.folder), rest)
    make(rest, 2)
    assert same_files(rest, long)


def test_another_model_is_refused(record, whole, tmp_path):
    save_file(wan_weights(seed=1), str(tmp_path / "other.safetensors"))
    other = load_patcher(tmp_path / "other.safetensors", model_options={"dtype": torch.float32})
    with pytest.raises(ValueError, match="another model or LoRA"):
        resume(Take(whole.folder), record("rest", of=other))


def test_a_lora_and_its_strength_are_part_of_the_model(patcher, tmp_path):
    key = "base_model.model.blocks.0.ffn.0"
    save_file(
        {f"{key}.lora_A.weight": torch.ones(2, 128), f"{key}.lora_B.weight": torch.ones(64, 2)},
        str(tmp_path / "a.safetensors"),
    )
    names = {fingerprint(patcher)} | {
        fingerprint(apply_lora(patcher, tmp_path / "a.safetensors", s)[0]) for s in (0.5, 1)
    }
    assert len(names) == 3


def test_weights_have_the_same_name_before_and_after_loading(patcher, tmp_path):
    key = "base_model.model.blocks.0.ffn.0"
    save_file(
        {f"{key}.lora_A.weight": torch.ones(2, 128), f"{key}.lora_B.weight": torch.ones(64, 2)},
        str(tmp_path / "a.safetensors"),
    )
    model, _ = apply_lora(patcher, tmp_path / "a.safetensors", 1.0)
    before = fingerprint(model)
    model.patch_model()
    after = fingerprint(model)
    model.unpatch_model()
    assert before == after


def test_a_full_disk_keeps_the_finished_part(record):
    resource = pytest.importorskip("resource")
    recorder = record("full")
    recorder.start()
    old_signal = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        make_limited(recorder, resource, old_limit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_signal)
    path = recorder.folder / "video_0.mp4"
    ends = fragment_ends(path)
    assert len(ends) - 1 >= 2
    assert path.stat().st_size == ends[-1], "no half piece is left"
    assert not list(recorder.folder.glob("*.partial"))


def make_limited(recorder, resource, old_limit):
    """Files may grow no larger than the video is after two blocks, and a little."""
    blocks = 0

    def limit(_block):
        nonlocal blocks
        blocks += 1
        if blocks == 2:
            recorder.flush()
            size = (recorder.folder / "video_0.mp4").stat().st_size + 300
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, old_limit[1]))

    with pytest.raises(OSError, match=r"could not be written.*kept"):
        make(recorder, 7, on_block=limit)


def test_a_folder_without_a_state_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=f"empty holds no {STATE}"):
        Take(tmp_path / "empty").finished()


def change_plain(folder, change):
    """Save the take's state again with changed plain data."""
    tensors, plain = load_state(folder / STATE)
    change(plain)
    save_state(folder / STATE, tensors, plain)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda plain: plain.pop("rollout"), "rollout"),
        (lambda plain: plain["rollout"].pop("pending"), "rollout"),
        (lambda plain: plain["rollout"].update(next_frame="8"), "rollout"),
        (lambda plain: plain["rollout"].update(table=[1, 2]), "table"),
        (lambda plain: plain["rollout"]["table"].pop("pinned"), "table"),
        (lambda plain: plain.update(identity=3), "shape"),
        (lambda plain: plain["identity"].update(shape=[1, 16, 2]), "shape"),
        (lambda plain: plain["identity"].update(shape=[1, 16, 2, -2]), "shape"),
        (lambda plain: plain.update(video=None), "video"),
        (lambda plain: plain.update(version="one"), "version 'one'"),
    ],
)
def test_a_state_that_is_not_complete_is_refused(record, change, part):
    recorder = record("part")
    recorder.start()
    make(recorder, 2)
    take = Take(recorder.folder)
    assert take.finished() == 4
    change_plain(take.folder, change)
    with pytest.raises(ValueError, match=rf"take\.safetensors is damaged \((its )?{part}\): go on from another take"):
        take.plain()


def test_settings_that_are_not_complete_are_refused(record):
    recorder = record("part")
    recorder.start()
    make(recorder, 2)
    with pytest.raises(ValueError, match=r"part/take\.safetensors is damaged \(its settings\)"):
        Take(recorder.folder).settings()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tensors: tensors.pop("stream0.cache.key.1"), r"the take's state is damaged \(cache\.key\.1\)"),
        (
            lambda tensors: tensors.update({"stream0.cache.value.0": torch.zeros(2, 2)}),
            r"the take's state is damaged \(cache\.value\.0\)",
        ),
        (lambda tensors: tensors.update(text=torch.full((1, 8, 16), torch.nan)), r"hold NaN .* \(first: text\)"),
    ],
)
def test_a_state_without_its_tensors_is_refused(record, change, sentence):
    recorder = record("part")
    recorder.start()
    make(recorder, 2)
    path = recorder.folder / STATE
    tensors, plain = load_state(path)
    change(tensors)
    save_state(path, tensors, plain)
    with pytest.raises(ValueError, match=sentence):
        resume(Take(recorder.folder), record("rest"))
