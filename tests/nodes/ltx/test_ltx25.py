"""LTX-2.5 through the nodes, on tiny files of its layout; an older ComfyUI says what it lacks before it loads them."""

from __future__ import annotations

import comfy.utils
import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_lt import EmptyLTXVLatentVideo, LTXVAddGuide
from comfy_extras.nodes_lt_audio import LTXVEmptyLatentAudio
from safetensors.torch import save_file

from harness.pack import core_is_at_least
from oner.ltx.ltx2.conditioning import crop
from oner.ltx.ltx2.state import read_state
from oner.nodes.ltx.conditioning import LTXCrop, LTXKeyframe
from oner.nodes.ltx.decode import LTXDecodeSettings
from oner.nodes.ltx.guider import LTXMultimodalGuider
from oner.nodes.ltx.latents import LTXEmptyLatent, LTXStageHandOver
from oner.nodes.ltx.loaders import OWN, LTXModelLoader
from oner.nodes.ltx.schedules import LTXScheduler, LTXSigmaPreset
from tiny import write_models

HAS_2_5 = core_is_at_least("0.33.0")
since_0_33 = pytest.mark.skipif(not HAS_2_5, reason="LTX-2.5 needs ComfyUI 0.33.0")
NAMES = ["ltx-2.5", "ltx-2.5-deep", "ltx-2.5-vae", "ltx-2.5-audio-vae", "upscaler-2.5-x2", "ltx-vae", "ltx-2.3"]
FOLDERS = ("checkpoints", "diffusion_models", "vae", "latent_upscale_models")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder-paths names of tiny files, found through ComfyUI's own folder_paths."""
    import folder_paths

    folder = tmp_path_factory.mktemp("models")
    paths = write_models(folder, NAMES)
    for name in FOLDERS:
        folder_paths.folder_names_and_paths[name] = ([str(folder / name)], {".safetensors"})
    folder_paths.filename_list_cache.clear()
    return {name: path.name for name, path in paths.items()}


@pytest.fixture(scope="module")
def loaded(files):
    with torch.inference_mode():
        return LTXModelLoader.execute(files["ltx-2.5"], files["ltx-2.5-vae"], files["ltx-2.5-audio-vae"]).result


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def prompt(width=96):
    return [[noise(1, 8, width, seed=2), {"frame_rate": 24.0, "unprocessed_ltxav_embeds": True}]]


def test_the_loader_says_which_comfyui_is_needed_before_it_reads_a_weight(files, monkeypatch):
    read = []
    monkeypatch.setattr(comfy.utils, "load_torch_file", lambda *args, **_: read.append(args))
    if HAS_2_5:
        monkeypatch.setattr("oner.ltx.generation.LTX_2_5_PARTS", {"something of tomorrow": ("comfy.sd", "Tomorrow")})
    sentence = rf"{files['ltx-2.5']} is for LTX-2\.5, .* lacks what it needs: .*\. Update ComfyUI to 0\.33\.0 or newer"
    with pytest.raises(ValueError, match=sentence):
        LTXModelLoader.execute(files["ltx-2.5"], files["ltx-2.5-vae"], files["ltx-2.5-audio-vae"])
    assert read == []


@since_0_33
def test_the_loader_gives_model_and_vaes_of_their_files(loaded, files):
    model, vae, audio_vae, file = loaded
    assert type(model.model).__name__ == "LTXAV"
    assert type(vae.first_stage_model).__name__ == "CausalDiffusionVAE"
    assert type(audio_vae.first_stage_model).__name__ == "AudioVAE"
    assert file == files["ltx-2.5"]


