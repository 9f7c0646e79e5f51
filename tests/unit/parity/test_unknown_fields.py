"""A golden file that says what no comparison reads fails, wherever it says it; and a changed number is noticed."""

import copy
import json

import pytest

from harness import pack
from parity.__main__ import scenarios_of
from parity.scenario import Choice, Fields, UnknownField, knowing

GOLDEN = pack.ROOT / "tests" / "golden"
FILES = [path.relative_to(GOLDEN).as_posix() for path in sorted(GOLDEN.rglob("*/*.json"))]
DESCRIPTION = {"tensors", "sensitivity", "measured_deviation", "measured_comfyui", "measured"}
DESCRIPTION |= {"portrait_default_when_nothing_given"}
FREE_NAMES = {"rows", "presets", "split", "table_h_w"}  # dictionaries whose names are not of the format


def objects(value, place=()):
    """The places of all JSON objects, of each list the last one."""
    if isinstance(value, list) and value:
        yield from objects(value[-1], (*place, len(value) - 1))
    if isinstance(value, dict):
        if not place or place[-1] not in FREE_NAMES:
            yield place
        for name, below in value.items():
            if name not in DESCRIPTION:
                yield from objects(below, (*place, name))


def with_field(data, place):
    data = copy.deepcopy(data)
    target = data
    for step in place:
        target = target[step]
    target["unheard_of"] = 1
    return data


@pytest.mark.parametrize("file", FILES)
def test_unknown_field_anywhere_is_refused_by_name(file):
    data = json.loads((GOLDEN / file).read_text())
    tables = "tables" in data.get("format", "")
    for place in objects(data):
        scenarios = scenarios_of(GOLDEN / file, with_field(data, place))
        if tables and not place:
            assert [scenario.run for scenario in scenarios if scenario.name == "unheard_of"] == [None]
            continue
        for scenario in scenarios:
            if not tables or scenario.name == place[0]:
                with pytest.raises(UnknownField, match="unheard_of"):
                    scenario.run()


def test_the_command_says_which_field(parity_of):
    outcomes, printed = parity_of(
        "ltx/vectors/sigma_binned.json", lambda data: data["guidance"]["audio_bins"][1]["params"].update(power=2)
    )
    assert outcomes == {"failed"}
    assert 'the field "guidance.audio_bins[1].params.power" is not known here' in printed
    assert "Traceback" not in printed


def test_a_field_of_another_kind_of_item_is_refused(parity_of):
    outcomes, printed = parity_of(
        "ltx/vectors/keyframe_guided.json", lambda data: data["video"]["conditionings"][1].update(downscale_factor=2)
    )
    assert outcomes == {"failed"}
    assert 'the field "video.conditionings[1].downscale_factor"' in printed


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        ("longlive/ll2/unipc_2step.json", {"solver_order": 3}, 'the field "solver_order" is 3; the pack has 2 alone'),
        ("longlive/ll1/mini_forms.json", {"clean_pass_timestep": 1.0}, 'the field "clean_pass_timestep" is 1.0'),
        ("ltx/vectors/distilled_8.json", {"sampler": {"name": "heun"}}, "the field \"sampler.name\" is 'heun'"),
        ("wan/conditioning/wan22_5b_inp_start.json", {"inputs": ["noise", "depth"]}, "\"inputs\" names 'depth'"),
    ],
)
def test_a_value_that_the_pack_does_not_have_is_refused(parity_of, file, edit, said):
    outcomes, printed = parity_of(file, lambda data: data.update(edit))
    assert outcomes == {"failed"}
    assert said in printed


def test_listed_and_counted_steps_at_once_are_refused(parity_of):
    outcomes, printed = parity_of(
        "ltx/vectors/ltxv_keyframe.json", lambda data: data["parameters"].update(skip_final_inference_steps=1)
    )
    assert outcomes == {"failed"}
    assert 'the field "skip_final_inference_steps" is not known beside "timesteps"' in printed


