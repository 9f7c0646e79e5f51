"""Copies of golden files with something changed in them, and what the parity command makes of them."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import pack
from parity.__main__ import find_scenarios, run

GOLDEN = pack.ROOT / "tests" / "golden"


@pytest.fixture
def parity_of(tmp_path, capsys) -> Callable:
    """`parity_of(path, edit)`: outcomes of the scenarios of a golden file, its JSON edited, and what was printed.

    The other files of its family stand beside it as links, so that a test may replace one before it runs.
    """

    def parity_of(name: str, edit: Callable[[dict], object] = lambda data: None, part: str = "") -> tuple[set, str]:
        path = GOLDEN / name
        family = name.split("/")[0]
        for source in (GOLDEN / family).rglob("*"):
            target = tmp_path / source.relative_to(GOLDEN)
            if source.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
        data = copy.deepcopy(json.loads(path.read_text()))
        edit(data)
        changed = tmp_path / name
        changed.unlink()
        changed.write_text(json.dumps(data))
        scenarios = [s for s in find_scenarios(tmp_path) if s.path == changed and part in s.name]
        outcomes = {run(scenario, Path(name).stem) for scenario in scenarios}
        return outcomes, capsys.readouterr().out

    return parity_of
