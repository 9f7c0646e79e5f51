"""The tiny checkpoints load through core's own loaders, with every key used, and compute something finite."""

import comfy.nested_tensor
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import folder_paths
import pytest
import torch

from harness.pack import core_is_at_least
from oner.ltx.ltx2.presets import PRESETS, generation_of
from oner.wan import camera_5b
from tiny import MODELS, write_models

# B: batch, C: channels, F, H, W: latent frames, height, width

WHOLE_FILES = {"ltx-2.3": "LTXAV", "ltx-2.0": "LTXAV", "ltxv-0.9": "LTXV", "ltxv-0.9.8": "LTXV"}
WAN = {  # name -> (core's model, core's network)
    "wan-t2v": ("WAN21", "WanModel"),
    "wan-causal": ("WAN21_CausalAR", "CausalWanModel"),
    "wan-t2v-a14b-high": ("WAN21", "WanModel"),
    "wan-t2v-a14b-low": ("WAN21", "WanModel"),
    "wan-i2v": ("WAN21", "WanModel"),
    "wan-i2v-a14b-high": ("WAN21", "WanModel"),
    "wan-i2v-a14b-low": ("WAN21", "WanModel"),
    "wan-fun-inp": ("WAN21", "WanModel"),
    "wan-fun-inp-a14b-high": ("WAN21", "WanModel"),
    "wan-fun-inp-a14b-low": ("WAN21", "WanModel"),
    "wan-fun-inp-5b": ("WAN22", "WanModel"),
    "wan-fun-control-1.0": ("WAN21", "WanModel"),
    "wan-fun-control": ("WAN21", "WanModel"),
    "wan-fun-control-a14b-high": ("WAN21", "WanModel"),
    "wan-fun-control-a14b-low": ("WAN21", "WanModel"),
    "wan-fun-control-5b": ("WAN22", "WanModel"),
    "wan-vace": ("WAN21_Vace", "VaceWanModel"),
    "wan-camera": ("WAN21_Camera", "CameraWanModel"),
    "wan-camera-a14b-high": ("WAN21_Camera", "CameraWanModel"),
    "wan-camera-a14b-low": ("WAN21_Camera", "CameraWanModel"),
    "wan-5b": ("WAN22", "WanModel"),
}
CAMERA_5B = "wan-camera-5b"  # ComfyUI's loader does not know it: the pack's does
VIDEO_VAES = ["ltx-vae", "ltxv-vae", "wan-vae"]
UPSAMPLERS = {  # F, H, W
    "upscaler-x2": (3, 4, 4),
    "upscaler-2.5-x2": (3, 4, 4),
    "upscaler-x1.5": (3, 3, 3),
    "upscaler-temporal-x2": (5, 2, 2),
}
DEEP = {"ltx-2.3-deep": "LTX-2.3", "ltx-2.0-deep": "LTX-2"}  # generation
LTX_2_5 = {"ltx-2.5", "ltx-2.5-deep", "ltx-2.5-vae", "ltx-2.5-audio-vae", "ltx-2.5-projection"}  # in test_ltx25.py
TAE = {"taew-2.1": (4, 8), "taew-2.2": (4, 16), "taeltx-2": (8, 32)}  # pixels per latent in time and in space


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def all_keys_used(caplog):
    """Core only logs keys that are missing, left over or not loaded."""
    caplog.set_level("DEBUG")
    yield
    complaints = ("missing", "unexpected", "leftover", "not loaded", "left over keys in diffusion")
    log = [record.getMessage() for record in caplog.get_records("call")]
    assert not [line for line in log if any(word in line.lower() for word in complaints)]


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sample(model, latent, positive, negative):
    """Two Euler steps from sigma 1 to 0.4 with cfg 3."""
    sampler = comfy.samplers.sampler_object("euler")
    sigmas = torch.tensor([1.0, 0.7, 0.4])
    return comfy.sample.sample_custom(model, latent, 3.0, sampler, sigmas, positive, negative, latent * 0)


