"""What the pack needs from ComfyUI's internals, and what it says when a release lacks it.

`comfy.*` promises nothing between releases. Modules that lean on an internal in a non-obvious way ask for it here, so
that a rename costs one family of nodes and reads as a sentence in the log.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

OLDEST_CORE = "0.26.0"  # the oldest release that passes `make compat`


def parse_version(version: str) -> tuple[int, ...]:
    """'0.30.0' -> (0, 30, 0); a suffix such as '-dev' or '+git' is dropped."""
    digits = version.split("-")[0].split("+")[0].split(".")
    return tuple(int(d) for d in digits if d.isdigit())


def check_core_version() -> None:
    """Raise ImportError with a sentence when the running ComfyUI is older than the pack supports."""
    try:
        from comfyui_version import __version__ as running
    except ImportError:
        running = "0.0.0"
    if parse_version(running) < parse_version(OLDEST_CORE):
        raise ImportError(f"ComfyUI is {running}; Oner needs {OLDEST_CORE} or newer: update ComfyUI")


def need(module: str, *names: str) -> Any:
    """Import a core module and check that it has every dotted name; return the module, or raise saying what is missing.

    `need("comfy.model_base", "LTXAV.process_timestep")` -> the module comfy.model_base.
    """
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"this ComfyUI has no {module} ({error}); Oner was written for 0.30") from error
    for name in names:
        owner = loaded
        for part in name.split("."):
            if not hasattr(owner, part):
                raise ImportError(f"this ComfyUI has no {module}.{name}; Oner was written for 0.30")
            owner = getattr(owner, part)
    return loaded


def offers(module: str, name: str, parameter: str | None = None) -> bool:
    """Whether core has a module with a dotted name, and what has that name takes `parameter`.

    For what a newer core can do: asked for where it is used, while `need` is for what every supported core has.
    """
    try:
        found: Any = importlib.import_module(module)
    except ImportError:
        return False
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return parameter is None or parameter in inspect.signature(found).parameters
