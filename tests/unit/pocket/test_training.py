"""The shortcuts that make pocket trainings affordable give the same numbers as core's own paths."""

import comfy.model_management
import pytest
import torch
from comfy.latent_formats import Wan21

from pocket import ltx_dit, ltx_vae, text, trainer, wan_causal, wan_dit, wan_vae, world


@pytest.fixture
def clips():
    some = world.sample_scenes(16, torch.Generator().manual_seed(2), 9)
    return world.render(some, 9)


def test_wan_one_pass_codec_equals_cores_chunked_one(clips):
    vae = wan_vae.closed_form(clips, torch.Generator().manual_seed(0))
    latent = wan_vae.encode(vae, clips[:2])
    theirs = Wan21().process_in(vae.encode(clips[:2].movedim(-1, 1) * 2 - 1))
    torch.testing.assert_close(latent, theirs, atol=2e-4, rtol=1e-4)
    ours = wan_vae.decode(vae, latent)
    theirs = vae.decode(Wan21().process_out(latent)).movedim(1, -1) / 2 + 0.5
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_wan_closed_form_latents_are_normalised(clips):
    vae = wan_vae.closed_form(clips, torch.Generator().manual_seed(0))
    latent = wan_vae.encode(vae, clips)
    assert latent.square().mean().sqrt().item() == pytest.approx(1.0, abs=0.1)


def test_ltx_closed_form_codes_and_equals_cores_chunked_codec():
    some = world.sample_scenes(32, torch.Generator().manual_seed(2), 17)
    clips = world.render(some, 17)
    vae = ltx_vae.closed_form(clips)
    latent = ltx_vae.encode(vae, clips[:2])
    torch.testing.assert_close(latent, vae.encode(clips[:2].movedim(-1, 1) * 2 - 1), atol=1e-4, rtol=1e-4)
    ours = ltx_vae.decode(vae, latent)
    torch.testing.assert_close(ours, vae.decode(latent).movedim(1, -1) / 2 + 0.5, atol=1e-4, rtol=1e-4)
    assert -10 * torch.log10((ours - clips[:2]).square().mean()) > 22


