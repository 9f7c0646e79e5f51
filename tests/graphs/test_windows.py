"""Films made window by window in the real ComfyUI: what is sampled again after an edit, a cancel or another setting."""

import hashlib
import shutil

import pytest
from torch.nn.modules.module import register_module_forward_pre_hook

from harness.media import probe
from harness.server import WorkflowError, WorkflowInterrupted
from workflows import load
from workflows.builder import substitute

NAME = "Wan_2.2_Long_Image_to_Video"
STEPS = 4


@pytest.fixture
def kept(executor):
    """The folder of finished windows, empty."""
    folder = executor.base / "user" / "__oner" / "windows"
    shutil.rmtree(folder, ignore_errors=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def prompt(**changes):
    """The tiny film of two windows, with a cache."""
    return substitute(load(NAME).tiny_prompt(), {"film.cache_gb": 1.0, **changes})


def film_of(run) -> bytes:
    (file,) = (path for path in run.files if path.suffix == ".mp4")
    data = file.read_bytes()
    file.unlink()
    return data


def test_only_what_changed_is_sampled_again(executor, forwards, kept):
    first = film_of(executor.run(prompt()))
    windows = len(list(kept.glob("*.safetensors")))
    a_run = len(forwards)
    assert windows == 2
    forwards.clear()
    assert film_of(executor.run(prompt())) == first
    assert forwards == []
    coarse = film_of(executor.run(prompt(**{"film.crf": 40})))
    assert forwards == []
    assert len(coarse) < len(first)
    executor.run(prompt(**{"plan.prompts": "0s: a cat\n1s: a horse"}))  # the second window's prompt
    assert len(forwards) == a_run // 2
    forwards.clear()
    executor.run(prompt(**{"plan.prompts": "0s: a horse\n1s: a horse"}))
    assert len(forwards) == a_run
    forwards.clear()
    executor.run(prompt(**{"sigmas.steps": STEPS + 1}))
    assert len(forwards) > a_run


def test_a_cancelled_film_goes_on_to_the_same_bytes(executor, forwards, kept):
    import comfy.model_management

    whole = film_of(executor.run(prompt()))
    a_run = len(forwards)
    shutil.rmtree(kept)
    forwards.clear()

    def interrupt(*_):
        if len(forwards) == STEPS + 2:  # in the second window
            comfy.model_management.interrupt_current_processing()

    hook = register_module_forward_pre_hook(interrupt)
    before = set((executor.base / "output" / "oner").glob("*.mp4"))
    with pytest.raises(WorkflowInterrupted, match="film"):
        executor.run(prompt())
    hook.remove()
    (partial,) = set((executor.base / "output" / "oner").glob("*.mp4")) - before
    assert probe(partial).length == 17  # the first window plays
    partial.unlink()
    forwards.clear()
    assert film_of(executor.run(prompt())) == whole
    assert len(forwards) == a_run // 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plan.prompts": "0s: a cat [/end=1]"}, r"asks for \[/end=1\], and end_images has 0"),
        ({"plan.prefix_frames": 5}, "prefix_video has 0 frames, and prefix_frames of Window Plan is 5"),
        ({"sigmas.denoise": 0.5}, "below full noise"),
        ({"film.carry": "latents"}, "drift changes frames"),
        ({"film.width": 72}, "width is 72"),
        ({"plan.prompts": "0s: a cat [/cfg=4]"}, "rules of its own for cfg"),
        ({"plan.prompts": "0s: a cat [/loras=1]"}, "has 0 scheduled LoRAs"),
    ],
)
def test_what_cannot_act_is_refused(change, words, executor, forwards, kept):
    with pytest.raises(WorkflowError, match=words):
        executor.run(prompt(**change))
    assert forwards == []
    assert not list(kept.glob("*"))


def pictures(path) -> list[str]:
    """A digest of each decoded frame of a file."""
    import av

    with av.open(str(path)) as file:
        return [
            hashlib.sha256(frame.to_ndarray(format="rgb24").tobytes()).hexdigest() for frame in file.decode(video=0)
        ]


ACTS = {  # another value of each input that changes frames
    "film.width": 96,
    "film.height": 96,
    "film.carry": "latents",
    "film.crossfade": 0,
    "film.crf": 40,
    "noise.noise_seed": 44,
    "drift.strength": 0.5,
    "drift.anchor": "first",
    "drift.fade": True,
    "drift.sharpness": "hold",
    "plan.prompts": "0s: a cat\n1s: a dog [/seed=+1]",
    "plan.overlap": 9,
    "plan.length": "33",
}


def test_every_control_acts(executor, kept):
    base = {"drift.mode": "Lab", "film.cache_gb": 1.0}
    seen = {}
    for name, value in {"": None, **ACTS}.items():
        changes = {**base, **({name: value} if name else {})}
        if name == "film.carry":
            changes["drift.mode"] = "latent AdaIN"
        (file,) = (path for path in executor.run(prompt(**changes)).files if path.suffix == ".mp4")
        seen[name] = tuple(pictures(file))
        file.unlink()
    assert len(set(seen.values())) == len(seen)
    run = executor.run(prompt(**{**base, "film.last_frames": 3, "film.filename_prefix": "oner/another"}))
    (file,) = run.files
    assert file.name.startswith("another_")
    assert run.output("film", 1).shape[0] == 3
    file.unlink()
    shutil.rmtree(kept)
    (file,) = executor.run(prompt(**{**base, "film.cache_gb": 0.0})).files
    assert not kept.exists()
    file.unlink()
