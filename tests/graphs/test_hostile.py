"""The generator of hostile prompts (scripts/hostile): what it makes, and that it sees what is planted."""

import collections
import os
import pickle
from types import SimpleNamespace

import pytest
from hostile.changes import KINDS, make_hostile, numbers_for, place, touched
from hostile.judge import Guard, Sandbox
from hostile.values import OBJECTS, register, value_node
from hostile.workers import COSTLY, Canary, base_prompt, share_out, turns

from workflows import load, load_all


@pytest.fixture(scope="module")
def sandbox(executor, tmp_path_factory):
    """The tests' executor, watched; its base is left as it is."""
    register()
    root = tmp_path_factory.mktemp("hostile")
    sandbox = Sandbox(root, executor, Guard(executor.base))
    sandbox.known = sandbox.files()
    return sandbox


def plant(name, do, module="custom_nodes.oner"):
    """Register a node that does something, as one of the pack, and give a prompt with it."""
    import nodes

    class Planted:
        FUNCTION, RETURN_TYPES, OUTPUT_NODE, RELATIVE_PYTHON_MODULE = "run", (), True, module
        INPUT_TYPES = classmethod(lambda cls: {"required": {"value": ("INT", {})}})
        run = staticmethod(lambda value: do(value) or ())

    nodes.NODE_CLASS_MAPPINGS[name] = Planted
    return {"planted": {"class_type": name, "inputs": {"value": 1}}}


@pytest.fixture
def run(sandbox):
    def run(prompt, before=None):
        return sandbox.run(prompt, before or {}, sandbox.executor.session())

    return run


def test_the_same_seed_and_case_give_the_same_prompt(executor):
    register()
    before = load("LTX_2.3_Retake").tiny_prompt()
    kept = repr(before)
    made = [make_hostile(before, 3, case) for case in range(1, 30)]
    assert repr(made) == repr([make_hostile(before, 3, case) for case in range(1, 30)])
    assert repr(made) != repr([make_hostile(before, 4, case) for case in range(1, 30)])
    assert len({repr(prompt) for prompt, _ in made}) == 29
    assert repr(before) == kept


def test_every_kind_of_change_occurs_and_one_to_three_at_once(executor):
    register()
    names = [workflow.name for workflow in load_all() if workflow.runs_here]
    found, counts = set(), set()
    for name, cases in share_out(turns(names), list(range(1, 150))):
        before = base_prompt(name)
        for case in cases:
            prompt, changes = make_hostile(before, 1, case)
            assert touched(before, prompt)
            found |= {kind for kind, _ in changes}
            counts.add(len(changes))
    assert found == set(KINDS)
    assert counts == {1, 2, 3}


def test_cases_are_shared_out_once_each_and_by_workflow():
    assert share_out(["a", "b"], [1, 2, 3, 4]) == [("b", [1, 3]), ("a", [2, 4])]
    assert share_out(["a", "b", "a"], [1, 2, 3]) == [("b", [1]), ("a", [2, 3])]


def test_costly_workflows_have_a_third_of_the_turns_and_all_exist():
    names = [workflow.name for workflow in load_all() if workflow.runs_here]
    counts = collections.Counter(turns(names))
    assert set(names) >= COSTLY
    assert counts == {name: 1 if name in COSTLY else 3 for name in names}


def test_large_numbers_are_tried_only_where_they_must_be_refused():
    options = {"min": 32, "max": 16384, "default": 64}
    assert 16385 in numbers_for("width", options, 64, linked=False, ours=False)
    assert 16385 in numbers_for("width", options, 64, linked=True, ours=True)
    assert max(v for v in numbers_for("width", options, 64, linked=True, ours=False) if v < float("inf")) <= 128
    assert 16384 not in numbers_for("width", options, 64, linked=False, ours=True)
    assert 2**63 in numbers_for("noise_seed", {"min": 0, "default": 0}, 0, linked=False, ours=True)


def test_every_odd_object_can_be_made():
    for makers in OBJECTS.values():
        for make in makers.values():
            make()


def test_a_placed_path_is_outside():
    assert place({"a": ["<outside>/x", 1], "b": 2}, "/there") == {"a": ["/there/x", 1], "b": 2}


def test_a_sentence_of_the_pack_is_allowed(run, executor):
    prompt = load("LTX_2.3_Distilled_Text_to_Video").tiny_prompt()
    before = {id: {**node, "inputs": dict(node["inputs"])} for id, node in prompt.items()}
    prompt["odd"] = {"class_type": value_node("INT"), "inputs": {"value": -5}}
    prompt["size"]["inputs"]["width"] = ["odd", 0]
    ending = run(prompt, before)
    assert (ending.how, ending.node) == ("said", "size")
    assert "width is -5" in ending.error


