"""The samplers of old graphs: lengths, what is kept, and that they equal the same graph made of today's nodes."""

import comfy.sd
import pytest
import torch
from comfy_extras.nodes_custom_sampler import BasicGuider, CFGGuider, KSamplerSelect, RandomNoise, SamplerCustomAdvanced
from comfy_extras.nodes_lt import EmptyLTXVLatentVideo, LTXVCropGuides

from harness.fingerprint import fingerprint
from oner.nodes.legacy_ltxvideo import samplers as old
from oner.nodes.ltxv.conditioning import LTXVImageGuide
from tiny import write_models

SIGMAS = torch.tensor([1.0, 0.6, 0.0])


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    path = write_models(tmp_path_factory.mktemp("models"), ["ltxv-0.9.8"])["ltxv-0.9.8"]
    with torch.inference_mode():
        model, _, vae, _ = comfy.sd.load_checkpoint_guess_config(str(path), output_vae=True, output_clip=False)
    return model, vae


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def prompt(seed):
    options = {"attention_mask": torch.ones(1, 4, dtype=torch.int), "frame_rate": 24.0}
    return [[draw(1, 4, 32, seed=seed) - 0.5, options]]


@pytest.fixture
def conds():
    return [prompt(1), prompt(2)]


@pytest.fixture
def run(loaded, conds):
    """guider, sampler, sigmas, noise as every old sampler takes them."""
    guider = CFGGuider.execute(loaded[0], *conds, 3.0).result[0]
    return {
        "guider": guider,
        "sampler": KSamplerSelect.execute("euler").result[0],
        "sigmas": SIGMAS,
        "noise": RandomNoise.execute(5).result[0],
    }


def plain(run, latent, guider=None):
    return SamplerCustomAdvanced.execute(
        run["noise"], guider or run["guider"], run["sampler"], run["sigmas"], latent
    ).result[1]


def loop(loaded, run, latents, tile=24, overlap=16, strength=0.5, **options):
    values = {"horizontal_tiles": 1, "vertical_tiles": 1, "spatial_overlap": 1, "cond_image_strength": 1.0} | options
    return old.LoopingSampler.execute(
        *loaded,
        latents=latents,
        temporal_tile_size=tile,
        temporal_overlap=overlap,
        guiding_strength=1.0,
        temporal_overlap_cond_strength=strength,
        **values,
        **run,
    ).result[0]["samples"]


def test_the_base_sampler_is_the_graph_of_todays_nodes(loaded, conds, run):
    model, vae = loaded
    images = draw(2, 64, 96, 3)
    made, positive, negative = old.BaseSampler.execute(
        model, vae, 96, 64, 17, **run, optional_cond_images=images, optional_cond_indices="0, -1", strength=0.9, crf=0
    ).result
    latent = EmptyLTXVLatentVideo.execute(96, 64, 17).result[0]
    guided = LTXVImageGuide.execute(*conds, vae, latent, images[:1], 0, 0.9).result
    guided = LTXVImageGuide.execute(*guided[:2], vae, guided[2], images[1:], -1, 0.9).result
    expected = plain(run, guided[2], CFGGuider.execute(model, *guided[:2], 3.0).result[0])
    cropped = LTXVCropGuides.execute(*guided[:2], expected).result[2]["samples"]
    torch.testing.assert_close(made["samples"], cropped, rtol=0, atol=1e-5)
    assert torch.equal(positive[0][0], conds[0][0][0])
    assert torch.equal(negative[0][0], conds[1][0][0])
    assert "keyframe_idxs" not in positive[0][1]


def test_an_extension_keeps_the_clip_and_adds_the_frames(loaded, run):
    model, vae = loaded
    clip = {"samples": draw(1, 128, 4, 2, 3) - 0.5}
    longer = old.ExtendSampler.execute(model, vae, clip, 24, 16, **run, strength=0.5).result[0]["samples"]
    assert longer.shape[2] == 4 + 3
    assert torch.equal(longer[:, :, :3], clip["samples"][:, :, :3])  # of the two shared latents one is blended
    assert not torch.equal(longer[:, :, 3], clip["samples"][:, :, 3])


