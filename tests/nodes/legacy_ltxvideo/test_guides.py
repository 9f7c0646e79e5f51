"""Old nodes around guides, IC-LoRAs, masks and decoding: each does what the node it stands for does."""

import json

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_lt import LTXVAddGuide

from harness.fingerprint import fingerprint
from oner.ltx.ltx2.conditioning import get_value
from oner.nodes.legacy_ltxvideo import guides as old
from oner.nodes.legacy_ltxvideo import latents as old_latents
from oner.nodes.ltx.conditioning import LTXReferenceVideo
from oner.nodes.ltx.hdr import LTXHDRDecode
from oner.nodes.ltx.ic_lora_guides import LaplacianBlend, LTXGrowMask, LTXInpaintGuide
from oner.nodes.ltx.loaders import LTXModelLoader
from oner.nodes.ltx.tracks import LTXDrawTracks, LTXTracks
from tiny import write_models


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    import folder_paths

    folder = tmp_path_factory.mktemp("models")
    name = write_models(folder, ["ltx-2.3"])["ltx-2.3"].name
    folder_paths.add_model_folder_path("checkpoints", str(folder / "checkpoints"), is_default=True)
    folder_paths.filename_list_cache.clear()
    with torch.inference_mode():
        return LTXModelLoader.execute(name).result[1]


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def latent():
    return {"samples": NestedTensor((draw(1, 128, 3, 2, 2), draw(1, 8, 18, 16)))}


@pytest.fixture
def video_latent():
    return {"samples": draw(1, 128, 3, 2, 2)}


@pytest.fixture
def conds():
    return [[[draw(1, 11, 96, seed=seed), {"frame_rate": 24.0}]] for seed in (1, 2)]


def iclora(node, conds, vae, latent, frames, **changes):
    values = {
        "frame_idx": 0,
        "strength": 1.0,
        "latent_downscale_factor": 2.0,
        "crop": "center",
        "use_tiled_encode": False,
        "tile_size": 256,
        "tile_overlap": 64,
        **changes,
    }
    return node.execute(*conds, vae, latent, frames, **values).result


def test_an_ic_lora_guide_is_a_reference_video_cut_to_whole_latents(conds, vae, latent):
    frames = draw(12, 80, 64, 3)
    made = iclora(old.AddVideoICLoRAGuide, conds, vae, latent, frames)
    expected = LTXReferenceVideo.execute(
        *conds, vae, frames[:9], latent, 1.0, 1.0, None, {"reference_downscale_factor": 2}
    ).result
    assert fingerprint(made) == fingerprint(expected)


def test_the_advanced_ic_lora_guide_weighs_attention(conds, vae, latent):
    frames, mask = draw(9, 64, 64, 3), draw(9, 64, 64)
    made = iclora(
        old.AddVideoICLoRAGuideAdvanced, conds, vae, latent, frames, attention_strength=0.5, attention_mask=mask
    )
    expected = LTXReferenceVideo.execute(
        *conds, vae, frames, latent, 1.0, 0.5, mask, {"reference_downscale_factor": 2}
    ).result
    assert fingerprint(made) == fingerprint(expected)


def test_an_ic_lora_guide_without_crop_is_stretched(conds, vae, latent):
    frames = draw(9, 80, 64, 3)
    stretched, cropped = (
        iclora(old.AddVideoICLoRAGuide, conds, vae, latent, frames, crop=crop)[2]["samples"].unbind()[0]
        for crop in ("disabled", "center")
    )
    assert stretched.shape == cropped.shape
    assert not torch.equal(stretched, cropped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_idx": 8}, "frame_idx is 8; references start with the clip here: set it to 0, or use"),
        ({"latent_downscale_factor": 1.5}, "latent_downscale_factor is 1.5: use a whole number, such as 2"),
    ],
)
def test_what_an_ic_lora_guide_cannot_do_is_refused(conds, vae, latent, change, message):
    with pytest.raises(ValueError, match=message):
        iclora(old.AddVideoICLoRAGuide, conds, vae, latent, draw(9, 64, 64, 3), **change)


def test_a_guide_is_scaled_compressed_and_blurred(conds, vae, video_latent):
    image = draw(1, 100, 80, 3)
    made = old.AddGuideAdvanced.execute(*conds, vae, video_latent, image, 8, 0.7, 29, 1, "lanczos", "center").result
    prepared = old.prepare(image, 64, 64, 29, 1, "lanczos", "center")
    assert prepared.shape == (1, 64, 64, 3)
    sharp = old.prepare(image, 64, 64, 0, 0, "lanczos", "center")
    assert prepared.std() < sharp.std()
    expected = LTXVAddGuide.execute(*conds, vae, video_latent, prepared, 8, 0.7).result
    assert fingerprint(made) == fingerprint(expected)


