"""The in-process executor says what ran and what went wrong."""

from __future__ import annotations

import pytest
import torch

from harness.server import WorkflowError


def save_image(**inputs):
    frames = {"width": 64, "height": 32, "batch_size": 1, "color": 0xFF0000, **inputs}
    return {
        "frames": {"class_type": "EmptyImage", "inputs": frames, "_meta": {"title": "Frames"}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["frames", 0], "filename_prefix": "red"}},
    }


def test_result_has_node_outputs_and_files(executor):
    result = executor.run(save_image())
    assert torch.equal(result.output("frames")[0, 0, 0], torch.tensor([1.0, 0.0, 0.0]))
    assert [path.suffix for path in result.files] == [".png"]
    assert result.files[0].exists()


def test_refused_input_names_node_and_widget(executor):
    with pytest.raises(WorkflowError, match=r"Frames \(EmptyImage, frames\): .*height"):
        executor.run(save_image(height="tall"))


def test_failing_node_is_named_with_its_message(executor):
    prompt = save_image()
    prompt["save"]["inputs"]["filename_prefix"] = "../../outside"
    with pytest.raises(WorkflowError, match=r"\(SaveImage, save\): .*outside the output folder"):
        executor.run(prompt)


def test_pack_is_loaded_as_a_user_loads_it(executor):
    import nodes

    assert "OnerLTXSigmaPreset" in nodes.NODE_CLASS_MAPPINGS