def test_an_extension_is_told_the_end_of_the_clip(loaded, run):
    model, vae = loaded
    ends = []
    for seed in (0, 1):
        clip = {"samples": torch.cat([draw(1, 128, 2, 2, 3), draw(1, 128, 2, 2, 3, seed=seed)], dim=2)}
        ends.append(old.ExtendSampler.execute(model, vae, clip, 24, 16, **run, strength=1.0).result[0]["samples"])
    assert not torch.allclose(ends[0][:, :, -3:], ends[1][:, :, -3:], atol=1e-3)


def test_an_extension_can_be_as_long_as_its_reference(loaded, run):
    model, vae = loaded
    clip, track = {"samples": draw(1, 128, 3, 2, 3)}, {"samples": draw(1, 128, 2, 2, 3, seed=4)}
    options = {"strength": 0.5, "optional_guiding_latents": track}
    longer = old.ExtendSampler.execute(model, vae, clip, -1, 16, **run, **options).result[0]["samples"]
    assert longer.shape[2] == 5
    with pytest.raises(ValueError, match="num_new_frames is -1, the length of optional_guiding_latents: connect"):
        old.ExtendSampler.execute(model, vae, clip, -1, 16, **run, strength=0.5)


def test_a_loop_of_one_piece_is_the_plain_sampler(loaded, run):
    latents = {"samples": torch.zeros(1, 128, 3, 2, 3)}
    torch.testing.assert_close(loop(loaded, run, latents), plain(run, latents)["samples"], rtol=0, atol=1e-5)


def test_a_loop_is_base_and_extensions(loaded, run):
    """The second piece is the extension sampler's, with the seed moved on by the latent frame where it starts."""
    model, vae = loaded
    made = loop(loaded, run, {"samples": torch.zeros(1, 128, 4, 2, 3)})
    first = plain(run, {"samples": torch.zeros(1, 128, 3, 2, 3)})
    moved = {**run, "noise": RandomNoise.execute(run["noise"].seed + 1).result[0]}
    extended = old.ExtendSampler.execute(model, vae, first, 8, 16, **moved, strength=0.5).result[0]["samples"]
    torch.testing.assert_close(made, extended, rtol=0, atol=1e-5)


def test_a_loop_takes_references_keyframes_context_and_statistics(loaded, run):
    latents = {"samples": torch.zeros(1, 128, 6, 2, 3)}
    plain_loop = loop(loaded, run, latents)
    track = {"samples": draw(1, 128, 6, 2, 3, seed=3)}
    changes = [
        {"optional_guiding_latents": track},
        {"optional_cond_images": draw(2, 64, 96, 3), "optional_cond_image_indices": "0, 40"},
        {"optional_negative_index_latents": {"samples": draw(1, 128, 1, 2, 3)}},
        {"optional_normalizing_latents": track, "adain_factor": 0.5},
        {"adain_factor": 0.5},
        {"horizontal_tiles": 2},
    ]
    for change in changes:
        made = loop(loaded, run, latents, **change)
        assert made.shape == plain_loop.shape
        assert made.isfinite().all()
        assert not torch.allclose(made, plain_loop, atol=1e-3), change


@pytest.mark.parametrize("name", ["optional_guiding_latents", "optional_negative_index_latents"])
def test_one_track_serves_each_clip_of_a_batch(loaded, run, name):
    latents, track = {"samples": torch.zeros(2, 128, 6, 2, 3)}, draw(1, 128, 6, 2, 3, seed=3)
    made = loop(loaded, run, latents, **{name: {"samples": track}})
    assert torch.equal(made, loop(loaded, run, latents, **{name: {"samples": track.repeat(2, 1, 1, 1, 1)}}))
    with pytest.raises(ValueError, match=f"{name} holds 3 clips and latents 2"):
        loop(loaded, run, latents, **{name: {"samples": track.repeat(3, 1, 1, 1, 1)}})
    with pytest.raises(ValueError, match=rf"{name} is \(2, 1\) latents high and wide, latents \(2, 3\)"):
        loop(loaded, run, latents, **{name: {"samples": track[..., :1]}})


