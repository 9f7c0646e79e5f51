"""Images, keyframes, references, sounds and windows on LTX-2 latents, with real tiny VAEs."""

import logging

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_custom_sampler import BasicGuider, SamplerCustomAdvanced
from comfy_extras.nodes_lt import LTXVAddGuide, LTXVCropGuides

from harness.fingerprint import fingerprint
from oner.ltx.ltx2.conditioning import get_value
from oner.ltx.ltx2.noise import LatentNoise
from oner.nodes.ltx.conditioning import LTXCrop, LTXImageToVideo, LTXKeyframe, LTXReferenceAudio, LTXReferenceVideo
from oner.nodes.ltx.guider import LTXGuidance, LTXMultimodalGuider
from oner.nodes.ltx.loaders import LTXICLoRALoader, LTXModelLoader
from oner.nodes.ltx.masks import LTXFreeze, LTXTimeWindow
from oner.nodes.ltx.media import LTXEncodeAudio, LTXPrepareImage
from oner.nodes.ltx.noise import LTXNoise
from oner.nodes.ltx.solvers import LTXEulerSampler, LTXRes2sSampler
from tiny import write_models

SIGMAS = torch.tensor([0.9, 0.5, 0.0])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    import folder_paths

    folder = tmp_path_factory.mktemp("models")
    paths = write_models(folder, ["ltx-2.3", "ltxv-0.9", "lora-ltx-2.3", "ic-lora-ltx-2.3"])
    for name in ("checkpoints", "loras"):
        folder_paths.add_model_folder_path(name, str(folder / name), is_default=True)
    folder_paths.filename_list_cache.clear()
    return {name: path.name for name, path in paths.items()}


@pytest.fixture(scope="module")
def models(files):
    with torch.inference_mode():
        return LTXModelLoader.execute(files["ltx-2.3"]).result


@pytest.fixture
def vae(models):
    return models[1]


@pytest.fixture
def audio_vae(models):
    return models[2]


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def latent():
    """17 frames of 64x64 with sound: video [1, 128, 3, 2, 2], audio [1, 8, 18, 16]."""
    return {"samples": NestedTensor((random(1, 128, 3, 2, 2), random(1, 8, 18, 16)))}


@pytest.fixture
def prompts():
    return [[[random(1, 11, 96, seed=seed), {"frame_rate": 24.0}]] for seed in (1, 2)]


def parts(latent, key="samples"):
    return latent[key].unbind()


def sample(model, positive, latent):
    guider = BasicGuider.execute(model, positive).result[0]
    sampler = LTXEulerSampler.execute({"method": "euler"}).result[0]
    return SamplerCustomAdvanced.execute(LTXNoise.execute(1, SIGMAS).result[0], guider, sampler, SIGMAS, latent).result[
        0
    ]


def test_image_takes_the_first_frame_and_leaves_the_sound(vae, latent):
    image = random(1, 40, 90, 3)
    output = LTXImageToVideo.execute(vae, image, latent, 0.7).result[0]
    video, audio = parts(output)
    assert not torch.equal(video[:, :, 0], parts(latent)[0][:, :, 0])
    assert torch.equal(video[:, :, 1:], parts(latent)[0][:, :, 1:])
    assert torch.equal(audio, parts(latent)[1])
    mask, audio_mask = parts(output, "noise_mask")
    assert mask.unique(sorted=True).tolist() == pytest.approx([0.3, 1.0])
    assert torch.all(audio_mask == 1)
    assert torch.equal(parts(output, "oner_init")[0], parts(latent)[0])


def test_a_video_can_be_continued(vae, latent):
    output = LTXImageToVideo.execute(vae, random(9, 64, 64, 3), latent, 1.0).result[0]
    assert parts(output, "noise_mask")[0][0, 0, :, 0, 0].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("frames", "message"), [(10, "LTX needs 8k.1: use 9 or 17"), (25, "25 frames for a clip of 17")]
)
def test_wrong_number_of_start_frames_is_refused(vae, latent, frames, message):
    with pytest.raises(ValueError, match=message):
        LTXImageToVideo.execute(vae, random(frames, 64, 64, 3), latent, 1.0)


