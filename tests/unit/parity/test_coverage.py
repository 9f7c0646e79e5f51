"""tests/golden has a scenario of every solver, guide, conditioning and pipeline that the reference results know.

What the pack has is read from the pack, what is covered from the files. What the size limit leaves out is named here.
"""

import dataclasses
import json
from collections.abc import Iterator

import pytest

from harness import pack
from oner.ltx.ltx2.guidance import Guidance
from oner.ltx.ltx2.solvers import SOLVERS
from oner.ltx.ltxv.guidance import GuidanceEntry
from oner.ltx.ltxv.presets import PRESETS
from oner.ltx.ltxv.stg import MODES
from oner.ltx.schedules import SIGMA_PRESETS
from oner.samplers.flow_solvers import FLOW_SOLVERS
from oner.wan.camera import MOVES
from oner.wan.riflex import DIVISORS
from oner.wan.schedules import SCHEDULES
from parity import longlive, ltx2, ltx2_tables, ltxv, wan

GOLDEN = pack.ROOT / "tests" / "golden"
FILES = {
    path.relative_to(GOLDEN).with_suffix("").as_posix(): json.loads(path.read_text())
    for path in sorted(GOLDEN.rglob("*/*.json"))
}
TOO_LARGE = {"ll2_rollout"}  # its model has 4 MB
# lists that the reference results do not hold; tests/graphs/test_ltx25_templates.py has LTX-2.5's from ComfyUI
NO_REFERENCE = {"distilled stage 2, tiled", "LTX-2.5 stage 2"}
OWN_MOVES = {"Pitch Up", "Pitch Down", "Yaw Left", "Yaw Right"}  # the reference has none of them

LTX2_GUIDANCE = {
    "cfg": "cfg_scale",
    "stg": "stg_scale",
    "stg_blocks": "stg_blocks",
    "rescale": "rescale_scale",
    "modality": "modality_scale",
    "skip_step": "skip_step",
}
LTXV_GUIDANCE = {"cfg": "guidance_scale", "stg": "stg_scale", "rescale": "rescaling_scale", "blocks": "skip_block_list"}
PIPELINES = {
    "one stage",
    "two stages, stage 2",
    "two stages HQ, stage 1",
    "distilled, stage 1",
    "keyframe interpolation, stage 1",
    "audio to video, stage 1",
    "IC-LoRA, stage 1",
    "lip dub, stage 1",
    "retake, distilled",
    "retake, full model",
}


def ltx2_vectors(files: dict) -> list[dict]:
    return [data for data in files.values() if data.get("format") == "ltx2-golden/1"]


def ltxv_vectors(files: dict) -> list[dict]:
    return [data for data in files.values() if data.get("format") == "ltxv-golden/1"]


def tables(files: dict, kind: str) -> set[str]:
    return {name for data in files.values() if data.get("format") == kind for name in data} - {"format"}


def with_key(files: dict, key: str) -> list[dict]:
    return [data for data in files.values() if key in data]


def guidances(files: dict) -> Iterator[dict]:
    """The parameter sets of LTX-2 guidance, of each modality and bin."""
    for data in ltx2_vectors(files):
        guidance = data["guidance"] or {}
        yield from (guidance[m] for m in ltx2.MODALITIES if m in guidance)
        yield from (one["params"] for m in ltx2.MODALITIES for one in guidance.get(f"{m}_bins", []))


def guidance_used(files: dict) -> set[str]:
    """The fields of LTX-2 guidance that some scenario has at another value than the neutral one."""
    neutral = {LTX2_GUIDANCE[field.name]: getattr(Guidance(), field.name) for field in dataclasses.fields(Guidance)}
    return {name for one in guidances(files) for name in neutral if (one[name] or 0) != (neutral[name] or 0)}


def ltxv_guidance_used(files: dict) -> set[str]:
    neutral = {
        LTXV_GUIDANCE[field.name]: getattr(GuidanceEntry(), field.name) for field in dataclasses.fields(GuidanceEntry)
    }
    used = set()
    for parameters in (data["parameters"] for data in ltxv_vectors(files)):
        for name, value in neutral.items():
            given = parameters.get(name, value)
            values = given if isinstance(given, list) else [given]
            used |= {name} if any((one or 0) != (value or 0) for one in values) else set()
    return used


