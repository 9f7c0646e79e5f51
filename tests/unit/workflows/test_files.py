"""The files in workflows/: current, complete, and as the template browser wants them."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from harness.pack import ROOT
from workflows import load_all
from workflows.builder import split_target

WORKFLOWS = load_all()
each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)


def ui_file(workflow) -> dict:
    return json.loads((ROOT / "workflows" / f"{workflow.name}.json").read_text())


def test_folder_holds_the_files_of_the_modules_and_no_others():
    expected = {f"{workflow.name}{ending}" for workflow in WORKFLOWS for ending in (".json", ".jpg")}
    assert {path.name for path in (ROOT / "workflows").iterdir() if path.is_file()} == expected
    assert {path.stem for path in (ROOT / "workflows" / "api").iterdir()} == {workflow.name for workflow in WORKFLOWS}


@each_workflow
def test_api_file_is_what_the_module_builds(workflow):
    text = (ROOT / "workflows" / "api" / f"{workflow.name}.json").read_text()
    assert text == json.dumps(workflow.prompt, indent=2, sort_keys=True) + "\n"


@each_workflow
def test_ui_file_says_where_each_node_and_model_comes_from(workflow):
    nodes = {str(node["id"]): node for node in ui_file(workflow)["nodes"]}
    for id, node in workflow.prompt.items():
        properties = nodes[id]["properties"]
        assert properties["cnr_id"] == ("oner" if node["class_type"].startswith("Oner") else "comfy-core")
        assert properties["ver"]
    for target, model in workflow.models.items():
        if not model.url:
            continue
        node, widget = split_target(target)
        expected = {"name": workflow.prompt[node]["inputs"][widget], "url": model.url, "directory": model.directory}
        assert expected in nodes[node]["properties"]["models"]
        assert model.url.endswith(expected["name"])


@each_workflow
def test_ui_file_has_the_outputs_of_our_nodes_as_they_are(workflow):
    declared = json.loads((ROOT / "tests" / "golden" / "nodes.json").read_text())
    for node in ui_file(workflow)["nodes"]:
        if node["type"] in declared:
            assert [output["type"] for output in node["outputs"]] == declared[node["type"]]["outputs"], node["type"]


@each_workflow
def test_ui_file_has_a_note_and_a_group_for_every_stage(workflow):
    ui = ui_file(workflow)
    assert [group["title"] for group in ui["groups"]] == list(workflow.groups)
    assert any(node["type"] == "MarkdownNote" and workflow.title in node["widgets_values"][0] for node in ui["nodes"])


@each_workflow
def test_ui_file_keeps_seeds_and_no_view(workflow):
    ui = ui_file(workflow)
    assert "ds" not in ui["extra"]
    assert not any("randomize" in (node.get("widgets_values") or []) for node in ui["nodes"])


@each_workflow
def test_thumbnail_is_small_and_16_to_9(workflow):
    path = ROOT / "workflows" / f"{workflow.name}.jpg"
    assert path.stat().st_size <= 100_000
    with Image.open(path) as image:
        assert image.width * 9 == image.height * 16