@pytest.mark.parametrize(("frame", "start"), [(0, 0), (9, 9), (-1, 16)])
def test_keyframe_is_appended_at_its_frame(vae, latent, prompts, frame, start):
    positive, negative, output = LTXKeyframe.execute(*prompts, vae, random(1, 64, 64, 3), latent, frame, 0.6).result
    assert parts(output)[0].shape == (1, 128, 4, 2, 2)
    assert parts(output)[1].shape == (1, 8, 18, 16)
    for prompt in (positive, negative):
        positions = get_value(prompt, "keyframe_idxs")
        assert positions.dtype == torch.int64
        assert positions[0, 0].unique().tolist() == [start, start + 1]
    assert parts(output, "noise_mask")[0][0, 0, :, 0, 0].tolist() == pytest.approx([1, 1, 1, 0.4])


def test_keyframe_is_placed_as_core_places_it(vae, prompts):
    video = {"samples": torch.zeros(1, 128, 3, 2, 2)}
    image = random(1, 64, 64, 3)
    ours = LTXKeyframe.execute(*prompts, vae, image, video, 9, 1.0).result
    core = LTXVAddGuide.execute(*prompts, vae, video, image, 9, 1.0).result
    assert torch.equal(get_value(ours[0], "keyframe_idxs"), get_value(core[0], "keyframe_idxs"))
    assert torch.equal(ours[2]["samples"], core[2]["samples"])


@pytest.mark.parametrize("frame", [17, -18])
def test_keyframe_outside_the_clip_is_refused(vae, latent, prompts, frame):
    with pytest.raises(ValueError, match=f"frame is {frame}; the clip has frames 0 to 16"):
        LTXKeyframe.execute(*prompts, vae, random(1, 64, 64, 3), latent, frame, 1.0)


def test_several_images_are_no_keyframe(vae, latent, prompts):
    with pytest.raises(ValueError, match="holds 9 frames"):
        LTXKeyframe.execute(*prompts, vae, random(9, 64, 64, 3), latent, 0, 1.0)


def test_frames_count_from_the_clip_behind_guides_of_core(vae, prompts):
    image, video = random(1, 64, 64, 3), {"samples": torch.zeros(1, 128, 3, 2, 2)}
    added = LTXVAddGuide.execute(*prompts, vae, video, image, 0, 1.0).result
    positive = LTXKeyframe.execute(*added[:2], vae, image, added[2], -1, 1.0).result[0]
    assert get_value(positive, "keyframe_idxs")[0, 0].unique().tolist() == [0, 1, 16, 17]


def test_prompts_that_tell_of_different_keyframes_are_refused(vae, latent, prompts):
    image = random(1, 64, 64, 3)
    positive, _, state = LTXKeyframe.execute(*prompts, vae, image, latent, 0, 1.0).result
    with pytest.raises(ValueError, match="tell of 1 and 0 appended frames"):
        LTXKeyframe.execute(positive, prompts[1], vae, image, state, -1, 1.0)


def test_cropping_with_other_prompts_is_refused(vae, latent, prompts):
    """The keyframes would stay in the video."""
    state = LTXKeyframe.execute(*prompts, vae, random(1, 64, 64, 3), latent, 0, 1.0).result[2]
    with pytest.raises(ValueError, match="the latent has 1 appended frames, the prompts tell of 0"):
        LTXCrop.execute(*prompts, state)


def test_cropping_all_of_a_latent_is_refused(vae, latent, prompts):
    """The prompts of a reference with a latent before it."""
    positive, negative, _ = LTXReferenceVideo.execute(*prompts, vae, random(17, 64, 64, 3), latent, 1.0, 1.0).result
    with pytest.raises(ValueError, match="prompts tell of 3 appended frames, and the latent has 3 in all"):
        LTXCrop.execute(positive, negative, {"samples": latent["samples"]})


def test_strength_does_not_touch_the_attention(vae, latent, prompts):
    positive = LTXReferenceVideo.execute(*prompts, vae, random(9, 64, 64, 3), latent, 0.5, 1.0).result[0]
    (entry,) = get_value(positive, "guide_attention_entries")
    assert entry["strength"] == 1.0
    assert entry["oner_weight"] is None


def test_attention_does_not_touch_the_strength(vae, latent, prompts):
    positive, _, output = LTXReferenceVideo.execute(*prompts, vae, random(9, 64, 64, 3), latent, 1.0, 0.25).result
    assert get_value(positive, "guide_attention_entries")[0]["oner_weight"] == 0.25
    assert parts(output, "noise_mask")[0][0, 0, 3:].unique().tolist() == [0.0]


def test_attention_mask_weighs_the_tokens(vae, latent, prompts):
    mask = torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1
    positive = LTXReferenceVideo.execute(*prompts, vae, random(9, 64, 64, 3), latent, 1.0, 0.5, mask).result[0]
    weights = get_value(positive, "guide_attention_entries")[0]["oner_weight"]
    assert weights.tolist() == [0.0, 0.5, 0.0, 0.5] * 2


