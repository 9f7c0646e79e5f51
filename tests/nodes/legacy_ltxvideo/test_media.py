"""Old time masks, grain and conversions."""

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.nested_tensor import NestedTensor

from harness.fingerprint import fingerprint
from oner.nodes.legacy_ltxvideo.media import FilmGrain, FloatToInt, ImageToCPU, SetAudioVideoMaskByTime
from oner.nodes.ltx.conditioning import LTXCrop
from oner.utils.grain import add_grain

FPS, FRAMES = 24.0, 5  # 33 pixel frames


def av_latent(**more):
    return {"samples": NestedTensor((torch.rand(1, 128, FRAMES, 2, 3), torch.rand(1, 8, 35, 16))), **more}


@pytest.fixture
def conds():
    return [[[torch.rand(1, 11, 96), {"frame_rate": FPS}]] for _ in range(2)]


def mask(latent, conds, start, end, video=True, audio=True, init=(0.0, 0.0), slope=3, spatial=None):
    cpu, vae = torch.device("cpu"), comfy.sd.VAE.__new__(comfy.sd.VAE)
    models = [ModelPatcher(torch.nn.Linear(1, 1), cpu, cpu), vae, vae]  # what they told, LTX-2 has once and for all
    values = [start, end, FPS, video, audio, *init, slope, spatial]
    return SetAudioVideoMaskByTime.execute(latent, *conds, *models, *values).result


def frames(latent):
    """The mask of each latent frame and each latent of sound, which have one value all over."""
    video, audio = latent["noise_mask"].unbind()
    assert torch.equal(video, video[..., :1, :1].expand_as(video))
    return [round(v, 4) for v in video[0, 0, :, 0, 0].tolist()], audio[0, 0, :, 0].tolist()


def test_what_begins_in_the_window_is_made(conds):
    """Latent frames begin at pixel frame 0, 1, 9, 17, 25; those of sound every 40 ms."""
    video, audio = frames(mask(av_latent(), conds, 9 / FPS, 17 / FPS)[2])
    assert video == [0, 0, 1, 0, 0]
    assert [i for i, value in enumerate(audio) if value] == list(range(9, 18))
    assert frames(mask(av_latent(), conds, 2 / FPS, 24 / FPS)[2])[0] == [0, 0, 1, 1, 0]
    video, audio = frames(mask(av_latent(), conds, 0, 10)[2])
    assert (video, audio) == ([1] * 5, [1] * 35)


def test_what_is_not_to_be_masked_has_its_first_value(conds):
    assert frames(mask(av_latent(), conds, 0, 1, video=False, init=(0.25, 0.5))[2])[0] == [0.25] * 5
    assert frames(mask(av_latent(), conds, 0, 0.4, audio=False, init=(0.25, 0.5))[2])[1] == [0.5] * 35
    assert frames(mask(av_latent(), conds, 9 / FPS, 17 / FPS, init=(0.25, 0.5))[2])[0] == [0.25, 0.25, 1, 0.25, 0.25]


def test_frames_that_were_given_stay_given(conds):
    given = torch.ones(1, 1, FRAMES, 2, 3)
    given[:, :, 0] = 0.3
    latent = av_latent(noise_mask=NestedTensor((given, torch.ones(1, 1, 35, 16))))
    before = fingerprint([latent, conds])
    positive, negative, masked = mask(latent, conds, 0, 17 / FPS)[:3]
    assert frames(masked)[0] == [0.3, 1, 1, 0, 0]
    assert fingerprint([latent, conds]) == before
    assert positive is conds[0]
    assert negative is conds[1]
    assert torch.equal(masked["samples"].unbind()[0], latent["samples"].unbind()[0])


def test_a_mask_of_the_picture_leaves_the_rest_of_a_frame_at_its_first_value(conds):
    spatial = torch.zeros(1, 64, 96)
    spatial[:, :32] = 1.0
    video = mask(av_latent(), conds, 9 / FPS, 17 / FPS, init=(0.25, 0.0), spatial=spatial)[2]["noise_mask"].unbind()[0]
    assert video[0, 0, 2].tolist() == [[1.0] * 3, [0.25] * 3]
    assert torch.all(video[0, 0, [0, 1, 3, 4]] == 0.25)
    moving = torch.cat([spatial.expand(9, -1, -1), 1 - spatial.expand(24, -1, -1)])
    video = mask(av_latent(), conds, 0, 2, spatial=moving)[2]["noise_mask"].unbind()[0]
    assert video[0, 0, :, :, 0].tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]


