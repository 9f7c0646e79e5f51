"""The estimate against the tensors that a take really holds."""

import pytest
import torch

from oner.longlive.budget import RAM, Sizes, estimate, peak, report
from oner.longlive.decode import StreamDecoder, history_elements
from oner.longlive.patcher import history_bytes
from oner.longlive.presets import Settings
from oner.longlive.rollout import Rollout, Segment, block_noise

SHAPE = (2, 16, 4, 6)


def sizes(network, frames=12, **other):
    rows, columns = network.grid(*SHAPE[2:])
    return Sizes(
        layers=network.layers,
        dim=network.model.dim,
        heads=network.heads,
        item=4,
        weights=0,
        tokens=rows * columns,
        batch=SHAPE[0],
        frames=frames,
        text=8,
        **other,
    )


@pytest.mark.parametrize("storage", ["model", "int8"])
@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize(("window", "relative"), [(6, False), (6, True), (-1, False)])
def test_cache_and_text_are_counted_to_the_byte(window, offload, storage, relative, network, prompts):
    settings = Settings(window=window, sink=2, block=2, steps=1, relative=relative)
    parts = [Segment(0, prompts[:1]), Segment(2, prompts[1:2])]
    take = Rollout(
        network,
        settings,
        parts,
        SHAPE,
        block_noise(0),
        torch.device("cpu"),
        frames=12,
        storage=storage,
        offload=offload,
        cfg=2.0,
        negative=prompts[2:],
    )
    take.next_block(), take.next_block()
    found = estimate(settings, sizes(network), storage, offload, streams=2)
    assert found["cache on the device"] + found[RAM] == sum(stream.cache.nbytes() for stream in take.streams)
    held = [kv for text in take.texts.values() for layer in text for kv in layer]
    assert found["text"] == 2 * sum(t.nbytes for t in held), "both streams counted alike, two prompts each"


def autoencoders():
    from comfy.ldm.wan import vae, vae2_2
    from comfy.taesd.taehv import TAEHV

    return {
        "Wan 2.1": vae.WanVAE(dim=16, z_dim=16, dim_mult=[1, 2, 2, 2], temperal_downsample=[False, True, True]),
        "Wan 2.2": vae2_2.WanVAE(dim=16, dec_dim=16, z_dim=48, temperal_downsample=[False, True, True]),
        "TAEHV": TAEHV(latent_channels=16),
    }


@pytest.mark.parametrize("name", ["Wan 2.1", "Wan 2.2", "TAEHV"])
@pytest.mark.parametrize("size", [(1, 2, 2), (2, 3, 5)])
def test_history_of_a_decoder_is_counted_to_the_byte(name, size, request):
    module = autoencoders()[name].eval()
    batch, height, width = size
    decoder = StreamDecoder(module)
    channels = 48 if name == "Wan 2.2" else 16
    with torch.no_grad():
        for _ in range(3):
            decoder.decode(torch.zeros(batch, channels, 1, height, width))
    assert history_elements(module) * batch * height * width * 4 == decoder.nbytes()


def test_a_loaded_vae_is_counted_in_its_own_precision(vae):
    decoder = StreamDecoder(vae.first_stage_model)
    decoder.decode(torch.zeros(1, 16, 3, 2, 4))
    assert history_bytes(vae, 1, 2, 4) == decoder.nbytes()
    assert history_bytes(None, 1, 2, 4) == 0


def test_the_real_vae_carries_what_was_measured():
    """1.76 GiB in 16 bit at 480x832: counted on Wan 2.1's own configuration."""
    from comfy.ldm.wan.vae import WanVAE

    with torch.device("meta"):
        module = WanVAE(dim=96, z_dim=16, dim_mult=[1, 2, 4, 4], temperal_downsample=[False, True, True])
    assert history_elements(module) * 60 * 104 * 2 / 1024**3 == pytest.approx(1.76, abs=0.03)


def test_the_peak_is_everything_on_the_device(network):
    settings = Settings(window=6, sink=2, block=2)
    parts = estimate(settings, sizes(network, work=7, vae_weights=11, vae_history=13), "model", offload=True)
    assert parts[RAM] > 0
    assert peak(parts) == sum(parts.values()) - parts[RAM]
    assert {"working memory": 7, "VAE weights": 11, "VAE history": 13}.items() <= parts.items()
    assert "stays the same" in report(parts, 12, 6, 0)
