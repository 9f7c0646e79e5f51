"""The audio VAE, the vocoder and the LTX-2.3 transformer of the pocket set: training paths equal core's, files load."""

import comfy.model_base
import comfy.model_management
import comfy.sd
import pytest
import torch
from safetensors.torch import load_file, save_file

from oner.ltx.generation import detect_generation
from oner.ltx.ltx2.block_choice import exact_blocks
from oner.ltx.text_encoder import load_gemma
from oner.utils.files import read_header
from pocket import audio, graphs, judge, ltx2_av, ltx_dit, text, world
from pocket.files import FOLDER, save
from pocket.recipes import RECIPES

CAPTION = "a red circle moving right on a dark background"


@pytest.fixture
def training():
    """As the trainings run: with gradients, and rotary embeddings that have one."""
    with torch.inference_mode(False), torch.enable_grad():
        comfy.model_management.in_training = True
        yield
        comfy.model_management.in_training = False


def test_pitches_repeat_with_every_mel_frame():
    """Or a vocoder that sees the spectrogram alone could not go on with the wave."""
    assert audio.CONFIG["audio_vae"]["preprocessing"]["stft"]["hop_length"] == audio.HOP
    assert all(hz % (audio.RATE / audio.HOP) == 0 for hz in world.PITCHES.values())


def test_an_untrained_audio_vae_has_cores_shapes_and_its_extension_adds_nothing():
    model = audio.build(0)
    sound = audio.sounds(world.sample_scenes(2, torch.Generator().manual_seed(0), audio.FRAMES), audio.FRAMES)
    z = audio.encode(model, sound)
    assert z.shape == (2, 8, 18, 16)
    mel = audio.spectrogram(model, z)
    low = model.vocoder.vocoder(mel.transpose(2, 3))
    assert low.shape == (2, 2, 69 * 160)
    torch.testing.assert_close(model.decode(z), model.vocoder.resampler(low).clamp(-1, 1), atol=1e-5, rtol=1e-5)


def test_a_few_seconds_of_audio_training_lower_the_error_and_give_normalised_latents(training, tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "SOUNDS", 32)
    weights, config = audio.train(4, 0, tmp_path, False)
    assert set(config) == {"audio_vae", "vocoder"}
    save_file({k: v.detach().contiguous() for k, v in weights.items()}, tmp_path / "audio.safetensors")
    model = audio.load(tmp_path / "audio.safetensors")
    with torch.no_grad():
        sound = audio.sounds(world.sample_scenes(32, torch.Generator().manual_seed(3), audio.FRAMES), audio.FRAMES)
        z = audio.encode(model, sound)
        mel = model.preprocessor.waveform_to_mel(sound, audio.RATE, sound.device)
        shown = audio.spectrogram(model, audio.codes(model, mel))
    assert 0.3 < z.square().mean().sqrt() < 1.5
    assert (shown - mel[:, :, : shown.shape[2]]).abs().mean() < 0.9 * (mel - mel.mean()).abs().mean()


def test_tuning_the_sound_keeps_the_latents_and_the_transformer(training, monkeypatch):
    monkeypatch.setattr(audio, "SOUNDS", 16)
    before = load_file(FOLDER / RECIPES["ltx2-audio"].file)
    weights, config = audio.train(2, 0, FOLDER, True)
    assert set(config) == {"transformer", "audio_vae", "vocoder"}
    assert weights.keys() == before.keys()
    tuned = {key for key, value in before.items() if not torch.equal(weights[key].half(), value)}
    assert tuned
    assert all(key.startswith(("audio_vae.decoder.", "vocoder.vocoder.")) for key in tuned)


def test_the_gemma_folder_gives_the_contexts_of_training(tmp_path):
    text.write_folders(tmp_path)
    model, reads = ltx2_av.build(0), ltx2_av.projection(0)
    save_file(reads, tmp_path / "projection.safetensors")
    clip = load_gemma(str(tmp_path / "pocket_gemma"), str(tmp_path / "projection.safetensors"))
    for caption, count in ((CAPTION, 10), ("", 1)):
        ((cond, _),) = clip.encode_from_tokens_scheduled(clip.tokenize(caption))
        full = model.preprocess_text_embeds(cond.float().cpu(), unprocessed=True)
        assert cond.shape[1] == count
        assert full.shape[1] == ltx2_av.PADDED
        ours = torch.cat(ltx2_av.Captions(reads, model)([caption])[:2], dim=-1)
        in_front = torch.cat([ours[:, count - 1 : count], ours[:, : count - 1]], dim=1)  # Gemma's mark is the first
        torch.testing.assert_close(full[:, :count], in_front, atol=2e-3, rtol=2e-3)
        torch.testing.assert_close(full[:, count:], ours[:, -1:].expand(-1, ltx2_av.PADDED - count, -1))