def test_an_image_guides_each_clip_of_a_batch(conds, vae):
    clips, image = draw(2, 128, 3, 2, 2), draw(1, 64, 64, 3)
    values = (8, 0.7, 0, 0, "lanczos", "center")
    positive, _, guided = old.AddGuideAdvanced.execute(*conds, vae, {"samples": clips}, image, *values).result
    for index in range(2):
        alone = old.AddGuideAdvanced.execute(*conds, vae, {"samples": clips[index : index + 1]}, image, *values).result
        assert torch.equal(guided["samples"][index], alone[2]["samples"][0])
        assert torch.equal(guided["noise_mask"][index], alone[2]["noise_mask"][0])
        assert fingerprint(positive) == fingerprint(alone[0])


def test_an_image_behind_the_clip_is_refused(conds, vae, video_latent):
    with pytest.raises(ValueError, match=r"frame_idx is 99 for 1 image\(s\), latent has 3 latent frames, 17 frames"):
        old.AddGuideAdvanced.execute(
            *conds, vae, video_latent, draw(1, 64, 64, 3), 99, 1.0, 0, 0, "lanczos", "disabled"
        )


def test_the_old_image_to_video_starts_with_the_image(conds, vae):
    image = draw(1, 64, 64, 3)
    settings = (64, 64, 17, 1, 0, 0, "bilinear", "disabled", 0.9)
    latent = old.ImgToVideoAdvanced.execute(*conds, vae, image, *settings).result[2]
    assert latent["samples"].shape == (1, 128, 3, 2, 2)
    torch.testing.assert_close(latent["samples"][:, :, :1], vae.encode(image))
    assert latent["noise_mask"][0, 0, :, 0, 0].tolist() == pytest.approx([0.1, 1, 1])


def test_a_latent_guide_may_lie_before_the_clip(conds, vae, video_latent):
    guide = {"samples": draw(1, 128, 2, 2, 2)}
    positive, _, extended = old.AddLatentGuide.execute(vae, *conds, video_latent, guide, -2, 1.0).result
    assert extended["samples"].shape[2] == 5
    assert get_value(positive, "keyframe_idxs")[0, 0, :, 0].unique().tolist() == [-16, -8]
    with pytest.raises(ValueError, match=r"guiding_latent is \(1, 2\) latents high and wide, latent \(2, 2\): make"):
        old.AddLatentGuide.execute(vae, *conds, video_latent, {"samples": draw(1, 128, 1, 1, 2)}, 0, 1.0)


def test_a_voice_is_given_and_frozen(conds, latent):
    positive, negative, frozen = old.SetAudioRefTokens.execute(*conds, latent).result
    assert get_value(positive, "ref_audio")["tokens"].shape == (1, 18, 128)
    assert get_value(negative, "ref_audio") is not None
    assert torch.equal(frozen["samples"], latent["samples"].unbind()[1])
    assert frozen["noise_mask"].shape == (1, 1, 18, 16)
    assert not frozen["noise_mask"].any()


def test_masks_and_blends_are_those_of_todays_nodes():
    video, mask = draw(9, 64, 64, 3), (draw(9, 64, 64, seed=1) > 0.9).float()
    green = old.InpaintPreprocess.execute(video, mask[:5]).result[0]  # cut to the shorter
    assert torch.equal(green, LTXInpaintGuide.execute(video[:5], mask[:5]).result[0])
    grown = old.DilateVideoMask.execute(3, 1, image_as_mask=mask.unsqueeze(-1).expand(-1, -1, -1, 3)).result[0]
    assert torch.equal(grown, LTXGrowMask.execute(mask, 3, 1).result[0])
    blended = old.LaplacianPyramidBlend.execute(video, video.flip(0), mask, True, 5).result[0]
    assert torch.equal(blended, LaplacianBlend.execute(video, video.flip(0), mask, 5, "cut to the shorter").result[0])
    with pytest.raises(ValueError, match="connect one of mask and image_as_mask"):
        old.DilateVideoMask.execute(3, 1)


def test_saved_splines_are_sampled_and_drawn():
    store = json.dumps([[{"x": 8, "y": 8}, {"x": 40, "y": 24}, {"x": 8, "y": 40}]])
    tracks = old.SparseTrackEditor.execute(store, "[]", 17).result[0]
    points = json.loads(tracks)[0]
    assert len(points) == 17
    assert (points[0], points[8], points[16]) == ({"x": 8, "y": 8}, {"x": 40, "y": 24}, {"x": 8, "y": 40})
    assert old.SparseTrackEditor.execute("", tracks, 17).result[0] == tracks
    drawn = old.DrawTracks.execute(tracks, 64, 64).result[0]
    today = LTXTracks.execute(tracks, 17, "one point a frame", "same time between points").result[0]
    assert torch.equal(drawn, LTXDrawTracks.execute(today, 64, 64).result[0])
    assert old.DrawTracks.execute(tracks, 50, 40).result[0].shape == (17, 40, 50, 3)  # the guide scales it


def test_hdr_is_exposed_in_both_outputs_as_before():
    image = draw(2, 8, 8, 3)
    made = old.HDRDecodePostprocess.execute(image, 2.0).result
    assert fingerprint(made) == fingerprint(LTXHDRDecode.execute(image, 2.0, "preview and linear").result)


