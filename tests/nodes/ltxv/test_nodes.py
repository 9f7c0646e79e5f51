"""LTX-Video nodes with real tiny checkpoints: presets, guides, sizes, latent tools, decode settings."""

import comfy.sd
import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from comfy_extras.nodes_hunyuan import LatentUpscaleModelLoader
from comfy_extras.nodes_lt import LTXVCropGuides

from harness.fingerprint import fingerprint
from oner.ltx.ltxv.presets import PRESETS
from oner.nodes.any.latent_statistics import LatentAdaIN, LatentNormalise, LatentToneMap, PerStepAdaIN, PerStepNormalise
from oner.nodes.ltx.conditioning import LTXImageToVideo
from oner.nodes.ltxv.conditioning import LTXVImageGuide
from oner.nodes.ltxv.decode import LTXVDecodeSettings
from oner.nodes.ltxv.guidance import LTXVPreset, STGGuider, STGScheduleGuider, parse_block_lists
from oner.nodes.ltxv.sampler import LTXVSampler
from oner.nodes.ltxv.schedules import LinearQuadraticSigmas
from oner.nodes.ltxv.sizes import LTXVFitFrames, LTXVPadFrames, LTXVSizes
from oner.nodes.ltxv.temporal_upsample import LatentTemporalUpsample
from tiny import write_models


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_models(
        tmp_path_factory.mktemp("models"),
        ["ltxv-0.9.8", "ltxv-0.9", "ltxv-13b", "ltx-2.3", "upscaler-temporal-x2", "upscaler-x2"],
    )


def load(path):
    with torch.inference_mode():
        model, _, vae, _ = comfy.sd.load_checkpoint_guess_config(str(path), output_vae=True, output_clip=False)
    return model, vae


@pytest.fixture(scope="module")
def loaded(files):
    return load(files["ltxv-0.9.8"])


@pytest.fixture
def conds():
    generator = torch.Generator().manual_seed(0)
    options = {"attention_mask": torch.ones(1, 4, dtype=torch.int), "frame_rate": 24.0}
    return [[[torch.randn(1, 4, 32, generator=generator), options]] for _ in range(2)]


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class Noise:
    def __init__(self, seed):
        self.seed = seed

    def generate_noise(self, latent):
        return torch.randn(latent["samples"].shape, generator=torch.Generator().manual_seed(self.seed))


def sample(guider, sampler, sigmas, latent, seed=1):
    return SamplerCustomAdvanced.execute(Noise(seed), guider, sampler, sigmas, latent).result[0]


# --- presets and guiders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "stage", "steps", "first"),
    [
        ("13B 0.9.8 dev", "first pass", 27, 1.0),
        ("13B 0.9.8 dev", "second pass", 13, 0.9547778),
        ("13B 0.9.8 distilled", "first pass", 7, 1.0),
        ("13B 0.9.8 distilled", "second pass", 3, 0.9094),
        ("2B 0.9.8 distilled", "second pass", 3, 0.9094),
        ("2B 0.9 to 0.9.6 dev", "single pass", 40, 1.0),
        ("2B 0.9.6 distilled", "single pass", 8, 1.0),
    ],
)
def test_presets_have_their_steps_and_run_on_a_model_of_their_depth(files, conds, preset, stage, steps, first):
    model = load(files["ltxv-13b"])[0]
    latent = {"samples": torch.zeros(1, 128, 2, 2, 2)}
    guider, sampler, sigmas = LTXVPreset.execute(model, *conds, preset, stage, latent=latent).result
    assert len(sigmas) == steps + 1
    assert sigmas[-1] == 0
    assert sigmas[0] == pytest.approx(first)
    shortened = torch.cat([sigmas[:3], sigmas[-2:]])
    assert torch.isfinite(sample(guider, sampler, shortened, latent)["samples"]).all()


def test_a_stage_that_the_preset_lacks_is_refused(loaded, conds):
    with pytest.raises(ValueError, match=r"2B 0.9.6 distilled has no second pass: choose single pass"):
        LTXVPreset.execute(loaded[0], *conds, "2B 0.9.6 distilled", "second pass")


