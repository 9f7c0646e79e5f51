"""The pack's node schemas as plain data: for the help pages, the golden node list and the schema tests."""

from __future__ import annotations

from typing import Any


def node_list() -> list[type]:
    """Every node class of the pack; an import fault raises here, unlike in ComfyUI."""
    from oner.nodes import NODES, load_family

    return [node for modules in NODES.values() for node in load_family(modules)]


def summary(node: type) -> dict[str, Any]:
    """Ids, types, defaults and texts of a node; inputs in widget order, required before optional, nested ones after."""
    schema = node.define_schema()
    inputs = list(flatten(schema.inputs))
    return {
        "node_id": schema.node_id,
        "display_name": schema.display_name,
        "category": schema.category,
        "description": schema.description,
        "search_aliases": schema.search_aliases or [],
        "inputs": [e for e in inputs if not e["optional"]] + [e for e in inputs if e["optional"]],
        "outputs": [
            {"name": o.display_name or o.id, "type": o.get_io_type(), "tooltip": o.tooltip} for o in schema.outputs
        ],
    }


def flatten(inputs: list, prefix: str = "") -> Any:
    """Inputs of a schema and, under dotted names, those nested in dynamic combos and autogrow inputs."""
    for entry in inputs:
        name = f"{prefix}{entry.id}"
        yield {
            "id": name,
            "type": entry.get_io_type(),
            "optional": bool(entry.optional),
            "default": getattr(entry, "default", None),
            "tooltip": entry.tooltip,
            "options": [getattr(option, "key", option) for option in getattr(entry, "options", None) or []],
            "min": getattr(entry, "min", None),
            "max": getattr(entry, "max", None),
        }
        for option in getattr(entry, "options", None) or []:
            if hasattr(option, "inputs"):
                yield from flatten(option.inputs, f"{name}.")
