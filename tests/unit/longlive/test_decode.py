import pytest
import torch

from oner.longlive.decode import StreamDecoder


@pytest.fixture(scope="module")
def latents():
    return torch.randn(2, 16, 9, 2, 2, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def whole(vae, latents):
    with torch.inference_mode():
        return vae.first_stage_model.decode(latents)


@pytest.mark.parametrize("pattern", [[9], [1] * 9, [3, 3, 3], [2, 5, 2], [4, 4, 1]])
def test_any_arrival_equals_a_full_decode(pattern, vae, latents, whole):
    decoder = StreamDecoder(vae.first_stage_model)
    pixels = torch.cat([decoder.decode(part) for part in latents.split(pattern, dim=2)], dim=2)
    assert pixels.shape[2] == 33
    torch.testing.assert_close(pixels, whole, atol=1e-5, rtol=0)


def test_a_saved_decoder_goes_on_exactly(vae, latents):
    whole = StreamDecoder(vae.first_stage_model)
    expected = [whole.decode(part) for part in latents.split(3, dim=2)]
    for stop in (1, 2):
        decoder, again = StreamDecoder(vae.first_stage_model), StreamDecoder(vae.first_stage_model)
        for part in latents.split(3, dim=2)[:stop]:
            decoder.decode(part)
        again.load_state(*decoder.state(), torch.device("cpu"))
        for part, pixels in zip(latents.split(3, dim=2)[stop:], expected[stop:], strict=True):
            assert torch.equal(again.decode(part), pixels)


def test_history_does_not_grow(vae):
    decoder = StreamDecoder(vae.first_stage_model)
    sizes = []
    for _ in range(6):
        decoder.decode(torch.zeros(1, 16, 3, 2, 2))
        sizes.append(decoder.nbytes())
    assert len(set(sizes[1:])) == 1


def test_wan_22_streams_exactly():
    """Core builds the Wan 2.2 VAE at one size only; the class itself takes any."""
    from comfy.ldm.wan.vae2_2 import WanVAE

    vae = WanVAE(dim=16, dec_dim=16, z_dim=48, temperal_downsample=[False, True, True])
    generator = torch.Generator().manual_seed(0)
    for parameter in vae.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * parameter[0].numel() ** -0.5)
    latents = torch.randn(1, 48, 5, 2, 2, generator=generator)
    whole = vae.decode(latents)
    for pattern in ([1] * 5, [2, 3]):
        decoder = StreamDecoder(vae)
        pixels = torch.cat([decoder.decode(part) for part in latents.split(pattern, dim=2)], dim=2)
        torch.testing.assert_close(pixels, whole, atol=1e-5, rtol=0)


def test_the_light_decoder_streams_exactly():
    from comfy.taesd.taehv import TAEHV

    vae = TAEHV(latent_channels=16)
    generator = torch.Generator().manual_seed(0)
    for parameter in vae.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * parameter[0].numel() ** -0.5)
    latents = torch.randn(1, 16, 6, 2, 2, generator=generator)
    whole = vae.decode(latents)
    for pattern in ([1] * 6, [3, 3], [2, 4]):
        decoder = StreamDecoder(vae)
        pixels = torch.cat([decoder.decode(part) for part in latents.split(pattern, dim=2)], dim=2)
        assert pixels.shape[2] == 21
        torch.testing.assert_close(pixels, whole, atol=1e-5, rtol=0)


def test_an_interrupted_decode_can_be_repeated(vae, latents, monkeypatch):
    decoder = StreamDecoder(vae.first_stage_model)
    expected = StreamDecoder(vae.first_stage_model).decode(latents)
    first = decoder.decode(latents[:, :, :2])
    one = decoder.decode_one

    def stop(latent):
        if decoder.frames == 4:
            raise KeyboardInterrupt
        return one(latent)

    with monkeypatch.context() as patch:
        patch.setattr(decoder, "decode_one", stop)
        with pytest.raises(KeyboardInterrupt):
            decoder.decode(latents[:, :, 2:])
    assert torch.equal(torch.cat([first, decoder.decode(latents[:, :, 2:])], dim=2), expected)


def test_other_autoencoders_are_refused():
    with pytest.raises(ValueError, match="a Linear cannot decode a stream"):
        StreamDecoder(torch.nn.Linear(1, 1))
