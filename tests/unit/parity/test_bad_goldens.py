"""What is wrong in a golden file fails that file alone, in one sentence that names it, and passes nowhere."""

import json

import pytest

from harness import pack
from parity import wan
from parity.__main__ import main, run
from parity.scenario import BadGolden, Fields, Scenario, load_tensors, read_golden

UNIPC, FORMS = "longlive/ll2/unipc_2step.json", "longlive/ll1/mini_forms.json"
DECODE, RESUME = "longlive/vae/decode13.json", "longlive/ll1/resume_cancelled_mid_block.json"
MODEL = "models/ll1_mini_generator_ema_fsdp.pt"
SIGMAS, CHECKPOINTS, CAMERA = "wan/schedules/sigmas.json", "wan/checkpoints/index.json", "wan/camera/paths.json"
SIZES, RIFLEX, LORA = "wan/planning/sizes.json", "wan/riflex/tables.json", "wan/lora/index.json"
SOLUTIONS, SPLINES = "wan/schedules/solver_trajectories.json", "wan/trajectory/two_splines.json"


def put(*steps):
    """An edit that puts the last of `steps` at the place that the others lead to."""

    def edit(data):
        *place, name, value = steps
        for step in place:
            data = data[step]
        data[name] = value

    return edit


def refusal(parity_of, file, edit):
    """What the command says of a golden that it must refuse, in one line."""
    outcomes, printed = parity_of(file, edit)
    assert outcomes == {"failed"}
    assert "Traceback" not in printed
    (line,) = printed.splitlines()
    return line


@pytest.mark.parametrize(
    ("file", "place"),
    [
        (CAMERA, ["paths"]),
        (CAMERA, ["plucker"]),
        (CAMERA, ["paths", 0, "moves"]),
        (SIZES, ["cases"]),
        (SIZES, ["lengths"]),
        (SIGMAS, ["tables", 1, "sigmas"]),
        (RIFLEX, ["tables"]),
        (SOLUTIONS, ["trajectories"]),
        (LORA, ["files", 0, "layers"]),
        (DECODE, ["model_files"]),
        (DECODE, ["arrival_chunks", 0]),
        ("ltx/vectors/distilled_8.json", ["evaluations"]),
        ("ltx/vectors/ltxv_keyframe.json", ["forward_batches"]),
    ],
)
def test_an_empty_list_is_named(parity_of, file, place):
    name = [step for step in place if isinstance(step, str)][-1]
    assert f'{name}" is empty, so nothing of it would be compared' in refusal(parity_of, file, put(*place, []))


def test_an_empty_object_is_named(parity_of):
    def without_splits(data):
        for table in data["tables"]:
            table["split"] = {}

    assert '"tables[0].split" is empty' in refusal(parity_of, SIGMAS, without_splits)
    assert '"rows" is empty' in refusal(parity_of, CHECKPOINTS, put("rows", {}))


def test_a_list_that_may_be_empty_is_no_failure():
    Fields("a", may_be_empty="b").check({"a": 1, "b": []})


@pytest.mark.parametrize(("file", "name"), [(CAMERA, "three_poses"), (SIZES, "cases")])
def test_what_is_needed_is_named(parity_of, file, name):
    assert f'"{name}" is missing' in refusal(parity_of, file, put(name, None))
    assert f'"{name}" is missing' in refusal(parity_of, file, lambda data: data.pop(name))


@pytest.mark.parametrize("files", [[], None, MODEL, {MODEL: 1}, [None], [""], ["#"], [MODEL + "#"], [MODEL + "#a#b"]])
@pytest.mark.parametrize("file", [FORMS, DECODE])
def test_model_files_are_a_list_of_names(parity_of, file, files):
    assert 'the field "model_files"' in refusal(parity_of, file, put("model_files", files))


@pytest.mark.parametrize("atol", [True, "1", None, -1, -1e-9, 1e9, 1.1e-3])
@pytest.mark.parametrize("file", [UNIPC, DECODE, FORMS, RESUME])
def test_a_tolerance_is_a_small_number(parity_of, file, atol):
    outcomes, printed = parity_of(file, put("atol", atol))
    assert outcomes == {"failed"}
    assert f'the field "atol" is {atol!r}; it must be a number from 0 to 0.001' in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("file", ["ltx/vectors/distilled_8.json", "ltx/vectors/ltxv_keyframe.json"])
