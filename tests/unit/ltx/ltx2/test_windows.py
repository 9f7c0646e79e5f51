"""Windows of a long LTX-2 video: one is a plain run, the next holds the end of it, sound stays with the picture."""

import random as lottery
from itertools import pairwise
from types import SimpleNamespace

import comfy.samplers
import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_custom_sampler import Noise_RandomNoise, SamplerCustomAdvanced
from comfy_extras.nodes_hunyuan import LatentUpscaleModelLoader
from comfy_extras.nodes_lt_audio import LTXVAudioVAEDecode
from comfy_extras.nodes_lt_upsampler import LTXVLatentUpsampler

from harness.windows import StepSound, StepVAE
from oner.ltx.latents import audio_latent_frames
from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltx2.noise import LatentNoise
from oner.ltx.ltx2.solvers import make_sampler
from oner.ltx.ltx2.windows import make_carrier
from oner.nodes.ltx.conditioning import LTXCrop, LTXImageToVideo, LTXKeyframe, LTXReferenceVideo
from oner.nodes.ltx.latents import LTXEmptyLatent, LTXStageHandOver
from oner.nodes.ltx.loaders import AUDIO_PARTS, load_vae
from oner.samplers.windows.carrier import LAG, Window
from oner.samplers.windows.plan import GRIDS, Row, WindowPlan
from oner.samplers.windows.run import Film, Given, Settings, Stage, beginning
from tiny import write_models

from .conftest import random

SIZE = 64
SIGMAS = torch.tensor([1.0, 0.7, 0.3, 0.0])
SECOND = torch.tensor([0.9, 0.4, 0.0])
RATES = [24.0, 25.0, 30.0, 23.976, 50.0]


class Memory(dict):
    put = dict.__setitem__


class Pictures:
    digest = "pictures"

    def __init__(self, images):
        self.images, self.count = images, len(images)

    def frames(self, start, end):
        return self.images[start:end]