def test_attention_mask_of_other_length_is_refused(vae, latent, prompts):
    with pytest.raises(ValueError, match="attention_mask has 4 frames, the reference 9"):
        LTXReferenceVideo.execute(*prompts, vae, random(9, 64, 64, 3), latent, 1.0, 0.5, torch.ones(4, 64, 64))


def test_two_weighted_references_change_what_is_sampled(models, vae, latent, prompts):
    """Runs through the network; that the numbers are right is shown by the goldens."""
    results = []
    for attention in (1.0, 0.3):
        positive, negative, state = prompts[0], prompts[1], latent
        for seed in (1, 2):
            positive, negative, state = LTXReferenceVideo.execute(
                positive, negative, vae, random(9, 64, 64, 3, seed=seed), state, 1.0, attention
            ).result
        results.append(parts(sample(models[0], positive, state))[0][:, :, :3])
    assert (results[0] - results[1]).abs().max() > 1e-4


def test_reference_of_a_shrinking_lora_is_smaller_and_spread(vae, latent, prompts):
    factors = {"reference_downscale_factor": 2}
    positive, _, output = LTXReferenceVideo.execute(
        *prompts, vae, random(9, 64, 64, 3), latent, 1.0, 1.0, None, factors
    ).result
    mask = parts(output, "noise_mask")[0][0, 0, 3:]
    assert mask.tolist() == [[[0, -1], [-1, -1]]] * 2
    real = (mask.flatten() >= 0).nonzero().flatten()
    positions = get_value(positive, "keyframe_idxs")[0][:, real]
    assert positions[1:, 0].tolist() == [[0, 64], [0, 64]]


def test_reference_that_cannot_be_shrunk_is_refused(vae, prompts):
    latent = {"samples": torch.zeros(1, 128, 3, 2, 3)}
    with pytest.raises(ValueError, match="clip is 96x64 pixels; a reference shrunk 2 times needs multiples of 64"):
        LTXReferenceVideo.execute(
            *prompts, vae, random(9, 64, 96, 3), latent, 1.0, 1.0, None, {"reference_downscale_factor": 2}
        )


def test_reference_longer_than_the_clip_is_refused(vae, latent, prompts):
    with pytest.raises(ValueError, match="25 frames for a clip of 17"):
        LTXReferenceVideo.execute(*prompts, vae, random(25, 64, 64, 3), latent, 1.0, 1.0)


def test_factors_come_from_the_lora_file(models, files):
    model, factors = LTXICLoRALoader.execute(models[0], files["ic-lora-ltx-2.3"], 1.0).result
    assert factors == {"reference_downscale_factor": 2, "reference_temporal_scale_factor": 1}
    assert model.patches
    plain = LTXICLoRALoader.execute(model, files["lora-ltx-2.3"], 1.0, factors).result[1]
    assert plain == factors


def test_loras_that_disagree_are_refused(models, files):
    with pytest.raises(ValueError, match="disagree on reference_downscale_factor: 2 and 3"):
        LTXICLoRALoader.execute(models[0], files["ic-lora-ltx-2.3"], 1.0, {"reference_downscale_factor": 3})


def test_crop_gives_back_the_bare_clip(vae, audio_vae, latent, prompts):
    positive, negative, state = LTXKeyframe.execute(*prompts, vae, random(1, 64, 64, 3), latent, 0, 0.5).result
    positive, negative, state = LTXReferenceVideo.execute(
        positive, negative, vae, random(9, 64, 64, 3), state, 1.0, 0.5
    ).result
    positive, negative = LTXReferenceAudio.execute(positive, negative, latent).result
    positive, negative, cropped = LTXCrop.execute(positive, negative, state).result
    assert fingerprint([positive, negative]) == fingerprint(prompts)
    assert list(cropped) == ["samples"]
    assert all(torch.equal(a, b) for a, b in zip(parts(cropped), parts(latent), strict=True))


def test_core_crop_understands_our_references(vae, prompts):
    video = {"samples": torch.zeros(1, 128, 3, 2, 2)}
    positive, negative, state = LTXReferenceVideo.execute(*prompts, vae, random(9, 64, 64, 3), video, 1.0, 0.5).result
    assert LTXVCropGuides.execute(positive, negative, state).result[2]["samples"].shape == (1, 128, 3, 2, 2)


