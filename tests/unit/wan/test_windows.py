"""Windows of tiny Wan models: one window is a plain run, the next is told the end of the one before."""

import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_custom_sampler import Noise_RandomNoise, SamplerCustomAdvanced

from harness import wan_tiny
from harness.windows import StepVAE
from oner.samplers.windows.carrier import Window
from oner.samplers.windows.plan import Row, WindowPlan
from oner.samplers.windows.run import Film, Given, Settings, Stage
from oner.wan.conditioning import FunInputs, apply, prepare
from oner.wan.layouts import read_layout
from oner.wan.windows import make_carrier

SIZE = 32
SIGMAS = torch.tensor([1.0, 0.7, 0.3, 0.0])


def guider_of(model, positive, negative, cfg=3.0):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    return guider


def run(model, rows, *, prompts=None, given=None, cache=None, vae=None, sigmas=SIGMAS, **settings):
    prompts = prompts or wan_tiny.prompts()
    vae = vae or StepVAE(model.model.latent_format.latent_channels)
    stage = Stage(
        make_carrier(model, vae, SIZE, SIZE),
        guider_of(model, prompts.positive, prompts.negative),
        comfy.samplers.sampler_object("euler"),
        sigmas,
        Noise_RandomNoise(7),
    )
    pieces = []
    plan = WindowPlan(tuple(rows), stage.carrier.grid, 16.0, given.prefix.count if given and given.prefix else 0)
    film = Film(
        plan,
        [stage],
        sink=lambda frames, _: pieces.append(frames),
        given=given,
        settings=Settings(**settings),
        cache=cache,
    )
    film.run()
    return torch.cat(pieces), film


def two(overlap=5):
    return [Row(0, 17, 0, 17), Row(17, 12, overlap, 12 + overlap)]


class Memory(dict):
    put = dict.__setitem__


@pytest.mark.parametrize("layout", ["text", "2.2 inpaint", "2.2 control", "5B text"])
def test_one_window_is_what_core_samples(layout):
    model = wan_tiny.load(layout)
    prompts, read = wan_tiny.prompts(), read_layout(model)
    vae = StepVAE(read.latent_channels)
    given = FunInputs(start_image=wan_tiny.pixels(1, SIZE, SIZE) if read.blocks or read.pins_first_frame else None)
    made = prepare(read, model.model.latent_format, vae, given, width=SIZE, height=SIZE, length=17)
    prompts.positive, prompts.negative = (apply(each, made, 0.0, 1.0) for each in (prompts.positive, prompts.negative))
    plain = wan_tiny.prompts()
    latent = {"samples": made.samples, **({} if made.noise_mask is None else {"noise_mask": made.noise_mask})}
    want = SamplerCustomAdvanced.execute(
        Noise_RandomNoise(7),
        guider_of(model, prompts.positive, prompts.negative),
        comfy.samplers.sampler_object("euler"),
        SIGMAS,
        latent,
    ).result[0]["samples"]
    memory = Memory()
    _, film = run(model, [Row(0, 17, 0, 17)], prompts=plain, given=Given(start_image=given.start_image), cache=memory)
    assert torch.equal(memory[film.keys[0]].latents[0][0], want)


@pytest.mark.parametrize(
    "layout", ["text", "2.1 inpaint", "2.2 inpaint", "2.2 control", "2.1 camera", "5B text", "vace"]
)
@pytest.mark.parametrize("carry", ["frames", "latents"])
def test_the_second_window_holds_the_end_of_the_first(layout, carry):
    model, memory = wan_tiny.load(layout), Memory()
    rows = two() if layout != "vace" else [Row(0, 17, 0, 17), Row(17, 12, 5, 17)]
    start = wan_tiny.pixels(1, SIZE, SIZE) if layout not in ("text", "vace") else None
    frames, film = run(model, rows, given=Given(start_image=start), cache=memory, carry=carry)
    first, second = (memory[key].latents[0][0] for key in film.keys)
    assert frames.shape == (29, SIZE, SIZE, 3)
    if carry == "latents":  # through the model's scale and back
        assert torch.allclose(second[:, :, 1:2], first[:, :, -1:], atol=1e-5)
    held = StepVAE(second.shape[1]).encode(frames[12:17].float() / 255)
    assert torch.allclose(second[:, :, :1], held[:, :, :1], atol=1e-5)
    assert not torch.equal(second[:, :, 2:3], first[:, :, 2:3])


