"""Nodes that prepare IC-LoRA videos: sizes they give, lengths they accept, and what they refuse."""

import pytest
import torch

from oner.ltx.ltx2 import hdr
from oner.nodes.ltx.hdr import LTXHDRDecode
from oner.nodes.ltx.ic_lora_guides import LaplacianBlend, LTXFitVideo, LTXGrowMask, LTXInpaintGuide, LTXOutpaintGuide
from oner.nodes.ltx.tracks import LTXDrawTracks, LTXTracks


def video(length=20, height=100, width=150, seed=0):
    return torch.rand(length, height, width, 3, generator=torch.Generator().manual_seed(seed))


def test_fit_video_finds_the_nearest_size_and_tells_it():
    fitted, mask, *size = LTXFitVideo.execute(video(), 0, 0, 0, "one").result
    assert fitted.shape == (17, 96, 160, 3)
    assert size == [160, 96, 17]
    assert mask.shape == (17, 96, 160)
    assert not mask.any()


def test_fit_video_minds_stages_and_the_factors_of_the_lora():
    factors = {"reference_downscale_factor": 2, "reference_temporal_scale_factor": 2}
    _, _, *size = LTXFitVideo.execute(video(30), 0, 0, 0, "two", iclora_parameters=factors).result
    assert size == [128, 128, 17]
    with pytest.raises(ValueError, match=r"width is 64; .* multiple of 128: use 128"):
        LTXFitVideo.execute(video(), 64, 128, 0, "two", iclora_parameters=factors)
    with pytest.raises(ValueError, match=r"height is 96; with one stage .* multiple of 64: use 64 or 128"):
        LTXFitVideo.execute(video(), 128, 96, 0, "one", iclora_parameters=factors)


def test_fit_video_moves_the_mask_with_the_video():
    picture = torch.zeros(9, 100, 150, 3)
    picture[:, 30:60, 40:90] = 1
    fitted, mask, *_ = LTXFitVideo.execute(picture, 96, 96, 0, "one", mask=picture[:1, ..., 0]).result
    torch.testing.assert_close(mask, fitted[..., 0])
    assert mask.any()


def test_fit_video_refuses_a_mask_that_does_not_belong():
    with pytest.raises(ValueError, match="mask has 5 frames, the video 17: give 1 or at least 17"):
        LTXFitVideo.execute(video(), 0, 0, 0, "one", mask=torch.zeros(5, 100, 150))
    with pytest.raises(ValueError, match="mask is 64x64 pixels, the video 150x100"):
        LTXFitVideo.execute(video(), 0, 0, 0, "one", mask=torch.zeros(1, 64, 64))


def test_fit_video_repeats_the_last_frame_of_a_video_and_its_mask_if_asked():
    given, mask = video(16, 64, 96), (video(16, 64, 96, seed=1)[..., 0] > 0.5).float()
    fitted, fitted_mask, *size = LTXFitVideo.execute(
        given, 0, 0, 17, "one", mask=mask, if_too_short="repeat the last frame"
    ).result
    assert size == [96, 64, 17]
    assert torch.equal(fitted[:16], given)
    assert torch.equal(fitted_mask[:16], mask)
    for frames in (fitted, fitted_mask):
        assert torch.equal(frames[16], frames[15])
    with pytest.raises(ValueError, match="the video has 16 frames and length is 17: use 9 or less, or let LTX Fit"):
        LTXFitVideo.execute(given, 0, 0, 17, "one", mask=mask)


def test_outpaint_guide_is_green_exactly_where_the_mask_is():
    guide, canvas, mask, *size = LTXOutpaintGuide.execute(video(), 192, 64, 17, "fit inside", 0.5, 0.5).result
    assert size == [192, 64, 17]
    green = (guide * 255).round() == torch.tensor([0x66, 0xFF, 0x00])
    assert torch.equal(green.all(-1), mask > 0)
    assert torch.equal(guide[mask == 0], canvas[mask == 0])
    assert mask[0].sum() == 64 * (192 - 96)


def test_outpaint_guide_refuses_a_canvas_too_small_or_full():
    with pytest.raises(ValueError, match="the video is 150x100 pixels, the canvas 128x128"):
        LTXOutpaintGuide.execute(video(), 128, 128, 0, "keep size", 0.5, 0.5)
    with pytest.raises(ValueError, match="fills the canvas of 96x64"):
        LTXOutpaintGuide.execute(video(), 96, 64, 0, "fit inside", 0.5, 0.5)
    with pytest.raises(ValueError, match="width is 100"):
        LTXOutpaintGuide.execute(video(), 100, 64, 0, "fit inside", 0.5, 0.5)


def test_inpaint_guide_takes_one_mask_for_all_frames():
    mask = torch.zeros(1, 100, 150)
    mask[:, 10:20, 10:20] = 1
    guide = LTXInpaintGuide.execute(video(), mask).result[0]
    assert ((guide * 255).round() == torch.tensor([0x66, 0xFF, 0x00])).all(-1).sum() == 20 * 100


