"""Positions of nodes, groups and notes of a UI file, read like a page: down a column, then the next column.

Groups flow in their declared order, and so do the nodes of a group; the columns of both have a greatest height.
Lengths are the canvas's pixels; a node's position is that of its body, its title bar lies above.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

UINode = dict[str, Any]

TITLE_BAR, GROUP_TITLE = 30, 44
NODE_GAP, COLUMN_GAP, GROUP_GAP, PADDING = 36, 60, 50, 24
PAGE_HEIGHT, GROUP_HEIGHT = 1450, 640
NARROW, WIDE = 300, 460
LETTER, LABELS = 7, 150  # width of a letter of a widget's value, and of what stands beside it
NOTE_WIDTH, NOTE_LINE, NOTE_LETTERS = 480, 18, 85
TEXTS = {"CLIPTextEncode": 200}
PREVIEWS = {"LoadImage": 340, "LoadImageMask": 340, "LoadVideo": 340}  # nodes grow when they show what they load
HEIGHTS = TEXTS | PREVIEWS
COLORS = ["#3f789e", "#88a", "#8a8", "#b58b2a", "#b06634", "#a1309b"]


def arrange(workflow: dict[str, Any], groups: dict[str, list[str]], notes: Iterable[tuple[str, str]]) -> None:
    """Place the nodes of a UI file in `groups` and put `notes` (title, markdown) to their left."""
    nodes = {str(node["id"]): node for node in workflow["nodes"]}
    workflow["groups"] = []
    x, y, width = 0.0, 0.0, 0.0
    for number, (title, ids) in enumerate(groups.items()):
        w, h = place_nodes([nodes[id] for id in ids], x, y)
        if y and y + h > PAGE_HEIGHT:
            x, y, width = x + width + GROUP_GAP, 0.0, 0.0
            w, h = place_nodes([nodes[id] for id in ids], x, y)
        workflow["groups"].append(
            {
                "id": number + 1,
                "title": title,
                "bounding": [x, y, w, h],
                "color": COLORS[number % len(COLORS)],
                "flags": {},
            }
        )
        y, width = y + h + GROUP_GAP, max(width, w)
    workflow["nodes"] += place_notes(notes)


def place_nodes(nodes: list[UINode], left: float, top: float) -> tuple[float, float]:
    """Place the nodes of a group whose corner is at (left, top); the group's width and height."""
    width = max(map(readable_width, nodes))
    x, y, bottom = left + PADDING, top + GROUP_TITLE, top
    for node in nodes:
        height = max(HEIGHTS.get(node["type"], 0), node["size"][1])
        if y > top + GROUP_TITLE and y + TITLE_BAR + height > top + GROUP_HEIGHT:
            x, y = x + width + COLUMN_GAP, top + GROUP_TITLE
        node["pos"], node["size"] = [x, y + TITLE_BAR], [width, height]
        y += TITLE_BAR + height + NODE_GAP
        bottom = max(bottom, y - NODE_GAP)
    return x + width + PADDING - left, bottom + PADDING - top


def readable_width(node: UINode) -> float:
    """A width at which the longest widget value can be read."""
    if node["type"] in TEXTS:
        return WIDE
    letters = max((len(v) for v in node.get("widgets_values") or [] if isinstance(v, str)), default=0)
    return min(WIDE, max(NARROW, LABELS + LETTER * letters))


def place_notes(notes: Iterable[tuple[str, str]]) -> list[UINode]:
    nodes, y = [], 0.0
    for number, (title, text) in enumerate(notes, 1):
        lines = sum(1 + len(line) // NOTE_LETTERS for line in text.splitlines())
        height = 60 + NOTE_LINE * lines
        nodes.append(note_node(f"note_{number}", title, text, [-NOTE_WIDTH - GROUP_GAP, y + TITLE_BAR], height))
        y += TITLE_BAR + height + NODE_GAP
    return nodes


def note_node(id: str, title: str, text: str, position: list[float], height: float) -> UINode:
    return {
        "id": id,
        "type": "MarkdownNote",
        "title": title,
        "pos": position,
        "size": [NOTE_WIDTH, height],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "properties": {},
        "widgets_values": [text],
        "color": "#432",
        "bgcolor": "#653",
    }
