"""Every shipped workflow, executed in the real ComfyUI on tiny checkpoints."""

import re

import pytest

from harness.fingerprint import fingerprint
from harness.schemas import node_list
from harness.server import WorkflowError
from workflows import load_all

DECODERS = {  # slot compared
    "VAEDecode": 0,
    "VAEDecodeTiled": 0,
    "LTXVAudioVAEDecode": 0,
    "OnerLongLiveRollout": 1,
    "OnerWindowedSampler": 2,
    "OnerMatchDrift": 0,
    "OnerJoinVideos": 1,
}
WORKFLOWS = {workflow.name: workflow for workflow in load_all()}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_makes_its_video_the_same_twice_and_writes_into_nothing(name, executor, written, forwards):
    workflow = WORKFLOWS[name]
    if not workflow.runs_here:
        assert_refused(workflow, executor)
        assert forwards == []
        return
    written.clear()
    first, second = executor.run(workflow.tiny_prompt()), executor.run(workflow.tiny_prompt())
    assert written == []
    shown = [path for path in first.files if path.suffix not in (".latent", ".json")]
    *images, result = sorted(shown, key=lambda path: path.suffix == ".mp4")
    workflow.tiny_result.check(result)
    if workflow.tiny_images:
        workflow.tiny_images.check(images)
    else:
        assert images == []
    slots = {id: DECODERS[n["class_type"]] for id, n in workflow.prompt.items() if n["class_type"] in DECODERS}
    assert slots
    one, two = ({id: fingerprint(run.output(id, slot)) for id, slot in slots.items()} for run in (first, second))
    assert one == two
    for file in first.files + second.files:
        file.unlink()


def assert_refused(workflow, executor):
    """A ComfyUI that is too old for a workflow says which one it needs."""
    with pytest.raises(WorkflowError, match=rf"Update ComfyUI to {re.escape(workflow.core)} or newer"):
        executor.run(workflow.tiny_prompt())


def test_every_node_of_the_pack_is_used_by_a_workflow():
    used = {node["class_type"] for workflow in WORKFLOWS.values() for node in workflow.prompt.values()}
    assert {node.define_schema().node_id for node in node_list()} <= used


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_uses_only_core_nodes_and_ours(name, executor):
    import nodes

    for node in WORKFLOWS[name].prompt.values():
        module = getattr(nodes.NODE_CLASS_MAPPINGS[node["class_type"]], "RELATIVE_PYTHON_MODULE", "nodes")
        assert module == "nodes" or module.startswith(("comfy_extras.", "custom_nodes.")), node["class_type"]