def test_inpaint_guide_refuses_an_empty_mask():
    with pytest.raises(ValueError, match=r"nowhere above 0\.5"):
        LTXInpaintGuide.execute(video(), torch.zeros(1, 100, 150))


def test_a_single_mask_cannot_grow_in_time():
    with pytest.raises(ValueError, match="grow_frames is 2 and there is one mask"):
        LTXGrowMask.execute(torch.ones(1, 8, 8), 0, 2)


@pytest.mark.parametrize("length", [3, 17])
def test_blend_keeps_the_source_without_a_mask_and_takes_the_inside_under_a_full_one(length):
    inside, outside = video(length, seed=1), video(length, seed=2)
    black, white = torch.zeros(1, 100, 150), torch.ones(length, 100, 150)
    assert torch.equal(LaplacianBlend.execute(inside, outside, black, 5, "refuse").result[0], outside)
    full = LaplacianBlend.execute(inside, outside, white, 5, "refuse").result[0]
    torch.testing.assert_close(full, inside, rtol=0, atol=3e-6)


def test_blend_refuses_or_cuts_unequal_lengths():
    inside, outside = video(17), video(20)
    mask = torch.zeros(20, 100, 150)
    with pytest.raises(ValueError, match="inside has 17 frames and outside 20"):
        LaplacianBlend.execute(inside, outside, mask, 5, "refuse")
    assert len(LaplacianBlend.execute(inside, outside, mask, 5, "cut to the shorter").result[0]) == 17
    with pytest.raises(ValueError, match="inside is 150x100 pixels, the video 64x64"):
        LaplacianBlend.execute(inside, video(17, 64, 64), mask, 5, "refuse")


def test_tracks_are_core_tracks_and_draw_as_many_frames():
    tracks = LTXTracks.execute(
        "[[[8, 8], [56, 8]], [[8, 56], [56, 56]]]", 9, "straight lines", "same time between points"
    )
    tracks = tracks.result[0]
    assert tracks["track_path"].shape == (9, 2, 2)
    assert tracks["track_visibility"].all()
    drawn = LTXDrawTracks.execute(tracks, 64, 64).result[0]
    assert drawn.shape == (9, 64, 64, 3)
    assert drawn[0, :, 20:].sum() == 0
    assert drawn[8, 8, 32].sum() > 0


def test_draw_tracks_reads_core_tracks_and_scales_from_the_source():
    from comfy_extras.nodes_wanmove import GenerateTracks

    core = GenerateTracks.execute(256, 256, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 9, 1, 0.0, interpolation="constant").result[0]
    drawn = LTXDrawTracks.execute(core, 64, 64, 256, 256).result[0]
    assert drawn[0, 32, 32].sum() > 0
    assert drawn[0, :16].sum() == 0


def test_draw_tracks_refuses_a_length_ltx_cannot_take():
    tracks = LTXTracks.execute("[[8, 8]]", 10, "smooth curve", "same time between points").result[0]
    with pytest.raises(ValueError, match=r"length is 10; LTX needs 8k\+1 frames: use 9 or 17"):
        LTXDrawTracks.execute(tracks, 64, 64)


def test_hdr_decode_gives_light_and_a_picture():
    light = torch.tensor([0.0, 0.18, 1.0, 8.0, 50.0]).view(1, 1, 5, 1).expand(1, 1, 5, 3)
    preview, linear = LTXHDRDecode.execute(hdr.linear_to_logc3(light), 1.0).result
    torch.testing.assert_close(linear, light, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(preview, hdr.tone_map(light * 2), rtol=1e-4, atol=1e-4)
    _, exposed = LTXHDRDecode.execute(hdr.linear_to_logc3(light), 1.0, "preview and linear").result
    torch.testing.assert_close(exposed, linear * 2)


def test_exr_files_keep_light_above_white(tmp_path):
    """Through ComfyUI's own EXR writer, read back with PyAV."""
    import av
    from comfy_extras.nodes_images import _encode_image

    light = torch.linspace(0, 50, 32 * 16 * 3).view(1, 16, 32, 3)
    linear = LTXHDRDecode.execute(hdr.linear_to_logc3(light), 0.0).result[1]
    path = tmp_path / "light.exr"
    path.write_bytes(_encode_image(linear[0], "exr", "32-bit float", "linear"))
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
    assert (frame.width, frame.height) == (32, 16)
    planes = [
        torch.frombuffer(bytearray(plane), dtype=torch.float32).view(16, -1)[:, :32] for plane in frame.planes[:3]
    ]
    green, blue, red = planes
    torch.testing.assert_close(torch.stack([red, green, blue], dim=-1), linear[0])
    assert red.max() > 40