def pixels(frames, size=SIZE, seed=0):
    """Blocks of colours that are the same over a latent."""
    colours = torch.rand(
        -(-(frames + 7) // 8), size // 32, size // 32, 3, generator=torch.Generator().manual_seed(seed)
    )
    whole = colours.repeat_interleave(8, 0).repeat_interleave(32, 1).repeat_interleave(32, 2)
    return whole[7 : 7 + frames]


def guider_of(model, prompts, cfg=3.0):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(*prompts)
    guider.set_cfg(cfg)
    return guider


def stage(model, prompts, *, size=SIZE, audio=True, sigmas=SIGMAS, noise=None, guider=None, vaes=None, **options):
    video_vae, audio_vae = vaes or (StepVAE(128), StepSound())
    return Stage(
        make_carrier(model, video_vae, size, size, fps=24.0, audio_vae=audio_vae if audio else None, **options),
        guider or guider_of(model, prompts),
        comfy.samplers.sampler_object("euler"),
        sigmas,
        noise or Noise_RandomNoise(7),
    )


def run(stages, rows, *, given=None, **settings):
    frames, sounds, memory = [], [], Memory()
    carrier = stages[-1].carrier
    plan = WindowPlan(tuple(rows), GRIDS["ltx"], carrier.fps, given.prefix.count if given and given.prefix else 0)

    def sink(pictures, sound):
        frames.append(pictures)
        sounds.append(sound)

    film = Film(plan, stages, sink=sink, given=given, settings=Settings(**settings), cache=memory)
    film.run()
    made = [memory[key] for key in film.keys]
    return torch.cat(frames), None if sounds[-1] is None else torch.cat([s for s in sounds if s is not None], 1), made


def two(overlap=9):
    return [Row(0, 17, 0, 17), Row(17, 16, overlap, 16 + overlap)]


@pytest.mark.parametrize("given", ["text", "start image", "video alone", "end image"])
def test_one_window_is_what_core_samples(ltx2, prompts, given):
    audio = given != "video alone"
    image, vae = pixels(1), StepVAE(128)
    latent = LTXEmptyLatent.execute(SIZE, SIZE, 17, 24.0, 1, "one", audio).result[0]
    plain = prompts
    if given == "start image":
        latent = LTXImageToVideo.execute(vae, image, latent, 1.0).result[0]
    if given == "end image":
        *plain, latent = LTXKeyframe.execute(*prompts, vae, image, latent, -1, 1.0).result
    want = SamplerCustomAdvanced.execute(
        Noise_RandomNoise(7), guider_of(ltx2, plain), comfy.samplers.sampler_object("euler"), SIGMAS, latent
    ).result[0]
    want = LTXCrop.execute(*plain, want).result[2]["samples"]
    pictures = Given(
        start_image=image if given == "start image" else None, end_images=image if given == "end image" else None
    )
    row = Row(0, 17, 0, 17, end=1 if given == "end image" else None)
    _, _, made = run([stage(ltx2, prompts, audio=audio)], [row], given=pictures)
    want = want.unbind() if audio else [want]
    assert len(made[0].latents[0]) == len(want)
    for part, expected in zip(made[0].latents[0], want, strict=True):
        assert torch.equal(part, expected)


@pytest.mark.parametrize("carry", ["frames", "latents"])
@pytest.mark.parametrize("end", [None, 1])
def test_the_second_window_holds_the_end_of_the_first(ltx2, prompts, carry, end):
    rows = two()
    rows[1] = Row(17, 16, 9, 25, end=end)
    given = Given(end_images=pixels(1, seed=4))
    frames, sound, made = run([stage(ltx2, prompts)], rows, carry=carry, given=given, crossfade=0)
    (first, first_sound), (second, second_sound) = (each.latents[0] for each in made)
    assert frames.shape == (33, SIZE, SIZE, 3)
    assert sound.shape == (2, round(33 / 24 * 48000))
    assert second.shape == (1, 128, 4, 2, 2)
    held = StepVAE(128).encode(frames[8:17].float() / 255)
    assert torch.equal(second[:, :, :1], held[:, :, :1])
    assert torch.equal(second[:, :, 1:2], first[:, :, -1:] if carry == "latents" else held[:, :, 1:])
    assert not torch.equal(second[:, :, 2:3], first[:, :, 2:3])
    count = audio_latent_frames(17, 24) - audio_latent_frames(8, 24)
    assert torch.equal(second_sound[:, :, :count], first_sound[:, :, -count:])
    assert not torch.equal(second_sound[:, :, count : count + 1], first_sound[:, :, -1:])


def test_a_longer_or_shorter_window_of_sound_is_sampled(ltx2, prompts):
    """At 24 frames a second 25 frames are 26 latents, and those from frame 8 to 33 are round(34.375) - round(8.33)."""
    _, _, made = run([stage(ltx2, prompts)], two())
    assert [each.latents[0][1].shape[2] for each in made] == [18, 26]
    rows = [Row(0, 17, 0, 17), Row(17, 40, 9, 49), Row(57, 8, 9, 17)]
    _, _, made = run([stage(ltx2, prompts)], rows)
    assert [each.latents[0][1].shape[2] for each in made] == [18, 51, 18]


def test_given_sound_is_kept_and_is_the_film_s(ltx2, prompts, models):
    vaes = vaes_of(models)
    rate = 44100
    sound = {"sample_rate": rate, "waveform": random(1, 2, 3 * rate, seed=5).clamp(-1, 1) / 4}
    frames, heard, made = run([stage(ltx2, prompts, vaes=vaes)], two(), given=Given(sound=sound))
    assert torch.equal(heard, sound["waveform"][0, :, : round(33 / 24 * rate)])
    carrier = make_carrier(ltx2, vaes[0], SIZE, SIZE, fps=24.0, audio_vae=vaes[1])
    piece = {**sound, "waveform": sound["waveform"][..., round(8 / 24 * rate) : round(33 / 24 * rate)]}
    clip = carrier.clip(
        Window(two()[1], 33, offset=8, held=frames[8:17].float() / 255, sound=piece), {"positive": prompts[0]}
    )
    samples, mask = clip.latent["samples"].unbind()[1], clip.latent["noise_mask"].unbind()[1]
    assert not mask.any()
    torch.testing.assert_close(made[1].latents[0][1], samples, atol=1e-6, rtol=0)
    whole = carrier.encode_sound(sound, 0, 40)  # where the encoder looks back to what the window does not have
    errors = [float((samples[:, :, 13:26] - whole[:, :, first : first + 13]).abs().mean()) for first in (20, 21, 22)]
    assert errors[1] < errors[0] / 3
    assert errors[1] < errors[2] / 3


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    with torch.inference_mode():
        return write_models(tmp_path_factory.mktemp("models"), ["ltx-2.3"])["ltx-2.3"]


def vaes_of(path):
    return load_vae(str(path), {"vae.": ""}), load_vae(str(path), AUDIO_PARTS)


@pytest.mark.parametrize(("name", "rate"), [("ltx-2.3", 48000), ("ltx-2.0", 24000)])
def test_the_real_vaes_decode_a_window_and_end_within_the_lag(ltx2, prompts, tmp_path, name, rate):
    vaes = vaes_of(write_models(tmp_path, [name])[name])
    frames, sound, made = run([stage(ltx2, prompts, vaes=vaes)], two())
    assert frames.shape == (33, SIZE, SIZE, 3)
    assert sound.shape == (2, round(33 / 24 * rate))
    want = LTXVAudioVAEDecode.execute({"samples": NestedTensor(made[0].latents[0])}, vaes[1]).result[0]["waveform"][0]
    assert torch.equal(made[0].sound, want)
    assert 0 <= 17 / 24 - want.shape[1] / rate < LAG
    assert torch.equal(sound[:, : rate // 2], want[:, : rate // 2])


def doubled(video):
    return video.repeat_interleave(2, 3).repeat_interleave(2, 4)


@pytest.mark.parametrize("sound_of", ["last stage", "stage 1"])
def test_two_stages_have_the_size_and_hold(ltx2, prompts, sound_of):
    stages = [
        stage(ltx2, prompts, size=64),
        stage(ltx2, prompts, size=128, sigmas=SECOND, upsample=doubled, sound_of=sound_of),
    ]
    frames, _, made = run(stages, two(), crossfade=0)
    assert frames.shape == (33, 128, 128, 3)
    for size, parts in zip((2, 4), made[1].latents, strict=True):
        assert parts[0].shape == (1, 128, 4, size, size)
    vae, held = StepVAE(128), frames[8:17].float() / 255
    assert torch.equal(made[1].latents[1][0][:, :, :2], vae.encode(held))
    small = held.unfold(1, 2, 2).unfold(2, 2, 2).mean((-1, -2))
    torch.testing.assert_close(made[1].latents[0][0][:, :, :2], vae.encode(small), atol=1e-6, rtol=0)
    first, second = (made[1].latents[i][1] for i in (0, 1))
    assert torch.equal(first, second) == (sound_of == "stage 1")
    for parts, before in zip(made[1].latents, made[0].latents, strict=True):
        assert torch.equal(parts[1][:, :, :10], before[1][:, :, -10:])


@pytest.mark.parametrize("given", ["text", "start image"])
def test_one_window_of_two_stages_is_what_the_graph_of_two_samples(ltx2, prompts, tmp_path, given):
    paths = write_models(tmp_path, ["ltx-2.3", "upscaler-x2"])
    vaes, upscaler = vaes_of(paths["ltx-2.3"]), load_upscaler(paths["upscaler-x2"])
    image = pixels(1, 128) if given == "start image" else None

    def sampled(latent, sigmas):
        if image is not None:
            latent = LTXImageToVideo.execute(vaes[0], image, latent, 1.0).result[0]
        guider, euler = guider_of(ltx2, prompts), comfy.samplers.sampler_object("euler")
        return SamplerCustomAdvanced.execute(Noise_RandomNoise(7), guider, euler, sigmas, latent).result[0]

    first = sampled(LTXEmptyLatent.execute(128, 128, 17, 24.0, 1, "two", True).result[0], SIGMAS)
    larger = LTXStageHandOver.execute(prompts[0], first, upscaler, vaes[0]).result[1]
    want = [each["samples"].unbind() for each in (first, sampled(larger, SECOND))]

    def upsample(video):
        return LTXVLatentUpsampler.execute({"samples": video}, upscaler, vaes[0]).result[0]["samples"]

    stages = [
        stage(ltx2, prompts, size=64, vaes=vaes),
        stage(ltx2, prompts, size=128, vaes=vaes, sigmas=SECOND, upsample=upsample),
    ]
    _, _, (made,) = run(stages, [Row(0, 17, 0, 17)], given=Given(start_image=image))
    for parts, expected in zip(made.latents, want, strict=True):
        for part, other in zip(parts, expected, strict=True):
            assert torch.equal(part, other)


def load_upscaler(path):
    import folder_paths

    folder_paths.add_model_folder_path("latent_upscale_models", str(path.parent))
    return LatentUpscaleModelLoader.execute(path.name).result[0]


def test_the_second_stage_starts_from_the_first_in_picture_and_sound(ltx2, prompts):
    carrier = make_carrier(ltx2, StepVAE(128), 128, 128, fps=24.0, audio_vae=StepSound(), upsample=doubled)
    latents = [random(1, 128, 3, 2, 2, seed=1), random(1, 8, 18, 16, seed=2)]
    clip = carrier.clip(Window(Row(0, 17, 0, 17), 17, latents=latents), {"positive": prompts[0]})
    video, sound = clip.latent["samples"].unbind()
    assert torch.equal(video, doubled(latents[0]))
    assert torch.equal(sound, latents[1])
    assert "noise_mask" not in clip.latent
    with pytest.raises(ValueError, match="make 64x64 pixels, and the film has 128x128: two stages need an x2"):
        make_carrier(ltx2, StepVAE(128), 128, 128, fps=24.0, upsample=lambda video: video).clip(
            Window(Row(0, 17, 0, 17), 17, latents=latents[:1]), {"positive": prompts[0]}
        )


def test_partial_noise_starts_every_window_from_the_source(ltx2, prompts):
    source = Pictures(pixels(33))
    frames, _, _ = run(
        [stage(ltx2, prompts, audio=False, sigmas=torch.tensor([0.002, 0.0]))], two(), given=Given(source=source)
    )
    assert (frames.float() / 255 - source.images).abs().mean() < 0.02


def test_a_source_without_a_sound_is_said(ltx2, prompts):
    carrier = make_carrier(ltx2, StepVAE(128), SIZE, SIZE, fps=24.0, audio_vae=StepSound())
    clip = carrier.clip(Window(Row(0, 17, 0, 17), 17, source=pixels(17)), {"positive": prompts[0]})
    assert torch.equal(clip.latent["samples"].unbind()[0], StepVAE(128).encode(pixels(17)))
    assert clip.notes == ["its sound starts from nothing, as no sound is given with the source"]


def test_a_film_goes_on_from_a_given_video(ltx2, prompts):
    before = (pixels(17) * 255).round().to(torch.uint8)
    frames, sound, made = run(
        [stage(ltx2, prompts)],
        [Row(0, 16, 9, 25), Row(16, 16, 9, 25)],
        given=Given(prefix=Pictures(before)),
        crossfade=0,
    )
    assert torch.equal(frames[:17], before)
    assert frames.shape[0] == 49
    assert sound.shape[1] == round(49 / 24 * 48000)
    assert not sound[:, : round(17 / 24 * 48000)].any()
    held = StepVAE(128).encode(before[8:].float() / 255)
    assert torch.equal(made[0].latents[0][0][:, :, :2], held)
    assert made[0].latents[0][1].shape[2] == 26


@pytest.mark.parametrize("has_sound", [False, True])
def test_the_sound_of_a_given_video_is_in_front_and_held(ltx2, prompts, models, has_sound):
    vaes = vaes_of(models)
    before = (pixels(17) * 255).round().to(torch.uint8)
    sound = {"sample_rate": 48000, "waveform": random(1, 2, 34000, seed=5).clamp(-1, 1) / 4}
    given = Given(prefix=Pictures(before), prefix_sound=sound if has_sound else None)
    row = Row(0, 16, 9, 25)
    _, heard, (made,) = run([stage(ltx2, prompts, vaes=vaes)], [row], given=given)
    assert heard.shape == (2, 34000 + 32000)
    assert torch.equal(heard[:, :34000], sound["waveform"][0] if has_sound else torch.zeros(2, 34000))
    if not has_sound:
        return
    other = Given(prefix=Pictures(before), prefix_sound={**sound, "sample_rate": 44100})
    with pytest.raises(ValueError, match="has 44100 samples a second, the film's 48000: resample it"):
        run([stage(ltx2, prompts, vaes=vaes)], [row], given=other)
    carrier = make_carrier(ltx2, vaes[0], SIZE, SIZE, fps=24.0, audio_vae=vaes[1])
    held = {**sound, "waveform": sound["waveform"][..., 16000:]}
    clip = carrier.clip(Window(row, 16, held=before[8:].float() / 255, held_sound=held), {"positive": prompts[0]})
    latents, mask = (clip.latent[key].unbind()[1] for key in ("samples", "noise_mask"))
    assert mask[0, 0, :, 0].tolist() == [0] * 9 + [1] * 17
    assert torch.equal(made.latents[0][1][:, :, :9], latents[:, :, :9])
    assert torch.equal(latents[:, :, :9], carrier.encode_sound(held, 0, 9))


@pytest.mark.parametrize(("factor", "width"), [(1, 2), (2, 1)])
def test_a_control_video_is_a_reference_of_its_ic_lora_and_cut_to_the_window(ltx2, prompts, factor, width):
    vae, video = StepVAE(128), pixels(33)
    parameters = {"reference_downscale_factor": factor}
    latent = LTXEmptyLatent.execute(SIZE, SIZE, 17, 24.0, 1, "one", True).result[0]
    *plain, latent = LTXReferenceVideo.execute(
        *prompts, vae, video[:17], latent, 1.0, 1.0, iclora_parameters=parameters
    ).result
    want = SamplerCustomAdvanced.execute(
        Noise_RandomNoise(7), guider_of(ltx2, plain), comfy.samplers.sampler_object("euler"), SIGMAS, latent
    ).result[0]
    want = LTXCrop.execute(*plain, want).result[2]["samples"].unbind()
    one = stage(ltx2, prompts, iclora=parameters)
    assert "control" in one.carrier.uses
    assert "control" not in stage(ltx2, prompts).carrier.uses
    _, _, made = run([one], two(), given=Given(control=Pictures(video)))
    for part, expected in zip(made[0].latents[0], want, strict=True):
        assert torch.equal(part, expected)
    window = Window(two()[1], 33, offset=8, held=pixels(9), control=video[8:33])
    clip = one.carrier.clip(window, {"positive": prompts[0]})
    reference = clip.latent["samples"].unbind()[0][:, :, 4:, ::factor, ::factor]
    assert reference.shape[2:] == (4, width, width)
    if factor == 1:
        assert torch.equal(reference, vae.encode(video[8:33]))


def test_with_the_pack_s_guider_sampler_and_noise(ltx2, prompts):
    guidance = Guidance(cfg=3.0, rescale=0.7, modality=2.0)
    guider = MultimodalGuider(ltx2, constant(guidance), constant(guidance))
    guider.set_conds(*prompts)
    one = stage(ltx2, prompts, guider=guider, noise=LatentNoise(7, 1.0))
    one = Stage(one.carrier, guider, make_sampler("euler"), SIGMAS, one.noise)
    frames, _, made = run([one], [Row(0, 17, 0, 17), Row(17, 16, 9, 25, end=1)], given=Given(end_images=pixels(1)))
    assert frames.shape[0] == 33
    assert torch.isfinite(made[1].latents[0][0]).all()
    assert torch.equal(made[1].latents[0][1][:, :, :10], made[0].latents[0][1][:, :, -10:])


def test_the_end_image_is_told_at_the_window_s_last_frame(ltx2, prompts):
    carrier = make_carrier(ltx2, StepVAE(128), SIZE, SIZE, fps=24.0, audio_vae=StepSound())
    end = pixels(1, seed=4)
    row = Row(17, 13, 9, 25, trim=3, end=1)
    conditionings = dict(zip(("positive", "negative"), prompts, strict=True))
    clip = carrier.clip(Window(row, 30, offset=8, held=pixels(9), end_image=end), conditionings)
    video, mask = (clip.latent[key].unbind()[0] for key in ("samples", "noise_mask"))
    assert video.shape[2] == 5
    assert torch.equal(video[:, :, -1:], StepVAE(128).encode(end))
    assert mask[0, 0, :, 0, 0].tolist() == [0, 0, 1, 1, 0]
    for prompt in clip.conditionings.values():
        assert prompt[0][1]["keyframe_idxs"][0, 0, :, 0].unique().tolist() == [21]  # 9 + 13 - 1
    sampled = NestedTensor([random(*part.shape, seed=1) for part in clip.latent["samples"].unbind()])
    assert carrier.parts(clip, sampled)[0].shape[2] == 4


def test_a_mask_keeps_the_source_but_where_it_is_to_be_made_anew(ltx2, prompts):
    carrier = make_carrier(ltx2, StepVAE(128), SIZE, SIZE, fps=24.0, audio_vae=StepSound())
    mask, source, held = torch.zeros(25, SIZE, SIZE), pixels(25), pixels(9, seed=4)
    mask[9:, :2, :2] = 1.0
    mask[3, 40:, 40:] = 1.0
    row = Row(17, 16, 9, 25)
    clip = carrier.clip(Window(row, 33, offset=8, source=source, mask=mask), {"positive": prompts[0]})
    video, noised = (clip.latent[key].unbind()[0] for key in ("samples", "noise_mask"))
    assert torch.equal(video, StepVAE(128).encode(source))
    assert noised[0, 0].flatten(1).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0]]
    clip = carrier.clip(Window(row, 33, offset=8, source=source, mask=mask, held=held), {"positive": prompts[0]})
    video, noised = (clip.latent[key].unbind()[0] for key in ("samples", "noise_mask"))
    assert torch.equal(video[:, :, :2], StepVAE(128).encode(held))
    assert noised[0, 0].flatten(1).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    with pytest.raises(ValueError, match="made anew, and there is none: connect source as well"):
        carrier.clip(Window(row, 33, offset=8, mask=mask), {"positive": prompts[0]})


def test_sampling_with_a_mask_leaves_the_rest_of_the_source(ltx2, prompts):
    source, mask = pixels(33), torch.zeros(33, SIZE, SIZE, 3)
    mask[:, :32, :32] = 1.0
    _, _, made = run([stage(ltx2, prompts)], two(), given=Given(source=Pictures(source), mask=Pictures(mask)))
    for window, part in zip(made, (source[:17], source[8:33]), strict=True):
        apart = (window.latents[0][0] - StepVAE(128).encode(part)).abs().amax(1)[0]
        assert apart[2:, 0, 0].min() > 0.1
        assert apart[2:, 1].max() < 1e-5
        assert apart[:2, 1].max() < 1 / 255  # held from frames of bytes


def test_a_film_that_was_stopped_goes_on_to_the_same_picture_and_sound(ltx2, prompts):
    rows = [*two(), Row(33, 16, 9, 25), Row(49, 17, 0, 17, new_shot=True)]
    plan, memory = WindowPlan(tuple(rows), GRIDS["ltx"], 24.0), Memory()

    def make():
        frames, sounds = [], []

        def sink(pictures, sound):
            frames.append(pictures)
            sounds.append(sound)

        film = Film(plan, [stage(ltx2, prompts)], sink=sink, cache=memory)
        film.run()
        return film, torch.cat(frames), torch.cat(sounds, 1)

    film, frames, sound = make()
    del memory[film.keys[1]], memory[film.keys[2]]
    again, same_frames, same_sound = make()
    assert again.sampled == [1, 2]
    assert torch.equal(same_frames, frames)
    assert torch.equal(same_sound, sound)


def test_what_cannot_be_cut_to_windows_is_refused(ltx2, prompts):
    carrier = make_carrier(ltx2, StepVAE(128), SIZE, SIZE, fps=24.0, audio_vae=StepSound())
    latent = LTXEmptyLatent.execute(SIZE, SIZE, 17, 24.0, 1, "one", True).result[0]
    appended = LTXKeyframe.execute(*prompts, StepVAE(128), pixels(1), latent, -1, 1.0).result[0]
    window = Window(Row(0, 17, 0, 17), 17)
    with pytest.raises(ValueError, match=r"positive tells of keyframes or guides .* as start_image and end_images"):
        carrier.clip(window, {"positive": appended})
    with pytest.raises(ValueError, match="positive is for 30 frames a second, and the film has 24"):
        carrier.clip(window, {"positive": [[prompts[0][0][0], {"frame_rate": 30.0}]]})
    clip = carrier.clip(window, {"positive": [[prompts[0][0][0], {}]]})
    assert clip.conditionings["positive"][0][1]["frame_rate"] == 24.0
    with pytest.raises(ValueError, match="start_image holds 5 frames; LTX needs 8k\\+1: give 1 or 9"):
        carrier.clip(Window(Row(0, 17, 0, 17), 17, start_image=pixels(5)), {"positive": prompts[0]})
    with pytest.raises(ValueError, match="start_image holds 25 frames, and the first window has 17"):
        carrier.clip(Window(Row(0, 17, 0, 17), 17, start_image=pixels(25)), {"positive": prompts[0]})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"width": 100}, "width is 100; LTX needs multiples of 32: use 96 or 128"),
        ({"height": 96, "upsample": doubled}, "height is 96; two stages need multiples of 64: use 64 or 128"),
        ({"vae": StepVAE(16)}, "vae is another model's VAE with 16 latent channels"),
        ({"audio_vae": StepVAE(128)}, "audio_vae is SimpleNamespace: load an LTX-2 audio VAE"),
    ],
)
def test_a_wrong_size_or_vae_is_refused(ltx2, change, reason):
    given = {"vae": StepVAE(128), "width": 128, "height": 128, "fps": 24.0, **change}
    if "audio_vae" in change:
        given["audio_vae"] = SimpleNamespace(first_stage_model=SimpleNamespace())
    with pytest.raises(ValueError, match=reason):
        make_carrier(ltx2, **given)


