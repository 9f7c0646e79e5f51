"""Empty latent, hand-over and output of LTX stages, with real tiny VAEs and upsamplers."""

import comfy.sd
import comfy.utils
import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_hunyuan import LatentUpscaleModelLoader
from comfy_extras.nodes_lt_upsampler import LTXVLatentUpsampler

from oner.nodes.ltx.latents import LTXEmptyLatent, LTXStageHandOver, LTXStageOutput
from oner.nodes.ltx.loaders import LTXModelLoader
from oner.nodes.ltx.schedules import LTXScheduler, LTXSigmaPreset
from tiny import write_models

PROMPT = [[torch.zeros(1, 4, 8), {}]]


def empty(width=64, height=64, length=17, fps=24.0, batch_size=1, stages="one", audio=True):
    return LTXEmptyLatent.execute(width, height, length, fps, batch_size, stages, audio).result[0]["samples"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder-paths names of tiny files, found through ComfyUI's own folder_paths."""
    import folder_paths

    folder = tmp_path_factory.mktemp("models")
    paths = write_models(folder, ["ltx-2.3", "upscaler-x2", "upscaler-x1.5", "upscaler-temporal-x2", "wan-t2v"])
    with pytest.MonkeyPatch.context() as patch:
        for name in ("checkpoints", "latent_upscale_models", "diffusion_models"):
            patch.setitem(folder_paths.folder_names_and_paths, name, ([str(folder / name)], {".safetensors"}))
        folder_paths.filename_list_cache.clear()
        yield {name: path.name for name, path in paths.items()}
    folder_paths.filename_list_cache.clear()


@pytest.fixture(scope="module")
def loaded(models):
    with torch.inference_mode():
        model, vae, audio_vae, _ = LTXModelLoader.execute(models["ltx-2.3"]).result
        upscaler = LatentUpscaleModelLoader.execute(models["upscaler-x2"]).result[0]
    return model, vae, audio_vae, upscaler


@pytest.fixture
def sampled():
    """An audio-video latent of 3 x 2 x 2 video and 18 audio latents."""
    generator = torch.Generator().manual_seed(0)
    video = torch.randn(1, 128, 3, 2, 2, generator=generator)
    return NestedTensor((video, torch.randn(1, 8, 18, 16, generator=generator)))


def test_audio_is_as_long_as_in_the_reference():
    assert empty(length=121, fps=24.0).tensors[1].shape == (1, 8, 126, 16)
    assert empty(length=121, fps=25.0).tensors[1].shape == (1, 8, 121, 16)
    assert empty(length=1, fps=24.0).tensors[1].shape == (1, 8, 1, 16)


def test_two_stages_start_at_half_size():
    one, two = empty(1536, 1024, 121, stages="one"), empty(1536, 1024, 121, stages="two")
    assert one.tensors[0].shape == (1, 128, 16, 32, 48)
    assert two.tensors[0].shape == (1, 128, 16, 16, 24)


def test_batch_and_audio_are_optional():
    assert empty(batch_size=3).tensors[1].shape[0] == 3
    assert empty(audio=False).shape == (1, 128, 3, 2, 2)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"width": 100}, "width is 100; LTX needs multiples of 32: use 96 or 128"),
        ({"height": 32, "stages": "two"}, "height is 32; two stages need multiples of 64: use 64"),
        ({"width": 96, "stages": "two"}, "width is 96; two stages need multiples of 64: use 64 or 128"),
        ({"length": 100}, "length is 100; LTX needs 8k\\+1 frames: use 97 or 105"),
        ({"length": 8}, "length is 8; LTX needs 8k\\+1 frames: use 1 or 9"),
    ],
)
def test_impossible_sizes_name_the_next_ones(size, message):
    with pytest.raises(ValueError, match=message):
        empty(**size)


def test_scheduler_counts_video_tokens_of_an_audio_video_latent():
    latent = {"samples": empty(960, 544, 121)}
    with_latent = LTXScheduler.execute(15, 2.05, 0.95, 0.1, latent).result[0]
    assert with_latent[1].item() == pytest.approx(0.993491, abs=6e-7)
    assert not torch.allclose(with_latent, LTXScheduler.execute(15, 2.05, 0.95, 0.1).result[0])
    assert LTXSigmaPreset.execute("distilled stage 2").result[0].tolist() == pytest.approx(
        [0.909375, 0.725, 0.421875, 0]
    )


