"""Wan-Fun goldens: conditioning through the pack's node and core's models, camera, schedules, solvers, LoRA, sizes.

Beside them the plans of windows, which any family can use. The format is described in the golden folder's README.
Errors are relative to the largest expected value.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import comfy.clip_vision
import comfy.samplers
import torch
from torch import Tensor

from harness import wan_models
from oner.nodes.wan.conditioning import WanFunConditioning
from oner.samplers.flow_solvers import sample_flow_dpmpp_2m, sample_flow_unipc
from oner.samplers.lora_multipliers import expand_multipliers
from oner.samplers.phase_guider import Phase, PhaseGuider, PhasePlan
from oner.samplers.windows.plan import GRIDS, Grid, Row, WindowPlan, make_plan
from oner.samplers.windows.plan_text import PlanPrompt, read_prompt
from oner.utils.tracks import read_tracks
from oner.wan import camera, pluecker, riflex, sizes, trajectory
from oner.wan.lora_files import load_any_lora
from oner.wan.schedules import SCHEDULES, boundary_index, flow_sigmas

from .scenario import (
    BadGolden,
    Check,
    Choice,
    Fields,
    Scenario,
    UnknownField,
    absolute_error,
    existing,
    knowing,
    load_tensors,
    mismatch,
    read_golden,
    relative_error,
)

PREPARED, VELOCITY = 1e-5, 3e-5
PIXELS = ("start_image", "end_image", "ref_image", "control_video", "inpaint_video", "inpaint_mask")
OVERLAP_GRID = re.compile(r"step(\d+)_offset(\d+)")
SOLVERS = {"unipc": sample_flow_unipc, "dpmpp": sample_flow_dpmpp_2m}


SIZE = Fields("height width")
MOVE = Fields("moves speed", counts="frames")
PATH = Choice(
    "kind",
    {
        "basic": replace(MOVE, read=f"{MOVE.read} kind name w2c"),
        "combine": replace(MOVE, read=f"{MOVE.read} kind name w2c"),
        "join": Fields("kind name w2c", described="frames", nested={"first": MOVE, "second": MOVE}),
        "file": Fields("kind name intrinsics w2c", texts="file", described="frames"),
    },
)
SIGMAS = Fields(
    "schedule sigmas",
    counts="steps",
    positive="shift",
    needed="split",
    nested={"split": Fields(each=Fields("index high_steps low_steps"))},
)
SOLUTION = Fields("name solver", counts="steps", positive="shift", fixed={"dtype": "torch.float64"})
WINDOW = Fields("out overlap discard trim new_shot prompt loras_mult", counts="frames")
GRID = Fields("overlap_offset", counts="minimum step frame_offset")
PLAN = Fields("name mode discard max_overlap", counts="total window", texts="grid", nested={"rows": WINDOW})
FIELDS = {
    "conditioning": Fields(
        "experts inputs clip",
        counts="width height frames latent_channels",
        described="row latent_frames tensors camera speed timestep_form timestep_per_frame_factor first_frame_pinned",
        nested={
            "sampling": Fields("sigmas cfg boundary expert_per_step", described="schedule", fixed={"sampler": "euler"}),
            "y_layout": Fields(described="name from to"),
        },
    ),
    "checkpoints": Fields(
        described="dim ffn_dim num_layers num_heads text_dim",
        nested={
            "rows": Fields(
                each=Fields(
                    "parts checksum_sum",
                    counts="keys",
                    positive="checksum_abs",
                    described="in_dim out_dim clip_branch ref_conv control_adapter",
                )
            )
        },
    ),
    "camera": Fields(
        "default_intrinsics",
        needed="three_poses",
        fixed={"pose_aspect": [1280, 720]},
        nested={
            "paths": PATH,
            "plucker": Fields(
                "name path",
                counts="height width",
                nonzero="mean",
                positive="abs_mean",
                described="frames latent_frames",
            ),
            "three_poses": Fields(
                "path", counts="height width", described="frames layout max_abs_gap_between_variants"
            ),
        },
    ),
    "sigmas": Fields(nested={"tables": Choice("schedule", dict.fromkeys(SCHEDULES, SIGMAS))}),
    "solvers": Fields(nested={"trajectories": Choice("solver", dict.fromkeys(SOLVERS, SOLUTION))}),
    "riflex": Fields(
        counts="dim",
        positive="theta",
        nested={
            "tables": Fields(
                "name positions changed_index", counts="latent_frames k", positive="divide_by", nonzero="changed_value"
            )
        },
    ),
    "lora": Fields(
        "strength",
        texts="base_file",
        described="rank alpha",
        nested={"files": Fields("format has_alpha layers expected_prefix", texts="file")},
    ),
    "sizes": Fields(
        "table_h_w",
        needed="cases lengths",
        described="portrait_default_when_nothing_given",
        nested={
            "cases": Fields("ratio_key", counts="source_width source_height base", nested={"m16": SIZE, "m32": SIZE}),
            "lengths": Fields("frames", counts="requested"),
        },
    ),
    "multipliers": Fields(
        nested={
            "cases": Fields(
                "phases switch_step switch_step2 model_switch_phase expected error",
                texts="text",
                counts="loras steps",
                described="original same",
            )
        }
    ),
    "windows": Fields(
        nested={
            "grids": Fields(nested=dict.fromkeys(GRIDS, GRID)),
            "plans": Choice(
                "mode",
                {
                    "default": replace(PLAN, read=f"{PLAN.read} overlap short_tail", needed="rows"),
                    "prompts": replace(
                        PLAN,
                        read=f"{PLAN.read} overlap short_tail prompts fps allow_new_shot prefix_frames active "
                        "prompts_out error error_about sum_out",
                    ),
                },
            ),
            "overlap_rounding": Fields("requested step4_offset1 step8_offset1 step4_offset0"),
        }
    ),
}


def trajectory_fields(data: dict) -> Fields:
    splines = " ".join(f"spline{index}" for index in range(len(data["splines"])))
    return Fields(
        "radius sigma cutoff_radius centre_offset",
        counts="height width frames",
        described="border_spline frames_where_original_differs measured",
        nested={"splines": Fields("x y"), "resample": Fields(splines, counts="length")},
    )


LATER = {"step caches": "step caches are not built yet"}


def kind_of(data: dict) -> str | None:
    """What a file holds, by the fields it has: a key of RUNS or LATER, or None."""
    keys = data.keys()
    if {"row", "experts", "y_layout"} <= keys:
        return "conditioning"
    if "rows" in keys and all("parts" in row for row in data["rows"].values()):
        return "checkpoints"
    if {"paths", "plucker"} <= keys:
        return "camera"
    if {"splines", "cutoff_radius"} <= keys:
        return "trajectory"
    if {"theta", "tables"} <= keys:
        return "riflex"
    if "tables" in keys and all("schedule" in table for table in data["tables"]):
        return "sigmas"
    if "trajectories" in keys and all("solver" in run for run in data["trajectories"]):
        return "solvers"
    if {"files", "base_file"} <= keys:
        return "lora"
    if {"table_h_w", "lengths"} <= keys:
        return "sizes"
    if "cases" in keys and all("loras" in case for case in data["cases"]):
        return "multipliers"
    if {"polynomials", "cases"} <= keys:
        return "step caches"
    return "windows" if {"grids", "plans"} <= keys else None


def claim(path: Path, data: dict | list) -> list[Scenario] | None:
    kind = kind_of(data) if isinstance(data, dict) else None
    if kind in LATER:
        return [Scenario(path, later=LATER[kind])]
    if kind not in RUNS:
        return None
    fields = trajectory_fields(data) if kind == "trajectory" else FIELDS[kind]
    return [Scenario(path, knowing(fields, data, partial(RUNS[kind], path, data)))]


def tensors_of(path: Path) -> dict[str, Tensor]:
    return load_tensors(path.with_suffix(".safetensors"))


def checkpoints_of(path: Path) -> Path:
    return path.parent.parent / "checkpoints"


# -- conditioning -----------------------------------------------------------------------------------------------------


def rows_of(folder: Path) -> dict[str, dict]:
    """The rows of the set of checkpoints whose own file `rows/NAME.safetensors` is there; each must be whole.

    A golden folder may hold a subset of them, but no file that no row names.
    """
    rows = read_golden(folder / "index.json")["rows"]
    for name, row in rows.items():
        if own_file(name) not in row["parts"]:
            raise BadGolden(
                f'the parts of "{name}" are {row["parts"]!r}; its own, {own_file(name)!r}, is not among them'
            )
    if orphans := {path.stem for path in (folder / "rows").glob("*.safetensors")} - set(rows):
        raise BadGolden(f"no row of the checkpoints names {own_file(min(orphans))!r}")
    present = {name: row for name, row in rows.items() if (folder / own_file(name)).exists()}
    for part in {part for row in present.values() for part in row["parts"]}:
        existing(folder / part)
    return present


def own_file(name: str) -> str:
    return f"rows/{name}.safetensors"


def load_model(folder: Path, name: str) -> Any:
    """The model of one row."""
    if name not in rows_of(folder):
        raise BadGolden(f"the checkpoint {name!r} is not in {folder.name}/")
    return wan_models.load_model(folder, name)


def run_checkpoints(path: Path, _data: dict) -> list[Check]:
    folder, checks = path.parent, []
    for name, row in rows_of(folder).items():
        tensors = wan_models.state_dict(folder, name)
        checks.append(Check(f"{name} keys", mismatch(len(tensors), row["keys"]), 0))
        sums = {
            "checksum_sum": sum(tensor.double().sum().item() for tensor in tensors.values()),
            "checksum_abs": sum(tensor.double().abs().sum().item() for tensor in tensors.values()),
        }
        for kind, total in sums.items():
            checks.append(Check(f"{name} {kind}", abs(total - row[kind]) / row["checksum_abs"], 1e-9))
    return checks


def node_inputs(tensors: dict[str, Tensor], data: dict, clip: Any) -> dict[str, Any]:
    """The inputs of the conditioning node, from the scenario's uint8 pixels."""
    unknown = set(data["inputs"]) - {*PIXELS, "noise", "camera_rows"}
    if unknown:
        raise UnknownField(f'the field "inputs" names {min(unknown)!r}, which the conditioning node is not given here')
    inputs: dict[str, Any] = {name: tensors[name].float() / 255 for name in data["inputs"] if name in PIXELS}
    if data.get("clip") not in (None, "zeros"):
        inputs["clip_vision_output"] = clip
    if "camera_rows" in data["inputs"]:
        path = camera.from_rows(tensors["camera_rows"].double().tolist())
        inputs["camera"] = pluecker.embed(path, data["width"], data["height"])
    return inputs