def conditionings(files: dict) -> set[str]:
    """Kinds of items of LTX-2 scenarios, a modality before each, and what is special about them."""
    found = set()
    for data in ltx2_vectors(files):
        for m in ltx2.MODALITIES:
            found |= {f"{m} frozen"} if data[m]["frozen"] else set()
            for item in data[m]["conditionings"]:
                found.add(f"{m} {item['type']}")
                found |= {"partly given"} if 0 < item.get("strength", 1) < 1 else set()
                found |= {"smaller reference"} if item.get("downscale_factor", 1) != 1 else set()
                found |= {"stretched reference"} if item.get("temporal_scale_factor", 1) != 1 else set()
                found |= {"weighted reference"} if "attention" in item else set()
    return found


def ltxv_pipelines(files: dict) -> set[str]:
    found = set()
    for data in ltxv_vectors(files):
        found |= {"multi-scale"} if data["multi_scale"] else set()
        found |= {"first steps skipped"} if data["parameters"].get("skip_initial_inference_steps") else set()
        found |= {"last steps skipped"} if data["parameters"].get("skip_final_inference_steps") else set()
        found |= {"guidance by timestep"} if len(data["parameters"].get("guidance_timesteps", [])) > 1 else set()
        found |= {"scaled negative"} if data["parameters"].get("cfg_star_rescale") else set()
        for item in data["conditionings"]:
            found.add("image at the start" if item["frame"] == 0 else "image later")
    return found


def wan_kinds(files: dict) -> set[str | None]:
    return {wan.kind_of(data) for name, data in files.items() if name.startswith("wan/")}


def flow_solvers(files: dict) -> set[str]:
    runs = [wan.SOLVERS[run["solver"]] for data in with_key(files, "trajectories") for run in data["trajectories"]]
    return {name for name, solver in FLOW_SOLVERS.items() if solver in runs}


REQUIRED = {
    "LTX-2 solvers": (set(SOLVERS), lambda files: {data["sampler"]["name"] for data in ltx2_vectors(files)}),
    "LTX-2 guides": (
        {"none", "static", "binned"},
        lambda files: {(data["guidance"] or {"kind": "none"})["kind"] for data in ltx2_vectors(files)},
    ),
    "LTX-2 guidance": ({LTX2_GUIDANCE[field.name] for field in dataclasses.fields(Guidance)}, guidance_used),
    "LTX-2 conditionings": (
        {f"{m} {kind}" for m in ltx2.MODALITIES for kind in (*ltx2.ITEMS[m].options, "frozen")}
        | {"partly given", "smaller reference", "stretched reference", "weighted reference"},
        conditionings,
    ),
    "LTX-2 pipelines": (PIPELINES, lambda files: {data["pipeline"] for data in ltx2_vectors(files)}),
    "LTX-2 tables": ({*ltx2_tables.TABLES, "network_forward"}, lambda files: tables(files, "ltx2-tables/1")),
    "LTX-2 sigma lists": (
        set(SIGMA_PRESETS) - NO_REFERENCE,
        lambda files: {
            ltx2_tables.FIXED_LISTS[name]
            for data in with_key(files, "fixed_sigma_lists")
            for name in data["fixed_sigma_lists"]
        },
    ),
    "LTX-Video perturbations": (
        set(MODES),
        lambda files: {
            ltxv.MODES[data["parameters"]["skip_layer_strategy"]]
            for data in ltxv_vectors(files)
            if data["parameters"].get("stg_scale")
        },
    ),
    "LTX-Video guidance": (
        {LTXV_GUIDANCE[field.name] for field in dataclasses.fields(GuidanceEntry)},
        ltxv_guidance_used,
    ),
    "LTX-Video pipelines": (
        {
            "multi-scale",
            "first steps skipped",
            "last steps skipped",
            "guidance by timestep",
            "scaled negative",
            "image at the start",
            "image later",
        },
        ltxv_pipelines,
    ),
    "LTX-Video tables": (set(ltxv.TABLES), lambda files: tables(files, "ltxv-tables/1")),
    "LTX-Video presets": (
        {name.replace(" ", "-").lower() for name in PRESETS if "0.9.8" in name},
        lambda files: {name.lower() for data in with_key(files, "presets") for name in data["presets"]},
    ),
    "LongLive kinds": (
        set(longlive.FIELDS) - TOO_LARGE,
        lambda files: {data["kind"] for data in with_key(files, "kind")},
    ),
    "LongLive solver steps": (
        {2, 4},
        lambda files: {data["num_steps"] for data in with_key(files, "velocity_formula")},
    ),
    "Wan kinds": (set(wan.RUNS), wan_kinds),
    "Wan solvers": (set(FLOW_SOLVERS), flow_solvers),
    "Wan schedules": (
        set(SCHEDULES),
        lambda files: {
            table["schedule"] for data in with_key(files, "tables") for table in data["tables"] if "schedule" in table
        },
    ),
    "Wan phases": ({1, 2}, lambda files: {len(data["experts"]) for data in with_key(files, "experts")}),
    "Wan layouts": (
        {("mask", "masked"), ("control", "mask", "masked")},
        lambda files: {tuple(part["name"] for part in data["y_layout"]) for data in with_key(files, "experts")},
    ),
    "Wan inputs": (
        {"start_image", "end_image", "ref_image", "control_video"},
        lambda files: {name for data in with_key(files, "experts") for name in data["inputs"]},
    ),
    "Wan camera moves": (
        set(MOVES) - OWN_MOVES,
        lambda files: {
            move for data in with_key(files, "plucker") for path in data["paths"] for move in path.get("moves", [])
        },
    ),
    "Wan RIFLEx divisors": (
        set(DIVISORS.values()),
        lambda files: {table["divide_by"] for data in with_key(files, "theta") for table in data["tables"]},
    ),
}


