"""The VACE composer: core's numbers where core has the part, and the parts core lacks."""

import pytest
import torch
from comfy_extras.nodes_wan import WanVaceToVideo

from harness import wan_tiny
from oner.nodes.wan.vace import WanVACEComposer
from oner.wan import vace
from oner.wan.frame_lists import parse_kept, parse_positions

WIDTH, HEIGHT, LENGTH = 64, 32, 9
PROMPTS = wan_tiny.prompts()
DEFAULTS = {
    "batch_size": 1,
    "strength": 1.0,
    "strength_2": 0.5,
    "mask_grow": 0,
    "mask_negate": False,
    "mask_box": False,
    "keep_frames": "",
    "positions": "1",
    "outpaint": "",
}


def compose(layout="vace", vae=None, **inputs):
    model = wan_tiny.load(layout)
    values = {"width": WIDTH, "height": HEIGHT, "length": LENGTH} | DEFAULTS | inputs
    return WanVACEComposer.execute(model, PROMPTS.positive, PROMPTS.negative, vae or wan_tiny.MeanVAE(), **values).args


def test_one_control_mask_and_reference_are_cores():
    video, reference = wan_tiny.pixels(LENGTH, HEIGHT, WIDTH), wan_tiny.pixels(1, HEIGHT, WIDTH, seed=4)
    mask = (torch.rand(LENGTH, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    ours = compose(control_video=video, control_mask=mask, reference_1=reference)
    core = WanVaceToVideo.execute(
        PROMPTS.positive, PROMPTS.negative, wan_tiny.MeanVAE(), WIDTH, HEIGHT, LENGTH, 1, 1.0, video, mask, reference
    ).args
    for key in ("vace_frames", "vace_mask"):
        torch.testing.assert_close(ours[0][0][1][key][0], core[0][0][1][key][0], rtol=1e-5, atol=1e-5)
    assert ours[0][0][1]["vace_strength"] == [1.0]
    assert ours[2]["samples"].shape == core[2]["samples"].shape
    assert ours[3] == core[3] == 1


def test_two_controls_have_their_strengths_and_run_through_the_model():
    import comfy.samplers

    videos = [wan_tiny.pixels(LENGTH, HEIGHT, WIDTH, seed=s) for s in (3, 4)]
    positive, negative, latent, trim, *_ = compose(
        control_video=videos[0],
        control_video_2=videos[1],
        strength=0.5,
        reference_1=wan_tiny.pixels(2, 48, 16),
        reference_3=wan_tiny.pixels(1, 16, 64),
        background=videos[0],
    )
    options = positive[0][1]
    assert options["vace_strength"] == [0.5, 0.5]
    assert [tuple(frames.shape) for frames in options["vace_frames"]] == [(1, 32, 3 + 4, 4, 8)] * 2
    assert [tuple(mask.shape) for mask in options["vace_mask"]] == [(1, 64, 3 + 4, 4, 8)] * 2
    assert trim == 4
    model, calls = wan_tiny.count_forwards(wan_tiny.load("vace"))
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    shape = latent["samples"].shape
    out = guider.sample(
        wan_tiny.noise(shape),
        latent["samples"],
        comfy.samplers.ksampler("euler"),
        torch.tensor([1.0, 0.5, 0.0]),
        disable_pbar=True,
        seed=0,
    )
    assert out.shape == shape
    assert len(calls) == 2


def test_references_are_whole_on_white():
    image = torch.zeros(1, 20, 10, 3)
    boxed = vace.letterbox(image, 64, 32)[0]
    dark = boxed[:, :, 0] < 0.5
    assert (int(dark.any(0).sum()), int(dark.any(1).sum())) == (16, 32)
    assert dark[:, 24:40].all()
    assert (boxed[:, :20] == 1).all()


def test_wide_references_lie_in_the_middle_of_the_height():
    dark = vace.letterbox(torch.zeros(1, 10, 40, 3), 64, 32)[0, :, :, 0] < 0.5
    assert dark.any(1).tolist() == [False] * 8 + [True] * 16 + [False] * 8
    assert dark[8:24].all()


def test_injected_frames_are_kept_at_their_positions():
    images = wan_tiny.pixels(3, HEIGHT, WIDTH)
    *_, guide, mask, info = compose(images=images, positions="1 -2 99")
    assert torch.equal(guide[0], images[0])
    assert torch.equal(guide[7], images[1])
    assert mask.amax((1, 2)).tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 1]
    assert (guide[1:7] == 0.5).all()
    assert "99" in info


def test_keep_list_turns_other_frames_grey():
    video = wan_tiny.pixels(LENGTH, HEIGHT, WIDTH)
    zeros = torch.zeros(LENGTH, HEIGHT, WIDTH)
    *_, guide, mask, _ = compose(control_video=video, control_mask=zeros, keep_frames="1:3 -1")
    assert mask.amax((1, 2)).tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 0]
    assert torch.equal(guide[:3], video[:3])
    assert (guide[3:8] == 0.5).all()


