"""Windows of a long LTX-Video 0.9.x video: one is a plain run, the next holds the end of it."""

import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras.nodes_custom_sampler import Noise_RandomNoise, SamplerCustomAdvanced
from comfy_extras.nodes_lt import LTXVCropGuides

from harness.pack import ROOT
from harness.windows import StepVAE
from oner.ltx.ltxv.guidance import GuidanceSchedule
from oner.ltx.ltxv.guider import LTXVGuider
from oner.ltx.ltxv.sampler import sample_ltxv
from oner.ltx.ltxv.stg import MODES
from oner.ltx.ltxv.windows import make_carrier
from oner.nodes.ltx.loaders import load_vae
from oner.nodes.ltxv.conditioning import LTXVImageGuide
from oner.samplers.windows.carrier import Window
from oner.samplers.windows.plan import GRIDS, Row, WindowPlan
from oner.samplers.windows.run import Film, Given, Settings, Stage
from tiny import write_models

SIZE = 64
SIGMAS = torch.tensor([1.0, 0.7, 0.3, 0.0])
SAMPLERS = ["core", "pack"]


class Memory(dict):
    put = dict.__setitem__


@pytest.fixture(scope="module")
def model():
    path = ROOT / "tests" / "golden" / "ltx" / "tiny_ltxv.safetensors"
    return comfy.sd.load_diffusion_model(str(path), model_options={"dtype": torch.float32})


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def conds():
    mask = torch.ones(1, 9, dtype=torch.int)
    return [[[draw(1, 9, 40, seed=seed), {"attention_mask": mask, "frame_rate": 24.0}]] for seed in (1, 2)]