def load_whole(path):
    """(model, video VAE) of a whole file; there is no text encoder in it, which core logs."""
    model, _, vae, _ = comfy.sd.load_checkpoint_guess_config(str(path), output_clip=False)
    return model, vae


def load_vae(path, prefixes=None):
    state, metadata = comfy.utils.load_torch_file(str(path), return_metadata=True)
    if prefixes:
        state = comfy.utils.state_dict_prefix_replace(state, prefixes, filter_keys=True)
    return comfy.sd.VAE(sd=state, metadata=metadata)


def ltx2_text(width: int, seed: int):
    return [[noise(1, 8, width, seed=seed), {"frame_rate": 24, "unprocessed_ltxav_embeds": True}]]


def ltxv_text(seed: int):
    return [[noise(1, 8, 32, seed=seed), {"frame_rate": 24, "attention_mask": torch.ones(1, 8, dtype=torch.int64)}]]


def wan_text(seed: int, **entries):
    return [[noise(1, 8, 32, seed=seed), entries]]


def test_every_checkpoint_is_checked_here():
    loras = {name for name in MODELS if "lora-" in name}
    groups = (WHOLE_FILES, LTX_2_5, WAN, VIDEO_VAES, UPSAMPLERS, TAE, DEEP, ["ltxv-13b", CAMERA_5B], loras)
    assert set().union(*groups) == set(MODELS)


def test_all_but_the_big_ones_are_written(paths):
    big = {*TAE, *DEEP, "ltxv-13b", "ltx-2.5-deep"}
    newer = set() if core_is_at_least("0.33.0") else {"ltx-2.5-vae"}
    assert {name for name, path in paths.items() if path.exists()} & set(MODELS) == set(MODELS) - big - newer


def test_files_lie_where_comfyui_looks(paths):
    assert {path.parent.name for path in paths.values()} <= set(folder_paths.folder_names_and_paths)


def test_files_are_small(paths):
    assert max(path.stat().st_size for path in paths.values()) < 9e6
    assert paths["ltx-2.3"].stat().st_size < 8e6


@pytest.mark.usefixtures("all_keys_used")
@pytest.mark.parametrize(("name", "width"), [("ltx-2.3", 96), ("ltx-2.0", 32)])
def test_audio_video_transformer_samples(paths, name, width):
    model, _ = load_whole(paths[name])
    assert type(model.model).__name__ == WHOLE_FILES[name]
    latent = comfy.nested_tensor.NestedTensor((noise(1, 128, 2, 2, 2), noise(1, 8, 9, 16)))  # [B,C,F,H,W], [B,C,T,bins]
    result = sample(model, latent, ltx2_text(width, 2), ltx2_text(width, 3))
    other = sample(model, latent, ltx2_text(width, 4), ltx2_text(width, 3))
    for one, two in zip(result.unbind(), other.unbind(), strict=True):
        assert torch.isfinite(one).all()
        assert (one - two).std() > 0.01  # the prompt is visible in both modalities


@pytest.mark.usefixtures("all_keys_used")
@pytest.mark.parametrize("name", ["ltxv-0.9", "ltxv-0.9.8"])
def test_video_transformer_samples(paths, name):
    model, _ = load_whole(paths[name])
    assert type(model.model).__name__ == WHOLE_FILES[name]
    result = sample(model, noise(1, 128, 2, 2, 2), ltxv_text(2), ltxv_text(3))
    other = sample(model, noise(1, 128, 2, 2, 2), ltxv_text(4), ltxv_text(3))
    assert torch.isfinite(result).all()
    assert (result - other).std() > 0.01


