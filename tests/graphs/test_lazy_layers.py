"""Graphs where core's layers have no weights until a file is loaded, as with dynamic VRAM, ComfyUI's default on NVIDIA.

Dynamic VRAM itself needs a GPU; here only its layers are turned on, and files are read as on a CPU. A layer of the pack
that no file fills, and that runs, fails.
"""

import sys

import comfy.memory_management
import comfy.ops
import comfy.utils
import pytest
from safetensors import safe_open

from harness.fingerprint import fingerprint
from harness.pack import core_is_at_least
from workflows import load

WORKFLOWS = {
    "LTX_2.3_Distilled_Text_to_Video": ["stage_1", "stage_2", "decode_audio"],
    "LTX-Video_0.9.8_Distilled_Text_to_Video": ["decode"],
    "Wan_2.2_Lightning_4_Steps": ["decode"],
    "Wan_2.2_5B_Fun_Camera": ["sample"],
    "LongLive_1.0_Continue": ["continue"],
}


def read(path: str) -> tuple[dict, dict]:
    """What core's reader for dynamic VRAM gives."""
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118 - not a dict


@pytest.mark.parametrize("name", WORKFLOWS)
def test_results_are_the_same(name, executor, monkeypatch):
    prompt = load(name).tiny_prompt()

    def run():
        result = executor.run(prompt)
        for file in result.files:
            file.unlink()
        return [fingerprint(result.output(node)) for node in WORKFLOWS[name]]

    expected = run()
    monkeypatch.setattr(comfy.memory_management, "aimdo_enabled", True)
    monkeypatch.setattr(comfy.utils, "load_safetensors", read)
    for module in [m for name, m in sys.modules.items() if name.endswith("ltx2.block_choice")]:
        module.is_right.cache_clear()  # as in a new process; ComfyUI names the pack by its path
    if not core_is_at_least("0.30.0"):
        pytest.skip("the layers of ComfyUI before 0.30 have weights from the start")
    assert comfy.ops.disable_weight_init.Linear(2, 2).weight is None, "no longer lazy: this test tests nothing"
    assert run() == expected
