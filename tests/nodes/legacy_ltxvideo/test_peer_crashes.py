"""What fails in ComfyUI-LTXVideo on this ComfyUI, one test a case, shown to work here, under its own ids.

That one renamed part of ComfyUI makes its whole import fail is the matter of test_extension.py.
"""

import threading

import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras.nodes_apg import APG
from comfy_extras.nodes_custom_sampler import CFGGuider, KSamplerSelect, RandomNoise, SamplerCustomAdvanced
from comfy_extras.nodes_lt import LTXVCropGuides

from oner.ltx.ltxv.enhance import frame_attention
from oner.nodes.legacy_ltxvideo import guidance as old_guidance
from oner.nodes.legacy_ltxvideo import guides, samplers, tricks
from oner.nodes.legacy_ltxvideo import latents as old_latents
from oner.nodes.legacy_ltxvideo import loaders as old_loaders
from tiny import write_models

SIGMAS = torch.tensor([1.0, 0.7, 0.0])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    import folder_paths

    folder = tmp_path_factory.mktemp("models")
    paths = write_models(folder, ["ltxv-0.9.8", "ltx-2.3"])
    folder_paths.add_model_folder_path("checkpoints", str(folder / "checkpoints"), is_default=True)
    folder_paths.filename_list_cache.clear()
    return paths


@pytest.fixture(scope="module")
def loaded(files):
    with torch.inference_mode():
        parts = comfy.sd.load_checkpoint_guess_config(str(files["ltxv-0.9.8"]), output_vae=True, output_clip=False)
    return parts[0], parts[2]


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def conds():
    options = {"attention_mask": torch.ones(1, 4, dtype=torch.int), "frame_rate": 24.0}
    return [[[draw(1, 4, 32, seed=seed) - 0.5, options]] for seed in (1, 2)]


def stg(model, conds, stg_scale=1.0):
    return old_guidance.OldSTGGuider.execute(
        old_guidance.ApplySTG.execute(model, "1").result[0], *conds, 3.0, stg_scale, 0.7
    ).result[0]


def settings(guider):
    return {
        "guider": guider,
        "sampler": KSamplerSelect.execute("euler").result[0],
        "sigmas": SIGMAS,
        "noise": RandomNoise.execute(5).result[0],
    }


def sample(guider, latent):
    run = settings(guider)
    return SamplerCustomAdvanced.execute(run["noise"], guider, run["sampler"], SIGMAS, latent).result[0]


def empty(frames=3):
    return {"samples": torch.zeros(1, 128, frames, 2, 3)}


@pytest.mark.parametrize("strength", [0.9, 0.3])
def test_stg_guider_beside_an_image_guide_of_strength_below_one(loaded, conds, strength):
    model, vae = loaded
    image = draw(1, 64, 96, 3)
    *guided, latent = guides.AddGuideAdvanced.execute(
        *conds, vae, empty(), image, 8, strength, 29, 1, "lanczos", "center"
    ).result
    sampled = sample(stg(model, guided), latent)
    cropped = LTXVCropGuides.execute(*guided, sampled).result[2]["samples"]
    assert cropped.shape == (1, 128, 3, 2, 3)
    assert cropped.isfinite().all()
    plain = LTXVCropGuides.execute(*guided, sample(stg(model, guided, 0.0), latent)).result[2]["samples"]
    assert not torch.allclose(cropped, plain, atol=1e-4)


def test_projected_guidance_beside_stg(loaded, conds):
    """Their apply_apg; here the hook of ComfyUI's own node acts inside the STG guider."""
    model = loaded[0]
    projected = APG.execute(model, 0.3, 5.0, 0.0).result[0]
    results = [sample(stg(one, conds), empty())["samples"] for one in (model, projected)]
    assert all(result.isfinite().all() for result in results)
    assert not torch.allclose(*results, atol=1e-4)


def test_in_context_sampling_with_an_image(loaded, conds):
    model, vae = loaded
    run = settings(CFGGuider.execute(model, *conds, 3.0).result[0])
    track = {"samples": draw(1, 128, 3, 2, 3)}
    image = draw(1, 64, 96, 3)
    made = samplers.InContextSampler.execute(vae, guiding_latents=track, optional_cond_images=image, **run).result[0]
    assert made["samples"].shape == (1, 128, 3, 2, 3)
    compressed = guides.prepare(image, 96, 64, 35, 0)
    torch.testing.assert_close(made["samples"][:, :, :1], vae.encode(compressed), rtol=0, atol=1e-5)
    other = {"samples": draw(1, 128, 3, 2, 3, seed=1)}
    followed = samplers.InContextSampler.execute(vae, guiding_latents=other, optional_cond_images=image, **run).result[
        0
    ]
    assert not torch.allclose(made["samples"], followed["samples"], atol=1e-3)