def test_a_preset_of_a_larger_model_is_refused(loaded, conds):
    with pytest.raises(ValueError, match=r"STG asks for block 39 and the model has blocks 0..2: choose the preset of"):
        LTXVPreset.execute(loaded[0], *conds, "13B 0.9.8 dev", "first pass")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_on_an_ltx_2_model_is_refused_with_a_sentence(files, conds, preset):
    ltx2 = comfy.sd.load_checkpoint_guess_config(str(files["ltx-2.3"]), output_vae=False, output_clip=False)[0]
    stage = next(iter(PRESETS[preset].stages))
    with pytest.raises(ValueError, match=r"model is LTXAV: LTX-2, which uses the multimodal guider; connect"):
        LTXVPreset.execute(ltx2, *conds, preset, stage)


def test_pack_compatible_takes_another_path(files, conds):
    model = load(files["ltxv-13b"])[0]
    latent = {"samples": torch.zeros(1, 128, 2, 2, 2)}
    results = []
    for lookup in ("reference", "pack-compatible"):
        guider, sampler, _ = LTXVPreset.execute(model, *conds, "13B 0.9.8 dev", "first pass", lookup).result
        results.append(sample(guider, sampler, torch.tensor([1.0, 0.99, 0.95, 0.0]), latent)["samples"])
    assert torch.isfinite(results[1]).all()
    assert (results[0] - results[1]).abs().max() > 1e-3


def test_stg_without_blocks_is_refused(loaded, conds):
    with pytest.raises(ValueError, match="stg is 1 and blocks is empty: name a block to perturb, or set stg to 0"):
        STGGuider.execute(loaded[0], *conds, 3.0, 1.0, 0.7, "")


def test_schedule_lists_are_read_and_checked(loaded, conds):
    lists = {"sigmas": "1, 0.5", "cfg": "1, 3", "stg": "0, 1", "rescale": "1, 0.7", "blocks": "[], [1, 2]"}
    guider = STGScheduleGuider.execute(loaded[0], *conds, **lists).result[0]
    assert guider.schedule.at(0.4).blocks == (1, 2)
    with pytest.raises(ValueError, match="cfg has 1 entries and sigmas has 2"):
        STGScheduleGuider.execute(loaded[0], *conds, **{**lists, "cfg": "1"})
    with pytest.raises(ValueError, match="stg is 'a, 1'; write numbers separated by commas"):
        STGScheduleGuider.execute(loaded[0], *conds, **{**lists, "stg": "a, 1"})
    with pytest.raises(ValueError, match=r"skip_above is 0.9, which the reference has not"):
        STGScheduleGuider.execute(loaded[0], *conds, **lists, skip_above=0.9)


@pytest.mark.parametrize(
    ("text", "blocks"), [("[[11, 25], [28], []]", [(11, 25), (28,), ()]), ("[], [3]", [(), (3,)]), ("[29]", [(29,)])]
)
def test_block_lists_are_read(text, blocks):
    assert parse_block_lists(text) == blocks


@pytest.mark.parametrize("text", ["14, 19", "[1], 2", "", "[a]"])
def test_block_lists_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match=r"blocks (is|holds)"):
        parse_block_lists(text)


def test_schedule_node_needs_a_step():
    assert len(LinearQuadraticSigmas.execute(30, 17, 0).result[0]) == 14
    with pytest.raises(ValueError, match=r"17 \+ 13 steps are skipped of 30: leave at least one"):
        LinearQuadraticSigmas.execute(30, 17, 13)


# --- guides ----------------------------------------------------------------------------------------------------------


def test_image_to_video_keeps_the_first_frame(loaded, conds):
    model, vae = loaded
    latent = {"samples": torch.zeros(1, 128, 3, 2, 3)}
    before = fingerprint([conds, latent])
    positive, negative, given = LTXVImageGuide.execute(*conds, vae, latent, draw(1, 80, 80, 3), 0, 1.0).result
    guider = STGGuider.execute(model, positive, negative, 3.0, 1.0, 0.7, "1").result[0]
    result = sample(guider, LTXVSampler.execute(0.0, False).result[0], torch.tensor([1.0, 0.7, 0.0]), given)
    assert torch.equal(result["samples"][:, :, :1], given["samples"][:, :, :1])
    assert fingerprint([conds, latent]) == before