def test_guides_behind_the_clip_are_left_alone(conds):
    from oner.ltx.ltx2 import conditioning
    from oner.ltx.ltx2.state import read_state, write_state

    latent = av_latent()
    content = torch.rand(1, 128, 1, 2, 3)
    state, prompts = conditioning.append_keyframe(read_state(latent), conds, content, 16, 0.6)
    masked = mask(write_state(latent, state), prompts, 0, 10, init=(0.5, 0.5))[2]
    assert frames(masked)[0] == [1, 1, 1, 1, 1, 0.4]
    assert LTXCrop.execute(*prompts, masked).result[-1]["samples"].unbind()[0].shape[2] == FRAMES


def test_lists_to_blend_with_rise_inside_the_window(conds):
    latents, pixels = mask(av_latent(), conds, 1 / FPS, 25 / FPS, slope=1)[3:]
    assert latents == [0, 0.5, 1, 0.5, 0]
    assert len(pixels) == 33
    assert pixels[0] == pixels[25] == pixels[32] == 0
    assert pixels[1:10] == [pytest.approx((i + 1) / 9) for i in range(8)] + [1]
    assert pixels[1:25] == pixels[1:25][::-1]
    assert mask(av_latent(), conds, 0, 10)[3:] == ([1] * 5, [1] * 33)
    assert mask(av_latent(), conds, 9 / FPS, 10, slope=3)[3] == [0, 0, 0.25, 0.5, 0.75]


def test_windows_and_latents_that_cannot_be_are_refused(conds):
    with pytest.raises(ValueError, match="end_time is 1 s and start_time 1 s: set a later end"):
        mask(av_latent(), conds, 1, 1)
    with pytest.raises(ValueError, match="LTXVSetAudioVideoMaskByTime needs an audio-video latent"):
        mask({"samples": torch.zeros(1, 128, 5, 2, 3)}, conds, 0, 1)


def test_grain_is_that_of_its_seed_and_stronger_in_red_and_blue():
    images = torch.full((2, 200, 200, 3), 0.5)
    grain = add_grain(images, 0.01, 1.0, 3) - 0.5
    assert torch.allclose(grain.std((1, 2)), torch.tensor([[0.02, 0.01, 0.03]] * 2), rtol=0.02)
    assert not torch.equal(grain[0], grain[1])
    assert torch.equal(FilmGrain.execute(images, 0.01, 1.0, 3).result[0] - 0.5, grain)
    assert not torch.equal(FilmGrain.execute(images, 0.01, 1.0).result[0] - 0.5, grain)


def test_grain_without_saturation_is_grey_and_without_intensity_nothing():
    images = torch.rand(1, 32, 32, 3)
    grey = add_grain(images * 0 + 0.5, 0.01, 0.0, 3)
    assert torch.equal(grey[..., 0], grey[..., 1])
    assert torch.equal(grey[..., 2], grey[..., 1])
    half, full = (add_grain(images * 0 + 0.5, 0.01, saturation, 3) for saturation in (0.5, 1.0))
    torch.testing.assert_close(half, (grey + full) / 2)
    assert torch.equal(add_grain(images, 0.0, 0.5, 3), images)
    assert add_grain(images, 1.0, 1.0, 3).aminmax() == (0, 1)


@pytest.mark.parametrize(("number", "whole"), [(24.0, 24), (23.976, 24), (-1.2, -1), (0.4, 0)])
def test_numbers_are_rounded(number, whole):
    result = FloatToInt.execute(number).result[0]
    assert result == whole
    assert isinstance(result, int)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_pass_with_all_their_channels(channels):
    image = torch.rand(1, 8, 8, channels)
    assert torch.equal(ImageToCPU.execute(image).result[0], image)


def test_what_is_no_image_does_not_pass():
    with pytest.raises(ValueError, match="image has 2 channels"):
        ImageToCPU.execute(torch.rand(1, 8, 8, 2))
