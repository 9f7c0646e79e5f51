"""Takes as a user makes them: through the nodes."""

import dataclasses
import json
import threading
from types import SimpleNamespace

import av
import comfy.model_management
import pytest
import torch
from safetensors.torch import save_file

from harness.causal import tiny_prompts, tiny_vae, wan_weights
from oner.longlive.loader import apply_lora, load_patcher
from oner.longlive.patcher import history_bytes
from oner.longlive.presets import PRESETS, Settings
from oner.longlive.take import LATENTS
from oner.nodes.longlive.rollout import LongLiveContinue, LongLiveRollout
from oner.nodes.longlive.schedule import LongLivePromptSchedule
from oner.nodes.longlive.takes import LongLiveBudget, LongLiveForkTake, LongLiveLoadTake
from oner.utils.media import fragment_ends

HIDDEN = SimpleNamespace(prompt={"1": {}}, extra_pnginfo={"workflow": {"nodes": []}})
SETTINGS = Settings(window=6, sink=2, block=2, steps=2)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "causal.safetensors"
    save_file(wan_weights(), str(path))
    return path


@pytest.fixture(scope="module")
def model(model_file):
    with torch.inference_mode():
        return load_patcher(model_file, model_options={"dtype": torch.float32})


@pytest.fixture(scope="module")
def vae():
    with torch.inference_mode():
        return tiny_vae()


