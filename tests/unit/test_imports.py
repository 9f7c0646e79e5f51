"""Imports flow one way, cost nothing heavy, and never hide ComfyUI's own modules."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.pack import ROOT

LAYERS = {  # package -> packages of the pack it may import
    "utils": {"utils"},
    "samplers": {"samplers", "utils"},
    "ltx": {"ltx", "samplers", "utils"},
    "wan": {"wan", "samplers", "utils"},
    "longlive": {"longlive", "samplers", "utils"},
    "nodes": {"nodes", "ltx", "wan", "longlive", "samplers", "utils"},
}
SERVER = {"folder_paths", "server", "nodes", "execution", "comfy_api", "comfy_extras"}
HEAVY = ["transformers", "av", "scipy", "diffusers", "sageattention", "kornia"]
SOURCES = [path for package in LAYERS for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path):
    """(package of the pack or None, absolute module or None) of each import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = path.relative_to(ROOT).parts[: -node.level] + tuple((node.module or "").split("."))
            names = [parts[0]] if parts[0] else [alias.name for alias in node.names]
            yield from ((name, None) for name in names)
        elif isinstance(node, ast.ImportFrom):
            yield None, node.module
        elif isinstance(node, ast.Import):
            yield from ((None, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    own = {name for name, _ in imported(path) if name}
    foreign = {module.split(".")[0] for _, module in imported(path) if module}
    assert own <= LAYERS[package]
    assert package == "nodes" or not foreign & SERVER
    assert package != "utils" or not foreign & {"comfy"}


def test_importing_the_pack_loads_nothing_heavy():
    """What the pack adds to what ComfyUI's own node modules have loaded; counted in modules, not in time."""
    code = f"""
import sys, json
sys.path.append({str(ROOT / "scripts")!r})
from harness import pack
pack.alias_pack(); pack.start_core()
import comfy.sd, comfy_api.latest, comfy_extras.nodes_lt
before = set(sys.modules)
for name in {HEAVY!r}:
    for loaded in [m for m in sys.modules if m == name or m.startswith(name + '.')]:
        del sys.modules[loaded]
import oner.nodes
from harness.schemas import node_list
node_list()
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_comfyui_keeps_its_own_module_names():
    import comfy
    import nodes
    import utils

    core = Path(comfy.__path__[0]).parent
    assert Path(nodes.__file__).parent == core
    assert core in Path(next(iter(utils.__path__))).parents
    assert str(ROOT) not in sys.path


def test_a_family_that_fails_takes_no_names_of_another_with_it():
    assert {package for package, _ in imported(ROOT / "nodes" / "paths.py") if package} == {"utils"}
