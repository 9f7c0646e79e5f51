"""Takes that run for long, or are killed on the way."""

import gc
import os
import random
import signal
import subprocess
import sys

import av
import pytest
import torch
from safetensors.torch import save_file

from harness.causal import tiny_prompts, tiny_recorder, tiny_vae, wan_weights
from harness.pack import ROOT
from oner.longlive.loader import load_patcher
from oner.longlive.presets import Settings
from oner.longlive.rollout import Segment
from oner.longlive.take import LATENTS, Take, make
from oner.utils.media import fragment_ends


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "causal.safetensors"
    save_file(wan_weights(), str(path))
    return path


@pytest.fixture(scope="module")
def model(model_file):
    with torch.inference_mode():
        return load_patcher(model_file, model_options={"dtype": torch.float32})


def frames(path):
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


@pytest.mark.parametrize("relative", [False, True])
def test_a_thousand_blocks_take_the_memory_of_twenty(relative, model, tmp_path):
    """One run: memory and cache at the end are those near the start, and the file is whole."""
    settings = Settings(window=3, sink=1, block=1, steps=1, relative=relative)
    recorder = tiny_recorder(
        tmp_path / "long", model, [Segment(0, tiny_prompts()[:1])], settings, vae=None if relative else tiny_vae()
    )
    recorder.start()
    resident = {}

    def measure(_block):
        done = recorder.rollout.next_frame
        if done in (20, 1000):
            recorder.flush()  # a block that is still being decoded holds tensors
            gc.collect()
            tensors = sum(t.nbytes for t in gc.get_objects() if type(t) is torch.Tensor)
            resident[done] = tensors, recorder.rollout.streams[0].cache.nbytes(), resident_bytes()
        assert len(recorder.rollout.history) <= 3

    make(recorder, 1000, checkpoint_blocks=300, on_block=measure)
    for early, late in zip(resident[20], resident[1000], strict=True):
        assert late <= early * 1.02
    assert recorder.rollout.table.held_frames() == [0, 998, 999]
    assert relative or frames(tmp_path / "long" / "video_0.mp4") == 3997


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def child(model_file, folder, blocks, *source):
    return subprocess.Popen(
        [sys.executable, "-m", "harness.causal", str(model_file), str(folder), str(blocks), *source],
        cwd=ROOT / "scripts",
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_take_keeps_its_blocks_and_goes_on_bit_for_bit(model_file, tmp_path):
    stop = random.randrange(2, 7)
    process = child(model_file, tmp_path / "killed", 40)
    for line in process.stdout:
        if line.startswith(f"block {stop}"):
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    video = tmp_path / "killed" / "video_0.mp4"
    finished = len(fragment_ends(video)) - 1
    assert finished >= stop
    assert frames(video) == 8 * finished - 3
    state = Take(tmp_path / "killed").finished() // 2
    assert stop - 2 <= state <= finished
    rest = child(model_file, tmp_path / "rest", 12 - state, str(tmp_path / "killed"))
    whole = child(model_file, tmp_path / "whole", 12)
    assert rest.wait(120) == whole.wait(120) == 0
    for name in (LATENTS, "video_0.mp4"):
        assert (tmp_path / "rest" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
