"""Graphs made for ComfyUI-LTXVideo: replacements ComfyUI applies itself, and when nodes under its ids are registered.

ComfyUI replaces an unknown node when every input it maps is there; where one is optional, a node under the old id is
needed. That pack's own nodes always win: nothing is registered while it is installed, unless it failed to load.
"""

from __future__ import annotations

import logging
from pathlib import Path

import folder_paths
from comfy_api.latest import io

log = logging.getLogger("oner")

PEER_FOLDERS = ("comfyui-ltxvideo", "comfyui_ltxvideo", "comfyui-ltxtricks")

REPLACEMENTS = [
    io.NodeReplace(
        new_node_id="OnerLTXVDecodeSettings",
        old_node_id="Set VAE Decoder Noise",
        old_widget_ids=["timestep", "scale", "seed"],
        input_mapping=[
            {"new_id": "vae", "old_id": "vae"},
            {"new_id": "timestep", "old_id": "timestep"},
            {"new_id": "noise_scale", "old_id": "scale"},
            {"new_id": "seed", "old_id": "seed"},
            {"new_id": "tone_map", "set_value": 0.0},
        ],
        output_mapping=[{"new_idx": 0, "old_idx": 0}],
    ),
    io.NodeReplace(  # the file moves to another models folder, so its name has to be chosen anew
        new_node_id="LatentUpscaleModelLoader",
        old_node_id="LTXVLatentUpsamplerModelLoader",
        output_mapping=[{"new_idx": 0, "old_idx": 0}],
    ),
]


async def register_replacements() -> None:
    """Tell the running server what to replace; without a server, as in scripts, there is nothing to tell."""
    from comfy_api.latest import ComfyAPI
    from server import PromptServer

    if getattr(PromptServer, "instance", None) is None or not hasattr(ComfyAPI, "NodeReplacement"):
        return
    for replacement in REPLACEMENTS:
        await ComfyAPI().node_replacement.register(replacement)


def peer_owns_its_ids() -> bool:
    """Whether ComfyUI-LTXVideo is installed and has not been tried yet, or has loaded."""
    import nodes

    for base in folder_paths.get_folder_paths("custom_nodes"):
        for place in Path(base).iterdir() if Path(base).is_dir() else ():
            if place.name.lower() in PEER_FOLDERS:
                failed = place.name in nodes.LOADED_MODULE_DIRS and not _loaded_from(place.name)
                if not failed:
                    return True
    return False


def legacy_nodes() -> list[type[io.ComfyNode]]:
    """Nodes for old ids that nobody has registered; none while the pack they come from is there."""
    import nodes

    if peer_owns_its_ids():
        return []
    from .shims import SHIMS

    return [shim for shim in SHIMS if shim.define_schema().node_id not in nodes.NODE_CLASS_MAPPINGS]


def _loaded_from(folder: str) -> bool:
    import nodes

    suffix = f"custom_nodes.{folder}"
    return any(getattr(node, "RELATIVE_PYTHON_MODULE", "") == suffix for node in nodes.NODE_CLASS_MAPPINGS.values())
