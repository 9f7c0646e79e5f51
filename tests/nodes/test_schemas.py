"""Every node keeps the house rules: ids, texts, ranges, help page, and the order of its widgets."""

import json
import re
from pathlib import Path

import pytest

from harness.pack import ROOT
from harness.schemas import node_list, summary

CATEGORIES = {
    "loaders",
    "conditioning",
    "guiders",
    "sampling",
    "sigmas",
    "latent",
    "video",
    "image",
    "audio",
    "patches",
    "utils",
}
NODES = {node["node_id"]: node for node in map(summary, node_list())}
CONTRACT = json.loads((ROOT / "tests" / "golden" / "nodes.json").read_text())
KEY = ("id", "type", "optional", "default", "options")


@pytest.fixture(params=NODES)
def node(request):
    return NODES[request.param]


def test_ids_are_unique_and_literal():
    assert len(NODES) == len(node_list())
    source = "".join(path.read_text() for path in (ROOT / "nodes").rglob("*.py"))
    assert all(f'node_id="{node_id}"' in source for node_id in NODES)


def test_names_follow_the_house(node):
    assert re.fullmatch(r"Oner([A-Z][A-Za-z0-9]*)+", node["node_id"])
    assert node["display_name"].isascii()
    assert not node["display_name"].startswith("Oner")
    assert all(
        word[0].isupper() or word[0].isdigit() for word in re.split(r"[ -]", node["display_name"]) if len(word) > 3
    )
    root, _, task = node["category"].partition("/")
    assert root == "Oner"
    assert task in CATEGORIES


def test_description_and_aliases_help_the_search(node):
    assert len(node["description"]) >= 30
    assert len(node["search_aliases"]) >= 2


def test_every_input_and_output_has_a_tooltip(node):
    silent = [entry["id"] for entry in node["inputs"] if not entry["tooltip"]]
    silent += [entry["name"] for entry in node["outputs"] if not entry["tooltip"]]
    assert silent == []


def test_names_of_inputs_and_outputs_are_snake_case_and_unique(node):
    inputs = [entry["id"] for entry in node["inputs"]]
    outputs = [entry["name"] for entry in node["outputs"]]
    assert all(re.fullmatch(r"[a-z0-9_.]+", name) for name in inputs + outputs)
    assert len(set(inputs)) == len(inputs)
    assert len(set(outputs)) == len(outputs)


def test_defaults_lie_within_range(node):
    for entry in node["inputs"]:
        value, low, high = entry["default"], entry["min"], entry["max"]
        if value is not None and low is not None:
            assert low <= value <= high, entry["id"]


def test_help_page_says_more_than_the_tables(node):
    text = (ROOT / "web" / "docs" / f"{node['node_id']}.md").read_text()
    prose = text.partition("<!-- tables -->")[0]
    assert len(prose.split()) >= 30


def test_node_list_is_the_golden_one():
    assert sorted(NODES) == sorted(CONTRACT), "run `make generate`"


def test_saved_workflows_keep_their_widget_order(node):
    """The known inputs come first and unchanged; a new one is last and optional."""
    known = CONTRACT[node["node_id"]]["inputs"]
    current = [{key: entry[key] for key in KEY} for entry in node["inputs"]]
    for before, after in zip(known, current, strict=False):
        assert after["options"][: len(before["options"])] == before["options"]
        assert {**after, "options": []} == {**before, "options": []}
    assert len(current) >= len(known)
    assert all(entry["optional"] for entry in current[len(known) :])


def test_types_of_outputs_keep_their_order(node):
    known = CONTRACT[node["node_id"]]["outputs"]
    assert [output["type"] for output in node["outputs"]][: len(known)] == known


def test_no_help_page_without_a_node():
    assert {path.stem for path in Path(ROOT / "web" / "docs").glob("*.md")} == set(NODES)
