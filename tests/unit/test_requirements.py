"""requirements.txt lists what the pack imports, and nothing that ComfyUI would not have installed anyway."""

import ast
import re
import subprocess
import sys

from harness import pack

ROOT = pack.ROOT
OF_COMFYUI = {"comfy", "comfy_api", "comfy_execution", "comfy_extras", "comfyui_version", "folder_paths"}
OF_COMFYUI |= {"latent_preview", "nodes", "server"}
NEEDS_NUMPY = {"numpy", "from_numpy", "from_ndarray"}  # methods of torch and av
NAMES = {"PIL": "pillow"}  # module -> distribution, where they differ


def listed(text: str) -> set[str]:
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return {line.lower() for line in lines if line}


def imported() -> set[str]:
    """Distributions that modules of the pack import, at their top or within a function, or need for a call."""
    found = set()
    folders = [path.parent for path in ROOT.glob("*/__init__.py")]
    for path in [ROOT / "__init__.py", *(path for folder in folders for path in folder.rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Attribute) and node.attr in NEEDS_NUMPY:
                found.add("numpy")
    return {NAMES.get(name, name) for name in found - OF_COMFYUI - sys.stdlib_module_names}


def test_requirements_are_the_imports():
    assert listed((ROOT / "requirements.txt").read_text()) == imported()


def test_no_requirement_can_change_what_comfyui_installed():
    own = listed((ROOT / "requirements.txt").read_text())
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in own)
    core = listed((pack.find_comfy() / "requirements.txt").read_text())
    assert own <= {re.match(r"[a-z0-9-]+", name).group() for name in core}


def test_a_missing_library_is_named_family_by_family():
    code = f"""
import sys, asyncio, logging
sys.path.append({str(ROOT / "scripts")!r})
from harness import pack
pack.alias_pack(); pack.start_core()
import nodes, comfy.ldm.lightricks.vae.causal_video_autoencoder, comfy.ldm.wan.model
sys.modules["einops"] = None  # as if it were not installed
logging.getLogger("oner").addHandler(logging.StreamHandler(sys.stdout))
from oner.nodes import comfy_entrypoint
async def load():
    return await (await comfy_entrypoint()).get_node_list()
asyncio.run(load())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if line.startswith("Oner: ")]
    assert said
    assert all("einops" in line for line in said)
