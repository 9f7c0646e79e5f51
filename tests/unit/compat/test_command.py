"""Which trees and lanes the command takes, and that it knows a ComfyUI tree."""

import importlib.util

import comfyui_version
import pytest

from compat.outcome import Outcome
from harness import pack
from oner.utils.core import OLDEST_CORE


@pytest.fixture(scope="module")
def command():
    spec = importlib.util.spec_from_file_location("compat.__main__", pack.ROOT / "scripts" / "compat" / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fake_tree(folder, release):
    (folder / "comfy_api").mkdir()
    (folder / "requirements.txt").write_text("einops\n")
    (folder / "comfyui_version.py").write_text(f'# written by a build\n__version__ = "{release}"\n')
    return folder


def test_a_tree_says_its_release(command, tmp_path):
    assert command.release_of(command.find_tree(str(fake_tree(tmp_path, "0.33.0")))) == "0.33.0"
    assert command.release_of(pack.find_comfy()) == comfyui_version.__version__


def test_a_folder_that_is_no_tree_is_refused(command, tmp_path):
    with pytest.raises(SystemExit, match="is not a ComfyUI tree"):
        command.find_tree(str(tmp_path))


def test_a_tree_that_is_too_old_passes_by_being_refused_in_one_sentence(command, tmp_path):
    tree = fake_tree(tmp_path, "0.3.0")
    assert command.check(str(tree), ["graphs"], whole=False) == ("0.3.0", {"refusal": Outcome(1, 0)})
    said = command.refusal("0.2.0", tree).failures  # another sentence than the one for this release
    assert said == [f"ImportError: ComfyUI is 0.3.0; Oner needs {OLDEST_CORE} or newer: update ComfyUI"]


def test_a_lane_whose_tool_is_missing_fails_and_names_it(command):
    lane = command.lanes.Lane("browser", [], lambda: "no Chromium on PATH")
    assert command.run_lane(lane, None, None, []).failures == ["no Chromium on PATH"]
