"""Whether an error is a sentence that the pack meant to say, or a raw one from some line that stumbled."""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path

from .pack import ROOT

ASIDE = {"tests", "scripts", ".venv", ".comfyui"}  # folders of the root that are not the pack


def on_purpose(error: BaseException) -> bool:
    """A ValueError whose innermost frame is a line of the pack that begins with `raise`."""
    frames = traceback.extract_tb(error.__traceback__)
    if not isinstance(error, ValueError) or not frames:
        return False
    file = Path(frames[-1].filename).resolve()
    if not file.is_relative_to(ROOT) or file.relative_to(ROOT).parts[0] in ASIDE:
        return False
    return linecache.getline(str(file), frames[-1].lineno or 0).strip().startswith("raise ")
