"""Which node ids the graphs of a folder lack with this pack and ComfyUI alone.

    python scripts/coverage.py FOLDER

Reads every .json below FOLDER: files of the frontend, sub-graphs and group nodes included, and API prompts. Prints the
missing ids with the number of files that use each, and the files. Status 1 if a graph lacks something, or a file
cannot be read.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import pack
from harness.base import throw_away

FRONTEND = {"Note", "MarkdownNote", "Reroute", "PrimitiveNode"}  # nodes that the server never sees
GROUP = ("workflow/", "workflow>")  # how a file of an older frontend calls the group nodes that it carries


def node_ids(data: Any) -> set[str] | None:
    """The ids of the nodes that a graph runs; None if the JSON is no graph."""
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("nodes"), list):
        made = {graph.get("id") for graph in subgraphs(data)}
        found = {
            str(node.get("type")) for part in parts(data) for node in part.get("nodes", ()) if isinstance(node, dict)
        }
        return {id for id in found - made - FRONTEND if not id.startswith(GROUP)}
    found = {str(node["class_type"]) for node in data.values() if isinstance(node, dict) and "class_type" in node}
    if found:
        return found
    # as a queue request and the metadata of an image hold a graph
    return next((node_ids(data[key]) for key in ("prompt", "workflow") if isinstance(data.get(key), dict)), None)


def subgraphs(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The sub-graphs that a file defines, those that lie in them too."""
    for graph in (data.get("definitions") or {}).get("subgraphs") or ():
        yield graph
        yield from subgraphs(graph)


def parts(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything in a file that has nodes: the graph, its sub-graphs, its group nodes."""
    for graph in (data, *subgraphs(data)):
        yield graph
        yield from ((graph.get("extra") or {}).get("groupNodes") or {}).values()


def known_ids() -> set[str]:
    """The ids that this ComfyUI has with this pack, or replaces by itself."""
    import nodes
    from server import PromptServer

    from harness.executor import load_nodes

    load_nodes()
    failed = asyncio.run(nodes.init_builtin_api_nodes())
    if failed:
        raise RuntimeError(f"ComfyUI could not load {failed}")
    return set(nodes.NODE_CLASS_MAPPINGS) | set(PromptServer.instance.node_replace_manager.as_dict())


def read_graphs(folder: Path) -> tuple[dict[Path, set[str]], list[str]]:
    """The ids of every graph below a folder, and what cannot be read."""
    graphs, unreadable = {}, []
    for path in sorted(folder.rglob("*.json")):
        try:
            found = node_ids(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are such
            unreadable.append(f"{path.relative_to(folder)}: {error}")
            continue
        if found is not None:
            graphs[path.relative_to(folder)] = found
    return graphs, unreadable


def main(folder: Path) -> int:
    graphs, unreadable = read_graphs(folder)
    known = known_ids()
    lacking = {path: ids - known for path, ids in graphs.items() if ids - known}
    for id, count in sorted(Counter(id for ids in lacking.values() for id in ids).items(), key=lambda n: (-n[1], n[0])):
        print(f"{count:5}  {id}")
    for path, ids in lacking.items():
        print(f"{path}: {', '.join(sorted(ids))}")
    for line in unreadable:
        print(f"cannot be read: {line}")
    print(f"{len(graphs) - len(lacking)} of {len(graphs)} graphs lack nothing")
    return 1 if lacking or unreadable else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python scripts/coverage.py FOLDER")
    pack.alias_pack()
    if not pack.start_core(throw_away().name):
        sys.exit("no ComfyUI found: run `make setup-test`, or set COMFYUI_PATH")
    sys.exit(main(Path(sys.argv[1])))