@pytest.mark.usefixtures("all_keys_used")
@pytest.mark.parametrize(("name", "timestep_conditioned"), [("ltxv-0.9", False), ("ltxv-0.9.8", True)])
def test_video_vae_of_a_whole_file(paths, name, timestep_conditioned):
    _, vae = load_whole(paths[name])
    assert vae.first_stage_model.timestep_conditioning is timestep_conditioned
    with torch.random.fork_rng():  # core's timestep-conditioned decode draws from the global generator
        frames = vae.decode(noise(1, 128, 2, 2, 2))
    assert frames.shape == (1, 9, 64, 64, 3)
    assert frames.std() > 0.1


@pytest.mark.parametrize("name", ["ltx-2.3", "ltx-2.0"])
def test_video_vae_alone_equals_that_of_the_whole_file(paths, name):
    alone = load_vae(paths["ltx-vae"]).first_stage_model.state_dict()
    whole = load_vae(paths[name], {"vae.": ""}).first_stage_model.state_dict()
    assert all(torch.equal(alone[key], whole[key]) for key in alone)


@pytest.mark.usefixtures("all_keys_used")
@pytest.mark.parametrize(("name", "rate"), [("ltx-2.3", 48000), ("ltx-2.0", 24000)])
def test_audio_vae_of_a_whole_file(paths, name, rate):
    vae = load_vae(paths[name], {"audio_vae.": "autoencoder.", "vocoder.": "vocoder."})  # as LTXVAudioVAELoader does
    assert vae.audio_sample_rate_output == rate
    wave = vae.decode(noise(1, 8, 10, 16))  # [B,samples,2]; 10 latents are 37 mel frames of 10 ms
    assert wave.shape == (1, 37 * rate // 100, 2)
    assert 0.01 < wave.std() < 0.5
    assert vae.encode(wave).shape[1::2] == (8, 16)


def test_text_projections_fit_the_tiny_gemma(paths):
    """Three hidden states of width 32, to the widths that the connectors take."""
    keys = "text_embedding_projection."
    for name, expected in {
        "ltx-2.3": {"video_aggregate_embed.weight": (64, 96), "audio_aggregate_embed.weight": (32, 96)},
        "ltx-2.0": {"aggregate_embed.weight": (32, 96)},
    }.items():
        state = comfy.utils.load_torch_file(str(paths[name]))
        shapes = {k.removeprefix(keys): tuple(v.shape) for k, v in state.items() if k.startswith(keys) and v.ndim == 2}
        assert shapes == expected


@pytest.mark.parametrize(("name", "version"), [("ltx-2.3", "2.3.0"), ("ltx-2.0", "2.0")])
def test_ltx2_metadata_says_the_version(paths, name, version):
    _, metadata = comfy.utils.load_torch_file(str(paths[name]), return_metadata=True)
    assert metadata["model_version"] == version


@pytest.mark.usefixtures("all_keys_used")
@pytest.mark.parametrize("name", WAN)
def test_wan_transformer_samples(paths, name):
    model = comfy.sd.load_diffusion_model(str(paths[name]))
    assert (type(model.model).__name__, type(model.model.diffusion_model).__name__) == WAN[name]
    channels = model.model.latent_format.latent_channels
    latent = noise(1, channels, 3, 4, 4)
    result = sample(model, latent, wan_text(2), wan_text(3))
    other = sample(model, latent, wan_text(4), wan_text(3))
    assert result.shape == latent.shape
    assert torch.isfinite(result).all()
    assert (result - other).std() > 0.01


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("wan-i2v", {"concat_latent_image": noise(1, 16, 3, 4, 4)}),
        ("wan-i2v-a14b-high", {"concat_latent_image": noise(1, 16, 3, 4, 4)}),
        ("wan-fun-inp", {"concat_latent_image": noise(1, 16, 3, 4, 4)}),
        ("wan-fun-control", {"concat_latent_image": noise(1, 32, 3, 4, 4)}),
        ("wan-fun-control-1.0", {"concat_latent_image": noise(1, 32, 3, 4, 4)}),
        ("wan-fun-control-a14b-high", {"concat_latent_image": noise(1, 32, 3, 4, 4)}),
        ("wan-fun-control", {"reference_latents": [noise(1, 16, 1, 4, 4)]}),
        ("wan-vace", {"vace_frames": [noise(1, 32, 3, 4, 4)], "vace_mask": [noise(1, 64, 3, 4, 4)]}),
        ("wan-camera", {"camera_conditions": noise(1, 24, 3, 32, 32)}),
        ("wan-camera-a14b-high", {"camera_conditions": noise(1, 24, 3, 32, 32)}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_wan_control_input_is_visible(paths, name, entries):
    model = comfy.sd.load_diffusion_model(str(paths[name]))
    latent = noise(1, 16, 3, 4, 4)
    plain = sample(model, latent, wan_text(2), wan_text(3))
    steered = sample(model, latent, wan_text(2, **entries), wan_text(3, **entries))
    assert torch.isfinite(steered).all()
    assert (steered - plain).std() > 0.01


def test_5b_camera_samples_and_sees_its_camera(paths):
    model = camera_5b.load_camera_5b(str(paths[CAMERA_5B]))
    latent = noise(1, 48, 3, 4, 4)
    plain = sample(model, latent, wan_text(2), wan_text(3))
    camera = {"model_conds": {"camera_conditions": camera_5b.regular(noise(1, 24, 3, 64, 64))}}
    steered = sample(model, latent, wan_text(2, **camera), wan_text(3, **camera))
    assert torch.isfinite(steered).all()
    assert (steered - plain).std() > 0.01


def test_causal_wan_rolls_out_through_its_cache(paths):
    model = comfy.sd.load_diffusion_model(str(paths["wan-causal"]))
    sampler, sigmas = comfy.samplers.ksampler("ar_video"), torch.tensor([1.0, 0.5, 0.0])
    latent, text = noise(1, 16, 4, 4, 4), wan_text(2)
    with torch.random.fork_rng():  # core's causal sampler seeds the global generator
        result = comfy.sample.sample_custom(model, latent, 1.0, sampler, sigmas, text, text, latent * 0, seed=0)
    assert torch.isfinite(result).all()
    assert (result[:, :, -1] - result[:, :, 0]).std() > 0.1


def test_the_two_noise_experts_differ(paths):
    high, low = (comfy.utils.load_torch_file(str(paths[f"wan-i2v-a14b-{name}"])) for name in ("high", "low"))
    assert high.keys() == low.keys()
    assert not torch.equal(high["head.head.weight"], low["head.head.weight"])


@pytest.mark.usefixtures("all_keys_used")
@pytest.mark.parametrize("name", VIDEO_VAES)
def test_video_vae_decodes_and_encodes(paths, name):
    vae = load_vae(paths[name])
    time, space = (4, 8) if name == "wan-vae" else (8, 32)
    with torch.random.fork_rng():
        frames = vae.decode(noise(1, vae.latent_channels, 2, 2, 2))
    assert frames.shape == (1, time + 1, 2 * space, 2 * space, 3)
    assert frames.std() > 0.05
    latent = vae.encode(frames[0])
    assert latent.shape == (1, vae.latent_channels, 2, 2, 2)
    assert latent.std() > 0.05


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_latent_upsampler_scales(paths, name, monkeypatch):
    from comfy_extras.nodes_hunyuan import LatentUpscaleModelLoader

    folder = ([str(paths[name].parent)], {".safetensors"})
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "latent_upscale_models", folder)
    loaded = LatentUpscaleModelLoader.execute(paths[name].name)[0]
    upsampler = getattr(loaded, "model", loaded)  # ComfyUI 0.27 and older give the network itself
    latent = upsampler(noise(1, 128, 3, 2, 2))
    assert latent.shape == (1, 128, *UPSAMPLERS[name])
    assert 0.1 < latent.std() < 10


@pytest.mark.usefixtures("all_keys_used")
@pytest.mark.parametrize(
    ("lora", "base"), [("lora-ltx-2.3", "ltx-2.3"), ("ic-lora-ltx-2.3", "ltx-2.3"), ("lora-wan", "wan-t2v")]
)
def test_lora_patches_every_layer_it_holds(paths, lora, base):
    model = load_whole(paths[base])[0] if base == "ltx-2.3" else comfy.sd.load_diffusion_model(str(paths[base]))
    state = comfy.utils.load_torch_file(str(paths[lora]))
    patched, _ = comfy.sd.load_lora_for_models(model, None, state, 1.0, 0)
    assert len(patched.patches) == sum(key.endswith(("lora_A.weight", "lora_down.weight")) for key in state) > 0


def test_lora_is_visible(paths):
    model = comfy.sd.load_diffusion_model(str(paths["wan-t2v"]))
    patched, _ = comfy.sd.load_lora_for_models(model, None, comfy.utils.load_torch_file(str(paths["lora-wan"])), 1.0, 0)
    latent = noise(1, 16, 3, 4, 4)
    plain, changed = (sample(one, latent, wan_text(2), wan_text(3)) for one in (model, patched))
    assert torch.isfinite(changed).all()
    assert (changed - plain).std() > 0.01


def test_only_the_ic_lora_has_a_reference_downscale_factor(paths):
    for name, factor in (("ic-lora-ltx-2.3", "2"), ("lora-ltx-2.3", None)):
        _, metadata = comfy.utils.load_torch_file(str(paths[name]), return_metadata=True)
        assert metadata.get("reference_downscale_factor") == factor


@pytest.mark.usefixtures("all_keys_used")
@pytest.mark.parametrize("name", TAE)
def test_tiny_autoencoder_decodes(tmp_path, name):
    vae = load_vae(write_models(tmp_path, [name])[name])
    time, space = TAE[name]
    frames = vae.decode(noise(1, vae.latent_channels, 2, 2, 2))
    assert frames.shape == (1, time + 1, 2 * space, 2 * space, 3)
    assert torch.isfinite(frames).all()


def test_the_seed_decides_every_byte(paths, tmp_path):
    names = ["ltx-2.3", "wan-vace", "lora-wan"]
    again = write_models(tmp_path / "again", names)
    other = write_models(tmp_path / "other", names, seed=1)
    for name in names:
        assert again[name].read_bytes() == paths[name].read_bytes()
        assert other[name].read_bytes() != paths[name].read_bytes()


def test_weights_leave_the_global_generator_alone(tmp_path):
    before = torch.random.get_rng_state()
    write_models(tmp_path, ["ltx-2.3"])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_current_file_is_left_alone_and_any_other_replaced(tmp_path):
    path = write_models(tmp_path, ["wan-t2v"])["wan-t2v"]
    first = path.stat().st_mtime_ns, path.read_bytes()
    write_models(tmp_path, ["wan-t2v"])
    assert path.stat().st_mtime_ns == first[0]
    write_models(tmp_path, ["wan-t2v"], seed=1)
    assert path.read_bytes() != first[1]
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing unfinished is left behind


@pytest.mark.parametrize(("name", "generation"), DEEP.items())
def test_deep_model_has_the_block_that_guidance_perturbs(name, generation, tmp_path):
    model = comfy.sd.load_diffusion_model(str(write_models(tmp_path, [name])[name]))
    network = model.model.diffusion_model
    assert generation_of(network) == generation
    assert [PRESETS[generation].video.stg_blocks] == [(len(network.transformer_blocks) - 1,)]


def test_the_13b_ltx_video_has_the_blocks_its_presets_skip(tmp_path):
    model = comfy.sd.load_diffusion_model(str(write_models(tmp_path, ["ltxv-13b"])["ltxv-13b"]))
    assert type(model.model).__name__ == "LTXV"
    assert len(model.model.diffusion_model.transformer_blocks) == 48
