"""The real server under the client: what a user of the HTTP API sees."""

from __future__ import annotations

import pytest

from harness import server as harness_server
from harness.server import Client, Progress, WorkflowError, WorkflowInterrupted, output_files, run_server
from workflows import load_all

WORKFLOW = load_all()[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("base")
    WORKFLOW.write_tiny_models(base / "models")
    with run_server(base) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with Client(server.url) as connected:
        yield connected


def test_prompt_over_http_becomes_the_promised_video_with_progress(server, client):
    seen: list[Progress] = []
    outputs = client.run(WORKFLOW.tiny_prompt(), seen.append)
    WORKFLOW.tiny_result.check(output_files(outputs, server.output)[0])
    titles = {node["_meta"]["title"] for node in WORKFLOW.prompt.values()}
    assert {progress.title for progress in seen} <= titles
    assert {progress.total for progress in seen} == {len(WORKFLOW.prompt)}
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert done[-1] == len(WORKFLOW.prompt) - 1  # while its last node runs


def test_refused_prompt_says_which_node(client):
    with pytest.raises(WorkflowError, match="OnerNoSuchNode"):
        client.run({"odd": {"class_type": "OnerNoSuchNode", "inputs": {}}})


@pytest.mark.parametrize("old_id", ["Set VAE Decoder Noise", "LTXVLatentUpsamplerModelLoader"])
def test_an_old_id_without_title_and_inputs_is_refused_in_a_sentence(client, old_id):
    show = {"class_type": "PreviewAny", "inputs": {"source": ["old", 0]}}
    with pytest.raises(WorkflowError, match=rf"\({old_id}, old\): Required input is missing"):
        client.run({"old": {"class_type": old_id, "inputs": {}}, "show": show})


def test_half_valid_prompt_is_refused_and_not_queued(client):
    frames = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}}
    save = {"class_type": "SaveImage", "inputs": {"images": ["frames", 0], "filename_prefix": "half"}}
    broken = {"class_type": "SaveImage", "inputs": {"filename_prefix": "half"}}
    with pytest.raises(WorkflowError, match=r"\(SaveImage, broken\): .*images"):
        client.run({"frames": frames, "save": save, "broken": broken})


def test_failing_node_is_named_with_its_message(client):
    frames = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}}
    save = {"class_type": "SaveImage", "inputs": {"images": ["frames", 0], "filename_prefix": "../../outside"}}
    with pytest.raises(WorkflowError, match=r"\(SaveImage, save\): .*outside the output folder"):
        client.run({"frames": frames, "save": save})


def test_interrupted_prompt_raises(client):
    prompt = {"0": {"class_type": "EmptyImage", "inputs": {"width": 512, "height": 512, "batch_size": 4, "color": 9}}}
    for step in range(1, 60):  # each takes a moment, and ComfyUI looks for an interrupt before each
        inputs = {"image": [str(step - 1), 0], "blur_radius": 15, "sigma": 3.0}
        prompt[str(step)] = {"class_type": "ImageBlur", "inputs": inputs}
    prompt["save"] = {"class_type": "SaveImage", "inputs": {"images": ["59", 0], "filename_prefix": "blurred"}}
    prompt_id = client.queue(prompt)
    with pytest.raises(WorkflowInterrupted):
        client.follow(prompt_id, lambda progress: client.interrupt(prompt_id))


def test_server_that_dies_at_start_shows_the_end_of_its_log(tmp_path, monkeypatch):
    (tmp_path / "main.py").write_text("raise SystemExit('no room on this machine')")
    monkeypatch.setattr(harness_server, "find_comfy", lambda: tmp_path)
    with pytest.raises(RuntimeError, match="no room on this machine"), run_server():
        pass


def test_server_is_gone_after_its_block(tmp_path, monkeypatch):
    (tmp_path / "main.py").write_text(f"import time\nprint({harness_server.READY!r}, flush=True)\ntime.sleep(600)")
    monkeypatch.setattr(harness_server, "find_comfy", lambda: tmp_path)
    with run_server() as running:
        assert running.process.poll() is None
    assert isinstance(running.process.returncode, int)
