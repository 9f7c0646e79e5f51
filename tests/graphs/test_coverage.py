"""scripts/coverage.py: which ids the graphs of a folder lack."""

import json

import coverage
import pytest

from harness.pack import ROOT

INNER = {"id": "c0ffee00-0000-4000-8000-000000000002", "nodes": [{"type": "InnerMissing"}, {"type": "VAEDecode"}]}
FRONTEND_FILE = {
    "nodes": [
        {"type": "KSampler"},
        {"type": "LTXFloatToInt"},
        {"type": "OutsideMissing", "mode": 4},
        {"type": "Note"},
        {"type": "Reroute"},
        {"type": "c0ffee00-0000-4000-8000-000000000001"},
        {"type": "workflow>mine"},
    ],
    "definitions": {
        "subgraphs": [
            {
                "id": "c0ffee00-0000-4000-8000-000000000001",
                "nodes": [{"type": "SubMissing"}, {"type": INNER["id"]}],
                "definitions": {"subgraphs": [INNER]},
            }
        ]
    },
    "extra": {"groupNodes": {"mine": {"nodes": [{"type": "GroupMissing"}]}}},
}
API = {"1": {"class_type": "KSampler", "inputs": {}}, "2": {"class_type": "OutsideMissing", "inputs": {}}}


def test_nodes_of_graphs_sub_graphs_and_group_nodes_are_found():
    found = coverage.node_ids(FRONTEND_FILE)
    missing = {"OutsideMissing", "SubMissing", "InnerMissing", "GroupMissing"}
    assert found == missing | {"KSampler", "LTXFloatToInt", "VAEDecode"}


@pytest.mark.parametrize(
    "graph", [API, {"prompt": API["1"], "2": API["2"]}, {"extra": 1, "prompt": API, "client_id": "x"}]
)
def test_nodes_of_prompts_are_found(graph):
    assert coverage.node_ids(graph) == {"KSampler", "OutsideMissing"}


@pytest.mark.parametrize("data", [[], 3, None, "text", {}, {"a": {"b": 1}}, {"nodes": 3}])
def test_other_json_is_no_graph(data):
    assert coverage.node_ids(data) is None


@pytest.mark.usefixtures("executor")
def test_missing_ids_are_counted_by_file(tmp_path, capsys):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file.json").write_text(json.dumps(FRONTEND_FILE))
    (tmp_path / "api.json").write_text(json.dumps(API))
    (tmp_path / "fine.json").write_text(json.dumps({"nodes": [{"type": "GemmaAPITextEncode"}]}))
    (tmp_path / "other.json").write_text("[1]")
    assert coverage.main(tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        "    2  OutsideMissing",
        "    1  GroupMissing",
        "    1  InnerMissing",
        "    1  SubMissing",
        "api.json: OutsideMissing",
        "below/file.json: GroupMissing, InnerMissing, OutsideMissing, SubMissing",
        "1 of 3 graphs lack nothing",
    ]


@pytest.mark.usefixtures("executor")
def test_a_file_that_cannot_be_read_is_told(tmp_path, capsys):
    (tmp_path / "cut.json").write_text('{"nodes": [')
    (tmp_path / "odd.json").write_bytes(b"\xff\xfe\x00")
    assert coverage.main(tmp_path) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("cannot be read: cut.json: ")
    assert second.startswith("cannot be read: odd.json: ")
    assert last == "0 of 0 graphs lack nothing"


@pytest.mark.usefixtures("executor")
def test_the_shipped_workflows_lack_nothing(capsys):
    assert coverage.main(ROOT / "workflows") == 0
    count = len(list((ROOT / "workflows").rglob("*.json")))
    assert capsys.readouterr().out == f"{count} of {count} graphs lack nothing\n"
