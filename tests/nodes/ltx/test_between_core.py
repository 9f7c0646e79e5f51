"""Core's nodes before and between ours: guides, joined sounds, batches, masks and windows, in core's own orders."""

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_custom_sampler import BasicGuider, SamplerCustomAdvanced
from comfy_extras.nodes_lt import LTXVAddGuide, LTXVConcatAVLatent, LTXVSeparateAVLatent

from oner.ltx.ltx2.noise import LatentNoise
from oner.nodes.ltx.conditioning import LTXCrop, LTXImageToVideo, LTXKeyframe, LTXReferenceVideo
from oner.nodes.ltx.loaders import LTXModelLoader
from oner.nodes.ltx.masks import LTXFreeze, LTXTimeWindow
from oner.nodes.ltx.noise import LTXNoise
from oner.nodes.ltx.solvers import LTXEulerSampler
from tiny import write_models

SIGMAS = torch.tensor([0.9, 0.5, 0.0])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    import folder_paths

    folder = tmp_path_factory.mktemp("models")
    paths = write_models(folder, ["ltx-2.3"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            folder_paths.folder_names_and_paths, "checkpoints", ([str(folder / "checkpoints")], {".safetensors"})
        )
        folder_paths.filename_list_cache.clear()
        with torch.inference_mode():
            yield LTXModelLoader.execute(paths["ltx-2.3"].name).result
    folder_paths.filename_list_cache.clear()


@pytest.fixture
def vae(models):
    return models[1]


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def prompts():
    return [[[random(1, 11, 96, seed=seed), {"frame_rate": 24.0}]] for seed in (1, 2)]


@pytest.fixture
def video():
    """17 frames of 64x64."""
    return {"samples": random(1, 128, 3, 2, 2)}


@pytest.fixture
def sound():
    return {"samples": random(1, 8, 18, 16, seed=3)}


@pytest.fixture
def both(video, sound):
    return {"samples": NestedTensor((video["samples"], sound["samples"]))}


def join(video, sound):
    return LTXVConcatAVLatent.execute(video, sound).result[0]


def parts(latent, key="samples"):
    return latent[key].unbind()


def frames_of(mask):
    return pytest.approx(mask[0, 0, :, 0, 0].tolist())


def core_guide(prompts, vae, video, strength=1.0):
    return LTXVAddGuide.execute(*prompts, vae, video, random(1, 64, 64, 3), 8, strength).result


def image_to_video(vae, latent, strength=0.7):
    return LTXImageToVideo.execute(vae, random(1, 64, 64, 3), latent, strength).result[0]


# --- guides that core appended ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", ["freeze", "window", "image", "keyframe", "reference"])
def test_guides_of_core_are_cropped_after_any_of_our_nodes(vae, prompts, video, sound, node):
    positive, negative, guided = core_guide(prompts, vae, video)
    latent = join(guided, sound)
    appended = {"keyframe": 1, "reference": 2}.get(node, 0)
    if node == "freeze":
        latent = LTXFreeze.execute(latent, "audio").result[0]
    elif node == "window":
        latent = LTXTimeWindow.execute(latent, 0.1, 0.3, 24.0, "video and audio").result[0]
    elif node == "image":
        latent = image_to_video(vae, latent)
    elif node == "keyframe":
        positive, negative, latent = LTXKeyframe.execute(
            positive, negative, vae, random(1, 64, 64, 3), latent, -1, 1.0
        ).result
    else:
        positive, negative, latent = LTXReferenceVideo.execute(
            positive, negative, vae, random(9, 64, 64, 3), latent, 1.0, 1.0
        ).result
    assert latent.get("oner_guide_frames") == (1 + appended if appended else None)
    assert parts(latent)[0].shape[2] == 4 + appended
    *_, cropped = LTXCrop.execute(positive, negative, latent).result
    clip, heard = parts(cropped)
    assert torch.equal(clip[:, :, 1:], video["samples"][:, :, 1:])
    assert torch.equal(heard, sound["samples"])


def test_a_window_sees_guides_of_core_where_it_has_the_prompt(vae, prompts, video):
    positive, _, guided = core_guide(prompts, vae, video)
    with pytest.raises(ValueError, match="this latent has 1 appended frames"):
        LTXTimeWindow.execute(guided, 0.1, 0.3, 24.0, "video", positive)
    mask = LTXTimeWindow.execute(video, 0.1, 0.3, 24.0, "video", prompts[0]).result[0]["noise_mask"]
    assert mask[0, 0, :, 0, 0].tolist() == [0, 1, 0]


def test_frozen_video_keeps_the_fillers_of_a_shrunken_reference(vae, prompts, both):
    factors = {"reference_downscale_factor": 2}
    *_, latent = LTXReferenceVideo.execute(*prompts, vae, random(9, 64, 64, 3), both, 1.0, 1.0, None, factors).result
    frozen = LTXFreeze.execute(latent, "video").result[0]
    mask = parts(frozen, "noise_mask")[0]
    assert mask[0, 0, 3].tolist() == [[0, -1], [-1, -1]]
    assert not mask[:, :, :3].any()


# --- what core does to a conditioned latent ---------------------------------------------------------------------------


def test_a_sound_is_joined_to_a_conditioned_video(vae, video, sound):
    """The order of core's templates; the start of the image is still what lay below it."""
    given = join(image_to_video(vae, video), sound)
    expected = image_to_video(vae, join(video, sound))
    for latent in (LTXFreeze.execute(given, "audio").result[0], LTXFreeze.execute(expected, "audio").result[0]):
        assert torch.equal(parts(latent, "oner_init")[0], video["samples"])
        assert torch.equal(parts(latent, "oner_init")[1], sound["samples"])
        assert parts(latent, "noise_mask")[0][0, 0, :, 0, 0].tolist() == frames_of(parts(expected, "noise_mask")[0])
    ours, theirs = (LatentNoise(1, 0.5).generate_noise(latent).unbind() for latent in (given, expected))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], LatentNoise(1, 0.5).generate_noise(join(video, sound)).unbind()[0])
    with pytest.raises(ValueError, match="sigmas of LTX Noise begin with 0"):
        LatentNoise(1, 0.0).generate_noise(given)