@pytest.mark.parametrize(("sigma_x", "sigma_y"), [(0.7, 0.7), (0.9, 0.2)])
def test_one_weighted_register_equals_cores_forward_on_a_thousand(sigma_x, sigma_y):
    model, generator = ltx2_av.build(0), torch.Generator().manual_seed(0)
    words, heard, bias = ltx2_av.Captions(ltx2_av.projection(0), model)([CAPTION])
    count = int((bias[0, 0, 0, :-1] == 0).sum())
    full = [torch.cat([c[:, :count], c[:, -1:].expand(-1, ltx2_av.PADDED - count, -1)], dim=1) for c in (words, heard)]
    x, y = (torch.randn(1, *shape, generator=generator) for shape in ((128, 3, 2, 2), (8, 18, 16)))
    levels = torch.full((1, 3), sigma_x), torch.full((1, 1), sigma_y)
    ours = ltx2_av.Forward(model, (3, 2, 2), 18)(x, y, *levels, words, heard, bias)
    times = levels[0][:, 0], levels[1][:, 0]
    with exact_blocks(model):
        theirs = model([x.clone(), y.clone()], times, torch.cat(full, dim=-1), frame_rate=ltx2_av.RATE)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


def test_the_video_side_starts_from_ltx_video():
    small = ltx_dit.build(3)
    model = ltx2_av.build(0, small.state_dict())
    q, old = model.transformer_blocks[1].attn1.to_q, small.transformer_blocks[1].attn1.to_q
    head = old.weight.unflatten(0, (3, 64))[1]
    torch.testing.assert_close(q.weight.unflatten(0, (3, 64))[1], torch.cat([head[0::2], head[1::2]]))
    ours, theirs = model.transformer_blocks[2].ff.net[2], small.transformer_blocks[2].ff.net[2]
    torch.testing.assert_close(ours.weight, theirs.weight)
    words = ltx2_av.Captions(ltx2_av.projection(0, small.state_dict()), model)([CAPTION])[0]
    old_words = small.caption_projection(text.encode([CAPTION])[0])
    torch.testing.assert_close(words[:, :10], ltx2_av._context(old_words)[:, :10], atol=1e-4, rtol=1e-3)


def test_a_few_seconds_of_training_give_a_checkpoint_that_core_loads(training, tmp_path, monkeypatch):
    monkeypatch.setattr(ltx2_av, "SIZES", {64: (8, 4), 128: (4, 2)})
    monkeypatch.setattr(ltx2_av, "score", lambda *_: {})
    weights, config = ltx2_av.train(3, 0, FOLDER, False)
    path = tmp_path / "parts" / graphs.LTX2_FILE
    save(path, weights, config, "float16")
    graphs.join_ltx2(path, FOLDER / RECIPES["ltx-vae"].file, tmp_path)
    keys, metadata = read_header(tmp_path / graphs.LTX2_FILE)
    assert detect_generation((k.removeprefix(ltx2_av.PREFIX) for k in keys), metadata) == "LTX-2.3"
    with torch.inference_mode():
        model, _, vae, _ = comfy.sd.load_checkpoint_guess_config(str(tmp_path / graphs.LTX2_FILE), output_clip=False)
    assert isinstance(model.model, comfy.model_base.LTXAV)
    loaded = model.model.diffusion_model.transformer_blocks[3].audio_attn2.to_k.weight
    trained = weights[f"{ltx2_av.PREFIX}transformer_blocks.3.audio_attn2.to_k.weight"]
    torch.testing.assert_close(loaded.float().cpu(), trained, atol=1e-3, rtol=1e-3)
    assert not torch.equal(trained, ltx2_av.build(0).transformer_blocks[3].audio_attn2.to_k.weight)
    assert vae.latent_channels == 128


def test_the_judge_hears_pitch_and_balance():
    scenes = [world.place(world.Scene("red", s, "left", "dark"), 17) for s in world.SHAPES]
    sounds = [{"waveform": world.tone(s, 17)[None], "sample_rate": 16000} for s in scenes]
    assert judge.heard(sounds, scenes) == 1
    assert judge.heard(sounds, scenes[1:] + scenes[:1]) == 0
    assert judge.panned(sounds, scenes) == {"balance follows": 1}