def test_the_files_stay_small():
    sizes = [path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()]
    assert max(sizes) < 2e6
    assert sum(sizes) < 12e6


@pytest.mark.parametrize("what", REQUIRED)
def test_every_one_has_a_scenario(what):
    wanted, found = REQUIRED[what]
    assert wanted
    assert wanted - found(FILES) == set()


@pytest.mark.parametrize(
    ("file", "what", "lost"),
    [
        ("ltx/vectors/hq_res2s", "LTX-2 solvers", "res2s"),
        ("ltx/vectors/euler_cfg_pp", "LTX-2 solvers", "euler_cfg_pp"),
        ("ltx/vectors/euler_ancestral", "LTX-2 solvers", "euler_ancestral_rf"),
        ("ltx/vectors/gradient_estimation", "LTX-2 solvers", "gradient_estimation"),
        ("ltx/vectors/sigma_binned", "LTX-2 guides", "binned"),
        ("ltx/vectors/skip_step_one_modality", "LTX-2 guidance", "skip_step"),
        ("ltx/vectors/distilled_8", "LTX-2 pipelines", "distilled, stage 1"),
        ("ltx/vectors/a2v_frozen_guided", "LTX-2 pipelines", "audio to video, stage 1"),
        ("ltx/vectors/lipdub_stage1", "LTX-2 conditionings", "smaller reference"),
        ("ltx/vectors/keyframe_guided", "LTX-2 conditionings", "video keyframe"),
        ("ltx/vectors/iclora_token_weights", "LTX-2 conditionings", "weighted reference"),
        ("ltx/vectors/retake_keep_video", "LTX-2 conditionings", "video frozen"),
        ("ltx/vectors/ltxv_stg_residual", "LTX-Video perturbations", "residual"),
        ("ltx/vectors/ltxv_dev_second_pass", "LTX-Video pipelines", "first steps skipped"),
        ("longlive/ll1/resume_cancelled_mid_block", "LongLive kinds", "ll1_resume"),
        ("wan/conditioning/wan22_inp_start_end", "Wan phases", 2),
        ("wan/lora/index", "Wan kinds", "lora"),
        ("wan/trajectory/two_splines", "Wan kinds", "trajectory"),
        ("wan/schedules/solver_trajectories", "Wan solvers", "flow UniPC"),
    ],
)
def test_a_scenario_that_is_gone_is_missed(file, what, lost):
    wanted, found = REQUIRED[what]
    rest = {name: data for name, data in FILES.items() if name != file}
    assert lost in wanted - found(rest)
