import pytest
import torch

from oner.utils.tokens import from_tokens, to_tokens


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (2, 3, 4, 5)], ids=["video", "sound"])
def test_latents_come_back_from_their_tokens(shape):
    latent = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(from_tokens(to_tokens(latent), shape), latent)


def test_tokens_of_a_video_go_by_frame_row_and_column():
    latent = torch.arange(2 * 3 * 4 * 5).view(1, 2, 3, 4, 5)
    assert torch.equal(to_tokens(latent)[0, (1 * 4 + 2) * 5 + 3], latent[0, :, 1, 2, 3])


def test_a_token_of_a_sound_is_its_channels_one_after_another():
    latent = torch.arange(2 * 3 * 4).view(1, 2, 3, 4)
    assert torch.equal(to_tokens(latent)[0, 1], torch.cat([latent[0, 0, 1], latent[0, 1, 1]]))