def set_at(*steps):
    """An edit that puts the last of `steps` at the place that the others lead to."""

    def edit(data):
        *place, name, value = steps
        for step in place:
            data = data[step]
        assert data[name] != value
        data[name] = value

    return edit


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("longlive/ll1/mini_forms.json", set_at("shift", 4.0)),
        ("longlive/ll1/mini_forms.json", set_at("latent_size_hw", [6, 4])),
        ("longlive/ll2/unipc_4step.json", set_at("timesteps", 1, 936)),
        ("ltx/vectors/distilled_8.json", set_at("sigmas", 3, 0.9)),
        ("ltx/vectors/gradient_estimation.json", set_at("sampler", "gamma", 1.9)),
        ("ltx/vectors/euler_ancestral.json", set_at("sampler", "eta", 0.9)),
        ("ltx/vectors/euler_cfg_pp.json", set_at("guidance", "audio", "cfg_scale", 6.9)),
        ("ltx/vectors/hq_res2s.json", set_at("sampler", "anchor_refinement", False)),
        ("ltx/vectors/hq_res2s.json", set_at("sampler", "noise_seed", 0)),
        ("ltx/vectors/sigma_binned.json", set_at("guidance", "video_bins", 1, "sigma_upper", 0.9)),
        ("ltx/vectors/skip_step_one_modality.json", set_at("guidance", "video", "skip_step", 0)),
        ("ltx/vectors/iclora_temporal_scale.json", set_at("video", "conditionings", 0, "temporal_scale_factor", 1)),
        ("ltx/vectors/lipdub_stage1.json", set_at("video", "conditionings", 0, "downscale_factor", 1)),
        ("ltx/vectors/a2v_frozen_guided.json", set_at("audio", "frozen", False)),
        ("ltx/vectors/retake_guided.json", set_at("audio", "conditionings", 0, "end_seconds", 0.4)),
        ("ltx/vectors/ltxv_dev_second_pass.json", set_at("parameters", "skip_initial_inference_steps", 5)),
        ("ltx/vectors/ltxv_stg_transformer_block.json", set_at("parameters", "skip_layer_strategy", "AttentionSkip")),
        ("ltx/vectors/ltxv_multiscale.json", set_at("multi_scale", "second_pass", "timesteps", 1, 0.7)),
        ("wan/conditioning/wan22_inp_start_end.json", set_at("sampling", "cfg", 5.5)),
        ("wan/conditioning/wan22_inp_start_end.json", set_at("sampling", "boundary", 0.95)),
        ("wan/schedules/solver_trajectories.json", set_at("trajectories", 0, "shift", 4.0)),
        ("wan/lora/index.json", set_at("strength", 0.7)),
        ("wan/camera/paths.json", set_at("default_intrinsics", 0, 0.5)),
        ("wan/trajectory/two_splines.json", set_at("sigma", 5.0)),
        ("wan/riflex/tables.json", set_at("tables", 0, "k", 5)),
        ("wan/planning/windows.json", set_at("plans", 0, "rows", 1, "overlap", 9)),
        ("wan/planning/windows.json", set_at("plans", 3, "short_tail", False)),
        ("wan/planning/windows.json", set_at("plans", 5, "error_about", "/bar")),
        ("wan/planning/windows.json", set_at("overlap_rounding", 3, "step4_offset1", 1)),
    ],
)
def test_a_changed_number_is_noticed(parity_of, file, edit):
    assert parity_of(file, edit)[0] == {"failed"}


def test_names_nobody_reads_are_found_in_lists_and_free_dictionaries():
    fields = Fields("a", described="note", nested={"items": Fields("b")}, each=Choice("kind", {"x": Fields("kind")}))
    run = knowing(fields, {"a": 1, "note": {"any": 1}, "items": [{"b": 1}], "free": {"kind": "x"}}, lambda: ["checks"])
    assert run() == ["checks"]
    for wrong, place in (
        ({"items": [{"b": 1}, {"c": 1}]}, r"items\[1\].c"),
        ({"free": {"kind": "x", "d": 1}}, "free.d"),
        ({"free": {"kind": "y"}}, "free.kind"),
    ):
        with pytest.raises(UnknownField, match=f'"{place}"'):
            fields.check(wrong)
