"""The run of windows on a model and VAE that lose nothing: what is in the film, what is sampled, what is found."""

import dataclasses
import gc
from types import SimpleNamespace

import pytest
import torch

from harness.windows import ColourNoise, NoiseGuider, StepVAE, random_plan
from oner.samplers.windows.drift import DriftSettings
from oner.samplers.windows.identity import is_timed
from oner.samplers.windows.plan import GRIDS, Row, WindowPlan
from oner.samplers.windows.run import Film, Given, Settings, Stage, cross_fade, keys_of, place_of
from oner.samplers.windows.text_bias import KEY, TimedText
from oner.samplers.windows.time_line import from_starts
from oner.utils.seeds import mix64
from oner.wan.layouts import WanLayout
from oner.wan.windows import WanCarrier

SIZE = 16


class Memory(dict):
    """A cache in memory."""

    def put(self, key, made):
        self[key] = made


def carrier(vae=None):
    model = SimpleNamespace(
        model=SimpleNamespace(latent_format=SimpleNamespace(latent_channels=16, process_out=lambda x: x))
    )
    return WanCarrier(model, vae or StepVAE(), SIZE, SIZE, WanLayout((), 16))


def film(plan, *, cache=None, guider=None, vae=None, given=None, seed=5, drift=None, **settings):
    pieces = []
    stage = Stage(carrier(vae), guider or NoiseGuider(), None, torch.tensor([1.0, 0.0]), ColourNoise(seed))
    run = Film(
        plan,
        [stage],
        sink=lambda frames, _sound: pieces.append(frames.clone()),
        given=given,
        settings=Settings(**settings),
        encode=lambda text: [[torch.full((1, 8, 4), float(len(text))), {}]],
        cache=cache,
        drift=drift,
    )
    run.run()
    return torch.cat(pieces), run


class Pictures:
    def __init__(self, frames, digest="pictures"):
        self.images, self.count, self.digest = frames, len(frames), digest

    def frames(self, start, end):
        return self.images[start:end]