def run_conditioning(path: Path, data: dict) -> list[Check]:
    folder, tensors = checkpoints_of(path), tensors_of(path)
    models = [load_model(folder, name) for name in data["experts"]]
    vae = wan_models.load_vae(folder, data["latent_channels"])
    prompts = wan_models.load_prompts(folder)
    inputs = node_inputs(tensors, data, prompts.clip)
    positive, negative, latent, _ = WanFunConditioning.execute(
        models[0], prompts.positive, prompts.negative, vae, data["width"], data["height"], data["frames"], **inputs
    ).args
    checks = check_prepared(models[0], positive[0][1], latent, tensors)

    sampling = data["sampling"]
    sigmas = torch.tensor(sampling["sigmas"])
    boundary = sampling["boundary"]
    phase = Phase(sampling["cfg"])
    plan = PhasePlan((phase,)) if boundary is None else PhasePlan((phase, phase), (boundary,))
    if sampling["expert_per_step"] is not None:
        used = [("high", "low")[plan.phase_of(sigma)] for sigma in sigmas[:-1].tolist()]
        checks.append(Check("expert_per_step", mismatch(used, sampling["expert_per_step"]), 0))
    steps = {int(name[len("step") : -len(".x")]) for name in tensors if name.endswith(".x")}
    for step in sorted(steps):
        model = models[plan.phase_of(float(sigmas[step]))] if len(models) > 1 else models[0]
        checks += check_step(model, positive, negative, latent, tensors, step, float(sigmas[step]))
    guider = PhaseGuider(models[0], plan, *models[1:])
    guider.set_conds(positive, negative)
    final = guider.sample(
        tensors["noise"],
        latent["samples"],
        comfy.samplers.ksampler("euler"),
        sigmas,
        latent.get("noise_mask"),
        disable_pbar=True,
        seed=0,
    )
    final = models[0].model.latent_format.process_in(final)
    return [*checks, Check("latents_final", relative_error(final, tensors["latents_final"]), VELOCITY)]