@pytest.mark.parametrize(("frame", "position"), [(8, 8), (-1, 16), (16, 16)])
def test_later_frames_become_guides_at_their_place(loaded, conds, frame, position):
    latent = {"samples": torch.zeros(2, 128, 3, 2, 3)}
    positive, negative, given = LTXVImageGuide.execute(*conds, loaded[1], latent, draw(1, 64, 96, 3), frame, 0.9).result
    assert given["samples"].shape == (2, 128, 4, 2, 3)
    assert torch.equal(given["noise_mask"].flatten(), torch.tensor([1, 1, 1, 1 - 0.9] * 2))
    assert positive[0][1]["keyframe_idxs"][0, 0, :, 0].unique().tolist() == [position]
    assert not positive[0][1]["keyframe_idxs"].is_floating_point()
    _, _, cropped = LTXVCropGuides.execute(positive, negative, given).result
    assert cropped["samples"].shape == latent["samples"].shape


def test_guides_chain_with_each_other_and_with_core(loaded, conds):
    from comfy_extras.nodes_lt import LTXVAddGuide

    model, vae = loaded
    latent = {"samples": torch.zeros(1, 128, 3, 2, 3)}
    *given, latent = LTXVImageGuide.execute(*conds, vae, latent, draw(1, 64, 96, 3), 8, 0.9).result
    *given, latent = LTXVImageGuide.execute(*given, vae, latent, draw(1, 64, 96, 3, seed=1), -1, 1.0).result
    *given, latent = LTXVAddGuide.execute(*given, vae, latent, draw(1, 64, 96, 3, seed=2), 0, 0.5).result
    assert latent["samples"].shape[2] == 6
    guider = STGGuider.execute(model, *given, 3.0, 1.0, 0.7, "1").result[0]
    result = sample(guider, LTXVSampler.execute(0.1, False).result[0], torch.tensor([1.0, 0.7, 0.0]), latent)
    assert torch.isfinite(result["samples"]).all()


def test_a_clip_later_has_8k_frames_and_k_latents(loaded, conds):
    latent = {"samples": torch.zeros(1, 128, 4, 2, 3)}
    given = LTXVImageGuide.execute(*conds, loaded[1], latent, draw(8, 64, 96, 3), 9, 1.0).result[2]
    assert given["samples"].shape[2] == 5


@pytest.mark.parametrize(
    ("frames", "frame", "message"),
    [
        (1, 17, r"frame is 17 for 1 image\(s\) and the video has 17 frames: use 0 to 16"),
        (1, -18, r"frame is -18 for 1 image"),
        (12, 0, "image has 12 frames at frame 0; a clip has 8k\\+1 frames at the start of the video: use 9 or 17"),
        (9, 0, ""),
        (9, 1, "image has 9 frames at frame 1; a clip has 8k frames after the start of the video: use 8 or 16"),
        (8, 3, r"frame is 3; a clip must start at 0 or 8k\+1: use 1"),
        (25, 0, r"frame is 0 for 25 image"),
    ],
)
def test_impossible_places_name_possible_ones(loaded, conds, frames, frame, message):
    latent = {"samples": torch.zeros(1, 128, 3, 2, 3)}

    def place():
        return LTXVImageGuide.execute(*conds, loaded[1], latent, draw(frames, 64, 96, 3), frame, 1.0)

    if not message:
        assert place().result[2]["samples"].shape[2] == 3
        return
    with pytest.raises(ValueError, match=message):
        place()


def test_an_audio_video_latent_is_refused(loaded, conds):
    latent = {"samples": NestedTensor([torch.zeros(1, 128, 3, 2, 3), torch.zeros(1, 8, 18, 16)])}
    with pytest.raises(ValueError, match="latent holds video and audio"):
        LTXVImageGuide.execute(*conds, loaded[1], latent, draw(1, 64, 96, 3), 0, 1.0)


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_sizes_are_padded_and_the_first_pass_is_two_thirds():
    assert LTXVSizes.execute(1280, 720, 100).result == (1280, 736, 105, 832, 480)
    assert LTXVSizes.execute(1216, 704, 121).result == (1216, 704, 121, 800, 448)
    with pytest.raises(ValueError, match=r"64x64 times 0.1 is less than 32 pixels"):
        LTXVSizes.execute(64, 64, 121, 0.1)


