"""Every shipped workflow as a user meets it: in the real frontend, from the template browser, with node help."""

from __future__ import annotations

import copy
import json
import urllib.request

import pytest

from harness.browser import goto, load_workflow, queue_and_wait, screenshot, set_widget
from harness.pack import ROOT
from harness.server import Client, output_files
from workflows import load_all
from workflows.builder import split_target

pytestmark = pytest.mark.browser
WORKFLOWS = load_all()
DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
SCREENSHOTS = ROOT / ".artifacts" / "screenshots"


def get_json(url: str):
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def save_video(server):
    """What the running release says of the inputs of SaveVideo."""
    return get_json(f"{server.url}/object_info/SaveVideo")["SaveVideo"]["input"]


@pytest.fixture(scope="module")
def load(page):
    """Load a workflow's committed UI file once; later tests share what the frontend said."""
    loaded = {}

    def load(workflow):
        if workflow.name not in loaded:
            ui = json.loads((ROOT / "workflows" / f"{workflow.name}.json").read_text())
            loaded[workflow.name] = load_workflow(page, ui, workflow.name)
            screenshot(page, SCREENSHOTS / f"{workflow.name}.png")
        return loaded[workflow.name]

    return load


each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)


@each_workflow
def test_workflow_loads_without_alerts(load, workflow):
    assert load(workflow).alerts == []


@each_workflow
def test_workflow_has_no_unknown_node(load, workflow):
    assert load(workflow).missing_nodes == []


@each_workflow
def test_every_missing_model_has_a_download_link_or_is_named_in_the_note(load, workflow):
    unlinked = [model["name"] for model in load(workflow).missing_models if "/resolve/" not in model["url"]]
    assert [name for name in unlinked if name not in workflow.how_to] == []


@each_workflow
def test_workflow_queues_the_committed_api_prompt(load, save_video, workflow):
    prompt = json.loads((ROOT / "workflows" / "api" / f"{workflow.name}.json").read_text())
    assert load(workflow).prompt == in_words_of(save_video, prompt)


def in_words_of(save_video, prompt):
    """A prompt as the running release names the codec of SaveVideo, which is the same choice under another name.

    `save_video` is what the release says of the node's inputs. Files are written for 0.30, which has `codec` and
    `codec.encoding`; 0.31 put both below `format` and keeps a hidden `codec`, 0.26 has no settings of a codec.
    """
    for node in (node for node in prompt.values() if node["class_type"] == "SaveVideo"):
        kept = {name: value for name, value in node["inputs"].items() if name.split(".")[0] != "codec"}
        codec = {name: value for name, value in node["inputs"].items() if name not in kept}
        if save_video["required"]["format"][0] == DYNAMIC:
            codec = {f"format.{name}": value for name, value in codec.items()} | {"codec": "auto"}
        elif save_video["required"]["codec"][0] != DYNAMIC:
            codec = {"codec": codec["codec"]}
        node["inputs"] = kept | codec
    return prompt


def test_lane_sees_planted_faults(page):
    ui = json.loads((ROOT / "workflows" / f"{WORKFLOWS[0].name}.json").read_text())
    unknown, unsound, shifted = (copy.deepcopy(ui) for _ in range(3))
    unknown["nodes"][0]["type"] = "OnerNoSuchNode"
    del unsound["nodes"][0]["flags"]
    node = next(node for node in shifted["nodes"] if len(node["widgets_values"]) > 1 and str(node["id"]) != "note_1")
    node["widgets_values"].pop(0)
    assert load_workflow(page, unknown, "unknown").missing_nodes == ["OnerNoSuchNode"]
    assert load_workflow(page, unsound, "unsound").alerts
    assert load_workflow(page, shifted, "shifted").prompt != WORKFLOWS[0].prompt


def test_first_workflow_runs_from_its_template_link_to_a_video(server, page):
    workflow = WORKFLOWS[0]
    goto(page, f"{server.url}/?template={workflow.name}&source=oner")
    page.wait_for_function(
        "ids => ids.every(id => app.graph.nodes.some(n => String(n.id) === id))", arg=list(workflow.prompt)
    )
    for target, value in workflow.tiny.items():
        set_widget(page, *split_target(target), value)
    prompt_id = queue_and_wait(page)
    saved = output_files(Client(server.url).history(prompt_id)["outputs"], server.output)
    workflow.tiny_result.check(saved[0])


def test_template_browser_lists_every_workflow_with_a_thumbnail(server):
    listed = get_json(f"{server.url}/api/workflow_templates")["oner"]
    assert sorted(listed) == sorted(workflow.name for workflow in WORKFLOWS)
    for name in listed:
        with urllib.request.urlopen(f"{server.url}/api/workflow_templates/oner/{name}.jpg") as answer:
            assert answer.headers.get_content_type() == "image/jpeg"


def test_every_node_has_a_help_page(server):
    nodes = [name for name in get_json(f"{server.url}/object_info") if name.startswith("Oner")]
    assert nodes
    for name in nodes:
        with urllib.request.urlopen(f"{server.url}/extensions/oner/docs/{name}.md") as answer:
            assert answer.read().strip()


def test_node_is_found_by_a_search_alias(page):
    found = page.evaluate("""() => {
        const stores = document.querySelector('#vue-app').__vue_app__.config.globalProperties.$pinia._s
        return stores.get('nodeDef').nodeSearchService.searchNode('distilled sigmas').map(node => node.name)
    }""")
    assert "OnerLTXSigmaPreset" in found