@pytest.fixture
def output(tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    return tmp_path / "takes"


class Rollout(LongLiveRollout):
    hidden = HIDDEN


class Continue(LongLiveContinue):
    hidden = HIDDEN


def prompt(i=0):
    return [[tiny_prompts()[i : i + 1], {"pooled_output": None}]]


def roll(model, **inputs):
    defaults = {
        "positive": prompt(),
        "settings": SETTINGS,
        "width": 16,
        "height": 16,
        "length": 29,
        "seed": 5,
        "cfg": 1.0,
        "filename_prefix": "t",
    }
    return Rollout.execute(model, **{**defaults, **inputs}).args


def go_on(take, model, **inputs):
    defaults = {"positive": prompt(), "length": 45, "filename_prefix": "t"}
    return Continue.execute(take, model, **{**defaults, **inputs}).args


def frames(path):
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


def test_a_take_comes_as_latents_frames_and_video(model, vae, output):
    take, latent, images, video, name, report = roll(model, vae=vae, last_frames=5)
    assert latent["samples"].shape == (1, 16, 8, 2, 2)
    assert images.shape == (5, 16, 16, 3)
    assert frames(output / name / "video_0.mp4") == 29
    with av.open(str(output / name / "video_0.mp4")) as file:
        assert file.metadata["workflow"] == '{"nodes": []}'
    assert video.get_components().images.shape[0] == 29
    assert "29 frames (1.8 s)" in report
    assert take.finished() == 8


def test_latents_and_frames_agree_with_core_decoding(model, vae, output):
    _, latent, images, *_ = roll(model, vae=vae, last_frames=29)
    torch.testing.assert_close(images, vae.decode(latent["samples"])[0], atol=0.6 / 255, rtol=0)


def test_continuing_equals_one_run(model, vae, output):
    whole = roll(model, vae=vae, length=45)[0]
    part = roll(model, vae=vae)[0]
    rest, *_, report = go_on(part, model, vae=vae)
    assert "went on exactly" in report
    for name in (LATENTS, "video_0.mp4"):
        assert (rest.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_loaded_fork_goes_on_approximately(model, vae, output):
    whole = roll(model, vae=vae, length=45)
    loaded, latent, length = LongLiveLoadTake.execute(whole[4]).args
    assert length == 45
    assert torch.equal(latent["samples"], whole[1]["samples"])
    fork, kept = LongLiveForkTake.execute(loaded, 30).args
    assert kept == 29
    rest, forked, *_, report = go_on(fork, model, vae=vae)
    assert "approximate" in report
    assert torch.equal(forked["samples"][:, :, :8], whole[1]["samples"][:, :, :8])
    assert frames(rest.folder / "video_0.mp4") == 45


def test_a_batch_writes_a_video_each(model, vae, output):
    take, latent, *_ = roll(model, vae=vae, batch_size=2)
    assert latent["samples"].shape[0] == 2
    assert [frames(take.folder / f"video_{i}.mp4") for i in range(2)] == [29, 29]


def test_a_take_starts_from_an_image(model, vae, output):
    image = torch.rand(1, 24, 40, 3, generator=torch.Generator().manual_seed(0))
    _, latent, images, *_ = roll(model, vae=vae, start_image=image, last_frames=29)
    still = latent["samples"][:, :, :2]
    torch.testing.assert_close(images[:5], vae.decode(still)[0], atol=0.6 / 255, rtol=0)
    other = roll(model, vae=vae, start_image=1 - image)[1]["samples"]
    assert (other[:, :, 2:] - latent["samples"][:, :, 2:]).abs().max() > 1e-3


def test_longlive_2_keeps_a_still_as_its_first_frame(output, tmp_path):
    import comfy.sd

    from tiny import wan

    save_file(wan_weights(channels=48), str(tmp_path / "5b.safetensors"))
    model = load_patcher(tmp_path / "5b.safetensors", model_options={"dtype": torch.float32})
    vae = comfy.sd.VAE(sd=wan.taehv(48)[0], dtype=torch.float32)
    settings = dataclasses.replace(PRESETS["LongLive 2.0, 2 steps"], window=6, sink=2, block=2)
    image = torch.rand(1, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    inputs = {"settings": settings, "width": 32, "height": 32, "length": 13, "vae": vae}
    latents = roll(model, start_image=image, **inputs)[1]["samples"]
    torch.testing.assert_close(latents[:, :, :1], vae.encode(image), atol=1e-5, rtol=0)
    assert (latents - roll(model, **inputs)[1]["samples"])[:, :, 1:].abs().max() > 1e-3


def test_causal_forcing_goes_frame_by_frame_without_a_bound(model, output):
    settings = PRESETS["Causal-Forcing, frame by frame"]
    latents = roll(model, settings=settings, length=17)[1]["samples"]
    assert latents.shape[2] == 5
    assert torch.equal(roll(model, settings=dataclasses.replace(settings, window=5), length=17)[1]["samples"], latents)


def test_fp8_weights_are_computed_and_cached_in_the_models_precision(model_file, model, output):
    fp8 = load_patcher(model_file, model_options={"dtype": torch.float8_e4m3fn})
    latents = roll(fp8)[1]["samples"]
    exact = roll(model)[1]["samples"]
    error = (latents - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 1e-3 < error < 0.5


def test_another_lora_strength_is_refused_by_a_take(model, output, tmp_path):
    key = "base_model.model.blocks.0.ffn.0"
    parts = {f"{key}.lora_A.weight": torch.ones(2, 128), f"{key}.lora_B.weight": torch.ones(64, 2)}
    save_file(parts, str(tmp_path / "lora.safetensors"))
    half, whole = (apply_lora(model, tmp_path / "lora.safetensors", strength)[0] for strength in (0.5, 1.0))
    take, latent, *_ = roll(half)
    assert not torch.equal(latent["samples"], roll(whole)[1]["samples"])
    with pytest.raises(ValueError, match="another model or LoRA"):
        go_on(take, whole)
    assert go_on(take, half)[0].finished() == 12


class Words:
    """A text encoder that keeps the words it was given."""

    def tokenize(self, text):
        return text

    def encode_from_tokens_scheduled(self, text):
        return [[tiny_prompts()[:1], {"pooled_output": text}]]


@pytest.mark.parametrize(
    ("format", "preset", "starts", "texts"),
    [
        ("LongLive 1.0 JSONL", "LongLive 1.0", [0, 42], ["a", "b"]),
        ("LongLive 2.0 shots", "LongLive 2.0, 4 steps", [0, 16], ["a", "The scene transitions. b"]),
    ],
)
def test_schedules_come_from_files_of_the_input_folder(format, preset, starts, texts, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (tmp_path / "switch.jsonl").write_text(json.dumps({"prompts": ["a", "b"]}))
    (tmp_path / "shots").mkdir()
    for i, caption in enumerate("ab"):
        (tmp_path / "shots" / f"{i}.json").write_text(json.dumps({"caption": caption}))
    name = "switch.jsonl" if "JSONL" in format else "shots"
    schedule = LongLivePromptSchedule.execute(Words(), name, PRESETS[preset], format, "40", 1, 2).args[0]
    assert [extra["longlive_segment"]["start"] for _, extra in schedule] == starts
    assert [extra["pooled_output"] for _, extra in schedule] == texts
    with pytest.raises(ValueError, match=f"'nothing' is no (file|folder) in the {tmp_path.name} folder"):
        LongLivePromptSchedule.execute(Words(), "nothing", PRESETS[preset], format, "40", 1, 2)


def test_a_prompt_changed_after_20_seconds_leaves_the_first_20_as_they_were(model, vae, output):
    """Latents and frames before the change, at 16 frames a second; both takes end shortly after it."""
    from oner.longlive.conditioning import schedule_conditioning
    from oner.longlive.schedule import parse_prompts, place_prompts

    settings = Settings(window=12, sink=4, block=4, steps=1)
    takes = []
    for words, new in (("b", 1), ("c", 2)):
        placed, _ = place_prompts(parse_prompts(f"0s: a\n20s: {words}"), settings.block, settings.fps)
        positive = schedule_conditioning(placed, [prompt(0), prompt(new)], settings.block)
        takes.append(roll(model, vae=vae, positive=positive, settings=settings, length=349)[0])
    change = placed[1].start
    assert (4 * change - 3) / 16 >= 20
    one, two = (take.latents() for take in takes)
    assert torch.equal(one[:, :, :change], two[:, :, :change])
    assert not torch.equal(one[:, :, change:], two[:, :, change:])
    size = fragment_ends(takes[0].folder / "video_0.mp4")[change // settings.block]
    files = [(take.folder / "video_0.mp4").read_bytes()[:size] for take in takes]
    metadata = fragment_ends(takes[0].folder / "video_0.mp4")[0]
    assert files[0][metadata:] == files[1][metadata:]


def test_video_to_video_stays_nearer_with_less_denoise(model, output):
    source = roll(model, seed=1)[1]
    near = roll(model, seed=2, source=source, denoise=0.85)[1]["samples"]
    far = roll(model, seed=2)[1]["samples"]
    assert (near - source["samples"]).abs().mean() < (far - source["samples"]).abs().mean()


def test_guidance_needs_a_negative_and_works_with_one(model, output):
    guided = roll(model, cfg=3.0, negative=prompt(2))[1]["samples"]
    assert (guided - roll(model)[1]["samples"]).abs().max() > 1e-2


def test_global_randomness_is_left_alone(model, vae, output):
    before = torch.get_rng_state()
    roll(model, vae=vae)
    assert torch.equal(torch.get_rng_state(), before)


def test_cancelling_keeps_and_continues_a_take(model, vae, output, monkeypatch):
    whole = roll(model, vae=vae, length=45)[0]
    latents, sampler = output / "cancelled_00001" / LATENTS, threading.current_thread()
    sampled = 6 * whole.latents()[:, :, :1].numel() * 4  # bytes: decoding lags, so its files do not tell the moment

    def interrupt():
        if threading.current_thread() is sampler and latents.exists() and latents.stat().st_size == sampled:
            raise comfy.model_management.InterruptProcessingException

    with monkeypatch.context() as patch:
        patch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", interrupt)
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            roll(model, vae=vae, length=45, filename_prefix="cancelled")
    take = LongLiveLoadTake.execute("cancelled_00001").args[0]
    assert take.finished() == 6
    assert frames(take.folder / "video_0.mp4") == 4 * 6 - 3
    rest = go_on(take, model, vae=vae)[0]
    assert torch.equal(rest.latents(), whole.latents())
    assert (rest.folder / "video_0.mp4").read_bytes() == (whole.folder / "video_0.mp4").read_bytes()


def test_cancelling_before_the_first_block_leaves_nothing(model, vae, output, monkeypatch):
    def interrupt():
        if output.exists():
            raise comfy.model_management.InterruptProcessingException

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", interrupt)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        roll(model, vae=vae)
    assert not list(output.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 30}, "length is 30; blocks of 2 latent frames make 29 or 37"),
        ({"length": 33}, "use one of these"),
        ({"width": 20}, "20x16 is not a multiple of 8: use 16x16"),
        ({"cfg": 2.0}, "cfg is 2: connect negative"),
        ({"negative": prompt()}, "negative has no effect at cfg 1"),
        ({"denoise": 0.5}, "there is no source"),
        ({"source": {"samples": torch.zeros(1, 16, 3, 2, 2)}}, r"source is \(3, 2, 2\) latents"),
        ({"start_image": torch.zeros(1, 16, 16, 3)}, "start_image needs the VAE"),
        ({"settings": Settings(window=6, sink=2, block=2, channels=48)}, "16 latent channels, the preset is for 48"),
        ({"settings": Settings(window=4, sink=6, block=2)}, "sink is 6 and window 4"),
        ({"compile": True, "settings": Settings(window=-1, sink=0, block=2)}, "compile needs a bounded window"),
        ({"cuda_graphs": True, "settings": Settings(window=-1, sink=0, block=2)}, "cuda_graphs needs a bounded window"),
        ({"cuda_graphs": True, "cache_storage": "int8"}, "cache_storage is int8 and cache_device gpu"),
        ({"cuda_graphs": True, "cache_device": "cpu"}, "cache_storage is model and cache_device cpu"),
        ({"cuda_graphs": True}, "needs a CUDA device, the model is on cpu"),
        ({"positive": prompt() + prompt()}, "2 prompts at once"),
    ],
)
def test_bad_input_is_explained_and_leaves_nothing(change, message, model, output):
    with pytest.raises(ValueError, match=message):
        roll(model, **change)
    assert not output.exists() or not list(output.iterdir())


def test_the_budget_counts_the_cache(model, output):
    words = LongLiveBudget.execute(model, SETTINGS, 1024, 1024, 29, 1, "model", "gpu").args[0]
    expected = 2 * 6 * 64 * 64 * 128 * 4 * 2  # k and v, window, tokens, width, float32, layers
    assert f"cache on the device: {expected / 1024**3:.2f} GiB" in words
    assert "VAE" not in words


def test_the_budget_counts_the_vae_and_the_peak(model, vae, output):
    words = LongLiveBudget.execute(model, SETTINGS, 1024, 1024, 29, 1, "model", "gpu", vae).args[0]
    history = history_bytes(vae, 1, 128, 128)
    assert f"VAE history: {history / 1024**3:.2f} GiB" in words
    assert "peak on the device" in words