def test_padded_frames_fit_back():
    frames = draw(11, 50, 70, 3)
    padded, width, height, length = LTXVPadFrames.execute(frames).result
    assert padded.shape == (17, 64, 96, 3)
    assert torch.equal(LTXVFitFrames.execute(padded, width, height, length).result[0], frames)
    with pytest.raises(ValueError, match="there are 11 frames and length is 12: set length to 11 or less"):
        LTXVFitFrames.execute(frames, 70, 50, 12)


# --- latent tools ----------------------------------------------------------------------------------------------------


def test_latent_tools_change_the_video_alone_and_write_nothing():
    video, audio = draw(1, 128, 3, 2, 2), draw(1, 8, 18, 16)
    latent = {"samples": NestedTensor([video, audio]), "noise_mask": torch.ones(1)}
    reference = {"samples": draw(1, 128, 2, 3, 3, seed=4) * 3}
    before = fingerprint([latent, reference])
    for result in (
        LatentAdaIN.execute(latent, reference, 1.0).result[0],
        LatentNormalise.execute(latent, 0.0, 1.0, 95.0, 1.0, True).result[0],
        LatentToneMap.execute(latent, 0.6).result[0],
    ):
        changed, sound = result["samples"].tensors
        assert (changed - video).abs().max() > 0.01
        assert torch.equal(sound, audio)
        assert set(result) == set(latent)
    assert fingerprint([latent, reference]) == before


def test_latent_tools_leave_appended_frames_out():
    """The clip becomes what it becomes without them, and they stay as they are."""
    clip, reference = draw(1, 128, 3, 2, 2), draw(1, 128, 2, 2, 2, seed=4) * 3
    guides = draw(1, 128, 2, 2, 2, seed=5) * 50
    guided = [{"samples": torch.cat([one, guides], dim=2), "oner_guide_frames": 2} for one in (clip, reference)]
    bare = [{"samples": one} for one in (clip, reference)]
    for tool in (
        lambda latent, other: LatentAdaIN.execute(latent, other, 1.0),
        lambda latent, _: LatentNormalise.execute(latent, 0.0, 1.0, 95.0, 1.0, True),
        lambda latent, _: LatentToneMap.execute(latent, 0.6),
    ):
        samples = tool(*guided).result[0]["samples"]
        assert torch.equal(samples[:, :, :3], tool(*bare).result[0]["samples"])
        assert torch.equal(samples[:, :, 3:], guides)


def test_a_guide_is_counted_until_core_crops_it(loaded, conds):
    latent = {"samples": torch.zeros(1, 128, 3, 2, 3)}
    image = draw(1, 64, 96, 3)
    positive, negative, guided = LTXVImageGuide.execute(*conds, loaded[1], latent, image, 16, 1.0).result
    positive, negative, guided = LTXVImageGuide.execute(positive, negative, loaded[1], guided, image, 8, 1.0).result
    assert guided["oner_guide_frames"] == 2
    assert "oner_guide_frames" not in LTXVCropGuides.execute(positive, negative, guided).result[2]


def test_references_that_cannot_serve_are_refused():
    latent = {"samples": draw(2, 128, 3, 2, 2)}
    with pytest.raises(ValueError, match="reference has batch 1 and 16 channels, the latent 2 and 128"):
        LatentAdaIN.execute(latent, {"samples": draw(1, 16, 3, 2, 2)}, 1.0)
    with pytest.raises(ValueError, match="reference has 2 latent frames and the latent 3"):
        LatentAdaIN.execute(latent, {"samples": draw(1, 128, 2, 2, 2)}, 1.0, per_frame=True)


@pytest.fixture
def per_step():
    reference = {"samples": draw(1, 128, 1, 2, 2, seed=4) * 3}
    return {
        "adain": lambda model, factors: PerStepAdaIN.execute(model, factors, reference).result[0],
        "normalise": lambda model, factors: PerStepNormalise.execute(model, factors, 0.0, 1.0, 95.0, False).result[0],
    }


