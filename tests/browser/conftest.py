"""One server for the whole lane, and one page for a test module."""

from __future__ import annotations

import pytest

from harness.browser import find_chromium, open_page
from harness.server import run_server
from workflows import load_all


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip("Chromium is not installed; .ci/run installs the package `chromium`")
    base = tmp_path_factory.mktemp("base")
    load_all()[0].write_tiny_models(base / "models")
    for workflow in load_all():
        workflow.write_inputs(base / "input")
    with run_server(base) as running:
        yield running


@pytest.fixture(scope="module")  # an open page keeps an event loop running in this thread, which other lanes need
def page(server):
    with open_page(server.url) as ready:
        yield ready