def test_a_conditioned_latent_is_taken_apart_and_joined(vae, both):
    given = image_to_video(vae, both)
    picture, heard = LTXVSeparateAVLatent.execute(given).result
    again = LTXFreeze.execute(join(picture, heard), "audio").result[0]
    assert torch.equal(parts(again, "oner_init")[0], parts(both)[0])
    alone = LatentNoise(1, 0.5).generate_noise(picture)
    assert torch.equal(alone, LatentNoise(1, 0.5).generate_noise(given).unbind()[0])
    assert torch.equal(  # the sound has no start of its own
        LatentNoise(1, 0.5).generate_noise(heard), LatentNoise(1).generate_noise({"samples": heard["samples"]})
    )


def test_a_conditioned_video_is_repeated_and_picked_from(vae):
    import nodes

    video = {"samples": random(2, 128, 3, 2, 2)}
    given = image_to_video(vae, video)
    (repeated,) = nodes.RepeatLatentBatch().repeat(given, 2)
    latent = image_to_video(vae, repeated, 0.4)
    assert torch.equal(latent["oner_init"], video["samples"].repeat(2, 1, 1, 1, 1))
    (picked,) = nodes.LatentFromBatch().frombatch(given, 1, 1)
    latent = image_to_video(vae, picked, 0.4)
    assert torch.equal(latent["oner_init"], video["samples"][1:])


def test_a_conditioned_latent_that_was_changed_is_refused(vae, video, sound):
    given = image_to_video(vae, video)
    changed = join({**given, "samples": given["samples"] * 1.01}, sound)
    with pytest.raises(ValueError, match="sampled or changed since frames were conditioned"):
        LTXFreeze.execute(changed, "audio")


# --- masks and windows ------------------------------------------------------------------------------------------------


def window(latent, start, end, generate="video and audio"):
    return LTXTimeWindow.execute(latent, start, end, 24.0, generate).result[0]


def masks(latent):
    video, audio = parts(latent, "noise_mask")
    return video[0, 0, :, 0, 0].tolist(), audio[0, 0, :, 0].tolist()


def test_windows_add_up(both):
    first, second = window(both, 0.0, 0.04), window(both, 0.5, 0.7)
    united = masks(window(first, 0.5, 0.7))
    assert united[0] == [1, 0, 1]
    assert united[1] == [max(values) for values in zip(masks(first)[1], masks(second)[1], strict=True)]
    assert masks(window(second, 0.0, 0.04)) == united


def test_windows_of_one_modality_each_add_up(both):
    video = window(both, 0.5, 0.7, "video")
    assert masks(window(video, 0.0, 0.04, "audio")) == ([0, 0, 1], [1, 1] + [0] * 16)
    sound = window(both, 0.0, 0.04, "audio")
    assert masks(window(sound, 0.5, 0.7, "video")) == ([0, 0, 1], [1, 1] + [0] * 16)


def test_a_window_leaves_a_given_image_as_it_is(vae, both):
    given = image_to_video(vae, both, 1.0)
    assert masks(window(given, 0.0, 0.3))[0] == [0, 1, 0]
    assert masks(window(image_to_video(vae, both, 0.75), 0.0, 0.3))[0] == [0.25, 1, 0]
    later = window(given, 0.5, 0.7)
    assert masks(window(later, 0.0, 0.3))[0] == [0, 1, 1]  # also where an earlier window had closed it
    between = image_to_video(vae, window(both, 0.5, 0.7), 1.0)
    assert masks(window(between, 0.0, 0.3))[0] == [0, 1, 1]


def test_a_window_leaves_what_a_mask_of_core_gave(both):
    mask = NestedTensor((torch.tensor([0.0, 1, 1]).view(1, 1, 3, 1, 1).expand(1, 1, 3, 2, 2), torch.ones(1, 1, 18, 16)))
    assert masks(window({**both, "noise_mask": mask}, 0.0, 0.3))[0] == [0, 1, 0]
    # a mask set after a window is a mask like any other
    assert masks(window({**window(both, 0.0, 0.1), "noise_mask": mask}, 0.0, 0.3))[0] == [0, 1, 0]


def test_a_window_in_which_nothing_is_generated_is_refused(both):
    frozen = LTXFreeze.execute(both, "video").result[0]
    with pytest.raises(ValueError, match=r"nothing of 0\.1 to 0\.3 s would be generated"):
        window(frozen, 0.1, 0.3, "video")
    assert masks(window(frozen, 0.0, 0.04))[0] == [0, 0, 0]


def test_united_windows_are_generated_and_the_rest_kept(models, prompts, both):
    latent = window(window(both, 0.0, 0.04), 0.5, 0.7)
    guider = BasicGuider.execute(models[0], prompts[0]).result[0]
    sampler = LTXEulerSampler.execute({"method": "euler"}).result[0]
    noise = LTXNoise.execute(1, SIGMAS).result[0]
    sampled = parts(SamplerCustomAdvanced.execute(noise, guider, sampler, SIGMAS, latent).result[0])[0]
    changed = (sampled != parts(both)[0]).flatten(3).any(3).any(1)[0].tolist()
    assert changed == [True, False, True]