@pytest.mark.parametrize("kind", ["adain", "normalise"])
def test_per_step_changes_follow_the_step_on_every_run(loaded, conds, per_step, kind):
    latent, sigmas = {"samples": torch.zeros(1, 128, 2, 2, 2)}, torch.tensor([1.0, 0.8, 0.6, 0.0])
    sampler = LTXVSampler.execute(0.0, False).result[0]

    def run(model):
        return sample(STGGuider.execute(model, *conds, 3.0, 1.0, 0.7, "1").result[0], sampler, sigmas, latent)[
            "samples"
        ]

    plain, patched = run(loaded[0]), per_step[kind](loaded[0], "0.9, 0.5, 0.0")
    first = run(patched)
    assert torch.equal(run(patched), first)
    assert (first - plain).abs().max() > 1e-3
    assert torch.equal(run(per_step[kind](loaded[0], "0.0")), plain)
    assert torch.equal(run(per_step[kind](loaded[0], "0.9, 0.5, 0.0, 0.7")), first)
    assert torch.equal(run(loaded[0]), plain)


def test_per_step_changes_work_on_audio_video_latents(files):
    import comfy.samplers

    model = comfy.sd.load_checkpoint_guess_config(str(files["ltx-2.3"]), output_vae=False, output_clip=False)[0]
    samples = NestedTensor([torch.zeros(1, 128, 2, 2, 2), torch.zeros(1, 8, 9, 16)])
    noise = NestedTensor([draw(1, 128, 2, 2, 2), draw(1, 8, 9, 16, seed=1)])

    def run(patched):
        guider = comfy.samplers.CFGGuider(patched)
        cond = [[draw(1, 4, 96, seed=2), {"frame_rate": 24.0}]]
        guider.set_conds(cond, cond)
        sampler = comfy.samplers.ksampler("euler")
        return guider.sample(noise, samples, sampler, torch.tensor([1.0, 0.0]), disable_pbar=True).tensors

    plain, changed = run(model), run(PerStepNormalise.execute(model, "1.0", 3.0, 1.0, 100.0, False).result[0])
    assert changed[0].mean() == pytest.approx(3.0, abs=1e-4)
    assert torch.equal(changed[1], plain[1])


def test_per_step_changes_leave_guides_out(loaded, conds):
    """The clip is as long as it says: its own mean is 3, whatever was appended."""
    image = torch.ones(1, 64, 64, 3)
    latent = {"samples": torch.zeros(1, 128, 2, 2, 2)}
    positive, negative, guided = LTXVImageGuide.execute(*conds, loaded[1], latent, image, 8, 1.0).result
    model = PerStepNormalise.execute(loaded[0], "1.0", 3.0, 1.0, 100.0, False).result[0]
    guider = STGGuider.execute(model, positive, negative, 3.0, 1.0, 0.7, "1").result[0]
    sampler = LTXVSampler.execute(0.0, False).result[0]
    samples = sample(guider, sampler, torch.tensor([1.0, 0.0]), guided)["samples"]
    assert samples[:, :, :2].mean() == pytest.approx(3.0, abs=1e-4)
    assert torch.equal(samples[:, :, 2:], guided["samples"][:, :, 2:])


def load_upscaler(path):
    import folder_paths

    folder_paths.add_model_folder_path("latent_upscale_models", str(path.parent), is_default=True)
    folder_paths.filename_list_cache.clear()
    return LatentUpscaleModelLoader.execute(path.name).result[0]


def test_temporal_upsampling_doubles_the_rate_and_keeps_the_audio(files, loaded):
    upscaler, audio = load_upscaler(files["upscaler-temporal-x2"]), draw(1, 8, 18, 16)
    latent = {"samples": NestedTensor([draw(1, 128, 3, 2, 2), audio]), "noise_mask": torch.ones(1)}
    result, fps = LatentTemporalUpsample.execute(latent, upscaler, loaded[1], 24.0).result
    assert fps == 48.0
    assert result["samples"].tensors[0].shape == (1, 128, 5, 2, 2)
    assert torch.equal(result["samples"].tensors[1], audio)
    assert "noise_mask" not in result
    assert "noise_mask" in latent