def test_looping_with_several_prompts_and_a_cfg_guider(loaded, conds):
    model, vae = loaded
    run = settings(CFGGuider.execute(model, *conds, 3.0).result[0])
    options = {"attention_mask": torch.ones(1, 4, dtype=torch.int), "frame_rate": 24.0}
    made = []
    for second in (7, 8):
        prompts = [[[draw(1, 4, 32, seed=seed) - 0.5, options]] for seed in (6, second)]
        made.append(
            samplers.LoopingSampler.execute(
                model,
                vae,
                latents=empty(5),
                temporal_tile_size=24,
                temporal_overlap=16,
                guiding_strength=1.0,
                temporal_overlap_cond_strength=0.5,
                cond_image_strength=1.0,
                horizontal_tiles=1,
                vertical_tiles=1,
                spatial_overlap=1,
                optional_positive_conditionings=prompts,
                **run,
            ).result[0]["samples"]
        )
    assert torch.equal(made[0][:, :, :2], made[1][:, :, :2])  # the first prompt is the same
    assert not torch.allclose(made[0][:, :, 3:], made[1][:, :, 3:], atol=1e-3)


def test_tiled_sampling_with_a_cfg_guider(loaded, conds):
    model, vae = loaded
    run = settings(CFGGuider.execute(model, *conds, 3.0).result[0])
    latents = {"samples": draw(1, 128, 3, 2, 6)}
    made = samplers.TiledSampler.execute(
        model,
        vae,
        latents=latents,
        horizontal_tiles=2,
        vertical_tiles=1,
        overlap=2,
        latents_cond_strength=0.15,
        boost_latent_similarity=True,
        crop="center",
        optional_cond_images=draw(1, 64, 192, 3),
        **run,
    ).result[0]
    assert made["samples"].shape == (1, 128, 3, 2, 6)
    assert made["samples"].isfinite().all()


def test_enhance_a_video(loaded, conds):
    """More weight changes the video; one so low that the scale stays at 1 does not, and the model is not touched."""
    model = loaded[0]
    results = []
    for weight in (None, 0.0, 40.0):
        enhanced = model if weight is None else tricks.FetaEnhance.execute(model, weight).result[0]
        results.append(sample(CFGGuider.execute(enhanced, *conds, 3.0).result[0], empty())["samples"])
    assert not torch.allclose(results[0], results[2], atol=1e-3)
    assert (results[1] - results[0]).abs().max() < (results[2] - results[0]).abs().max()
    assert not model.object_patches
    with pytest.raises(ValueError, match="attn_override names block 9; the model has blocks 0 to"):
        tricks.FetaEnhance.execute(model, 4.0, tricks.AttnOverride.execute("9").result[0])


def test_attention_to_other_frames_is_measured_at_each_place():
    """Equal frames: each looks at all alike, so a frame gives (F - 1) / F to the others: 1 / F to each."""
    still = draw(2, 1, 6, 8).expand(2, 4, 6, 8).flatten(1, 2)
    torch.testing.assert_close(frame_attention(still, still, 2, 6), torch.full((2,), 1 / 4))
    apart = torch.eye(4).repeat_interleave(3, 0)[None] * 100  # every frame looks at itself alone
    assert frame_attention(apart, apart, 1, 3).max() < 1e-6


def test_stg_on_a_modified_model(loaded, conds):
    """ModifyLTXModel before STG, and Enhance-A-Video beside it."""
    model = loaded[0]
    modified = tricks.ModifyLTXModel.execute(model).result[0]
    assert torch.equal(sample(stg(modified, conds), empty())["samples"], sample(stg(model, conds), empty())["samples"])
    enhanced = tricks.FetaEnhance.execute(modified, 40.0).result[0]
    both = sample(stg(enhanced, conds), empty())["samples"]
    assert both.isfinite().all()
    assert not torch.allclose(both, sample(stg(model, conds), empty())["samples"], atol=1e-3)
    assert not torch.allclose(both, sample(stg(enhanced, conds, 0.0), empty())["samples"], atol=1e-4)


def test_the_low_vram_audio_vae_loader_loads(files):
    vae = old_loaders.LowVRAMAudioVAELoader.execute(files["ltx-2.3"].name).result[0]
    latent = vae.first_stage_model.encode(draw(1, 2, 16000) - 0.5, sample_rate=16000)
    assert latent.shape[1::2] == (8, 16)


@pytest.mark.parametrize(("length", "overlap"), [(2, 1), (3, 2), (4, 1)])
def test_temporal_tiles_one_longer_than_their_overlap_end(loaded, length, overlap):
    vae, latent, found = loaded[1], {"samples": draw(1, 128, 5, 2, 3)}, []

    def decode():
        with torch.inference_mode():
            node = old_latents.SpatioTemporalTiledVAEDecode
            found.append(node.execute(vae, latent, 1, 0, length, overlap, False).result[0])

    thread = threading.Thread(target=decode, daemon=True)  # theirs never comes back
    thread.start()
    thread.join(60)
    assert found[0].shape == (33, 64, 96, 3)
    assert found[0].isfinite().all()