def test_hand_over_upsamples_video_and_carries_audio(loaded, sampled):
    _, vae, _, upscaler = loaded
    latent = {"samples": sampled, "noise_mask": NestedTensor((torch.zeros(1, 1, 3, 2, 2), torch.zeros(1, 1, 18, 16)))}
    prompt = [[torch.zeros(1, 4, 8), {"frame_rate": 24}]]
    positive, handed = LTXStageHandOver.execute(prompt, latent, upscaler, vae).result
    expected = LTXVLatentUpsampler.execute({"samples": sampled.tensors[0]}, upscaler, vae).result[0]["samples"]
    assert positive == prompt
    assert set(handed) == {"samples"}, "the noise mask of stage 1 must not reach stage 2"
    assert torch.equal(handed["samples"].tensors[0], expected)
    assert expected.shape == (1, 128, 3, 4, 4)
    assert torch.equal(handed["samples"].tensors[1], sampled.tensors[1])


def test_hand_over_crops_guides_from_latent_and_prompt(loaded, sampled):
    _, vae, _, upscaler = loaded
    guide = torch.zeros(1, 3, 1 * 2 * 2, 2, dtype=torch.int64)  # one appended latent frame of 2 x 2 tokens
    prompt = [[torch.zeros(1, 4, 8), {"keyframe_idxs": guide, "guide_attention_entries": [{"strength": 1.0}]}]]
    positive, handed = LTXStageHandOver.execute(prompt, {"samples": sampled}, upscaler, vae).result
    cropped = LTXVLatentUpsampler.execute({"samples": sampled.tensors[0][:, :, :2]}, upscaler, vae).result[0]["samples"]
    assert torch.equal(handed["samples"].tensors[0], cropped)
    assert positive[0][1] == {}
    assert prompt[0][1]["keyframe_idxs"] is guide


def test_hand_over_drops_a_reference_sound_from_the_prompt(loaded, sampled):
    _, vae, _, upscaler = loaded
    prompt = [[torch.zeros(1, 4, 8), {"ref_audio": {"tokens": torch.zeros(1, 2, 128)}, "frame_rate": 24}]]
    positive, _ = LTXStageHandOver.execute(prompt, {"samples": sampled}, upscaler, vae).result
    assert positive[0][1] == {"frame_rate": 24}


def test_hand_over_refuses_a_prompt_that_does_not_know_the_appended_frames(loaded, sampled):
    _, vae, _, upscaler = loaded
    with pytest.raises(ValueError, match="the latent has 1 appended frames, the prompts tell of 0"):
        LTXStageHandOver.execute(PROMPT, {"samples": sampled, "oner_guide_frames": 1}, upscaler, vae)


def test_hand_over_takes_a_video_latent_and_a_rational_upscaler(models, loaded, sampled):
    _, vae, _, _ = loaded
    upscaler = LatentUpscaleModelLoader.execute(models["upscaler-x1.5"]).result[0]
    handed = LTXStageHandOver.execute(PROMPT, {"samples": sampled.tensors[0]}, upscaler, vae).result[1]
    assert handed["samples"].shape == (1, 128, 3, 3, 3)


def test_hand_over_refuses_models_of_another_kind(models, loaded, sampled):
    _, vae, audio_vae, upscaler = loaded
    temporal = LatentUpscaleModelLoader.execute(models["upscaler-temporal-x2"]).result[0]
    with pytest.raises(ValueError, match=r"vae is an audio VAE with 8 latent channels; .* need the video VAE with 128"):
        LTXStageHandOver.execute(PROMPT, {"samples": sampled}, upscaler, audio_vae)
    with pytest.raises(ValueError, match="upscale_model is not a spatial LTX latent upsampler"):
        LTXStageHandOver.execute(PROMPT, {"samples": sampled}, temporal, vae)


@pytest.mark.parametrize("missing", ["vae", "upscale_model"])
def test_hand_over_names_a_model_that_is_missing_before_a_stage_runs(loaded, missing):
    _, vae, _, upscaler = loaded
    models = {"vae": vae, "upscale_model": upscaler}
    assert LTXStageHandOver.check_lazy_status(**models, positive=PROMPT) == ["latent"]
    with pytest.raises(ValueError, match=f"{missing} got nothing: the node it is connected to gave no"):
        LTXStageHandOver.check_lazy_status(**{**models, missing: None}, positive=PROMPT)
    del models[missing]
    with pytest.raises(ValueError, match=f"{missing} got nothing"):
        LTXStageHandOver.check_lazy_status(**models, positive=PROMPT)


def test_a_choice_of_stages_is_checked_before_anything_runs_unless_it_is_connected():
    assert LTXEmptyLatent.validate_inputs("four") == "stages is 'four': choose one of 'one', 'two'"
    assert LTXEmptyLatent.validate_inputs(None, width=96) is True
    assert "multiple" in LTXEmptyLatent.validate_inputs("two", width=96)


