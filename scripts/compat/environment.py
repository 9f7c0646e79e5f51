"""An environment of its own for a ComfyUI tree, which holds only what the project's has not.

It is a virtual environment that looks into the project's, the one this runs in, behind its own packages. pip installs
into it what the tree requires and the project does not meet: of most releases a few pinned packages of ComfyUI. Of two
versions Python takes the first, the tree's. torch and the test tools are found where they are.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import bootstrap

HOME = bootstrap.ROOT / ".cache" / "compat"
COMPLETE = "oner.stamp"  # in an environment: everything is installed
OURS = [bootstrap.ROOT / "requirements.txt", bootstrap.ROOT / "tests" / "requirements.txt"]
PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"
UNMET = """
import sys
from importlib.metadata import PackageNotFoundError, version
from packaging.requirements import Requirement
for line in filter(None, (line.split('#')[0].strip() for line in sys.stdin)):
    wanted = Requirement(line)
    if wanted.marker and not wanted.marker.evaluate():
        continue
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        print(f'{line}: not installed')
    else:
        if not wanted.specifier.contains(found, prereleases=True):
            print(f'{line}: {found}')
"""


def prepare(tree: Path, home: Path = HOME) -> Path:
    """The Python of the environment that a tree requires; made at the first time, below `home`.

    Raises RuntimeError if what it imports does not meet the requirements of the tree.
    """
    requirements = tree / "requirements.txt"
    folder = home / key(*(file.read_text() for file in (requirements, *OURS)), *bootstrap.TORCH)
    python = folder / Path(sys.executable).relative_to(sys.prefix)
    if not (folder / COMPLETE).exists():
        create(folder, python)
        files = [argument for file in (requirements, *OURS) for argument in ("-r", file)]
        bootstrap.run(python, "-m", "pip", "install", "--quiet", *bootstrap.TORCH, *files)
        (folder / COMPLETE).touch()
    missing = unmet(python, requirements.read_text())
    if missing:
        raise RuntimeError(f"{folder} does not meet {requirements}: {'; '.join(missing)}. Remove it and run again")
    return python


def key(*requirements: str) -> str:
    """What an environment is called: the same for equal requirements on top of an equal project environment."""
    return hashlib.sha256("\0".join([sys.version, sys.prefix, *installed(), *requirements]).encode()).hexdigest()[:16]


@functools.cache
def installed() -> list[str]:
    """Names and versions of the project's packages."""
    return sorted(f"{each.name} {each.version}" for each in importlib.metadata.distributions())


def create(folder: Path, python: Path) -> None:
    """An environment without packages of its own; `python` is where its interpreter will be."""
    bootstrap.run(sys.executable, "-m", "venv", "--clear", "--without-pip", folder)
    # addsitedir appends, and reads the .pth files there as the project's own Python does.
    behind = f"import site; site.addsitedir({str(packages(Path(sys.executable)))!r})\n"
    (packages(python) / "project.pth").write_text(behind)


def packages(python: Path) -> Path:
    """The folder into which an environment installs."""
    return Path(subprocess.run([python, "-c", PACKAGES], capture_output=True, text=True, check=True).stdout.strip())


def unmet(python: Path, requirements: str) -> list[str]:
    """Lines of a requirements file that the packages which `python` imports do not meet, with what is there."""
    found = subprocess.run([python, "-c", UNMET], input=requirements, capture_output=True, text=True, check=True)
    return found.stdout.splitlines()
