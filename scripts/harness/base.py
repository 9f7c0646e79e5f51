"""ComfyUI base directories with this pack in them, and folders that are thrown away."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

from .pack import ROOT

SCRATCH = "ONER_SCRATCH"  # environment variable: the folder in which throw_away() makes its own
PACK_NAME = "oner"  # the folder name a user's ComfyUI gives the pack
SETTINGS = {
    "Comfy.TutorialCompleted": True,  # else the first page shows the template dialog
    "Comfy.Validation.Workflows": True,  # report files that break the workflow schema
    "Comfy.Minimap.Visible": False,  # it and the frame rate stand in the way of screenshots
    "Comfy.Graph.CanvasInfo": False,
}


def throw_away() -> tempfile.TemporaryDirectory[str]:
    """A folder that is gone at the end of its `with` block, or else of this process, also where that is terminated."""
    end_on_sigterm()
    folder = tempfile.TemporaryDirectory(prefix="oner-", dir=os.environ.get(SCRATCH))
    atexit.register(folder.cleanup)
    return folder


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as an exit does, so that `with` blocks and what is registered for the end run."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def make_base(base: Path) -> Path:
    """Lay out custom_nodes/oner (a link to the pack), models, input, output and user settings in `base`."""
    for folder in ("custom_nodes", "models", "input", "output", "user/default"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    link = base / "custom_nodes" / PACK_NAME
    if not link.is_symlink():
        link.symlink_to(ROOT, target_is_directory=True)
    (base / "user" / "default" / "comfy.settings.json").write_text(json.dumps(SETTINGS))
    return base