def pixels(frames, seed=0):
    """Blocks of colours that are the same over a latent."""
    colours = torch.rand(-(-(frames + 7) // 8), 2, 2, 3, generator=torch.Generator().manual_seed(seed))
    return colours.repeat_interleave(8, 0).repeat_interleave(32, 1).repeat_interleave(32, 2)[7 : 7 + frames]


def sampling(kind, model, conds):
    """Guider and sampler: core's, or the pack's."""
    if kind == "core":
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(*conds)
        guider.set_cfg(3.0)
        return guider, comfy.samplers.sampler_object("euler")
    schedule = GuidanceSchedule.constant(3.0, 1.0, 0.7, (0, 2), cfg_star=True)
    sampler = comfy.samplers.KSAMPLER(sample_ltxv, {"image_noise_scale": 0.15, "stochastic": False})
    return LTXVGuider(model, *conds, schedule, MODES[0]), sampler


def run(kind, model, conds, rows, *, given=None, vae=None, sigmas=SIGMAS, **settings):
    guider, sampler = sampling(kind, model, conds)
    carrier = make_carrier(model, vae or StepVAE(128), SIZE, SIZE, fps=24.0)
    frames, memory = [], Memory()
    film = Film(
        WindowPlan(tuple(rows), GRIDS["ltx"], 24.0),
        [Stage(carrier, guider, sampler, sigmas, Noise_RandomNoise(7))],
        sink=lambda pictures, sound: frames.append(pictures) if sound is None else None,
        given=given,
        settings=Settings(**settings),
        cache=memory,
    )
    film.run()
    return torch.cat(frames), [memory[key].latents[0][0] for key in film.keys]


def two(overlap=9):
    return [Row(0, 17, 0, 17), Row(17, 16, overlap, 16 + overlap)]


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("given", ["text", "start image", "end image"])
def test_one_window_is_what_core_samples(model, conds, kind, given):
    image, vae = pixels(1), StepVAE(128)
    plain, latent = conds, {"samples": torch.zeros(1, 128, 3, 2, 2)}
    if given != "text":
        frame = 0 if given == "start image" else -1
        *plain, latent = LTXVImageGuide.execute(*conds, vae, latent, image, frame, 1.0).result
    guider, sampler = sampling(kind, model, plain)
    want = SamplerCustomAdvanced.execute(Noise_RandomNoise(7), guider, sampler, SIGMAS, latent).result[0]
    if given == "end image":
        want = LTXVCropGuides.execute(*plain, want).result[2]
    row = Row(0, 17, 0, 17, end=1 if given == "end image" else None)
    pictures = Given(start_image=image if given == "start image" else None, end_images=image)
    _, (made,) = run(kind, model, conds, [row], given=pictures)
    assert torch.equal(made, want["samples"])


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("carry", ["frames", "latents"])
@pytest.mark.parametrize("end", [None, 1])
def test_the_second_window_holds_the_end_of_the_first(model, conds, kind, carry, end):
    rows = [two()[0], Row(17, 16, 9, 25, end=end)]
    frames, (first, second) = run(
        kind, model, conds, rows, carry=carry, crossfade=0, given=Given(end_images=pixels(1, seed=4))
    )
    assert frames.shape == (33, SIZE, SIZE, 3)
    assert second.shape == (1, 128, 4, 2, 2)
    held = StepVAE(128).encode(frames[8:17].float() / 255)
    assert torch.equal(second[:, :, :1], held[:, :, :1])
    assert torch.equal(second[:, :, 1:2], first[:, :, -1:] if carry == "latents" else held[:, :, 1:])
    assert not torch.equal(second[:, :, 2:3], first[:, :, 2:3])


def test_the_end_image_is_told_at_the_window_s_last_frame(model, conds):
    end = pixels(1, seed=4)
    row = Row(17, 13, 9, 25, trim=3, end=1)
    carrier = make_carrier(model, StepVAE(128), SIZE, SIZE, fps=24.0)
    conditionings = dict(zip(("positive", "negative"), conds, strict=True))
    clip = carrier.clip(Window(row, 30, held=pixels(9), end_image=end), conditionings)
    assert torch.equal(clip.latent["samples"][:, :, -1:], StepVAE(128).encode(end))
    assert clip.latent["noise_mask"][0, 0, :, 0, 0].tolist() == [0, 0, 1, 1, 0]
    for prompt in clip.conditionings.values():
        assert prompt[0][1]["keyframe_idxs"][0, 0, :, 0].unique().tolist() == [21]  # 9 + 13 - 1


def test_partial_noise_starts_every_window_from_the_source(model, conds):
    class Source:
        count, digest = 33, "source"
        images = pixels(33)

        def frames(self, start, end):
            return self.images[start:end]

    low = torch.tensor([0.002, 0.0])
    frames, _ = run("core", model, conds, two(), given=Given(source=Source()), sigmas=low)
    assert (frames.float() / 255 - Source.images).abs().mean() < 0.02


def test_a_vae_that_decodes_with_noise_gives_the_same_film_whatever_was_drawn_before(model, conds, tmp_path):
    path = write_models(tmp_path, ["ltxv-vae"])["ltxv-vae"]
    vae = load_vae(str(path))
    carrier = make_carrier(model, vae, SIZE, SIZE, fps=24.0)
    latents = [draw(1, 128, 3, 2, 2)]
    window = Window(Row(0, 17, 0, 17), 17)
    torch.manual_seed(1)
    first, _ = carrier.decode(latents, window)
    torch.manual_seed(2)
    again, _ = carrier.decode(latents, window)
    assert first.shape == (17, SIZE, SIZE, 3)
    assert torch.equal(first, again)


def test_a_mask_keeps_the_source_but_where_it_is_to_be_made_anew(model, conds):
    carrier = make_carrier(model, StepVAE(128), SIZE, SIZE, fps=24.0)
    mask, source, held = torch.zeros(25, SIZE, SIZE), pixels(25), pixels(9, seed=4)
    mask[9:, :2, :2] = 1.0
    mask[3, 40:, 40:] = 1.0
    row = Row(17, 16, 9, 25)
    clip = carrier.clip(Window(row, 33, offset=8, source=source, mask=mask), {"positive": conds[0]})
    video, noised = (clip.latent[key] for key in ("samples", "noise_mask"))
    assert torch.equal(video, StepVAE(128).encode(source))
    assert noised[0, 0].flatten(1).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0]]
    clip = carrier.clip(Window(row, 33, offset=8, source=source, mask=mask, held=held), {"positive": conds[0]})
    video, noised = (clip.latent[key] for key in ("samples", "noise_mask"))
    assert torch.equal(video[:, :, :2], StepVAE(128).encode(held))
    assert noised[0, 0].flatten(1).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    with pytest.raises(ValueError, match="made anew, and there is none: connect source as well"):
        carrier.clip(Window(row, 33, offset=8, mask=mask), {"positive": conds[0]})


def test_what_cannot_be_cut_to_windows_is_refused(model, conds):
    carrier = make_carrier(model, StepVAE(128), SIZE, SIZE, fps=24.0)
    latent = {"samples": torch.zeros(1, 128, 3, 2, 2)}
    appended = LTXVImageGuide.execute(*conds, StepVAE(128), latent, pixels(1), -1, 1.0).result[1]
    with pytest.raises(ValueError, match="negative tells of keyframes or guides"):
        carrier.clip(Window(Row(0, 17, 0, 17), 17), {"positive": conds[0], "negative": appended})


def test_a_wrong_size_vae_or_model_is_refused(model, core_wan):
    with pytest.raises(ValueError, match="height is 100; LTX needs multiples of 32: use 96 or 128"):
        make_carrier(model, StepVAE(128), SIZE, 100, fps=24.0)
    with pytest.raises(ValueError, match="vae is another model's VAE with 16 latent channels"):
        make_carrier(model, StepVAE(16), SIZE, SIZE, fps=24.0)
    with pytest.raises(ValueError, match="model is WAN21: not an LTX-Video"):
        make_carrier(core_wan, StepVAE(128), SIZE, SIZE, fps=24.0)


@pytest.fixture
def core_wan():
    from harness import wan_tiny

    return wan_tiny.load("text")