@pytest.mark.parametrize("kind", ["final", "intermediate"])
def test_a_tolerance_of_a_vector_is_a_small_number(parity_of, file, kind):
    assert f'"tolerance.{kind}" is 1' in refusal(parity_of, file, put("tolerance", kind, 1))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_are_finite(parity_of, number):
    assert "is no finite number" in refusal(parity_of, UNIPC, put("atol", number))
    assert "is no finite number" in refusal(parity_of, CAMERA, put("plucker", 0, "mean", number))


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        (UNIPC, put("num_steps", -2), '"num_steps" is -2; it must be whole and above 0'),
        (UNIPC, put("num_steps", "2"), "\"num_steps\" is '2'"),
        (UNIPC, put("num_steps", 2.0), '"num_steps" is 2.0'),
        (UNIPC, put("num_steps", True), '"num_steps" is True'),
        (UNIPC, put("tensors", None), '"tensors" is None; it must be a text'),
        (UNIPC, put("tensors", "ll2/none.safetensors"), "the file 'none.safetensors' is not in ll2/"),
        (UNIPC, put("velocity_formula", 3), '"velocity_formula" is 3; it must be a text'),
        (UNIPC, put("velocity_formula", "v(x,t) = exp(x)"), "holds 'exp(x)'"),
        (UNIPC, put("velocity_formula", "v(x,t) = " + "(" * 250), "cannot be read"),
        (UNIPC, put("kind", ["flow_unipc_trajectory"]), "unhashable type: 'list'"),
        (UNIPC, put("kind", {}), "unhashable type: 'dict'"),
        (FORMS, put("model_files", ["models/none.pt"]), "the file 'none.pt' is not in models/"),
        (FORMS, put("model_files", [MODEL + "#nope"]), 'the file has no "nope"; it holds: generator_ema'),
        (UNIPC, put("tensors", "ll2/"), "the file 'll2' is not in longlive/"),
        (DECODE, put("arrival_chunks", [[-1]]), '"arrival_chunks" is [[-1]]'),
        (RESUME, put("rollout", "ll1/none.json"), "the file 'none.json' is not in ll1/"),
        (RESUME, put("completed_blocks", -1), '"completed_blocks" is -1; the rollout has 2'),
        (RESUME, put("completed_blocks", 2), '"completed_blocks" is 2; the rollout has 2'),
        (SIGMAS, put("tables", 3), "'int' object is not iterable"),
        (SIGMAS, put("tables", 0, "schedule", "zz"), "\"tables[0].schedule\" is 'zz'"),
        (CHECKPOINTS, put("rows", []), "'list' object has no attribute 'values'"),
        (CHECKPOINTS, put("rows", "wan22_fun_inp_low", "checksum_abs", -1e30), 'checksum_abs" is -1e+30'),
        (CHECKPOINTS, put("rows", "wan22_fun_inp_low", "checksum_abs", 0), 'checksum_abs" is 0'),
        (SPLINES, put("splines", 3), "object of type 'int' has no len()"),
        (SPLINES, put("height", -1), '"height" is -1'),
        (CAMERA, put("paths", "x"), "\"paths\" is 'x'; it must be an object or a list of objects"),
        (CAMERA, put("paths", 0, "kind", ["basic"]), "\"paths[0].kind\" is ['basic']"),
        (CAMERA, put("plucker", 0, "mean", 0), '"plucker[0].mean" is 0; it must be a number other than 0'),
        (SIZES, put("cases", 0, "source_width", 0), '"cases[0].source_width" is 0'),
        (RIFLEX, put("tables", 0, "changed_value", 0), '"tables[0].changed_value" is 0'),
        (SOLUTIONS, put("trajectories", 0, "solver", "zz"), "\"trajectories[0].solver\" is 'zz'; known here: unipc"),
        (LORA, put("base_file", "none.safetensors"), "the file 'none.safetensors' is not in wan/"),
        ("ltx/vectors/distilled_8.json", put("checkpoint", 3), '"checkpoint" is 3; it must be a text'),
        ("ltx/vectors/ltxv_keyframe.json", lambda data: data.pop("multi_scale"), "KeyError: 'multi_scale'"),
        ("ltx/vectors/distilled_8.json", put("checkpoint", "none"), "the file 'none' is neither in vectors/ nor above"),
        (
            "ltx/vectors/ltxv_keyframe.json",
            put("checkpoint", "none"),
            "the file 'none' is neither in vectors/ nor above",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(parity_of, file, edit, said):
    assert said in refusal(parity_of, file, edit)


def test_a_row_of_checkpoints_names_its_own_file(parity_of):
    edit = put("rows", "wan22_fun_inp_low", "parts", ["base.safetensors", "rows/wan22_fun_imp_low.safetensors"])
    assert "its own, 'rows/wan22_fun_inp_low.safetensors'" in refusal(parity_of, CHECKPOINTS, edit)


def test_a_present_row_of_checkpoints_is_whole(parity_of):
    edit = put("rows", "wan22_fun_inp_low", "parts", 0, "bas.safetensors")
    assert "the file 'bas.safetensors' is not in checkpoints/" in refusal(parity_of, CHECKPOINTS, edit)


def test_a_file_of_checkpoints_has_a_row(parity_of):
    line = refusal(parity_of, CHECKPOINTS, lambda data: data["rows"].pop("wan22_fun_5b_inp"))
    assert "no row of the checkpoints names 'rows/wan22_fun_5b_inp.safetensors'" in line


def test_an_absent_row_of_checkpoints_is_left_out():
    rows = wan.rows_of(pack.ROOT / "tests" / "golden" / "wan" / "checkpoints")
    assert sorted(rows) == ["wan22_fun_5b_control", "wan22_fun_5b_inp", "wan22_fun_inp_high", "wan22_fun_inp_low"]


def test_a_field_is_given_once(tmp_path):
    file = tmp_path / "twice.json"
    file.write_text('{"a": {"atol": 1e-5, "atol": 1e9}}')
    with pytest.raises(BadGolden, match=r'twice.json cannot be read: the field "atol" is given twice'):
        read_golden(file)


def test_tensors_that_are_cut_or_absent_are_named(tmp_path):
    file = tmp_path / "cut.safetensors"
    file.write_bytes(b"\x40\0\0\0")
    with pytest.raises(BadGolden, match=r"cut.safetensors cannot be read"):
        load_tensors(file)
    with pytest.raises(BadGolden, match=r"'none.safetensors' is not in"):
        load_tensors(tmp_path / "none.safetensors")


def test_a_tensor_that_a_file_lacks_is_named(parity_of):
    line = refusal(parity_of, CAMERA, put("plucker", 0, "name", "nowhere"))
    assert "the tensor 'nowhere' is not in the golden's file" in line


@pytest.mark.parametrize(
    "content", [b"{", b"", b"\xef\xbb\xbf{}", b"\xff", b"[" * 100_000, b'{"kind": []}', b'{"rows": []}']
)
def test_a_broken_file_fails_alone(tmp_path, capsys, content):
    (tmp_path / "a_broken.json").write_bytes(content)
    (tmp_path / "b_later.json").write_text(json.dumps({"polynomials": 1, "cases": [{}]}))
    assert main(str(tmp_path)) == 1
    broken, later, counts = capsys.readouterr().out.splitlines()
    assert broken.startswith("failed    a_broken  ")
    assert later.startswith("later     b_later  ")
    assert counts == "0 ok, 1 later, 0 uncovered, 1 failed"


def test_a_crash_of_the_pack_keeps_its_traceback(tmp_path, capsys):
    def crash():
        raise TypeError("a mistake of ours")

    assert run(Scenario(tmp_path, crash), "label") == "failed"
    printed = capsys.readouterr().out
    assert printed.startswith("failed    label  could not be run\nTraceback")
    assert "TypeError: a mistake of ours" in printed