def test_image_channels_tell_the_held_frames_and_the_end_image():
    model = wan_tiny.load("2.2 inpaint")
    vae = StepVAE()
    carrier = make_carrier(model, vae, SIZE, SIZE)
    held, end = wan_tiny.pixels(5, SIZE, SIZE), wan_tiny.pixels(1, SIZE, SIZE, seed=4)
    row = Row(17, 12, 5, 17)
    clip = carrier.clip(Window(row, 29, held=held, end_image=end), {"positive": wan_tiny.prompts().positive})
    options = clip.conditionings["positive"][0][1]
    image, mask = options["concat_latent_image"], options["concat_mask"]
    assert mask[0, :, :, 0, 0].sum(0).tolist() == [0, 0, 4, 4, 3]  # 1 = made; the last of the last four is given
    assert torch.equal(image[:, :, :2], vae.encode(held))
    assert torch.equal(image[:, :3, -1], vae.encode(end)[:, :3, 0])
    assert clip.latent["noise_mask"][0, 0, :, 0, 0].tolist() == [0, 0, 1, 1, 1]
    assert torch.equal(clip.latent["samples"][:, :, :2], vae.encode(held))


def test_what_was_made_for_the_whole_film_is_cut_to_the_window():
    model = wan_tiny.load("2.2 inpaint")
    read, vae = read_layout(model), StepVAE()
    end = wan_tiny.pixels(1, SIZE, SIZE, seed=4)
    made = prepare(read, model.model.latent_format, vae, FunInputs(end_image=end), width=SIZE, height=SIZE, length=29)
    prompt = apply(wan_tiny.prompts().positive, made, 0.0, 1.0)
    carrier = make_carrier(model, vae, SIZE, SIZE)
    held = wan_tiny.pixels(5, SIZE, SIZE)
    first, second = (
        carrier.clip(window, {"positive": prompt}).conditionings["positive"][0][1]
        for window in (Window(Row(0, 17, 0, 17), 29), Window(Row(17, 12, 5, 17), 29, held=held))
    )
    assert float(first["concat_mask"].min()) == 1.0
    assert second["concat_mask"][0, :, :, 0, 0].sum(0).tolist() == [0, 0, 4, 4, 3]
    assert torch.equal(second["concat_latent_image"][:, :3, -1], vae.encode(end)[:, :3, 0])


def test_what_was_made_for_a_shorter_film_is_refused():
    model = wan_tiny.load("2.2 inpaint")
    made = prepare(
        read_layout(model), model.model.latent_format, StepVAE(), FunInputs(), width=SIZE, height=SIZE, length=17
    )
    prompt = apply(wan_tiny.prompts().positive, made, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"for 5 latent frames, and the film has 8 \(29 frames\)"):
        make_carrier(model, StepVAE(), SIZE, SIZE).clip(Window(Row(0, 17, 0, 17), 29), {"positive": prompt})


def test_a_camera_path_is_cut_to_the_window():
    model = wan_tiny.load("2.2 camera")
    camera = wan_tiny.noise((1, 24, 8, SIZE, SIZE))
    prompt = [[wan_tiny.prompts().positive[0][0], {"camera_conditions": camera}]]
    held = wan_tiny.pixels(5, SIZE, SIZE)
    clip = make_carrier(model, StepVAE(), SIZE, SIZE).clip(
        Window(Row(17, 12, 5, 17), 29, held=held), {"positive": prompt}
    )
    assert torch.equal(clip.conditionings["positive"][0][1]["camera_conditions"], camera[:, :, 3:8])


def test_vace_keeps_the_held_frames_and_takes_references_off():
    model, vae = wan_tiny.load("vace"), StepVAE()
    held, reference = wan_tiny.pixels(5, SIZE, SIZE), wan_tiny.pixels(1, SIZE, SIZE, seed=4)
    control = wan_tiny.pixels(17, SIZE, SIZE, seed=5)
    carrier = make_carrier(model, vae, SIZE, SIZE)
    window = Window(Row(17, 12, 5, 17), 29, held=held, ref_image=reference, control=control)
    clip = carrier.clip(window, {"positive": wan_tiny.prompts().positive})
    options = clip.conditionings["positive"][0][1]
    assert (clip.before, clip.held) == (1, [2])
    assert clip.latent["samples"].shape == (1, 16, 6, 4, 4)
    assert clip.latent["noise_mask"][0, 0, :, 0, 0].tolist() == [1, 0, 0, 1, 1, 1]
    # of four frames VACE reads the mask of the one in the middle of the whole: 0, 5, 8, 11, 15
    assert options["vace_mask"][0][0, :, :, 0, 0].sum(0).tolist() == [0, 0, 64, 64, 64, 64]
    assert torch.allclose(options["vace_frames"][0][:, :3, 1:3], vae.encode(held)[:, :3], atol=1e-6)


def test_partial_noise_starts_every_window_from_the_source():
    class Source:
        count, digest = 29, "source"
        images = wan_tiny.pixels(29, SIZE, SIZE)

        def frames(self, start, end):
            return self.images[start:end]

    model = wan_tiny.load("text")
    low = torch.tensor([0.002, 0.0])
    frames, _ = run(model, two(), given=Given(source=Source()), sigmas=low)
    want = StepVAE().decode(StepVAE().encode(Source.images))[0]
    assert (frames.float() / 255 - want).abs().mean() < 0.02