def test_what_comfyui_refuses_is_allowed(run):
    prompt = plant("HostileFine", lambda value: None)
    prompt["planted"]["inputs"]["value"] = "x"
    assert run(prompt).how == "refused"
    prompt["planted"]["inputs"]["value"] = 2
    assert run(prompt).how == "finished"


def test_a_planted_raw_error_is_caught(run):
    ending = run(plant("HostileRaw", lambda value: [][value]))
    assert (ending.how, ending.node) == ("raw", "planted")
    assert "IndexError: list index out of range" in ending.error


def test_an_error_of_core_below_a_node_of_the_pack_is_raw(run):
    import torch

    from oner.ltx.checks import need_video_vae
    from oner.utils.latent_statistics import compress_tones

    assert run(plant("HostileBelow", lambda value: compress_tones("x", value))).how == "raw"
    ending = run(plant("HostileBeside", lambda value: need_video_vae(torch), module="nodes"))
    assert (ending.how, ending.node) == ("raw", "planted")


def test_an_error_of_core_is_its_own_only_without_a_node_of_the_pack_before_it(run):
    import nodes

    prompt = plant("HostileCore", lambda value: [][value], module="nodes")
    assert run(prompt).how == "core's own"
    plant("HostilePasses", lambda value: None)
    nodes.NODE_CLASS_MAPPINGS["HostilePasses"].RETURN_TYPES = ("INT",)
    nodes.NODE_CLASS_MAPPINGS["HostilePasses"].run = staticmethod(lambda value: (value,))
    prompt["before"] = {"class_type": "HostilePasses", "inputs": {"value": -1}}
    prompt["planted"]["inputs"]["value"] = ["before", 0]
    assert run(prompt).how == "raw"
    unchanged = {id: {**node, "inputs": dict(node["inputs"])} for id, node in prompt.items()}
    assert run(prompt, unchanged).how == "raw"


def test_an_error_of_core_is_its_own_if_it_ends_so_too_with_the_nodes_of_the_pack_bypassed(run):
    import nodes

    def negative_fails(value):
        if value < 0:
            raise IndexError(value)

    def ending_of(node, value):
        prompt = plant("HostileCore", negative_fails, module="nodes")
        plant("HostilePasses", lambda value: None)
        nodes.NODE_CLASS_MAPPINGS["HostilePasses"].RETURN_TYPES = ("INT",)
        nodes.NODE_CLASS_MAPPINGS["HostilePasses"].run = staticmethod(node)
        prompt["planted"]["inputs"]["value"] = ["ours", 0]
        prompt["ours"] = {"class_type": "HostilePasses", "inputs": {"value": ["given", 0]}}
        before = {**prompt, "given": {"class_type": value_node("INT"), "inputs": {"value": 1}}}
        return run({**prompt, "given": {"class_type": value_node("INT"), "inputs": {"value": value}}}, before).how

    assert ending_of(lambda value: (value,), -3) == "core's own"
    assert ending_of(lambda value: (value - 9,), -3) == "core's own", "but for the number"
    assert ending_of(lambda value: (value - 9 * (value == 3),), 3) == "raw", "sound before the pack had it"
    assert ending_of(lambda value: (-5,), 3) == "raw", "made by the pack"


def test_a_planted_file_outside_is_caught(run, sandbox, tmp_path):
    ending = run(plant("HostileFile", lambda value: (tmp_path / "x").write_text("x") and None))
    assert (ending.how, f"open {tmp_path / 'x'}" in ending.error) == ("outside", True)
    ending = run(plant("HostileFolder", lambda value: (sandbox.root / "x").mkdir()))
    assert (ending.how, str(sandbox.root / "x") in ending.error) == ("outside", True)


def test_a_new_model_is_no_fault_and_goes_again(tmp_path):
    base = tmp_path / "base"
    (base / "models").mkdir(parents=True)
    watched = Sandbox(tmp_path, SimpleNamespace(base=base), None)
    watched.known = watched.files()
    saved, other = base / "models" / "saved.safetensors", base / "other"
    saved.write_text("x")
    other.write_text("x")
    assert watched.changed() == [str(other)]
    assert (saved.exists(), other.exists()) == (False, True)


def test_a_process_and_code_from_a_file_are_caught(run, sandbox):
    assert run(plant("HostileProcess", lambda value: os.system("true") and None)).how == "outside"
    code = pickle.dumps(Canary(sandbox.root / "canary"))
    ending = run(plant("HostileCanary", lambda value: pickle.loads(code) and None))
    assert (ending.how, "canary" in ending.error) == ("outside", True)
