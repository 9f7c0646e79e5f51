"""What the Comfy Registry gives to a user: the archive it makes, and the ComfyUI releases it says are needed."""

import re

import pathspec
import pytest

from harness.pack import ROOT
from oner.utils.core import OLDEST_CORE

NEEDED = ["nodes", "ltx", "wan", "longlive", "samplers", "utils", "web", "workflows"]
NOT_NEEDED = ["tests", "scripts", "pocket", "bench", "docs", ".ci"]

# `comfy node publish` packs the tracked files that .comfyignore does not match, by this library.
LEFT_OUT = pathspec.GitIgnoreSpec.from_lines((ROOT / ".comfyignore").read_text().splitlines())


def in_archive(name: str) -> bool:
    return not LEFT_OUT.match_file(name)


def files(folder: str) -> list[str]:
    found = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [path.relative_to(ROOT).as_posix() for path in found]


def test_the_archive_has_every_help_page():
    pages = [name for name in files("web/docs") if name.endswith(".md")]
    assert len(pages) >= len(list((ROOT / "web" / "docs").glob("Oner*.md"))) > 0
    assert all(map(in_archive, pages))


@pytest.mark.parametrize("folder", NEEDED)
def test_the_archive_has_all_that_the_pack_runs_on(folder):
    assert files(folder)
    assert [name for name in files(folder) if not in_archive(name)] == []


@pytest.mark.parametrize("folder", NOT_NEEDED)
def test_the_archive_has_nothing_for_developers(folder):
    assert files(folder)
    assert [name for name in files(folder) if in_archive(name)] == []


def test_the_archive_has_every_folder_that_is_a_package():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= set(NEEDED)
    assert all(map(in_archive, ("__init__.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE")))


def test_one_oldest_release_is_named_everywhere():
    project = re.search(r'^requires-comfyui = ">=(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    readme = re.search(r"Needs ComfyUI (\S+) or newer", (ROOT / "README.md").read_text())[1]
    assert project == readme == OLDEST_CORE
