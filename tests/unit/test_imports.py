"""Imports flow one way, cost nothing heavy, and never hide ComfyUI's own modules."""

import ast
import json
import re
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
ROOMS = {path.parent.name for path in (ROOT / "nodes").glob("*/__init__.py")}
KNOWS_COMFYUI = {"core.py", "text_encoders.py"}  # of utils/
SOURCES = [path for package in LAYERS for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path):
    """(module of the pack or None, absolute module or None) of each import in a file; modules dotted from the root."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = path.relative_to(ROOT).parts[: -node.level] + tuple(filter(None, (node.module or "").split(".")))
            names = [alias.name for alias in node.names]
            yield from ((".".join((*parts, name)), None) for name in names)
        elif isinstance(node, ast.ImportFrom):
            yield None, node.module
        elif isinstance(node, ast.Import):
            yield from ((None, alias.name) for alias in node.names)


def packages_of(path: Path) -> set[str]:
    """Packages of the pack that a file imports from."""
    return {name.split(".")[0] for name, _ in imported(path) if name}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    foreign = {module.split(".")[0] for _, module in imported(path) if module}
    assert packages_of(path) <= LAYERS[package]
    assert package == "nodes" or not foreign & SERVER
    assert package != "utils" or path.name in KNOWS_COMFYUI or not foreign & {"comfy"}


def test_the_two_ltx_families_know_nothing_of_each_other_and_what_they_share_nothing_of_them():
    for path in sorted((ROOT / "ltx").rglob("*.py")):
        room = path.relative_to(ROOT).parts[:-1]
        rooms = {tuple(name.split(".")[:2]) for name, _ in imported(path) if name and name.startswith("ltx.ltx")}
        assert rooms <= {room}, path


def test_nodes_of_a_family_import_no_other_family_and_neutral_ones_none_until_they_run():
    families = {room: {room} for room in ROOMS - {"any", "legacy_ltxvideo"}}
    families |= {"ltx": {"ltx", "ltx.ltx2"}, "ltxv": {"ltx", "ltx.ltxv"}}
    every = set.union(*families.values())
    for room in sorted(ROOMS - {"legacy_ltxvideo"}):
        for path in sorted((ROOT / "nodes" / room).glob("*.py")):
            modules = {name.rpartition(".")[0] for name, _ in imported(path) if name}
            maths = {m if m in every else m.rpartition(".")[0] for m in modules if m.split(".")[0] in every}
            beside = {m.split(".")[1] for m in modules if m.startswith("nodes.") and m.count(".") > 1}
            assert beside <= {room, "any"}, path
            assert maths <= families.get(room, every), path
    top_level = [
        node
        for path in (ROOT / "nodes" / "any").glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and node.level == 3
    ]
    assert top_level
    assert {node.module.split(".")[0] for node in top_level} <= {"samplers", "utils"}


def test_every_package_has_its_layer_and_its_types_are_checked():
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(LAYERS)
    checked = re.search(r"mypy (.+)", (ROOT / "Makefile").read_text()).group(1).split()
    assert set(checked) == set(LAYERS) - {"nodes"}


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=lambda f: str(f.relative_to(ROOT)))
def test_every_folder_says_in_one_line_what_belongs_there(folder):
    says = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    assert says
    assert "\n" not in says
    assert f"{folder.name}/" in (ROOT / "docs" / "architecture.md").read_text()


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
    assert packages_of(ROOT / "nodes" / "paths.py") == {"utils"}