def test_an_extension_refuses_a_track_that_does_not_belong(loaded, run):
    clip = {"samples": draw(1, 128, 4, 2, 3)}
    for track, message in ((draw(2, 128, 3, 2, 3), "holds 2 clips and latents 1"), (draw(1, 128, 3, 2, 1), "high and")):
        with pytest.raises(ValueError, match=f"optional_guiding_latents .*{message}"):
            old.ExtendSampler.execute(
                *loaded, clip, 24, 16, **run, strength=0.5, optional_guiding_latents={"samples": track}
            )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text, options: [[text[..., :7], options]], "has texts 7 wide, LTX-Video reads 32"),
        (lambda text, _: [[text, {}]], "has no attention_mask"),
    ],
)
def test_a_prompt_of_another_encoder_is_refused_before_a_loop(loaded, run, spoil, message):
    given = spoil(*prompt(3)[0])
    with pytest.raises(ValueError, match=f"optional_positive_conditionings {message}"):
        loop(loaded, run, {"samples": torch.zeros(1, 128, 6, 2, 3)}, optional_positive_conditionings=given)


def test_prompts_of_a_loop_have_the_frame_rate_of_the_guider(run):
    bare = [[[draw(1, 4, 32), {}]], [[draw(1, 4, 32), {"frame_rate": 30.0}]]]
    made = old.read_prompts(bare, run["guider"])
    assert [one[0][1]["frame_rate"] for one in made] == [24.0, 30.0]
    assert bare[0][0][1] == {}
    single = old.read_prompts(bare[0], run["guider"])  # a plain CONDITIONING serves every piece
    assert len(single) == 1
    assert torch.equal(single[0][0][0], bare[0][0][0])
    assert old.read_prompts(None, run["guider"]) == []


def test_a_tile_of_everything_is_the_plain_sampler(loaded, run):
    model, vae = loaded
    latents = {"samples": draw(1, 128, 3, 2, 4)}
    tiled = old.TiledSampler.execute(
        model,
        vae,
        latents=latents,
        horizontal_tiles=1,
        vertical_tiles=1,
        overlap=1,
        latents_cond_strength=0.15,
        boost_latent_similarity=False,
        crop="disabled",
        **run,
    ).result
    torch.testing.assert_close(tiled[0]["samples"], plain(run, latents)["samples"], rtol=0, atol=1e-5)
    assert torch.equal(tiled[0]["samples"], tiled[1]["samples"])


def test_boosted_similarity_acts_without_images(loaded, run):
    model, vae = loaded
    latents = {"samples": draw(1, 128, 3, 2, 4)}
    made = [
        old.TiledSampler.execute(
            model,
            vae,
            latents=latents,
            horizontal_tiles=2,
            vertical_tiles=1,
            overlap=2,
            latents_cond_strength=0.5,
            boost_latent_similarity=boost,
            crop="disabled",
            **run,
        ).result[0]["samples"]
        for boost in (False, True)
    ]
    assert made[0].shape == made[1].shape == latents["samples"].shape
    assert not torch.allclose(*made, atol=1e-3)


def test_images_need_as_many_indices(loaded, run):
    model, vae = loaded
    with pytest.raises(ValueError, match="optional_cond_indices names 1 frames for 2 images: name one each"):
        old.BaseSampler.execute(model, vae, 96, 64, 17, **run, optional_cond_images=draw(2, 64, 96, 3))
    with pytest.raises(ValueError, match="names frame 17; the clip has frames 0 to 16"):
        old.BaseSampler.execute(
            model, vae, 96, 64, 17, **run, optional_cond_images=draw(1, 64, 96, 3), optional_cond_indices="17"
        )


def test_guides_for_some_steps_alone_are_refused(loaded, run):
    with pytest.raises(ValueError, match="guides for part of the steps are not available; set 0 and 1000"):
        loop(loaded, run, {"samples": torch.zeros(1, 128, 3, 2, 3)}, guiding_start_step=1)


def test_nothing_received_is_changed_even_by_a_failing_run(loaded, conds, run):
    """The pack left another seed on the NOISE after an error, and wrote into latents."""
    latents = {"samples": draw(1, 128, 6, 2, 3)}
    received = [loaded[0], conds, latents, run["noise"].seed, run["guider"].original_conds]
    before, calls = fingerprint(received), []

    def fail_late(args):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return args["denoised"]

    failing = loaded[0].clone()
    failing.set_model_sampler_post_cfg_function(fail_late)
    stopped = {**run, "guider": BasicGuider.execute(failing, conds[0]).result[0]}
    with pytest.raises(RuntimeError, match="out of memory"):
        loop(loaded, stopped, latents)
    first = loop(loaded, run, latents)
    assert torch.equal(first, loop(loaded, run, latents))
    assert fingerprint(received) == before
