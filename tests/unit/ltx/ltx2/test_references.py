"""Attention between a clip and its references, part by part, against a dense mask; references' factors and weights."""

import pytest
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy_extras.nodes_custom_sampler import BasicGuider, RandomNoise, SamplerCustomAdvanced

from oner.ltx.ltx2 import conditioning
from oner.ltx.ltx2.positions import keyframe_positions, reference_positions
from oner.ltx.ltx2.reference_attention import ReferenceMask, group_references, weight_matrix
from oner.ltx.ltx2.references import lora_factors, merge_factors, subsampled_frames, token_weights, whole_length
from oner.ltx.ltx2.solvers import make_sampler
from oner.ltx.ltx2.state import read_state, write_state
from oner.samplers.packed import pack

CLIP, HEADS, WIDTH = 6, 2, 16


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "weights",
    [[0.5], [0.5, 0.8], [None, None, 0.3], [0.3, None], [0.0, 1.0], [torch.tensor([0.0, 0.2, 0.7, 1.0]), 0.5]],
)
def test_parts_equal_the_dense_mask(weights):
    counts = [4, 3, 5][: len(weights)]
    groups = group_references(CLIP, counts, weights)
    q, k, v = (random(2, CLIP + sum(counts), HEADS * WIDTH, seed=seed) for seed in range(3))
    parts = ReferenceMask(CLIP, groups, q).attend(attention_pytorch, q, k, v, HEADS)
    dense = attention_pytorch(q, k, v, HEADS, mask=weight_matrix(CLIP, groups)[:, None].log())
    torch.testing.assert_close(parts, dense, rtol=0, atol=2e-6)


def test_equal_weights_need_no_mask_a_row():
    groups = group_references(CLIP, [4, 3], [0.5, torch.tensor([0.1, 0.2, 0.3])])
    uniform, varied = ReferenceMask(CLIP, groups, torch.empty(0)).group_masks
    assert uniform.shape == (1, 1, 1, CLIP + 4)
    assert varied.shape == (1, 1, 3, CLIP + 3)


def test_unweighted_references_need_no_mask():
    assert group_references(CLIP, [4, 3], [None, None]) == []


def test_a_reference_of_weight_zero_has_no_influence(ltx2, prompts):
    """Without sound, that is: the sound sees all of the picture, and the clip sees the sound."""
    results = []
    for seed in (1, 2):
        clip = read_state({"samples": torch.zeros(1, 128, 3, 2, 3)})
        reference = random(1, 128, 2, 2, 3, seed=seed)
        state, (prompt,) = conditioning.append_reference(clip, prompts[:1], reference, 1.0, weight=0.0)
        guider = BasicGuider.execute(ltx2, prompt).result[0]
        noise, sigmas = RandomNoise.execute(1).result[0], torch.tensor([1.0, 0.5, 0.0])
        output = SamplerCustomAdvanced.execute(
            noise, guider, make_sampler("euler"), sigmas, write_state({}, state)
        ).result[0]
        results.append(output["samples"][:, :, :3])
    torch.testing.assert_close(*results, rtol=0, atol=1e-6)


def test_more_references_than_the_latent_holds_are_refused(ltx2, prompts):
    """The latent of another node, with a mask of its own."""
    clip = read_state({"samples": torch.zeros(1, 128, 1, 2, 3)})
    _, (prompt,) = conditioning.append_reference(clip, prompts[:1], random(1, 128, 2, 2, 3), 1.0, weight=0.5)
    other = {"samples": torch.zeros(1, 128, 2, 2, 3), "noise_mask": torch.full((1, 1, 2, 1, 1), 0.5)}
    guider = BasicGuider.execute(ltx2, prompt).result[0]
    noise, sigmas = RandomNoise.execute(1).result[0], torch.tensor([1.0, 0.0])
    with pytest.raises(ValueError, match="tell of 12 tokens of references and keyframes, and the latent has 12 in all"):
        SamplerCustomAdvanced.execute(noise, guider, make_sampler("euler"), sigmas, other)


def test_attention_override_of_another_pack_sees_the_parts(ltx2, prompts, empty_latent):
    state, (prompt,) = conditioning.append_reference(
        read_state(empty_latent), prompts[:1], random(1, 128, 2, 2, 3), 1.0, weight=0.5
    )
    model, masks = ltx2.clone(), []

    def override(attention, *args, **kwargs):
        masks.append(kwargs.get("mask"))
        return attention(*args, **kwargs)

    model.model_options["transformer_options"]["optimized_attention_override"] = override
    results = []
    for one in (model, ltx2):
        guider = BasicGuider.execute(one, prompt).result[0]
        noise, sigmas = RandomNoise.execute(1).result[0], torch.tensor([1.0, 0.0])
        output = SamplerCustomAdvanced.execute(
            noise, guider, make_sampler("euler"), sigmas, write_state({}, state)
        ).result[0]
        results.append(pack(output["samples"].unbind()))
    assert all(mask is None or isinstance(mask, torch.Tensor) for mask in masks)
    assert sum(mask is not None for mask in masks) == 2 * 3  # two parts in each of three blocks
    assert torch.equal(*results)


