"""How the pack registers: family by family, with a sentence where something is missing."""

import asyncio
import logging

import pytest

import oner.nodes as pack_nodes
from oner.utils import core


def registered():
    extension = asyncio.run(pack_nodes.comfy_entrypoint())
    return {node.define_schema().node_id for node in asyncio.run(extension.get_node_list())}


def test_a_family_that_fails_to_import_costs_only_its_nodes_and_one_line(monkeypatch, caplog):
    healthy = registered()
    fault = {"ltx.schedules": ["LTXSigmaPreset"], "module_that_core_broke": ["Missing"]}
    monkeypatch.setitem(pack_nodes.NODES, "Broken", fault)
    with caplog.at_level(logging.INFO, logger="oner"):
        assert registered() == healthy
    assert len(caplog.records) == 1
    assert "Broken" in caplog.text
    assert "module_that_core_broke" in caplog.text


def test_a_missing_core_part_is_named():
    with pytest.raises(ImportError, match=r"comfy.samplers.KSAMPLER.levitate; Oner was written for"):
        core.need("comfy.samplers", "KSAMPLER.sample", "KSAMPLER.levitate")
    with pytest.raises(ImportError, match=r"no comfy.no_such_module"):
        core.need("comfy.no_such_module")


def test_an_older_core_is_refused_with_a_sentence(monkeypatch):
    import comfyui_version

    monkeypatch.setattr(comfyui_version, "__version__", "0.3.75")
    with pytest.raises(ImportError, match=f"ComfyUI is 0.3.75; Oner needs {core.OLDEST_CORE} or newer"):
        core.check_core_version()


def test_root_init_imports_nothing_outside_comfyui():
    """pytest and tools that import the file on its own must not load the nodes."""
    from importlib.util import module_from_spec, spec_from_file_location

    from harness.pack import ROOT

    spec = spec_from_file_location("", ROOT / "__init__.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.WEB_DIRECTORY == "./web"
    assert not hasattr(module, "comfy_entrypoint")
