"""Every loader node on every kind of damaged file: a sentence that names the file, and no code is run from it."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import folder_paths
import pytest
import torch
from safetensors.torch import save_file

from harness import damage
from harness.base import throw_away
from harness.causal import tiny_prompts, tiny_vae, wan_weights
from harness.executor import use_base
from harness.raised import on_purpose
from oner.longlive.presets import Settings
from oner.nodes.any.text_encoders import TextEncoderLoader
from oner.nodes.legacy_ltxvideo import loaders as old
from oner.nodes.longlive.loader import LongLiveLoader
from oner.nodes.longlive.rollout import LongLiveContinue, LongLiveRollout
from oner.nodes.longlive.schedule import JSONL, SHOTS, LongLivePromptSchedule
from oner.nodes.longlive.takes import LongLiveForkTake, LongLiveLoadTake
from oner.nodes.ltx.loaders import LTXICLoRALoader, LTXModelLoader
from oner.nodes.wan.camera import WanCameraPathFromText
from oner.nodes.wan.camera_5b import Wan5BCameraLoader
from oner.nodes.wan.lora import LoraSchedule, WanLoraLoader
from oner.nodes.wan.recipes import WanGPImport
from tiny import write_models

pytestmark = pytest.mark.once

HIDDEN = SimpleNamespace(prompt={"1": {}}, extra_pnginfo={})
SETTINGS = Settings(window=6, sink=2, block=2, steps=1)
NAMES = [
    "ltx-2.3",
    "ltx-vae",
    "ltx-2.5-audio-vae",
    "upscaler-x2",
    "ic-lora-ltx-2.3",
    "lora-wan",
    "wan-t2v",
    "wan-camera-5b",
    "gemma-3",
    "t5",
    "umt5",
]


class Rollout(LongLiveRollout):
    hidden = HIDDEN


class Continue(LongLiveContinue):
    hidden = HIDDEN


@pytest.fixture(scope="module")
def base():
    """A base directory with a whole file of every kind, each also as a copy called `broken`, which tests damage."""
    import torch

    with throw_away() as folder, torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        place = Path(folder)
        for name in ("output", "input", "temp", "user"):
            (place / name).mkdir()
            patch.setattr(folder_paths, f"{name}_directory", getattr(folder_paths, f"{name}_directory"), raising=False)
        paths = write_models(place / "models", NAMES)
        weights = wan_weights()
        save_file(weights, place / "models/diffusion_models/causal.safetensors")
        torch.save({"generator": weights}, place / "models/diffusion_models/causal.pt")
        layers = ("blocks.0.self_attn.q", "blocks.1.cross_attn.o")
        torch.save(
            {
                f"{layer}.lora_{m}.weight": torch.ones(2, 128).T if m == "B" else torch.ones(2, 128)
                for layer in layers
                for m in "AB"
            },
            place / "models/loras/causal-lora.pt",
        )
        for source, copy in COPIES.items():
            shutil.copy(paths.get(source, place / "models" / source), place / "models" / copy)
        for kind in ("gemma-3", "t5", "umt5"):
            shutil.copytree(paths[kind], place / f"models/text_encoders/broken-{kind}")
        use_base(place)
        write_inputs(place / "input")
        take = roll(load_causal()[0])
        shutil.copytree(place / "output/takes" / take, place / "output/takes/broken")
        yield place


COPIES = {
    "ltx-2.3": "checkpoints/broken.safetensors",
    "ltx-vae": "vae/broken.safetensors",
    "ltx-2.5-audio-vae": "vae/broken-audio.safetensors",
    "upscaler-x2": "latent_upscale_models/broken.safetensors",
    "ic-lora-ltx-2.3": "loras/broken.safetensors",
    "lora-wan": "loras/broken-wan.safetensors",
    "wan-camera-5b": "diffusion_models/broken-5b.safetensors",
    "diffusion_models/causal.safetensors": "diffusion_models/broken.safetensors",
    "diffusion_models/causal.pt": "diffusion_models/broken.pt",
    "loras/causal-lora.pt": "loras/broken-causal.pt",
}


def write_inputs(folder):
    import av

    settings = {"num_inference_steps": 4, "flow_shift": 5, "model": {"name": "x", "loras": []}}
    (folder / "broken.json").write_text(json.dumps(settings))
    with av.open(str(folder / "broken.mp4"), "w", format="mp4") as video:
        video.metadata["comment"] = json.dumps(settings)
        stream = video.add_stream("libx264", rate=8)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(2):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(torch.zeros(32, 32, 3, dtype=torch.uint8).numpy())))
        video.mux(stream.encode(None))
    pose = [0.5, 0.9, 0.5, 0.5, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    (folder / "broken-poses.json").write_text(json.dumps([pose, pose]))
    (folder / "broken.jsonl").write_text(json.dumps({"prompts": ["a", "b"]}))
    (folder / "shots").mkdir()
    (folder / "shots/0.json").write_text(json.dumps({"caption": "a fox"}))
    (folder / "shots/shot_durations.txt").write_text("2")


def load_causal(name="causal.safetensors", lora="none"):
    return LongLiveLoader.execute(name, lora, 1.0, "auto", "float32", "").args


def roll(model):
    prompt = [[tiny_prompts()[:1], {"pooled_output": None}]]
    return Rollout.execute(model, prompt, SETTINGS, 16, 16, 13, 5, 1.0, "t", vae=tiny_vae()).args[4]


def go_on(model, vae=None):
    take = LongLiveLoadTake.execute("broken").args[0]
    prompt = [[tiny_prompts()[:1], {"pooled_output": None}]]
    return Continue.execute(take, model, prompt, 21, "t", vae=vae)


class Clip:
    def tokenize(self, text):
        return text

    def encode_from_tokens_scheduled(self, tokens):
        return [[tiny_prompts()[:1], {"pooled_output": None}]]


def read_schedule(text, form):
    return LongLivePromptSchedule.execute(Clip(), text, SETTINGS, form, "40", 1, 4)


@pytest.fixture(scope="module")
def models(base):
    """The models that LoRAs are loaded onto, by family."""
    import comfy.sd

    with torch.inference_mode():
        ltx = LTXModelLoader.execute("tiny-ltx-2.3.safetensors").args[0]
        wan = comfy.sd.load_diffusion_model(str(base / "models/diffusion_models/tiny-wan-2.1-t2v-1.3b.safetensors"))
        return {"ltx": ltx, "wan": wan, "causal": load_causal()[0]}


CHECKPOINT = "tiny-ltx-2.3.safetensors"
# what is loaded -> (the file that is damaged, its node's call)
WEIGHTS = {
    "LTX Model Loader": (
        "models/checkpoints/broken.safetensors",
        lambda _: LTXModelLoader.execute("broken.safetensors"),
    ),
    "LTX Model Loader, VAE": (
        "models/vae/broken.safetensors",
        lambda _: LTXModelLoader.execute(CHECKPOINT, "broken.safetensors"),
    ),
    "LTX Model Loader, audio VAE": (
        "models/vae/broken-audio.safetensors",
        lambda _: LTXModelLoader.execute(CHECKPOINT, audio_vae_name="broken-audio.safetensors"),
    ),
    "LTX IC-LoRA Loader": (
        "models/loras/broken.safetensors",
        lambda models: LTXICLoRALoader.execute(models["ltx"], "broken.safetensors", 1.0),
    ),
    "Wan LoRA Loader": (
        "models/loras/broken-wan.safetensors",
        lambda models: WanLoraLoader.execute(models["wan"], "broken-wan.safetensors", 1.0, "none", 1.0, 1.0),
    ),
    "Wan LoRA Loader, low": (
        "models/loras/broken-wan.safetensors",
        lambda models: WanLoraLoader.execute(
            models["wan"], "tiny-wan-2.1-t2v-lora.safetensors", 1.0, "broken-wan.safetensors", 1.0, 1.0, models["wan"]
        ),
    ),
    "LoRA Schedule": (
        "models/loras/broken-wan.safetensors",
        lambda models: LoraSchedule.execute(
            models["wan"], "broken-wan.safetensors", "1", 1, 0.875, 0.5, "phase 2", 1.0
        ),
    ),
    "Wan 5B Camera Loader": (
        "models/diffusion_models/broken-5b.safetensors",
        lambda _: Wan5BCameraLoader.execute("broken-5b.safetensors", "default"),
    ),
    "LongLive Model Loader": (
        "models/diffusion_models/broken.safetensors",
        lambda _: load_causal("broken.safetensors"),
    ),
    "Text Encoder Loader, T5": (
        "models/text_encoders/broken-t5/model.safetensors",
        lambda _: TextEncoderLoader.execute("broken-t5", "ltx-video"),
    ),
    "Text Encoder Loader, UMT5": (
        "models/text_encoders/broken-umt5/model.safetensors",
        lambda _: TextEncoderLoader.execute("broken-umt5", "wan"),
    ),
    "Text Encoder Loader, Gemma": (
        "models/text_encoders/broken-gemma-3/model-00002-of-00002.safetensors",
        lambda _: TextEncoderLoader.execute("broken-gemma-3", "ltx-2", CHECKPOINT),
    ),
    "Text Encoder Loader, projection": (
        "models/checkpoints/broken.safetensors",
        lambda _: TextEncoderLoader.execute("tiny-gemma-3", "ltx-2", "broken.safetensors"),
    ),
    "LowVRAMCheckpointLoader": (
        "models/checkpoints/broken.safetensors",
        lambda _: old.LowVRAMCheckpointLoader.execute("broken.safetensors"),
    ),
    "LowVRAMAudioVAELoader": (
        "models/checkpoints/broken.safetensors",
        lambda _: old.LowVRAMAudioVAELoader.execute("broken.safetensors"),
    ),
    "LowVRAMLatentUpscaleModelLoader": (
        "models/latent_upscale_models/broken.safetensors",
        lambda _: old.LowVRAMLatentUpscaleModelLoader.execute("broken.safetensors"),
    ),
    "LTXVLatentUpsamplerModelLoader": (
        "models/latent_upscale_models/broken.safetensors",
        lambda _: old.LatentUpsamplerModelLoader.execute("broken.safetensors"),
    ),
    "LTXICLoRALoaderModelOnly": (
        "models/loras/broken.safetensors",
        lambda models: old.ICLoRALoaderModelOnly.execute(models["ltx"], "broken.safetensors", 1.0),
    ),
    "LTXVQ8LoraModelLoader": (
        "models/loras/broken.safetensors",
        lambda models: old.Q8LoraModelLoader.execute(models["ltx"], "broken.safetensors", 1.0),
    ),
}
PICKLES = {
    "LongLive Model Loader, pickle": ("models/diffusion_models/broken.pt", lambda _: load_causal("broken.pt")),
    "LongLive Model Loader, LoRA": ("models/loras/broken-causal.pt", lambda _: load_causal(lora="broken-causal.pt")),
}
TAKES = {
    "LongLive Load Take": ("output/takes/broken/take.safetensors", lambda _: LongLiveLoadTake.execute("broken")),
    "LongLive Fork Take": (
        "output/takes/broken/take.safetensors",
        lambda _: LongLiveForkTake.execute(LongLiveLoadTake.execute("broken").args[0], 5),
    ),
    "LongLive Continue Take": ("output/takes/broken/take.safetensors", lambda models: go_on(models["causal"])),
}
VIDEOS = {
    "LongLive Continue Take, video": (
        "output/takes/broken/video_0.mp4",
        lambda models: go_on(models["causal"], tiny_vae()),
    )
}
LATENTS = {
    "LongLive Continue Take, latents": ("output/takes/broken/latents.bin", lambda models: go_on(models["causal"]))
}
ENCODERS = {"gemma-3": ("ltx-2", CHECKPOINT), "t5": ("ltx-video",), "umt5": ("wan",)}
TOKENIZERS = {"gemma-3": "tokenizer.json", "t5": "tokenizer.json", "umt5": "spiece.model"}


def encoder(kind, file):
    def load(_):
        return TextEncoderLoader.execute(f"broken-{kind}", *ENCODERS[kind])

    return f"models/text_encoders/broken-{kind}/{file}", load


TEXTS = {
    **{f"Text Encoder Loader, {kind} config.json": encoder(kind, "config.json") for kind in ENCODERS},
    **{f"Text Encoder Loader, {kind} {file}": encoder(kind, file) for kind, file in TOKENIZERS.items()},
    "Text Encoder Loader, index": encoder("gemma-3", "model.safetensors.index.json"),
    "WanGP Import": ("input/broken.json", lambda _: WanGPImport.execute("broken.json", "")),
    "WanGP Import, video": ("input/broken.mp4", lambda _: WanGPImport.execute("broken.mp4", "")),
    "Wan Camera Path From Text": (
        "input/broken-poses.json",
        lambda _: WanCameraPathFromText.execute(0, file="broken-poses.json"),
    ),
    "LongLive Prompt Schedule, JSONL": ("input/broken.jsonl", lambda _: read_schedule("broken.jsonl", JSONL)),
    "LongLive Prompt Schedule, shots": ("input/shots/0.json", lambda _: read_schedule("shots", SHOTS)),
    "LongLive Prompt Schedule, durations": ("input/shots/shot_durations.txt", lambda _: read_schedule("shots", SHOTS)),
}
KINDS = (
    (WEIGHTS, damage.WEIGHTS),
    (PICKLES, damage.PICKLES),
    (TAKES, {kind: harm for kind, harm in damage.WEIGHTS.items() if kind not in damage.CONTENT}),
    (LATENTS, damage.LATENTS),
    (VIDEOS, damage.ANY),
    (TEXTS, damage.TEXTS),
)
CASES = [
    (f"{what} | {kind}", *loaded[what], harm)
    for loaded, harms in KINDS
    for what in loaded
    for kind, harm in harms.items()
]
# what is right of a file although it was damaged
FINE = {
    "LongLive Continue Take, video | missing",  # it is decoded anew
    "LongLive Continue Take, video | a folder",
    "LongLive Continue Take, video | a link to itself",
    "Text Encoder Loader, projection | the other half",  # a projection may have no bias
    "LongLive Continue Take, latents | zeros",
    "LongLive Prompt Schedule, durations | missing",
    "LongLive Prompt Schedule, durations | a number",
}


@pytest.fixture
def whole(base):
    """Copies of the files that a test damages, brought back after it."""
    kept: list[tuple[Path, bytes]] = []

    def keep(path):
        kept.append((path, path.read_bytes()))
        return path

    yield keep
    for path, content in kept:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        damage.canary_of(path).exists() and damage.canary_of(path).rmdir()


def outcome(load, models):
    folder_paths.filename_list_cache.clear()
    try:
        return load(models)
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("file", "load"),
    [case[1:3] for case in CASES if case[0].endswith("| empty")],
    ids=[case[0].removesuffix(" | empty") for case in CASES if case[0].endswith("| empty")],
)
def test_a_whole_file_is_loaded(base, models, file, load):
    assert (base / file).is_file()
    assert not isinstance(outcome(load, models), Exception)


@pytest.mark.parametrize(("name", "file", "load", "harm"), CASES, ids=[case[0] for case in CASES])
def test_a_damaged_file_is_named(base, models, whole, name, file, load, harm):
    path = whole(base / file)
    harm(path)
    result = outcome(load, models)
    assert not damage.canary_of(path).exists(), "code was run from the file"
    if name in FINE:
        assert not isinstance(result, Exception)
        return
    assert isinstance(result, ValueError), repr(result)
    assert on_purpose(result), repr(result)
    shown = str(result)
    assert str(base) not in shown, "the whole path"
    assert len(shown) < 600
    if not name.endswith(("missing", "a folder", "a link to itself")):
        assert path.name in shown or path.stem in shown or path.parent.name in shown, shown
        assert "choose one of" not in shown, shown