def test_output_ships_the_audio_of_the_chosen_stage(sampled):
    stage_1 = NestedTensor((sampled.tensors[0] + 1, sampled.tensors[1] + 1))
    last = LTXStageOutput.execute({"samples": sampled}, "last stage", {"samples": stage_1}).result
    first = LTXStageOutput.execute({"samples": sampled}, "stage 1", {"samples": stage_1}).result
    for (video,), (audio,) in (last, first):
        assert torch.equal(video["samples"], sampled.tensors[0])
        assert audio["type"] == "audio"
    assert torch.equal(last[1][0]["samples"], sampled.tensors[1])
    assert torch.equal(first[1][0]["samples"], stage_1.tensors[1])
    with pytest.raises(ValueError, match="connect stage 1's output"):
        LTXStageOutput.execute({"samples": sampled}, "stage 1")


def test_output_gives_the_clips_of_a_batch_one_by_one(sampled):
    video, audio = (torch.cat([part, part + 1]) for part in sampled.tensors)
    videos, sounds = LTXStageOutput.execute({"samples": NestedTensor((video, audio))}, "last stage").result
    assert [torch.equal(one["samples"][0], video[i]) for i, one in enumerate(videos)] == [True, True]
    assert [torch.equal(one["samples"][0], audio[i]) for i, one in enumerate(sounds)] == [True, True]
    one_sound = {"samples": NestedTensor((video, audio[:1]))}
    sounds = LTXStageOutput.execute(one_sound, "last stage").result[1]
    assert [torch.equal(one["samples"], audio[:1]) for one in sounds] == [True, True]
    three = {"samples": NestedTensor((video[:1].repeat(3, 1, 1, 1, 1), audio[:1].repeat(3, 1, 1, 1)))}
    with pytest.raises(ValueError, match="latent holds 2 clips and the audio's stage 3"):
        LTXStageOutput.execute({"samples": NestedTensor((video, audio))}, "stage 1", three)


def test_output_of_video_alone_blocks_what_decodes_its_audio(sampled):
    clips = torch.cat([sampled.tensors[0], sampled.tensors[0] + 1])
    videos, audio = LTXStageOutput.execute({"samples": clips}, "last stage").result
    assert [torch.equal(one["samples"][0], clips[i]) for i, one in enumerate(videos)] == [True, True]
    assert "has no audio part: turn on audio" in audio.message


def test_output_leaves_appended_frames_out(sampled):
    latent = {"samples": sampled, "oner_guide_frames": 1}
    (video,), (audio,) = LTXStageOutput.execute(latent, "last stage").result
    assert torch.equal(video["samples"], sampled.tensors[0][:, :, :2])
    assert torch.equal(audio["samples"], sampled.tensors[1])


def test_loader_gives_the_parts_of_a_whole_file(loaded):
    model, vae, audio_vae, _ = loaded
    assert type(model.model).__name__ == "LTXAV"
    assert (vae.latent_dim, vae.latent_channels) == (3, 128)
    assert audio_vae.decode(torch.zeros(1, 8, 9, 16)).shape[0] == 1


def test_loader_says_what_a_file_lacks(models, tmp_path, monkeypatch):
    import folder_paths
    from safetensors.torch import load_file, save_file

    whole = load_file(folder_paths.get_full_path("checkpoints", models["ltx-2.3"]))
    prefix = "model.diffusion_model."
    alone = {key.removeprefix(prefix): value for key, value in whole.items() if key.startswith(prefix)}
    metadata = comfy.utils.load_torch_file(
        folder_paths.get_full_path("checkpoints", models["ltx-2.3"]), return_metadata=True
    )[1]
    (tmp_path / "diffusion_models").mkdir()
    save_file(alone, tmp_path / "diffusion_models" / "transformer.safetensors", metadata)
    folders = ([str(tmp_path / "diffusion_models")], {".safetensors"})
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "diffusion_models", folders)
    folder_paths.filename_list_cache.clear()
    model, vae, audio_vae, file = LTXModelLoader.execute("transformer.safetensors").result
    assert file == "transformer.safetensors"
    assert type(model.model).__name__ == "LTXAV"
    assert vae.message == "transformer.safetensors has no video VAE: choose a file in vae_name"
    assert audio_vae.message == "transformer.safetensors has no audio VAE: choose a file in audio_vae_name"


def test_loader_names_the_file_it_refuses(models):
    with pytest.raises(ValueError, match=r"tiny-wan-2.1-t2v-1.3b.safetensors: it is not an LTX model"):
        LTXModelLoader.execute(models["wan-t2v"])
    with pytest.raises(ValueError, match=r"model_name is 'absent.safetensors': choose one of 'tiny-"):
        LTXModelLoader.execute("absent.safetensors")