def test_a_sampled_latent_is_not_conditioned_again_by_accident(models, vae, latent, prompts):
    state = LTXImageToVideo.execute(vae, random(1, 64, 64, 3), latent, 0.5).result[0]
    sampled = sample(models[0], prompts[0], state)
    with pytest.raises(ValueError, match="pass it through LTX Crop"):
        LTXImageToVideo.execute(vae, random(1, 64, 64, 3), sampled, 0.5)
    cropped = LTXCrop.execute(*prompts, sampled).result[2]
    LTXImageToVideo.execute(vae, random(1, 64, 64, 3), cropped, 0.5)


def test_reference_sound_comes_from_any_latent(latent, prompts):
    positive, _ = LTXReferenceAudio.execute(*prompts, latent).result
    tokens = get_value(positive, "ref_audio")["tokens"]
    assert tokens.shape == (1, 18, 128)
    assert torch.equal(tokens[0, 3, 16:32], parts(latent)[1][0, 1, 3])


def test_a_video_latent_is_no_reference_sound(prompts):
    with pytest.raises(ValueError, match="encode a sound"):
        LTXReferenceAudio.execute(*prompts, {"samples": torch.zeros(1, 128, 3, 2, 2)})


def test_a_reference_sound_given_in_part_is_refused(latent, prompts):
    audio = parts(latent)[1]
    masks = NestedTensor((torch.ones(1, 1, 3, 2, 2), torch.full((1, 1, 18, 16), 0.5)))
    with pytest.raises(
        ValueError, match=r"the mask of audio_latent is 0\.5 in places, and a reference sound is given whole"
    ):
        LTXReferenceAudio.execute(*prompts, {**latent, "noise_mask": masks})
    for mask in (0.0, 1.0):  # frozen, or of a run that generated it
        sound = {"samples": audio, "noise_mask": torch.full((1, 1, 18, 16), mask)}
        assert get_value(LTXReferenceAudio.execute(*prompts, sound).result[0], "ref_audio") is not None


def test_a_second_reference_sound_is_refused(latent, prompts):
    with pytest.raises(ValueError, match="holds a reference sound already"):
        LTXReferenceAudio.execute(*LTXReferenceAudio.execute(*prompts, latent).result, latent)


@pytest.mark.parametrize(("keep", "index"), [("video", 0), ("audio", 1)])
def test_a_frozen_modality_comes_out_as_it_was(models, latent, prompts, keep, index):
    sampled = sample(models[0], prompts[0], LTXFreeze.execute(latent, keep).result[0])
    assert torch.equal(parts(sampled)[index], parts(latent)[index])
    assert not torch.equal(parts(sampled)[1 - index], parts(latent)[1 - index])


def test_freezing_needs_sound():
    with pytest.raises(ValueError, match="needs an audio-video latent"):
        LTXFreeze.execute({"samples": torch.zeros(1, 128, 3, 2, 2)}, "audio")


def test_time_window_is_generated_and_the_rest_kept(models, latent, prompts):
    window = LTXTimeWindow.execute(latent, 0.2, 0.5, 24.0, "video and audio").result[0]
    mask, audio_mask = parts(window, "noise_mask")
    assert mask[0, 0, :, 0, 0].tolist() == [0, 1, 1]
    assert audio_mask[0, 0, :, 0].tolist() == [0] * 5 + [1] * 9 + [0] * 4
    sampled = sample(models[0], prompts[0], window)
    assert torch.equal(parts(sampled)[0][:, :, 0], parts(latent)[0][:, :, 0])


@pytest.mark.parametrize(("generate", "kept"), [("video", 1), ("audio", 0)])
def test_window_of_one_modality_keeps_the_other(latent, generate, kept):
    window = LTXTimeWindow.execute(latent, 0.2, 0.5, 24.0, generate).result[0]
    assert not parts(window, "noise_mask")[kept].any()
    assert parts(window, "noise_mask")[1 - kept].any()


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [(0.5, 0.5, "set a later end"), (2.0, 3.0, "the clip is 0.708 s long"), (0.1, 5.0, "the clip is 0.708 s long")],
)
def test_window_outside_the_clip_is_refused(latent, start, end, message):
    with pytest.raises(ValueError, match=message):
        LTXTimeWindow.execute(latent, start, end, 24.0, "video and audio")


def test_window_comes_before_keyframes(vae, latent, prompts):
    state = LTXKeyframe.execute(*prompts, vae, random(1, 64, 64, 3), latent, 0, 1.0).result[2]
    with pytest.raises(ValueError, match="comes before keyframes"):
        LTXTimeWindow.execute(state, 0.2, 0.5, 24.0, "video")


