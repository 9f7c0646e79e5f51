"""An executor on a base directory full of tiny checkpoints, in which every node of the pack is watched."""

from __future__ import annotations

import os

import pytest

from harness.executor import Executor
from harness.fingerprint import fingerprint
from harness.pack import ROOT
from harness.schemas import node_list
from workflows import load_all


def watch(node: type, written: list[str]) -> type:
    """A node class that notes when `execute` has changed something it received."""

    class Watched(node):
        @classmethod
        def execute(cls, **inputs):
            before = {name: fingerprint(value) for name, value in inputs.items()}
            output = super().execute(**inputs)
            written.extend(f"{node.__name__}.{name}" for name in inputs if fingerprint(inputs[name]) != before[name])
            return output

    Watched.__name__ = Watched.__qualname__ = node.__name__
    return Watched


@pytest.fixture(scope="session")
def executor() -> Executor:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    base = ROOT / ".cache" / f"tiny{worker}"  # kept between runs: files that the same code wrote are not written again
    for workflow in load_all():
        workflow.write_tiny_models(base / "models")
        workflow.write_inputs(base / "input")
    return Executor(base)


@pytest.fixture(scope="session")
def written(executor) -> list[str]:
    """Inputs that some node of the pack wrote into, from all runs so far."""
    import nodes

    found: list[str] = []
    for node in node_list():
        node_id = node.define_schema().node_id
        nodes.NODE_CLASS_MAPPINGS[node_id] = watch(nodes.NODE_CLASS_MAPPINGS[node_id], found)
    return found


@pytest.fixture
def forwards():
    """Class names of the diffusion models called during the test, one entry a call."""
    from comfy.ldm.lightricks.model import LTXBaseModel
    from comfy.ldm.wan.model import WanModel
    from torch.nn.modules.module import register_module_forward_pre_hook

    calls: list[str] = []

    def note(module, _):
        if isinstance(module, (LTXBaseModel, WanModel)):
            calls.append(type(module).__name__)

    hook = register_module_forward_pre_hook(note)
    yield calls
    hook.remove()