def test_a_vae_file_is_taken_instead_of_the_model_files_own(files):
    import folder_paths

    state, metadata = comfy.utils.load_torch_file(
        folder_paths.get_full_path("vae", files["ltx-vae"]), return_metadata=True
    )
    darker = {key: value / 2 if "decoder.conv_out" in key else value for key, value in state.items()}
    (folder,) = folder_paths.get_folder_paths("vae")
    save_file(darker, f"{folder}/darker.safetensors", metadata)
    own, other = (LTXModelLoader.execute(files["ltx-2.3"], name).result for name in (OWN, "darker.safetensors"))
    bright, dark = (vae.first_stage_model.decode(noise(1, 128, 2, 2, 2)) for _, vae, _, _ in (own, other))
    torch.testing.assert_close(dark * 2, bright)
    assert own[2].latent_channels == other[2].latent_channels == 8  # the sound's is still that of the model file


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (("ltx-2.5-audio-vae", OWN), "vae_name is an audio VAE with 8 latent channels"),
        ((OWN, "ltx-vae"), "audio_vae_name is VideoVAE: load an LTX-2 audio VAE"),
    ],
)
def test_vae_files_in_each_others_place_are_refused(files, inputs, sentence):
    with pytest.raises(ValueError, match=sentence):
        LTXModelLoader.execute(files["ltx-2.3"], *(files.get(name, name) for name in inputs))


@since_0_33
def test_the_guider_and_the_scheduler_take_the_defaults_of_ltx_2_5_from_the_model(files):
    model = LTXModelLoader.execute(files["ltx-2.5-deep"]).result[0]
    guider = LTXMultimodalGuider.execute(model, prompt(), prompt(), "of the model").result[0]
    video, audio = guider.video.at(1.0), guider.audio.at(1.0)
    assert (video.cfg, video.stg, video.stg_blocks, video.rescale, video.modality) == (3.0, 1.0, (28,), 0.7, 3.0)
    assert (audio.cfg, audio.stg, audio.stg_blocks, audio.rescale, audio.modality) == (7.0, 1.0, (28,), 0.7, 3.0)
    assert len(LTXScheduler.execute(0, 2.05, 0.95, 0.1, model=model).result[0]) == 31


def test_the_sigmas_of_stage_2_are_those_of_comfyuis_template():
    assert (
        LTXSigmaPreset.execute("LTX-2.5 stage 2").result[0].tolist()
        == torch.tensor([0.85, 0.725, 0.4219, 0.0]).tolist()
    )


@pytest.mark.skipif(not HAS_2_5, reason="ComfyUI before 0.33 makes the sound a latent too long")
@pytest.mark.parametrize(("length", "fps"), [(121, 24.0), (97, 25.0), (9, 30.0)])
def test_the_empty_latent_is_that_of_comfyuis_nodes(files, length, fps):
    audio_vae = LTXModelLoader.execute(files["ltx-2.3"], OWN, files["ltx-2.5-audio-vae"]).result[2]
    video = EmptyLTXVLatentVideo.execute(128, 96, length, 1).result[0]["samples"]
    sound = LTXVEmptyLatentAudio.execute(length, fps, 1, audio_vae).result[0]["samples"]
    own = LTXEmptyLatent.execute(128, 96, length, fps, 1, "one", True).result[0]["samples"].unbind()
    assert [part.shape for part in own] == [video.shape, sound.shape]
    assert not any(part.any() for part in own)


@since_0_33
def test_hand_over_upsamples_in_the_statistics_of_the_diffusion_vae(loaded, files):
    from comfy_extras.nodes_hunyuan import LatentUpscaleModelLoader
    from comfy_extras.nodes_lt_upsampler import LTXVLatentUpsampler

    upscaler = LatentUpscaleModelLoader.execute(files["upscaler-2.5-x2"]).result[0]
    video, sound = noise(1, 128, 3, 2, 2), noise(1, 8, 18, 16)
    _, latent = LTXStageHandOver.execute(
        prompt(), {"samples": NestedTensor((video, sound))}, upscaler, loaded[1]
    ).result
    expected = LTXVLatentUpsampler.execute({"samples": video}, upscaler, loaded[1]).result[0]["samples"]
    found = latent["samples"].unbind()
    assert torch.equal(found[0], expected)
    assert torch.equal(found[1], sound)