def test_short_sound_is_continued_with_silence(audio_vae, caplog):
    audio = {"waveform": random(1, 2, 8000) - 0.5, "sample_rate": 16000}
    with caplog.at_level(logging.INFO, "oner"):
        latent = LTXEncodeAudio.execute(audio, audio_vae, 33, 24.0, "continue with silence").result[0]["samples"]
    assert "0.50 s long, the clip 1.38 s" in caplog.text
    silence = {"waveform": torch.zeros(1, 2, 32000), "sample_rate": 16000}
    silent = LTXEncodeAudio.execute(silence, audio_vae, 33, 24.0, "refuse").result[0]["samples"]
    assert latent.shape == silent.shape == (1, 8, 34, 16)
    assert torch.equal(latent[:, :, 20:], silent[:, :, 20:])
    assert not torch.equal(latent[:, :, :10], silent[:, :, :10])
    assert silent[:, :, -1].abs().max() > 1e-3  # silence is no latent of zeros


def test_long_sound_is_cut(audio_vae):
    audio = {"waveform": random(1, 1, 48000), "sample_rate": 16000}
    latent = LTXEncodeAudio.execute(audio, audio_vae, 33, 24.0, "refuse").result[0]["samples"]
    assert latent.shape == (1, 8, 34, 16)


def test_short_sound_can_be_refused(audio_vae):
    audio = {"waveform": random(1, 2, 16000), "sample_rate": 16000}
    with pytest.raises(ValueError, match=r"the audio is 1.00 s long, the clip 1.38 s.*at most 17 frames"):
        LTXEncodeAudio.execute(audio, audio_vae, 33, 24.0, "refuse")


def test_sound_needs_the_audio_vae(vae):
    with pytest.raises(ValueError, match="load an LTX-2 audio VAE"):
        LTXEncodeAudio.execute({"waveform": random(1, 2, 16000), "sample_rate": 16000}, vae, 17, 24.0, "refuse")


def test_sound_is_resampled_once(audio_vae):
    """A sound at the rate of the VAE is encoded as it is; core takes it to 44.1 kHz and back."""
    waveform = random(1, 2, 16000) - 0.5
    ours = LTXEncodeAudio.execute({"waveform": waveform, "sample_rate": 16000}, audio_vae, 17, 24.0, "refuse").result[0]
    direct = audio_vae.first_stage_model.encode(waveform, sample_rate=16000)[:, :, :18]
    assert torch.equal(ours["samples"], direct)


def test_prepared_image_is_compressed_and_cropped_to_even():
    image = random(1, 41, 63, 3)
    output = LTXPrepareImage.execute(image, 33).result[0]
    assert output.shape == (1, 40, 62, 3)
    assert 0.005 < (output - image[:, :40, :62]).abs().mean() < 0.3


def test_image_is_untouched_without_compression():
    image = random(1, 41, 63, 3)
    assert torch.equal(LTXPrepareImage.execute(image, 0).result[0], image)


def test_image_fills_the_size_around_its_centre():
    image = torch.zeros(1, 50, 100, 3)
    image[:, :, 50:] = 1
    output = LTXPrepareImage.execute(image, 0, 64, 64).result[0]
    assert output.shape == (1, 64, 64, 3)
    assert torch.equal(output.flip(2), 1 - output)


def test_half_a_size_is_refused():
    with pytest.raises(ValueError, match="width is 64 and height 0"):
        LTXPrepareImage.execute(random(1, 40, 40, 3), 0, 64, 0)


def test_nodes_write_into_nothing_they_receive(models, vae, audio_vae, latent, prompts, files):
    state = LTXImageToVideo.execute(vae, random(1, 64, 64, 3), latent, 0.5).result[0]
    audio = {"waveform": random(1, 2, 16000), "sample_rate": 16000}
    image = random(9, 64, 64, 3)
    received = [models, latent, state, prompts, audio, image]
    before = fingerprint(received)
    LTXImageToVideo.execute(vae, image, state, 0.5)
    LTXKeyframe.execute(*prompts, vae, image[:1], state, 3, 0.5)
    LTXReferenceVideo.execute(*prompts, vae, image, state, 0.5, 0.5)
    LTXReferenceAudio.execute(*prompts, state)
    LTXCrop.execute(*prompts, state)
    LTXFreeze.execute(state, "audio")
    LTXTimeWindow.execute(state, 0.1, 0.3, 24.0, "video and audio")
    LTXEncodeAudio.execute(audio, audio_vae, 33, 24.0, "continue with silence")
    LTXPrepareImage.execute(image, 33)
    LTXICLoRALoader.execute(models[0], files["ic-lora-ltx-2.3"], 1.0)
    LatentNoise(0, 0.9).generate_noise(state)
    assert fingerprint(received) == before


