"""Make the pack importable as `oner` and ComfyUI importable as it imports itself, whatever the folders are called.

ComfyUI loads a pack under a module name that is its path, so nothing else can import it by name; and putting the
pack's root on sys.path would hide ComfyUI's own `nodes` and `utils`. Hence an alias package whose path is the root.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
CORE = "0.30.0"  # the ComfyUI release that scripts/bootstrap.py unpacks


def alias_pack() -> None:
    """Register the root as package `oner`, and under its folder name so that pytest never imports its __init__."""
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != ROOT]  # `python -m` puts the working directory there
    if "oner" in sys.modules:
        return
    package = ModuleType("oner")
    package.__path__ = [str(ROOT)]
    package.__file__ = str(ROOT / "__init__.py")
    for name in ("oner", ROOT.name):
        sys.modules[name] = package


def find_comfy() -> Path | None:
    """The ComfyUI tree: COMFYUI_PATH, the set-up's own, or the one whose custom_nodes holds this folder."""
    candidates = [os.environ.get("COMFYUI_PATH"), ROOT / ".comfyui" / CORE, ROOT.parent.parent]
    return next((Path(c).resolve() for c in candidates if c and (Path(c) / "comfy_api").is_dir()), None)


def start_core(base_directory: str | None = None) -> bool:
    """Put ComfyUI on sys.path and configure it for this machine. False if there is none.

    `base_directory` stands in for ComfyUI's models, input, output and user folders, so that nothing depends on what
    happens to be installed; it must be set before folder_paths is first imported.
    """
    comfy = find_comfy()
    if comfy is None:
        return False
    if str(comfy) not in sys.path:
        sys.path.insert(0, str(comfy))
    import torch
    from comfy.cli_args import args

    # Without a GPU, importing comfy.model_management raises unless this is set. SDPA is what users run.
    args.cpu = args.cpu or not torch.cuda.is_available()
    args.use_pytorch_cross_attention = True
    args.base_directory = base_directory
    return True


def core_is_at_least(version: str) -> bool:
    """Whether the ComfyUI that start_core found is this release or a newer one."""
    from comfyui_version import __version__

    running, wanted = ([int(n) for n in text.split(".") if n.isdigit()] for text in (__version__, version))
    return running >= wanted
