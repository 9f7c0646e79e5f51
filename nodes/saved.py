"""What goes with a file that a node saves: the graph in it, and its place for the browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from comfy.cli_args import args
from comfy_api.latest import io, ui

from .paths import output_subfolder


def workflow_metadata(hidden: Any) -> dict[str, str]:
    """The prompt and the workflow as JSON, to be written into a file; nothing if ComfyUI is told to write none."""
    parts = {} if args.disable_metadata else {"prompt": hidden.prompt, **(hidden.extra_pnginfo or {})}
    return {name: json.dumps(value) for name, value in parts.items() if value is not None}


def saved_result(path: Path) -> ui.SavedResult:
    """A file below the output folder."""
    return ui.SavedResult(path.name, output_subfolder(path), io.FolderType.output)