def test_short_control_is_continued_by_the_model():
    *_, guide, mask, info = compose(
        control_video=wan_tiny.pixels(5, HEIGHT, WIDTH), control_mask=torch.zeros(5, HEIGHT, WIDTH)
    )
    assert mask.amax((1, 2)).tolist() == [0] * 5 + [1] * 4
    assert (guide[5:] == 0.5).all()
    assert "has 5 frames" in info


def test_a_still_mask_serves_every_frame():
    still = torch.zeros(1, HEIGHT, WIDTH)
    *_, mask, _ = compose(control_video=wan_tiny.pixels(LENGTH, HEIGHT, WIDTH), control_mask=still)
    assert not mask.any()


def test_outpainting_keeps_the_source_and_generates_the_margin():
    video = torch.zeros(LENGTH, HEIGHT, WIDTH, 3)
    *_, guide, mask, info = compose(control_video=video, outpaint="0 0 50 50")
    assert torch.equal(mask[0, 0], torch.tensor([1.0] * 16 + [0.0] * 32 + [1.0] * 16))
    assert (guide[mask.bool()] == 0.5).all()
    assert (guide[~mask.bool()] == 0).all()
    assert "fills 32 x 32 of 64 x 32" in info


def test_injected_frames_are_outpainted_too():
    *_, mask, _ = compose(images=wan_tiny.pixels(1, HEIGHT, WIDTH), outpaint="0 0 50 50")
    assert torch.equal(mask[0], vace.make_canvas(WIDTH, HEIGHT, "0 0 50 50").border)


def test_background_with_outpainting_has_a_masked_margin():
    positive, *_ = compose(background=wan_tiny.pixels(1, HEIGHT, WIDTH), outpaint="0 0 50 50")
    mask = positive[0][1]["vace_mask"][0][0, :, 0, 0]  # the background's latent frame, first row
    assert mask.amax(0).tolist() == [1, 1, 0, 0, 0, 0, 1, 1]


def test_masks_grow_and_shrink_by_true_pixels():
    mask = torch.zeros(1, 41, 41)
    mask[:, 20, 20] = 1
    grown = vace.shape_masks(mask, grow=10)[0]
    assert grown[20, 10:31].all()
    assert grown[20].sum() == 21
    assert grown[10, 20] == 1
    assert grown[10, 12] == 0  # a disk
    assert vace.shape_masks(grown.unsqueeze(0), grow=-10)[0].sum() in (1, 5)


def test_masks_may_be_negated_or_boxed():
    mask = torch.zeros(1, 8, 8)
    mask[:, 1, 2] = mask[:, 5, 6] = 0.7
    assert torch.equal(vace.shape_masks(mask, negate=True), 1 - (mask > 0.5).float())
    assert vace.shape_masks(mask, box=True).sum() == 25


def test_chained_composers_add_up():
    video = wan_tiny.pixels(LENGTH, HEIGHT, WIDTH)
    first = compose(control_video=video)
    model = wan_tiny.load("vace")
    values = {"width": WIDTH, "height": HEIGHT, "length": LENGTH} | DEFAULTS | {"control_video": video}
    second = WanVACEComposer.execute(model, first[0], first[1], wan_tiny.MeanVAE(), **values).args
    assert len(second[0][0][1]["vace_frames"]) == 2
    assert len(first[0][0][1]["vace_frames"]) == 1


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"layout": "text"}, "load a Wan VACE model"),
        ({"width": 72}, "use 64 or 80"),
        ({"length": 10}, "use 9 or 13"),
        ({"control_mask": torch.ones(1, 8, 8)}, "need a control_video"),
        ({"images": wan_tiny.pixels(2, 8, 8), "positions": "1"}, "2 injected images and 1 positions"),
        ({"outpaint": "1 2"}, "four percentages"),
        ({"outpaint": "-1 0 0 0"}, "cannot be negative"),
        ({"images": wan_tiny.pixels(1, 8, 8), "positions": "0"}, "frame 0 does not exist"),
    ],
)
def test_what_cannot_work_is_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        compose(**inputs)


def test_frame_lists():
    assert parse_kept("1:3 -2:-1", 9) == {0, 1, 2, 7, 8}
    assert parse_positions("1, L -3 20", 9) == [0, 8, 6, None]
    with pytest.raises(ValueError, match="backwards"):
        parse_kept("5:2", 9)


@pytest.mark.parametrize(("margins", "left"), [("0 0 1e9 25", "0x48"), ("1e9 0 0 0", "64x0")])
def test_margins_that_leave_the_source_nothing_are_refused(margins, left):
    with pytest.raises(ValueError, match=f"which leaves {left} of 64x48 pixels to the source: give smaller margins"):
        vace.make_canvas(64, 48, margins)