def test_one_weighted_padding_token_equals_five_hundred_zero_tokens():
    model = wan_dit.build(0)
    scene = world.sample_scenes(2, torch.Generator().manual_seed(1), 9)
    short = wan_dit.captions(scene, torch.Generator().manual_seed(0), dropout=0)
    long = torch.zeros(2, wan_dit.PADDED, text.WIDTH)
    long[:, : short.shape[1]] = short
    x, t = torch.randn(2, 16, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([700.0, 300.0])
    options = {"optimized_attention_override": wan_dit.PaddedText()}
    torch.testing.assert_close(model(x, t, short, transformer_options=options), model(x, t, long), atol=1e-5, rtol=1e-4)


def test_ltx_training_forward_equals_cores_forward():
    model = ltx_dit.build(0)
    scene = world.sample_scenes(2, torch.Generator().manual_seed(1), 17)
    context, mask = ltx_dit.captions(scene, torch.Generator().manual_seed(0), dropout=0)
    x = torch.randn(2, 128, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([[0.7], [0.2]]).expand(2, 12).clone()
    sigma[0, :4] = 0.0
    ours = ltx_dit.Forward(model, (3, 2, 2))(x, sigma, context, mask)
    theirs = model(x, sigma, context, mask.long(), frame_rate=ltx_dit.FRAME_RATE)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["wan", "ltx"])
def test_an_untrained_model_predicts_something_like_its_noisy_input(family):
    x = torch.randn(
        2, *((16, 3, 8, 8) if family == "wan" else (128, 3, 2, 2)), generator=torch.Generator().manual_seed(0)
    )
    scene = world.sample_scenes(2, torch.Generator().manual_seed(1), 9)
    if family == "wan":
        out = wan_dit.build(0)(x, torch.tensor([900.0, 900.0]), wan_dit.captions(scene, torch.Generator()))
    else:
        out = ltx_dit.Forward(ltx_dit.build(0), (3, 2, 2))(
            x, torch.tensor([0.9, 0.9]), *ltx_dit.captions(scene, torch.Generator())
        )
    assert torch.corrcoef(torch.stack([x.flatten(), out.flatten()]))[0, 1] > 0.3


def test_training_lowers_the_loss_and_returns_averaged_weights():
    torch.manual_seed(0)
    with torch.inference_mode(False), torch.enable_grad():
        comfy.model_management.in_training = True
        try:
            model = wan_dit.build(0)
            x = torch.randn(4, 16, 1, 4, 4, generator=torch.Generator().manual_seed(0))
            context = torch.zeros(4, 2, text.WIDTH)
            losses = []

            def loss(_share):
                value = (model(x, torch.full((4,), 500.0), context) - x.roll(1, 0)).square().mean()
                losses.append(value.item())
                return value

            weights = trainer.fit(model, model.blocks, loss, seconds=4)
        finally:
            comfy.model_management.in_training = False
    assert losses[-1] < 0.7 * losses[0]
    assert weights.keys() == model.state_dict().keys()


def test_orthogonalise_flattens_the_singular_values():
    x = torch.randn(3, 32, 48, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(trainer.orthogonalise(x, iterations=5))
    assert values.min() > 0.4
    assert values.max() < 1.6


def causal_model(weights):
    import comfy.ops
    from comfy.ldm.wan.ar_model import CausalWanModel

    model = CausalWanModel(in_dim=16, out_dim=16, operations=comfy.ops.disable_weight_init, **wan_dit.CONFIG)
    model.load_state_dict(weights)
    return model


def test_one_causal_pass_equals_cores_blocks_with_a_cache():
    generator = torch.Generator().manual_seed(0)
    model = wan_dit.build(0)
    clean = torch.randn(1, 16, wan_causal.LATENTS, 8, 8, generator=generator)
    noisy = torch.randn(clean.shape, generator=generator)
    sigma = torch.tensor([[0.9, 0.5, 0.2]])
    take = wan_causal.takes(1, generator)[0]
    contexts = wan_dit.captions(take.scenes, generator, dropout=0)
    masks = wan_causal.Masks()
    masks.set_captions(torch.tensor([False]))
    context = contexts.view(1, wan_causal.BLOCKS * wan_causal.SPAN, -1)
    ours = wan_causal.forward(model, clean, noisy, sigma, context, masks)

    theirs = causal_model(model.state_dict())
    caches = theirs.init_kv_caches(1, 2 * wan_causal.LATENTS * wan_causal.PLANE, "cpu", torch.float32)
    for b in range(wan_causal.BLOCKS):
        frames = slice(b * wan_causal.BLOCK, (b + 1) * wan_causal.BLOCK)
        long = torch.zeros(1, wan_dit.PADDED, text.WIDTH)
        long[:, : wan_causal.SPAN] = contexts[b]
        for x, level in ((noisy, sigma[0, b].item()), (clean, 0.0)):
            end = caches[0]["end"]
            texts = theirs.init_crossattn_caches(1, "cpu", torch.float32)
            times = torch.full((1, wan_causal.BLOCK), level * 1000)
            out = theirs.forward_block(x[:, :, frames], times, long, b * wan_causal.BLOCK, caches, texts)
            if level:
                torch.testing.assert_close(ours[:, :, frames], out, atol=2e-5, rtol=1e-4)
                for cache in caches:
                    cache["end"] = end  # the noisy pass leaves nothing


def test_takes_switch_only_where_a_block_begins():
    from pocket import judge

    takes = wan_causal.takes(24, torch.Generator().manual_seed(0))
    assert any(len({s.colour for s in t.scenes}) > 1 for t in takes)
    assert any(len({s.direction for s in t.scenes}) > 1 for t in takes)
    for take in takes[:4]:
        clip = take.render()
        for scene, start, end in zip(take.scenes, wan_causal.EDGES[:-1], wan_causal.EDGES[1:], strict=True):
            verdict = judge.judge(clip[start:end])
            assert (verdict.colour, verdict.direction) == (scene.colour, scene.direction)