def check_prepared(model: Any, values: dict, latent: dict, tensors: dict[str, Tensor]) -> list[Check]:
    """What the model makes of the conditioning, against the reference's tensors."""
    base = model.model
    device = torch.device("cpu")
    y = base.concat_cond(
        noise=tensors["noise"],
        device=device,
        denoise_mask=latent.get("noise_mask"),
        **{key: value for key, value in values.items() if key.startswith("concat")},
    )
    checks = [Check("y", relative_error(y, tensors["expected.y"]), PREPARED)]
    conds = base.extra_conds(noise=tensors["noise"], device=device, **values)
    if "expected.ref_latent" in tensors:
        error = relative_error(conds["reference_latent"].cond, tensors["expected.ref_latent"])
        checks.append(Check("ref_latent", error, PREPARED))
    if "expected.y_camera" in tensors:
        error = relative_error(conds["camera_conditions"].cond, tensors["expected.y_camera"])
        checks.append(Check("y_camera", error, PREPARED))
    if "expected.initial_latents" in tensors:
        mask = latent["noise_mask"]
        start = base.latent_format.process_in(latent["samples"].clone()) * (1 - mask) + tensors["noise"] * mask
        checks.append(Check("initial_latents", relative_error(start, tensors["expected.initial_latents"]), PREPARED))
    return checks


