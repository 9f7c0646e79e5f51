"""Workflow modules become prompts; a declaration that does not fit its graph is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from workflows.builder import Graph, check_declarations, leave_out, substitute
from workflows.layout import arrange


def two_nodes() -> dict:
    g = Graph()
    frames = g.node("EmptyImage", "first_frames", width=64)
    g.node("SaveImage", "save", title="Keep it", images=frames.out(0), **{"codec.encoding": "auto"})
    return g.finalize()


def module(**changes) -> SimpleNamespace:
    declared = {"NAME": "Two_Nodes", "GROUPS": {"All": ["first_frames", "save"]}, "MODELS": {}, "TINY": {}}
    return SimpleNamespace(__name__="two_nodes", **{**declared, **changes})


def test_ids_are_words_and_titles_default_to_them():
    prompt = two_nodes()
    assert {id: node["_meta"]["title"] for id, node in prompt.items()} == {
        "first_frames": "First frames",
        "save": "Keep it",
    }
    assert prompt["save"]["inputs"]["images"] == ["first_frames", 0]


def test_second_node_of_an_id_is_refused():
    g = Graph()
    g.node("EmptyImage", "frames")
    with pytest.raises(ValueError, match="two nodes have the id 'frames'"):
        g.node("EmptyImage", "frames")


def test_substitution_changes_a_copy():
    prompt = two_nodes()
    changed = substitute(prompt, {"first_frames.width": 8, "save.codec.encoding": "re-encode"})
    assert changed["first_frames"]["inputs"]["width"] == 8
    assert changed["save"]["inputs"]["codec.encoding"] == "re-encode"
    assert prompt == two_nodes()


@pytest.mark.parametrize("target", ["first_frames.height", "nobody.width", "save.images"])
def test_substitution_of_what_is_no_widget_value_is_refused(target):
    with pytest.raises(ValueError, match=target):
        substitute(two_nodes(), {target: 1})


def test_nodes_are_left_out_with_the_links_from_them():
    prompt = two_nodes()
    rest = leave_out(prompt, ["first_frames"])
    assert list(rest) == ["save"]
    assert rest["save"]["inputs"] == {"codec.encoding": "auto"}
    assert prompt == two_nodes()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"GROUPS": {"All": ["save"]}}, "first_frames"),
        ({"GROUPS": {"A": ["save", "first_frames"], "B": ["save"]}}, "save"),
        ({"NAME": "Two nodes"}, "template link"),
        ({"TINY_WITHOUT": ["last_frames"]}, "last_frames"),
        ({"MODELS": {"save.model": None}}, r"save\.model"),
        ({"TINY": {"save.steps": 1}}, r"save\.steps"),
    ],
)
def test_declaration_that_does_not_fit_is_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_declarations(module(**changes), two_nodes())


def test_layout_puts_every_node_into_its_group_and_overlaps_nothing():
    ids = [f"node_{i}" for i in range(24)]
    ui = {"nodes": [{"id": id, "type": "Any", "size": [200, 40 + 17 * i]} for i, id in enumerate(ids)], "links": []}
    groups = {"Models": ids[:5], "Stage 1": ids[5:16], "Stage 2": ids[16:]}
    arrange(ui, groups, [("About", "two\nlines")])
    bounding = {group["title"]: group["bounding"] for group in ui["groups"]}
    bodies = {
        node["id"]: [node["pos"][0], node["pos"][1] - 30, node["size"][0], node["size"][1] + 30] for node in ui["nodes"]
    }
    for title, members in groups.items():
        for id in members:
            assert contains(bounding[title], bodies[id])
    boxes = [*bodies.values()]
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    outer = [*bounding.values(), bodies["note_1"]]
    assert not any(overlap(a, b) for i, a in enumerate(outer) for b in outer[:i])


def contains(outer: list[float], inner: list[float]) -> bool:
    return all(outer[i] <= inner[i] and inner[i] + inner[i + 2] <= outer[i] + outer[i + 2] for i in (0, 1))


def overlap(a: list[float], b: list[float]) -> bool:
    return all(a[i] < b[i] + b[i + 2] and b[i] < a[i] + a[i + 2] for i in (0, 1))
