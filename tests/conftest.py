"""Tests import the pack as `oner` (see scripts/harness/pack.py) and ComfyUI as ComfyUI imports itself."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from harness import pack
from harness.base import SCRATCH, throw_away

signal.signal(signal.SIGTERM, signal.default_int_handler)  # pytest would take an exit for a failed test and go on
base_directory = throw_away().name
os.environ.setdefault(SCRATCH, base_directory)  # so that what a killed worker leaves is gone with the first process
pack.alias_pack()
if not pack.start_core(base_directory):
    pytest.exit("No ComfyUI found: run `make test`, which sets one up, or set COMFYUI_PATH", returncode=2)

import torch


@pytest.fixture(autouse=True)
def _inference_mode():
    """Nodes run under inference mode in ComfyUI; so do their tests."""
    with torch.inference_mode():
        yield


@pytest.fixture(autouse=True, scope="module")
def _folders():
    """Model folders that the tests of a module add are gone after it."""
    import folder_paths

    before = {name: (list(paths), set(ends)) for name, (paths, ends) in folder_paths.folder_names_and_paths.items()}
    yield
    folder_paths.folder_names_and_paths.update(before)
    folder_paths.filename_list_cache.clear()