class ClickGuider:
    """What it samples flashes and clicks in the middle of a window's own frames; what is held stays."""

    model_patcher = None

    def __init__(self, plan, prompts):
        self.plan, self.calls = plan, []  # shared by its copies
        self.inner_set_conds({"positive": prompts[0]})

    def inner_set_conds(self, conds):
        self.original_conds = {
            name: [{**options, "cross_attn": tensor} for tensor, options in prompt] for name, prompt in conds.items()
        }

    def sample(self, _noise, latent, *_args, denoise_mask=None, **_):
        row = self.plan.rows[len(self.calls)]
        self.calls.append(row)
        masks = [torch.ones(1)] * 2 if denoise_mask is None else denoise_mask.unbind()
        video, sound = (torch.zeros_like(part) for part in latent.unbind())
        self.made(row, video, sound)
        given = zip((video, sound), latent.unbind(), masks, strict=True)
        return NestedTensor([new * mask + old * (1 - mask) for new, old, mask in given])

    def made(self, row, video, sound):
        frame = row.overlap + row.out // 2
        video[:, :, -(-frame // 8)] = 1.0
        sound[:, :, int((frame / self.plan.fps + 0.03) * 25)] = 1.0  # the first latent is of 10 ms alone


def random_ltx_plan(seed, fps, count, shots=True):
    draw = lottery.Random(seed)
    rows, start, after = [], 0, 0
    fresh = [number == 0 or (shots and draw.random() < 0.2) for number in range(count)]
    for number in range(count):
        overlap = 0 if fresh[number] else min(draw.choice([9, 17]), (after - 1) // 8 * 8 + 1)
        frames = 8 * draw.randint((overlap + 15) // 8, 8) + 1
        discard = draw.choice([0, 0, 8]) if frames - overlap > 16 else 0
        room = frames - overlap - discard
        trim = draw.randint(0, min(7, room - 8)) if number == count - 1 or fresh[number + 1] else 0
        rows.append(Row(start, room - trim, overlap, frames, discard, trim, new_shot=fresh[number] and number > 0))
        start, after = start + room - trim, overlap + room - trim
    return WindowPlan(tuple(rows), GRIDS["ltx"], fps)


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("seed", range(4))
def test_sound_and_picture_stay_in_step_over_twenty_windows(core_ltx2, prompts, fps, seed):
    plan = random_ltx_plan(seed, fps, 20, shots=seed % 2 == 1)
    prompts = [[[tensor, {}] for tensor, _ in prompt] for prompt in prompts]
    carrier = make_carrier(core_ltx2, StepVAE(128), 32, 32, fps=fps, audio_vae=StepSound())
    frames, sounds = [], []

    def sink(pictures, sound):
        frames.append(pictures)
        sounds.append(sound)
        assert sum(each.shape[1] for each in sounds) == round(sum(map(len, frames)) / fps * 48000)

    crossfade = 4 if seed < 2 else 0
    clicks = Stage(carrier, ClickGuider(plan, prompts), None, SIGMAS, Noise_RandomNoise(1))
    Film(plan, [clicks], sink=sink, settings=Settings(crossfade=crossfade)).run()
    frames, sound = torch.cat(frames), torch.cat(sounds, 1)[0]
    assert len(frames) == plan.total
    assert len(sound) == round(plan.total / fps * 48000)
    loud = torch.cat([torch.zeros(1), (sound > 0.5).float()]).diff()
    heard = [(int(place) / 48000) + 0.02 for place in (loud > 0).nonzero()]  # the middle of a latent
    beats = [row.start + row.out // 2 for row in plan.rows]
    assert len(heard) == len(beats)
    for time, frame in zip(heard, beats, strict=True):
        assert abs(time - frame / fps) < 0.041
        assert frames[frame].min() == 255


class CountingGuider(ClickGuider):
    """Its sound counts the latents since the windows began that hang together."""

    def made(self, row, video, sound):
        index = self.plan.rows.index(row)
        first = audio_latent_frames(row.start - row.overlap - beginning(self.plan, index), self.plan.fps)
        sound[:] = ((first + torch.arange(sound.shape[2])) / 1024).view(1, 1, -1, 1)


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("crossfade", [0, 4])
def test_the_sound_goes_on_to_the_sample_where_windows_meet(core_ltx2, prompts, fps, crossfade):
    """No hole where the sound of a window ends before its frames, and each latent in one place in all windows."""
    plan = random_ltx_plan(crossfade, fps, 20)
    prompts = [[[tensor, {}] for tensor, _ in prompt] for prompt in prompts]
    carrier = make_carrier(core_ltx2, StepVAE(128), 32, 32, fps=fps, audio_vae=StepSound())
    sounds = []
    counting = Stage(carrier, CountingGuider(plan, prompts), None, SIGMAS, Noise_RandomNoise(1))
    Film(plan, [counting], sink=lambda _, sound: sounds.append(sound), settings=Settings(crossfade=crossfade)).run()
    sound = torch.cat(sounds, 1)[0]
    places = [round(row.start / fps * 48000) for row in plan.rows if not row.overlap] + [len(sound)]
    for start, end in pairwise(places):
        known = sound[start : end - round(LAG * 48000)]
        assert torch.equal(known, (torch.arange(len(known)) + 1440) // 1920 / 1024)


@pytest.mark.parametrize("seed", range(200))
def test_the_sound_of_the_windows_tiles_the_film(seed, core_ltx2):
    """Held and own latents follow one another without gap or double, and are never a latent away from the frames."""
    fps = RATES[seed % len(RATES)]
    plan = random_ltx_plan(seed, fps, 12)
    carrier = make_carrier(core_ltx2, StepVAE(128), SIZE, SIZE, fps=fps, audio_vae=StepSound())
    end = None
    for index, row in enumerate(plan.rows):
        begin = beginning(plan, index)
        offset = row.start - row.overlap - begin
        base = audio_latent_frames(offset, fps)
        seam, after = (base + carrier.slot(1, offset, frame) for frame in (row.overlap, row.overlap + row.out))
        if row.overlap:
            assert seam == end
            before = plan.rows[index - 1]
            place = before.start - before.overlap - begin
            kept = before.overlap + before.out
            held = carrier.slot(1, place, kept) - carrier.slot(1, place, kept - row.overlap)
            assert held == carrier.slot(1, offset, row.overlap)
        else:
            assert base == seam == 0
        end = after
        assert abs(end / 25 - (row.start + row.out - begin) / fps) <= 0.0201