def test_guider_takes_the_defaults_of_its_model(models, prompts):
    model = models[0].clone()
    with pytest.raises(ValueError, match="video guidance names block 28; the model has blocks 0 to 2"):
        LTXMultimodalGuider.execute(model, *prompts, "of the model")
    with pytest.raises(ValueError, match="names block 29"):
        LTXMultimodalGuider.execute(model, *prompts, "LTX-2")
    guider = LTXMultimodalGuider.execute(model, *prompts, "LTX-2.3 HQ").result[0]
    assert guider.video.at(0.5).rescale == 0.45
    assert guider.audio.at(0.5).cfg == 7.0


def test_guidance_nodes_replace_the_defaults(models, latent, prompts):
    high = LTXGuidance.execute(3.0, 1.0, "1", 0.7, 3.0, 0, 1.0).result[0]
    chained = LTXGuidance.execute(2.0, 0.0, "", 0.0, 1.0, 0, 0.6, high).result[0]
    guider = LTXMultimodalGuider.execute(models[0], *prompts, "of the model", "negative prompt", chained, high).result[
        0
    ]
    assert guider.video.at(0.9).cfg == 3.0
    assert guider.video.at(0.5).cfg == 2.0
    sampler = LTXRes2sSampler.execute(-1).result[0]
    noise = LTXNoise.execute(1).result[0]
    result = SamplerCustomAdvanced.execute(noise, guider, sampler, SIGMAS, latent).result[0]
    assert all(part.isfinite().all() for part in parts(result))


def test_two_guidances_for_one_level_are_refused():
    first = LTXGuidance.execute(3.0, 0.0, "", 0.7, 3.0).result[0]
    with pytest.raises(ValueError, match="up to sigma 1"):
        LTXGuidance.execute(2.0, 0.0, "", 0.7, 3.0, 0, 1.0, first)


@pytest.mark.parametrize(("blocks", "message"), [("", "stg_blocks is empty"), ("14, x", "holds 'x'")])
def test_wrong_blocks_are_refused(blocks, message):
    with pytest.raises(ValueError, match=message):
        LTXGuidance.execute(3.0, 1.0, blocks, 0.7, 3.0)


def test_guider_refuses_another_family(files, prompts):
    model = LTXModelLoader.execute(files["ltxv-0.9"]).result[0]
    with pytest.raises(ValueError, match="model is LTXV; this node needs an LTX-2"):
        LTXMultimodalGuider.execute(model, *prompts, "LTX-2.3")


def test_guider_refuses_what_it_would_ignore(models, prompts):
    model = models[0].clone()
    model.set_model_sampler_cfg_function(lambda args: args["cond"])
    with pytest.raises(ValueError, match="CFG function of its own"):
        LTXMultimodalGuider.execute(model, *prompts, "LTX-2.3 HQ")


@pytest.mark.parametrize(
    "method",
    [
        {"method": "euler"},
        {"method": "euler ancestral", "eta": 1.0, "s_noise": 1.0, "step_seed": 3},
        {"method": "gradient estimation", "gamma": 2.0},
    ],
)
def test_every_method_samples(models, latent, prompts, method):
    guider = BasicGuider.execute(models[0], prompts[0]).result[0]
    sampler = LTXEulerSampler.execute(method).result[0]
    noise = LTXNoise.execute(1).result[0]
    result = SamplerCustomAdvanced.execute(noise, guider, sampler, SIGMAS, latent).result[0]
    assert all(part.isfinite().all() for part in parts(result))


def test_options_of_a_method_arrive(models, latent, prompts):
    results = []
    for randomness in (0.0, 1.0):
        guider = LTXMultimodalGuider.execute(models[0], *prompts, "LTX-2.3 HQ").result[0]
        method = {"method": "CFG++", "randomness": randomness, "noise_scale": 1.0, "noise_seed": 3}
        sampler = LTXEulerSampler.execute(method).result[0]
        noise = LTXNoise.execute(1).result[0]
        results.append(SamplerCustomAdvanced.execute(noise, guider, sampler, SIGMAS, latent).result[0])
    assert not torch.equal(parts(results[0])[0], parts(results[1])[0])