@since_0_33
def test_a_keyframe_lies_where_comfyuis_guide_does(loaded):
    """Latent, mask, positions and attention of LTXVAddGuide at strength 1; below it the same but the attention."""
    vae, image = loaded[1], torch.rand(1, 96, 128, 3, generator=torch.Generator().manual_seed(3))
    empty = {"samples": torch.zeros(1, 128, 3, 3, 4)}
    for strength in (1.0, 0.7):
        theirs = LTXVAddGuide.execute(prompt(), prompt(), vae, empty, image, -1, strength).result
        ours = LTXKeyframe.execute(prompt(), prompt(), vae, image, empty, -1, strength).result
        assert torch.equal(ours[2]["samples"], theirs[2]["samples"])
        assert torch.equal(ours[2]["noise_mask"], theirs[2]["noise_mask"].expand_as(ours[2]["noise_mask"]))
        (own,), (other,) = ours[0], theirs[0]
        assert torch.equal(own[1]["keyframe_idxs"], other[1]["keyframe_idxs"].long())
        (entry,), (guide,) = (options["guide_attention_entries"] for options in (own[1], other[1]))
        assert {key: entry[key] for key in ("pre_filter_count", "latent_shape", "pixel_mask")} == {
            key: guide[key] for key in ("pre_filter_count", "latent_shape", "pixel_mask")
        }
        assert (entry["strength"], guide["strength"]) == (1.0, strength)


def test_crop_removes_keyframes_that_comfyuis_node_had_generated():
    """What LTXVAddGeneratedKeyframes leaves in a prompt: the next stage would look for them at its own size."""
    positions = torch.zeros(1, 3, 6, 2)
    record = {"first_latent_frame": 3, "num_keyframes": 1, "tokens_per_frame": 6}
    entry = {"pre_filter_count": 6, "strength": 1.0, "pixel_mask": None, "latent_shape": [1, 2, 3]}
    options = {"keyframe_idxs": positions, "generated_keyframes": record, "guide_attention_entries": [entry]}
    given = [[torch.zeros(1, 4, 8), {"frame_rate": 24.0, **options}]]
    latent = {"samples": noise(1, 128, 4, 2, 3)}
    positive, negative, clip = LTXCrop.execute(given, given, latent).result
    for bare in (positive, negative):
        assert bare[0][1] == {"frame_rate": 24.0}
    assert torch.equal(clip["samples"], latent["samples"][:, :, :3])
    assert crop(read_state(latent), [given])[1][0][0][1] == {"frame_rate": 24.0}


@since_0_33
def test_the_decode_seed_changes_the_decode_and_0_is_comfyuis(loaded):
    vae, latent = loaded[1], noise(1, 128, 2, 4, 4)
    plain = vae.decode(latent)
    views = [LTXDecodeSettings.execute(vae, seed).result[0] for seed in (0, 1, 1)]
    zero, one, again = (view.decode(latent) for view in views)
    assert torch.equal(zero, plain)
    assert torch.equal(one, again)
    assert (one - plain).abs().max() > 1e-3
    assert torch.equal(vae.decode(latent), plain)  # the VAE that came in is as it was
    tiled = [view.decode_tiled(latent, tile_x=3, tile_y=3, overlap=1) for view in views]
    assert torch.equal(tiled[0], vae.decode_tiled(latent, tile_x=3, tile_y=3, overlap=1))
    assert not torch.equal(tiled[1], tiled[0])


def test_a_vae_that_decodes_without_noise_is_refused(files):
    vae = LTXModelLoader.execute(files["ltx-2.3"]).result[1]
    with pytest.raises(ValueError, match="vae is VideoVAE, which decodes without noise of a seed: leave this node out"):
        LTXDecodeSettings.execute(vae, 0)