def test_a_place_for_exr_files_outside_the_output_folder_is_refused_before_anything_runs():
    checked = old.HDRDecodePostprocess.validate_inputs
    assert checked(True) is True
    assert checked(True, "hdr/shot 1", "a/frame") is True
    assert checked(False, "/elsewhere", "frame") is True  # nothing is saved
    assert checked(True, None, "frame") is True  # connected: execute sees the value
    assert checked(True, "/renders/hdr", "frame").startswith("output_dir '/renders/hdr' is an absolute path")
    assert checked(True, "output/..", "frame").startswith("output_dir 'output/..' leads out of its folder")
    assert checked(True, "output", "../frame").startswith("filename_prefix '../frame' leads out of its folder")
    with pytest.raises(ValueError, match="output_dir '/renders/hdr' is an absolute path"):
        old.HDRDecodePostprocess.execute(draw(1, 8, 8, 3), 0.0, True, "/renders/hdr")


def test_clips_are_joined_with_their_masks(video_latent):
    masked = {"samples": draw(1, 128, 2, 2, 2, seed=1), "noise_mask": torch.zeros(1, 1, 2, 1, 1)}
    joined = old_latents.AddLatents.execute(video_latent, masked).result[0]
    assert joined["samples"].shape[2] == 5
    assert joined["noise_mask"][0, 0, :, 0, 0].tolist() == [1, 1, 1, 0, 0]
    assert "noise_mask" not in old_latents.AddLatents.execute(video_latent, video_latent).result[0]


def test_a_transition_fades_along_any_axis(video_latent):
    other = {"samples": torch.zeros(1, 128, 3, 2, 2)}
    faded = old_latents.LinearOverlapLatentTransition.execute(video_latent, other, 1, 2).result[0]["samples"]
    assert faded.shape[2] == 5
    torch.testing.assert_close(faded[:, :, 2], video_latent["samples"][:, :, 2] / 2)
    with pytest.raises(ValueError, match="overlap is 4 and one latent has 3 on axis 2: use 3"):
        old_latents.LinearOverlapLatentTransition.execute(video_latent, other, 4, 2)


def test_tiles_and_the_last_frame_decode_to_the_frames_of_the_clip(vae):
    latent = {"samples": draw(1, 128, 3, 4, 6)}
    plain = vae.decode(latent["samples"])[0]
    for fix in (False, True):
        tiled = old_latents.TiledVAEDecode.execute(vae, latent, 2, 2, 1, fix).result[0]
        assert tiled.shape == plain.shape == (17, 128, 192, 3)
    whole = old_latents.TiledVAEDecode.execute(vae, latent, 1, 1, 1, False).result[0]
    torch.testing.assert_close(whole, plain, rtol=0, atol=2e-3)
    with pytest.raises(ValueError, match="temporal_overlap is 2 and temporal_tile_length 2: make the tile longer"):
        old_latents.SpatioTemporalTiledVAEDecode.execute(vae, latent, 1, 1, 2, 2, False)


@pytest.mark.parametrize(
    "combine",
    [
        lambda first, second: old_latents.AddLatents.execute(first, second),
        lambda first, second: old_latents.LinearOverlapLatentTransition.execute(first, second, 1, 2),
    ],
)
def test_one_clip_is_joined_with_each_of_a_batch(combine):
    one, two = {"samples": draw(1, 128, 2, 1, 2)}, {"samples": draw(2, 128, 3, 1, 2, seed=1)}
    joined = combine(one, two).result[0]["samples"]
    for i in (0, 1):
        alone = combine(one, {"samples": two["samples"][i : i + 1]}).result[0]["samples"]
        assert torch.equal(joined[i : i + 1], alone)
    with pytest.raises(ValueError, match=r"holds 2 clips and .* 3: give as many of both"):
        combine(two, {"samples": draw(3, 128, 2, 1, 2)})


def test_a_guide_is_for_each_clip_of_a_batch_or_for_all(vae, conds):
    two, three = ({"samples": draw(n, 128, 3, 2, 2)} for n in (2, 3))
    guide = draw(1, 128, 1, 2, 2, seed=1)
    extended = old.AddLatentGuide.execute(vae, *conds, two, {"samples": guide}, 1, 1.0).result[2]["samples"]
    assert torch.equal(extended[:, :, 3:], guide.repeat(2, 1, 1, 1, 1))
    with pytest.raises(ValueError, match="the guide holds 2 clips and the latent 3"):
        old.AddLatentGuide.execute(vae, *conds, three, two, 1, 1.0)


def test_appended_frames_are_not_decoded(vae):
    samples = draw(1, 128, 3, 2, 2)
    guided = old_latents.TiledVAEDecode.execute(vae, {"samples": samples, "oner_guide_frames": 1}, 1, 1, 1, False)
    bare = old_latents.TiledVAEDecode.execute(vae, {"samples": samples[:, :, :2]}, 1, 1, 1, False)
    assert guided.result[0].shape[0] == 9
    assert torch.equal(guided.result[0], bare.result[0])