def test_temporal_upsampling_refuses_appended_frames(files, loaded):
    upscaler = load_upscaler(files["upscaler-temporal-x2"])
    latent = {"samples": draw(1, 128, 3, 2, 2), "oner_guide_frames": 1}
    with pytest.raises(ValueError, match=r"latent has 1 appended frames .*: remove them with LTX Crop"):
        LatentTemporalUpsample.execute(latent, upscaler, loaded[1], 24.0)


def test_temporal_upsampling_gives_a_latent_that_can_be_conditioned(files, loaded):
    upscaler, start = load_upscaler(files["upscaler-temporal-x2"]), draw(1, 64, 64, 3)
    given = LTXImageToVideo.execute(loaded[1], start, {"samples": draw(1, 128, 3, 2, 2)}, 0.5).result[0]
    given["oner_lead"] = torch.zeros(1, 0, 0, 0)
    result = LatentTemporalUpsample.execute(given, upscaler, loaded[1], 24.0).result[0]
    assert set(result) == {"samples"}


def test_a_spatial_upsampler_is_no_temporal_one(files, loaded):
    upscaler = load_upscaler(files["upscaler-x2"])
    with pytest.raises(ValueError, match="upscale_model made 3 latent frames of 3, not 5: it is no temporal upsampler"):
        LatentTemporalUpsample.execute({"samples": draw(1, 128, 3, 2, 2)}, upscaler, loaded[1], 24.0)


# --- decoding --------------------------------------------------------------------------------------------------------


def test_decode_settings_are_seeded_and_leave_the_vae_alone(loaded):
    vae, latent = loaded[1], draw(1, 128, 2, 2, 2) - 0.5
    vae.decode(latent)  # so that the memory manager has noted on the model that it is loaded
    before = fingerprint(vae.first_stage_model), vars(vae.first_stage_model).copy(), dict(vars(vae))
    state = torch.get_rng_state()
    first, again, other = (
        LTXVDecodeSettings.execute(vae, 0.05, 0.025, seed).result[0].decode(latent) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert fingerprint(vae.first_stage_model) == before[0]
    assert vars(vae.first_stage_model) == before[1]
    assert vars(vae) == before[2]


def test_decode_settings_equal_core_with_the_same_noise(loaded, monkeypatch):
    vae, latent = loaded[1], draw(1, 128, 2, 2, 2) - 0.5
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(5))
    monkeypatch.setattr(torch, "randn_like", lambda x: noise.to(x))
    expected = vae.decode(latent)
    assert torch.allclose(LTXVDecodeSettings.execute(vae, 0.05, 0.025, 5).result[0].decode(latent), expected, atol=1e-5)


def test_every_decode_setting_has_an_effect(loaded):
    vae, latent = loaded[1], (draw(1, 128, 2, 2, 2) - 0.5) * 4
    plain = LTXVDecodeSettings.execute(vae, 0.05, 0.025, 1).result[0].decode(latent)
    for settings in ((0.5, 0.025, 1, 0.0), (0.05, 0.5, 1, 0.0), (0.05, 0.025, 1, 0.6)):
        changed = LTXVDecodeSettings.execute(vae, *settings).result[0].decode(latent)
        assert (changed - plain).abs().max() > 1e-4, settings


def test_tiled_decoding_takes_the_settings(loaded):
    vae, latent = loaded[1], draw(1, 128, 3, 4, 4) - 0.5
    tiled = [
        LTXVDecodeSettings.execute(vae, 0.05, 0.2, seed).result[0].decode_tiled(latent, tile_x=2, tile_y=2, overlap=1)
        for seed in (1, 1, 2)
    ]
    assert torch.equal(tiled[0], tiled[1])
    assert not torch.equal(tiled[0], tiled[2])


def test_a_vae_without_decode_noise_is_refused(files):
    with pytest.raises(ValueError, match="vae has no decode timestep"):
        LTXVDecodeSettings.execute(load(files["ltxv-0.9"])[1], 0.05, 0.025, 1)
