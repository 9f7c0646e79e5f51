"""A tree's environment: its own versions come first, the project's packages are behind them, and it is made once."""

import subprocess
import sys
from pathlib import Path

import pytest

from compat import environment

HERE = Path(sys.executable).relative_to(sys.prefix)


def pretend(folder, name, version):
    """A package with nothing in it, as pip would install it."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(f"__version__ = {version!r}\n")
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def python(tmp_path):
    """The Python of an environment that has another `packaging` than the project, and `onlyhere`."""
    python = tmp_path / "own" / HERE
    environment.create(tmp_path / "own", python)
    own = environment.packages(python)
    pretend(own, "onlyhere", "1.5")
    pretend(own, "einops", "999.0")
    return python


def ask(python, code):
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_version_of_its_own_is_imported_before_the_projects(python):
    assert ask(python, "import einops; print(einops.__version__)") == "999.0"
    assert environment.unmet(python, "einops==999.0\n") == []
    assert environment.unmet(Path(sys.executable), "einops==999.0\n")[0].startswith("einops==999.0: 0.")


def test_everything_else_is_found_where_the_project_has_it(python):
    code = "from importlib.util import find_spec; print(find_spec('torch').origin)"
    assert ask(python, code) == ask(sys.executable, code)


def test_what_is_not_met_is_named_with_what_is_there(python):
    asked = ["onlyhere>=2", "# no", "", "onlyhere==1.5  # fine", "absent-thing", "b; python_version < '3'", "pytest>=8"]
    assert environment.unmet(python, "\n".join(asked)) == ["onlyhere>=2: 1.5", "absent-thing: not installed"]


def test_equal_requirements_share_an_environment_and_others_do_not():
    assert environment.key("a==1\n", "b\n") == environment.key("a==1\n", "b\n")
    assert len({environment.key(*texts) for texts in (("a==1\n",), ("a==2\n",), ("a==1\n", "b"), ("a==1\nb",))}) == 4


def test_it_is_made_once_and_refused_when_it_lacks_something(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "requirements.txt").write_text("einops\nsafetensors>=0.4\n")  # the project has both
    python = environment.prepare(tmp_path / "one", tmp_path / "home")
    inode = python.parent.parent.stat().st_ino
    assert environment.prepare(tmp_path / "two", tmp_path / "home") == python
    assert python.parent.parent.stat().st_ino == inode
    pretend(environment.packages(python), "safetensors", "0.1")
    with pytest.raises(RuntimeError, match=r"safetensors>=0\.4: 0\.1\. Remove it and run again"):
        environment.prepare(tmp_path / "two", tmp_path / "home")


def test_a_set_up_that_was_cut_short_is_done_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "requirements.txt").write_text("oner-does-not-exist\n")
    with pytest.raises(subprocess.CalledProcessError):
        environment.prepare(tmp_path, tmp_path / "home")
    assert len(list((tmp_path / "home").iterdir())) == 1
    assert not list((tmp_path / "home").glob(f"*/{environment.COMPLETE}"))