def same_length(actual: Tensor, expected: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Our times (one, or one a frame) and a golden's (or one a token) as lists of one length, the shorter one expanded.

    Ours of reference frames come before those of the clip's frames; a golden list has none for them.
    """
    actual, expected = actual.flatten(), expected.flatten()
    if len(expected) > 1:
        actual = actual[-frames:]
    length = max(len(actual), len(expected))
    return tuple(times.repeat_interleave(length // len(times)) for times in (actual, expected))


def check_step(
    model: Any, positive: list, negative: list, latent: dict, tensors: dict[str, Tensor], step: int, sigma: float
) -> list[Check]:
    """Velocities and timesteps of both prompts at one step, from the reference's own latents at that step."""
    seen: dict[int, tuple[Tensor, Tensor]] = {}

    def keep(velocity: Tensor, timestep: Tensor, chunks: list[int]) -> None:
        rows = zip(chunks, velocity.chunk(len(chunks)), timestep.chunk(len(chunks)), strict=True)
        seen.update({chunk: (row, t) for chunk, row, t in rows})

    def one_evaluation(model_k, _, sigmas, extra_args, **__):
        return model_k(tensors[f"step{step}.x"], sigmas[:1], **extra_args)

    guider = comfy.samplers.CFGGuider(wan_models.record_velocities(model, keep))
    guider.set_conds(positive, negative)
    guider.set_cfg(6.0)
    guider.sample(
        tensors["noise"],
        latent["samples"],
        comfy.samplers.KSAMPLER(one_evaluation),
        torch.tensor([sigma, 0.0]),
        latent.get("noise_mask"),
        disable_pbar=True,
        seed=0,
    )
    timestep, frames = tensors[f"step{step}.timestep"], tensors["noise"].shape[2]
    checks = []
    for chunk, name in enumerate(("velocity_cond", "velocity_uncond")):
        velocity, t = seen[chunk]
        checks.append(Check(f"step{step}.{name}", relative_error(velocity, tensors[f"step{step}.{name}"]), VELOCITY))
        error = relative_error(*same_length(t, timestep, frames))
        checks.append(Check(f"step{step}.timestep", error, PREPARED))
    return checks


# -- camera and trajectory --------------------------------------------------------------------------------------------


def camera_path(entry: dict, folder: Path) -> camera.CameraPath:
    if entry["kind"] == "file":
        return camera.parse(existing(folder / entry["file"]).read_text())
    if entry["kind"] == "join":
        return camera.join(
            *(
                camera.move(part["moves"], part["frames"], speed=part["speed"])
                for part in (entry["first"], entry["second"])
            )
        )
    return camera.move(entry["moves"], entry["frames"], speed=entry["speed"])


def run_camera(path: Path, data: dict) -> list[Check]:
    tensors = load_tensors(path.with_name("plucker.safetensors"))
    entries = {entry["name"]: entry for entry in data["paths"]}
    paths = {name: camera_path(entry, path.parent) for name, entry in entries.items()}
    checks = []
    for name, entry in entries.items():
        expected = torch.tensor(entry["w2c"], dtype=torch.float64)
        checks.append(Check(name, relative_error(paths[name].w2c, expected), PREPARED))
        if "intrinsics" in entry:
            given = torch.tensor(entry["intrinsics"], dtype=torch.float64).expand(len(paths[name]), 4)
            checks.append(Check(f"{name} intrinsics", relative_error(paths[name].intrinsics, given), PREPARED))
    defaults = camera.INTRINSICS
    checks.append(Check("default intrinsics", mismatch(list(defaults), data["default_intrinsics"]), 0))
    for entry in data["plucker"]:
        height, width = entry["height"], entry["width"]
        embedding = pluecker.embed(paths[entry["path"]], width, height)[0]  # [24, T, H, W]
        rows, columns = tensors[f"pixels_{height}x{width}"].long().unbind(-1)
        expected = tensors[entry["name"]]
        checks.append(Check(entry["name"], relative_error(embedding[:, :, rows, columns], expected), PREPARED))
        for statistic, value in (("mean", embedding.double().mean()), ("abs_mean", embedding.double().abs().mean())):
            error = abs(value.item() / entry[statistic] - 1)
            checks.append(Check(f"{entry['name']} {statistic}", error, PREPARED))
    return checks + check_three_poses(paths, data, tensors)


def check_three_poses(paths: dict[str, camera.CameraPath], data: dict, tensors: dict[str, Tensor]) -> list[Check]:
    """Three poses: the cross product must run over the coordinates, not over the poses."""
    three = data["three_poses"]
    height, width = three["height"], three["width"]
    rows, columns = tensors[f"pixels_{height}x{width}"].long().unbind(-1)
    actual = pluecker.rays(paths[three["path"]], width, height)[:, rows, columns]
    (name,) = (name for name in tensors if name.startswith("three_poses") and "expected" in name)
    return [Check(name, relative_error(actual, tensors[name]), PREPARED)]


def run_trajectory(path: Path, data: dict) -> list[Check]:
    corrected = tensors_of(path)["corrected"].float() / 255
    splines = read_tracks(json.dumps(data["splines"]))
    points = trajectory.points_at(splines, data["frames"])
    radius = trajectory.default_radius(data["height"], data["width"])
    drawn = trajectory.draw(points, data["height"], data["width"], radius)
    checks = [
        Check("radius", mismatch(radius, data["radius"]), 0),
        Check("sigma", abs(trajectory.SIGMA * radius - data["sigma"]), 1e-9),
        Check("cutoff", abs(trajectory.CUTOFF * radius - data["cutoff_radius"]), 1e-9),
        Check("centre", abs(trajectory.centre_offset(radius) - data["centre_offset"]), 1e-9),
        Check("corrected", absolute_error(drawn, corrected), 0.035),
    ]
    resampled = trajectory.points_at(splines, data["resample"]["length"])
    for index, spline in enumerate(resampled):
        expected = torch.tensor(data["resample"][f"spline{index}"], dtype=torch.float64)
        checks.append(Check(f"resample spline{index}", relative_error(spline, expected), PREPARED))
    return checks


# -- schedules and solvers --------------------------------------------------------------------------------------------


def run_sigmas(_path: Path, data: dict) -> list[Check]:
    checks = []
    for table in data["tables"]:
        name = f"{table['schedule']} {table['steps']} shift {table['shift']}"
        sigmas = flow_sigmas(table["schedule"], table["steps"], table["shift"])
        checks.append(Check(name, relative_error(sigmas, torch.tensor(table["sigmas"])), PREPARED))
        for boundary, split in table["split"].items():
            index = boundary_index(sigmas, float(boundary))
            found = {"index": index, "high_steps": index, "low_steps": table["steps"] - index}
            checks.append(Check(f"{name} split {boundary}", mismatch(found, {key: split[key] for key in found}), 0))
    return checks


def run_solvers(path: Path, data: dict) -> list[Check]:
    tensors = tensors_of(path)
    checks = []
    for run in data["trajectories"]:
        expected, listed = tensors[f"{run['name']}.x"], tensors[f"{run['name']}.sigmas"]
        sigmas = flow_sigmas(run["solver"], run["steps"], run["shift"])
        checks.append(Check(f"{run['name']} sigmas", relative_error(sigmas, listed), PREPARED))
        for dtype, tolerance in ((torch.float64, 2e-6), (torch.float32, 1e-5)):
            a, b, x = (tensors[name].to(dtype) for name in ("A", "b", "x_init"))
            states: list[Tensor] = []

            def model(x, sigma, a=a, b=b, states=states):
                states.append(x)
                return x - sigma * (torch.tanh(x @ a.T) + sigma * b - 0.5 * x)

            sigmas = tensors[f"{run['name']}.sigmas"].to(dtype)
            states.append(SOLVERS[run["solver"]](model, x, sigmas, disable=True))
            error = relative_error(torch.cat(states), expected)
            checks.append(Check(f"{run['name']} {dtype}", error, tolerance))
    return checks


def run_riflex(path: Path, data: dict) -> list[Check]:
    tensors = tensors_of(path)
    checks = []
    for table in data["tables"]:
        name = table["name"]
        frequencies = riflex.temporal_frequencies(
            data["dim"], data["theta"], table["latent_frames"], table["k"], table["divide_by"]
        )
        angles = torch.tensor(table["positions"], dtype=torch.float64).unsqueeze(-1) * frequencies
        changed = frequencies[table["changed_index"]].item() / table["changed_value"] - 1
        checks.append(Check(f"{name} changed value", abs(changed), PREPARED))
        checks.append(Check(f"{name}.freqs", relative_error(frequencies, tensors[f"{name}.freqs"]), PREPARED))
        checks.append(Check(f"{name}.cos", relative_error(angles.cos(), tensors[f"{name}.cos"]), PREPARED))
        checks.append(Check(f"{name}.sin", relative_error(angles.sin(), tensors[f"{name}.sin"]), PREPARED))
    return checks


# -- LoRA, multipliers, sizes -----------------------------------------------------------------------------------------


def run_lora(path: Path, data: dict) -> list[Check]:
    root = path.parent.parent
    expected = load_tensors(path.with_name("expected.safetensors"))
    model = wan_models.load_model(root / "checkpoints", next(iter(rows_of(root / "checkpoints"))))
    base = wan_models.join_factors(load_tensors(root / data["base_file"]))
    checks = []
    for entry in data["files"]:
        lora = load_tensors(path.parent / entry["file"])
        patched, report = load_any_lora(model, lora, data["strength"])
        name = entry["format"] + (" alpha" if entry["has_alpha"] else "")
        checks.append(Check(f"{name} layers", mismatch(sorted(report.layers), sorted(entry["layers"])), 0))
        checks.append(Check(f"{name} unmatched", mismatch(report.unmatched, []), 0))
        weights = {key.removeprefix("diffusion_model."): key for key in patched.model_state_dict()}
        for layer, key in weights.items():
            if layer not in base:
                continue
            actual = patched.patch_weight_to_device(key, return_weight=True) if key in patched.patches else base[layer]
            golden = f"{entry['expected_prefix']}.{layer}"
            changed = layer.removesuffix(".weight") in entry["layers"]
            target = expected[golden] if changed else base[layer]
            if changed or key in patched.patches:
                checks.append(Check(f"{name} {layer}", relative_error(actual, target), PREPARED))
    return checks


def run_multipliers(_path: Path, data: dict) -> list[Check]:
    checks = []
    for case in data["cases"]:
        arguments = (case["text"], case["loras"], case["steps"], case["phases"])
        switches = [step for step in (case["switch_step"], case["switch_step2"]) if step is not None]
        try:
            found = expand_multipliers(*arguments, switches, case["model_switch_phase"])
        except ValueError:
            found = "error"
        expected = "error" if case.get("error") else case["expected"]
        checks.append(Check(repr(case["text"]), mismatch(found, expected), 0))
    return checks


def run_sizes(_path: Path, data: dict) -> list[Check]:
    table = {str(ratio): list(size) for ratio, size in sizes.BUCKETS.items()}
    checks = [Check("table", mismatch(table, data["table_h_w"]), 0)]
    for case in data["cases"]:
        source, base = (case["source_width"], case["source_height"]), case["base"]
        checks.append(Check(f"{source} key", mismatch(sizes.bucket_key(*source), case["ratio_key"]), 0))
        for name, multiple in (("m16", 16), ("m32", 32)):
            found = dict(zip(("width", "height"), sizes.bucket_size(*source, base, multiple), strict=True))
            checks.append(Check(f"{source} {base} {name}", mismatch(found, case[name]), 0))
    for length in data["lengths"]:
        checks.append(
            Check(
                f"length {length['requested']}", mismatch(sizes.whole_length(length["requested"]), length["frames"]), 0
            )
        )
    return checks


def run_windows(_path: Path, data: dict) -> list[Check]:
    grids = {name: Grid(**grid) for name, grid in data["grids"].items()}
    checks = [Check(f"grid {name}", mismatch(GRIDS.get(name), grid), 0) for name, grid in grids.items()]
    for plan in data["plans"]:
        checks += check_plan(plan, grids[plan["grid"]])
    for case in data["overlap_rounding"]:
        for name, expected in case.items():
            if found := OVERLAP_GRID.fullmatch(name):
                rounded = Grid(5, int(found[1]), overlap_offset=int(found[2])).nearest_overlap(case["requested"])
                checks.append(Check(f"overlap {case['requested']} {name}", mismatch(rounded, expected), 0))
    return checks


def check_plan(golden: dict, grid: Grid) -> list[Check]:
    """One plan: its rows, its refusal, or that its prompts hold no command.

    Rows with a short tail are compared without the balance that the pack gives them, which must keep grid and sum.
    """
    name, plan = golden["name"], partial(plan_of, golden, grid)
    if golden.get("error"):
        try:
            plan()
        except ValueError as error:
            return [Check(name, float(golden["error_about"] not in str(error)), 0)]
        return [Check(f"{name} is refused", 1.0, 0)]
    if golden.get("active") is False:
        read = [read_prompt(text, number) for number, text in enumerate(golden["prompts"], 1)]
        return [Check(name, mismatch(read, [PlanPrompt(text) for text in golden["prompts_out"]]), 0)]
    rows = [window_of(row) for row in plan(rebalance=False).rows]
    checks = [Check(name, mismatch(rows, [{"loras_mult": None, **row} for row in golden["rows"]]), 0)]
    checks.append(Check(f"{name} total", mismatch(plan().total, sum(row["out"] for row in golden["rows"])), 0))
    if "sum_out" in golden:
        checks.append(Check(f"{name} sum_out", mismatch(plan().total, golden["sum_out"]), 0))
    balanced = plan().rows
    short = len(balanced) > 1 and balanced[-1].out < grid.step
    on_grid = all(row.frames == grid.up(row.overlap + row.out + row.discard) for row in balanced)
    changed = [window_of(row) for row in balanced] != rows
    checks.append(Check(f"{name} balance", float(short or not on_grid or changed != golden["short_tail"]), 0))
    return checks


def plan_of(golden: dict, grid: Grid, **choices: bool) -> WindowPlan:
    return make_plan(
        [read_prompt(text, number) for number, text in enumerate(golden.get("prompts", ()), 1)],
        golden["total"],
        grid,
        golden["window"],
        golden["overlap"],
        golden.get("fps", 24.0),
        golden["discard"],
        golden["max_overlap"] or 0,
        golden.get("prefix_frames", 0),
        golden.get("allow_new_shot", True),
        **choices,
    )


def window_of(row: Row) -> dict:
    """A row with the names of the goldens."""
    names = ("out", "overlap", "discard", "trim", "frames", "new_shot", "prompt")
    return {**{name: getattr(row, name) for name in names}, "loras_mult": row.loras}


RUNS = {
    "conditioning": run_conditioning,
    "checkpoints": run_checkpoints,
    "camera": run_camera,
    "trajectory": run_trajectory,
    "sigmas": run_sigmas,
    "solvers": run_solvers,
    "riflex": run_riflex,
    "lora": run_lora,
    "multipliers": run_multipliers,
    "sizes": run_sizes,
    "windows": run_windows,
}