def colours(frames, seed=9):
    """Blocks of random colours [F, 16, 16, 3] uint8 that stay the same over the frames of a latent."""
    groups = torch.randint(0, 256, ((frames + 6) // 4, 2, 2, 3), generator=torch.Generator().manual_seed(seed))
    index = (torch.arange(frames) + 3) // 4
    return groups[index].repeat_interleave(8, 1).repeat_interleave(8, 2).to(torch.uint8)


@pytest.mark.parametrize("seed", range(200))
def test_the_film_is_as_long_as_the_plan_and_windows_agree_where_they_overlap(seed):
    prefix = 13 if seed % 4 == 0 else 0
    plan = random_plan(seed, prefix=prefix)
    given = Given(prefix=Pictures(colours(prefix))) if prefix else None
    memory = Memory()
    frames, run = film(plan, cache=memory, given=given)
    assert len(frames) == prefix + plan.total
    assert run.sampled == list(range(len(plan.rows)))
    for index, row in enumerate(plan.rows):
        made = memory[run.keys[index]].frames
        first = prefix + row.start - row.overlap
        assert torch.equal(made, frames[first : first + len(made)]), index


@pytest.mark.parametrize("seed", range(20))
def test_the_noise_of_a_latent_frame_is_the_same_in_every_window_that_has_it(seed):
    plan = random_plan(seed, shots=False)
    memory = Memory()
    _, run = film(plan, cache=memory)
    for index in range(1, len(plan.rows)):
        before, row = plan.rows[index - 1], plan.rows[index]
        old, new = (memory[run.keys[i]].noise[0][0] for i in (index - 1, index))
        end = -(-(before.overlap + before.out) // 4)
        count = (row.overlap + 3) // 4
        shared = end - -(-(before.overlap + before.out - row.overlap) // 4)
        assert torch.equal(new[0][:, :shared], old[0][:, end - shared : end])
        assert shared in (count, count - 1)


def three(overlap=5):
    rows = [
        Row(0, 17, 0, 17, prompt="a"),
        Row(17, 12, overlap, 12 + overlap, prompt="b"),
        Row(29, 12, overlap, 12 + overlap, prompt="c"),
    ]
    return WindowPlan(tuple(rows), GRIDS["wan"], 16.0)


def test_what_is_found_is_not_sampled_and_an_edit_samples_from_there_on():
    memory, guider = Memory(), NoiseGuider()
    whole, _ = film(three(), cache=memory, guider=guider)
    again, run = film(three(), cache=memory, guider=guider)
    assert run.sampled == []
    assert torch.equal(again, whole)
    rows = three().rows
    changed = dataclasses.replace(three(), rows=(rows[0], dataclasses.replace(rows[1], prompt="x"), rows[2]))
    _, run = film(changed, cache=memory, guider=guider)
    assert run.sampled == [1, 2]


def test_a_new_shot_depends_on_nothing_before_it():
    rows = (
        Row(0, 17, 0, 17, prompt="a"),
        Row(17, 13, 0, 13, prompt="b", new_shot=True),
        Row(30, 12, 5, 17, prompt="b"),
    )
    plan = WindowPlan(rows, GRIDS["wan"], 16.0)
    memory = Memory()
    film(plan, cache=memory)
    longer = (Row(0, 21, 0, 21, prompt="a"), *(dataclasses.replace(row, start=row.start + 4) for row in rows[1:]))
    _, run = film(WindowPlan(longer, GRIDS["wan"], 16.0), cache=memory)
    assert run.sampled == [0]


def test_a_run_that_was_stopped_goes_on_to_the_same_film():
    whole, _ = film(three())
    memory = Memory()

    class Stop(NoiseGuider):
        def sample(self, *args, **kwargs):
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().sample(*args, **kwargs)

    pieces = []
    guider = Stop()
    guider.calls = []
    stopped = Film(
        three(),
        [Stage(carrier(), guider, None, torch.tensor([1.0, 0.0]), ColourNoise(5))],
        sink=lambda frames, _: pieces.append(frames.clone()),
        encode=lambda text: [[torch.full((1, 8, 4), float(len(text))), {}]],
        cache=memory,
    )
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    assert torch.equal(torch.cat(pieces), whole[:29])  # all that was finished is in the file
    again, run = film(three(), cache=memory)
    assert run.sampled == [2]
    assert torch.equal(again, whole)


@pytest.mark.parametrize(
    ("change", "sampled"),
    [({"carry": "latents"}, [0, 1, 2]), ({"crossfade": 1}, [1, 2]), ({"identity": "another model"}, [0, 1, 2])],
)
def test_what_the_frames_depend_on_is_in_the_keys(change, sampled):
    memory = Memory()
    film(three(), cache=memory)
    _, run = film(three(), cache=memory, **change)
    assert run.sampled == sampled


def test_seeds_add_to_the_window_or_are_its_own():
    guider = NoiseGuider()
    rows = three().rows
    plan = dataclasses.replace(
        three(),
        rows=(dataclasses.replace(rows[0], seed=3), dataclasses.replace(rows[1], seed=77, seed_is_own=True), rows[2]),
    )
    film(plan, guider=guider, seed=10)
    seeds = [seed for _, seed in guider.calls]
    assert seeds == [13, 77, mix64(10, 0, 2)]  # of a later window made of the seed and its place


def test_the_fade_leaves_out_its_end_points():
    old, new = torch.zeros(4, 1, 1, 3, dtype=torch.uint8), torch.full((4, 1, 1, 3), 250, dtype=torch.uint8)
    assert cross_fade(old, new)[:, 0, 0, 0].tolist() == [50, 100, 150, 200]


def test_windows_fade_over_the_last_frames_of_the_overlap():
    """The second window makes other overlap frames; only the last two of the overlap mix."""

    class Other(NoiseGuider):
        def sample(self, noise, latent, *args, denoise_mask=None, **kwargs):
            sampled = super().sample(noise, latent, *args, denoise_mask=denoise_mask, **kwargs)
            return sampled * 0 + 1 if denoise_mask is not None else sampled * 0

    frames, _ = film(three(), guider=Other(), crossfade=2)
    values = frames[:, 0, 0, 0].tolist()
    assert values[:15] == [0] * 15
    assert values[15:17] == [85, 170]
    assert values[17:] == [255] * 24


def test_shots_and_places():
    plan = random_plan(11)
    shots = [place_of(plan, i)[0] for i in range(len(plan.rows))]
    assert shots == sorted(shots)
    assert shots[0] == 0
    assert len(set(keys_of(plan, Settings(), Given(), None))) == len(plan.rows)


@pytest.mark.parametrize("found", [(), (0,), (0, 1)])
def test_drift_control_is_the_same_whatever_is_found(found):
    """A window that brightens everything is held to the frames before it, also if these come from the cache."""

    class Brighter(NoiseGuider):
        def sample(self, noise, latent, *args, denoise_mask=None, **kwargs):
            sampled = super().sample(noise, latent, *args, denoise_mask=denoise_mask, **kwargs)
            return sampled * 0.9 + 0.05 if denoise_mask is not None else sampled

    drift, memory = DriftSettings(), Memory()
    whole, run = film(three(), guider=Brighter(), drift=drift, cache=memory)
    plain, _ = film(three(), guider=Brighter())
    assert torch.equal(whole[:13], plain[:13])
    assert not torch.equal(whole, plain)
    kept = Memory({run.keys[i]: memory[run.keys[i]] for i in found})
    again, run = film(three(), guider=Brighter(), drift=drift, cache=kept)
    assert run.sampled == [i for i in range(3) if i not in found]
    assert torch.equal(again, whole)


def test_drift_settings_do_not_touch_the_first_window():
    memory = Memory()
    film(three(), cache=memory)
    _, run = film(three(), cache=memory, drift=DriftSettings())
    assert run.sampled == [1, 2]


def held_bytes() -> int:
    """Bytes of all tensors that something still holds."""
    tensors = [each for each in gc.get_objects() if type(each) is torch.Tensor]
    return sum({each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}.values())


def test_ten_minutes_take_the_memory_of_one():
    """What is held at minutes 1 to 10 of 9,600 frames, of which the sink keeps none."""
    rows = [Row(0, 81, 0, 81)]
    while rows[-1].start + rows[-1].out < 9600:
        rows.append(Row(rows[-1].start + rows[-1].out, 72, 9, 81))
    plan = WindowPlan(tuple(rows), GRIDS["wan"], 16.0)
    memory: list[int] = []
    pieces = []

    def measure(frames, _sound):
        pieces.append(len(frames))
        if sum(pieces) // 960 > len(memory):
            memory.append(held_bytes())

    Film(plan, [Stage(carrier(), NoiseGuider(), None, torch.tensor([1.0, 0.0]), ColourNoise(5))], sink=measure).run()
    assert sum(pieces) == plan.total
    assert len(memory) == 10
    assert max(memory) - min(memory) < 81 * SIZE * SIZE * 3  # a window's frames


def shots():
    rows = (
        Row(0, 17, 0, 17, prompt="a"),
        Row(17, 12, 5, 17, prompt="b"),
        Row(29, 13, 0, 13, prompt="c", new_shot=True),
        Row(42, 12, 5, 17, prompt="d"),
        Row(54, 9, 0, 9, prompt="e", new_shot=True),
    )
    return WindowPlan(rows, GRIDS["wan"], 16.0)


def test_a_shot_alone_is_what_the_film_has_there():
    whole, run = film(shots())
    parts = [film(shots().shot(number)) for number in (1, 2, 3)]
    assert torch.equal(torch.cat([frames for frames, _ in parts]), whole)
    assert [key for _, part in parts for key in part.keys] == run.keys


def test_a_shot_has_its_own_part_of_what_is_given():
    source = Pictures(colours(63))
    guider = NoiseGuider()
    whole, run = film(shots(), given=Given(source=source), guider=guider)
    frames, part = film(shots().shot(2), given=Given(source=source), guider=guider)
    assert part.keys == run.keys[2:4]
    assert torch.equal(frames, whole[29:54])


def test_shots_are_counted():
    assert [len(rows) for rows in shots().shots()] == [2, 2, 1]
    assert shots().shot(2).film == 63
    with pytest.raises(ValueError, match="shot is 4, and the film has 3"):
        shots().shot(4)


def timed_guider():
    guider = NoiseGuider()
    line = from_starts("", [(0.0, "a"), (20.0, "b")], 41, 16.0, 4)
    guider.original_conds["positive"][0] |= {
        "cross_attn": torch.zeros(1, 6, 4),
        KEY: TimedText(line, (0, 1), (3, 3), 1.0, -8.0, 0, 41),
    }
    return guider


def test_a_window_reads_its_part_of_a_time_line():
    guider, seen = timed_guider(), []

    class Seeing(NoiseGuider):
        def sample(self, *args, **kwargs):
            seen.append(self.original_conds["positive"][0])
            return super().sample(*args, **kwargs)

    seeing = Seeing()
    seeing.original_conds = guider.original_conds
    rows = tuple(dataclasses.replace(row, prompt="") for row in three().rows)
    film(dataclasses.replace(three(), rows=rows), guider=seeing)
    assert [(each[KEY].first, each[KEY].frames, each[KEY].texts) for each in seen] == [
        (0, 17, (0,)),
        (12, 17, (0, 1)),
        (24, 17, (1,)),
    ]
    assert seen[0]["cross_attn"].shape == (1, 3, 4)


def test_prompts_of_the_plan_beside_a_time_line_are_refused():
    with pytest.raises(ValueError, match="positive is a time line of its own"):
        film(three(), guider=timed_guider())


@pytest.mark.parametrize("timed", [False, True])
def test_what_lies_over_the_film_ties_a_shot_to_its_place(timed):
    later = [dataclasses.replace(row, start=row.start + 4) for row in shots().rows[2:]]
    moved = dataclasses.replace(shots(), rows=(Row(0, 21, 0, 21, prompt="a"), shots().rows[1], *later))
    before, after = (keys_of(plan, Settings(timed=timed), Given(), None) for plan in (shots(), moved))
    assert (before[2] == after[2]) is not timed
    assert is_timed({"positive": [{"camera_conditions": torch.zeros(1, 24, 3, 2, 2)}]})
    assert is_timed(timed_guider().original_conds)
    assert not is_timed(NoiseGuider().original_conds)