def test_core_is_told_of_a_references_weight_and_all_its_tokens_until_it_is_cropped(prompts):
    """Core splits its positions by these counts, fillers of a shrunken reference included."""
    clip = read_state({"samples": torch.zeros(1, 128, 3, 2, 4)})
    state, told = conditioning.append_reference(
        clip, prompts[:1], random(1, 128, 2, 1, 2), 0.9, downscale=2, weight=0.25
    )
    (entry,) = conditioning.get_value(told[0], "guide_attention_entries")
    assert entry["strength"] == 0.25
    assert entry["pre_filter_count"] == conditioning.get_value(told[0], "keyframe_idxs").shape[2] == 2 * 2 * 4
    assert (state.clip_frames, conditioning.crop(state, told)[0].clip_frames) == (3, 3)


def test_positions_stay_integers():
    assert reference_positions(3, 2, 2, 2, 4).dtype == torch.int64
    assert keyframe_positions(100_001, 2, 2)[0, 0].unique().tolist() == [100_001, 100_002]


def test_subsampled_reference_covers_the_time_of_the_whole():
    """Every second frame kept, the last latent frame ends where the clip's does."""
    sparse, dense = reference_positions(2, 1, 1, temporal_scale=2), reference_positions(3, 1, 1)
    assert sparse[0, 0].tolist() == [[0, 1], [1, 17]]
    assert dense[0, 0, -1, 1] == sparse[0, 0, -1, 1]


def test_positions_follow_the_order_of_the_appended_frames():
    state, given = read_state({"samples": random(1, 128, 3, 1, 2)}), [[[random(1, 5, 8), {}]]]
    for frame in (16, 8):
        state, given = conditioning.append_keyframe(state, given, torch.full((1, 128, 1, 1, 2), frame), frame, 1.0)
    starts = given[0][0][1]["keyframe_idxs"][0, 0, :, 0]
    assert starts.tolist() == state.video.clean[0, 0, 3:].flatten().tolist() == [16, 16, 8, 8]


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_kept_frames_of_a_subsampled_reference_lie_where_its_positions_say(scale):
    """A latent of a clip holds frame 0, or eight frames of which the first begins its span."""
    kept = subsampled_frames(16 * scale + 1, scale)
    spans = reference_positions(3, 1, 1, temporal_scale=scale)[0, 0].tolist()
    assert [kept[0], kept[1], kept[9]] == [start for start, _ in spans]
    assert max(kept) < spans[-1][1]


def test_kept_frames_of_a_clip_are_whole_latents():
    assert all(len(subsampled_frames(16 * n + 1, 2)) % 8 == 1 for n in range(4))
    assert [whole_length(n) for n in (1, 8, 9, 16, 17)] == [1, 1, 9, 9, 17]


def test_mask_video_is_averaged_in_space_and_time():
    mask = torch.zeros(1, 1, 9, 4, 4)
    mask[:, :, 0, :2] = 1
    mask[:, :, 5:] = 1
    assert token_weights(mask, 2, 2, 1).tolist() == [[1.0, 0.0, 0.5, 0.5]]


def test_mask_video_of_a_length_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="mask has 8 frames for 3 latent frames: use 17"):
        token_weights(torch.zeros(1, 1, 8, 4, 4), 3, 2, 2)


def test_factor_one_is_no_demand():
    one, two = ({"reference_downscale_factor": factor} for factor in (1, 2))
    assert merge_factors([one, two])["reference_downscale_factor"] == 2
    assert merge_factors([two, one, two])["reference_downscale_factor"] == 2


@pytest.mark.parametrize(
    ("written", "factor"),
    [(None, 1), ("None", 1), ("", 1), (" ", 1), ("null", 1), ("1", 1), ("2", 2), ("2.0", 2), (" 4 ", 4), ("64", 64)],
)
def test_a_factor_of_the_metadata_is_read_as_it_is_written(written, factor):
    metadata = {} if written is None else {"ss_reference_downscale_factor": written}
    assert lora_factors(metadata) == {"reference_downscale_factor": factor, "reference_temporal_scale_factor": 1}


@pytest.mark.parametrize("name", ["reference_downscale_factor", "reference_temporal_scale_factor"])
@pytest.mark.parametrize("written", ["1.5", "abc", "0", "-1", "nan", "inf", "1e30", "65", "2,0", "[2]", "True"])
def test_a_factor_that_is_no_whole_number_is_refused(name, written):
    with pytest.raises(ValueError, match=rf"^{name} is .* in the LoRA's metadata: it must be a whole number from 1"):
        lora_factors({name: written})


def test_two_factors_of_one_name_must_agree():
    twice = {"reference_downscale_factor": "2", "ss_reference_downscale_factor": "2.0"}
    assert lora_factors(twice)["reference_downscale_factor"] == 2
    with pytest.raises(ValueError, match="names reference_downscale_factor twice, as 2 and 3"):
        lora_factors({**twice, "x.reference_downscale_factor": "3"})
