"""Graphs made for ComfyUI-LTXVideo: which nodes under its ids are registered.

Each id is its own case. What another pack has registered before is left to it, and what it registers after takes the
place of ours, as ComfyUI keeps the last node of an id. So that pack's nodes win wherever it loads, in either order, and
ours serve where it is missing or fails. ComfyUI's own node replacements are not used: they end in an HTTP 500 for a
prompt node without `_meta`, or without an input that the replacement maps.
"""

from __future__ import annotations

from comfy_api.latest import io


def legacy_nodes() -> list[type[io.ComfyNode]]:
    """Nodes for old ids that nobody has registered."""
    import nodes

    from .shims import SHIMS

    return [shim for shim in SHIMS if shim.define_schema().node_id not in nodes.NODE_CLASS_MAPPINGS]
