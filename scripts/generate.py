"""Write what is derived: help page tables, node lists, README tables, the gallery page, the page of ComfyUI releases.

python scripts/generate.py          write
python scripts/generate.py --check  exit 1 if something is not current
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness import pack
from harness.base import throw_away

pack.alias_pack()
pack.start_core(base_directory=throw_away().name)  # no model files: combos of files are empty

from compat import record
from harness.schemas import node_list, summary
from pocket import gallery
from workflows import load_all

HELP = pack.ROOT / "web" / "docs"
NODE_LIST = pack.ROOT / "tests" / "golden" / "nodes.json"
MARK = "<!-- tables -->"


def help_tables(node_id: str, nodes: dict) -> str:
    """Markdown tables of a node's inputs and outputs."""
    node = nodes[node_id]
    lines = ["", "## Inputs", "", "| name | type | default | what |", "| --- | --- | --- | --- |"]
    for entry in node["inputs"]:
        name = f"{entry['id']} (optional)" if entry["optional"] else entry["id"]
        default = "" if entry["default"] is None else f"`{entry['default']}`"
        what = cell(entry["tooltip"])
        if entry["options"]:
            what += "; one of " + ", ".join(f"`{option}`" for option in entry["options"])
        lines.append(f"| {name} | {entry['type']} | {default} | {what} |")
    if len(node["inputs"]) == 0:
        lines = []
    lines += ["", "## Outputs", "", "| name | type | what |", "| --- | --- | --- |"]
    lines += [f"| {entry['name']} | {entry['type']} | {cell(entry['tooltip'])} |" for entry in node["outputs"]]
    return "\n".join(lines) + "\n"


def cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


def derived_files() -> dict[Path, str]:
    nodes = {node["node_id"]: node for node in map(summary, node_list())}
    contract = {
        node_id: {"inputs": [strip(e) for e in n["inputs"]], "outputs": [o["type"] for o in n["outputs"]]}
        for node_id, n in sorted(nodes.items())
    }
    files = {NODE_LIST: json.dumps(contract, indent=1) + "\n"}
    for node_id in nodes:
        page = HELP / f"{node_id}.md"
        if not page.exists():
            sys.exit(f"{page.relative_to(pack.ROOT)} is missing: write when to use the node, then a line {MARK}")
        text = page.read_text()
        if MARK not in text:
            sys.exit(f"{page.relative_to(pack.ROOT)} has no line {MARK}")
        files[page] = text[: text.index(MARK) + len(MARK)] + "\n" + help_tables(node_id, nodes)
    readme = pack.ROOT / "README.md"
    text = readme.read_text()
    for name, table in (("workflows", workflow_table()), ("models", model_table())):
        text = fill(text, name, table)
    files[readme] = text
    files[pack.ROOT / "docs" / "gallery.md"] = gallery.page()
    files[record.RECORD.with_suffix(".md")] = record.page(record.load())
    files[pack.ROOT / "docs" / "nodes.md"] = "# Nodes\n\n" + node_table(nodes) + "\n"
    return files


def node_table(nodes: dict) -> str:
    lines = ["| node | category | what |", "| --- | --- | --- |"]
    for node in sorted(nodes.values(), key=lambda node: (node["category"], node["display_name"])):
        link = f"[{node['display_name']}](../web/docs/{node['node_id']}.md)"
        lines.append(f"| {link} | {node['category'].removeprefix('Oner/')} | {cell(node['description'])} |")
    return "\n".join(lines)


def workflow_table() -> str:
    lines = ["| workflow | what |", "| --- | --- |"]
    for workflow in load_all():
        link = f"[{workflow.title}](workflows/{workflow.name}.json)"
        needs = f" Needs ComfyUI {workflow.core} or newer." if workflow.core else ""
        lines.append(f"| {link} | {cell(workflow.description)}{needs} |")
    return "\n".join(lines)


def model_table() -> str:
    """Every file a shipped workflow links to, its folder, and what it is for."""
    users: dict[tuple[str, str], list[str]] = {}
    for workflow in load_all():
        for model in filter(lambda model: model.url, workflow.models.values()):
            users.setdefault((model.url, model.directory), []).append(workflow.title.partition(":")[0])
    lines = ["| file | folder in `models/` | workflows |", "| --- | --- | --- |"]
    for (url, directory), titles in sorted(users.items(), key=lambda item: item[1][0]):
        heads = list(dict.fromkeys(titles))
        more = f" and {len(heads) - 2} more" if len(heads) > 2 else ""
        lines.append(f"| [{url.rpartition('/')[2]}]({url}) | `{directory}` | {', '.join(heads[:2])}{more} |")
    return "\n".join(lines)


def fill(text: str, name: str, table: str) -> str:
    """`text` with what stands between <!-- name --> and <!-- /name --> replaced."""
    head, start, rest = text.partition(f"<!-- {name} -->")
    _, end, tail = rest.partition(f"<!-- /{name} -->")
    if not end:
        sys.exit(f"README.md has no <!-- {name} --> ... <!-- /{name} -->")
    return f"{head}{start}\n{table}\n{end}{tail}"


def strip(entry: dict) -> dict:
    """What a saved workflow depends on: position, name, type, optionality and default."""
    return {key: entry[key] for key in ("id", "type", "optional", "default", "options")}


def main() -> None:
    check = "--check" in sys.argv
    stale = [p for p, text in derived_files().items() if not p.exists() or p.read_text() != text]
    for path in stale:
        print(f"{'not current' if check else 'written'}: {path.relative_to(pack.ROOT)}")
        if not check:
            path.write_text(derived_files()[path])
    if check and stale:
        sys.exit("run `make generate`")


if __name__ == "__main__":
    main()
