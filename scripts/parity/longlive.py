"""LongLive: rollouts of 1.0 and 2.0, key/value contents, checkpoint forms, resume, solver and streaming decode."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from harness.base import throw_away
from oner.longlive.decode import StreamDecoder
from oner.longlive.loader import apply_lora, clean_keys, load_patcher, read_weights, unwrap
from oner.longlive.network import CausalNetwork
from oner.longlive.presets import Settings
from oner.longlive.rollout import Rollout, Segment
from oner.longlive.schedule import KEEP_SINK, NEW_SINK, SHOT_CUT
from oner.longlive.session import load_state, save_state
from oner.longlive.solvers import FlowUniPC, Steps, unipc_steps
from oner.utils.files import read_content

from . import formula
from .scenario import (
    BadGolden,
    Check,
    Fields,
    Scenario,
    absolute_error,
    existing,
    knowing,
    load_tensors,
    mismatch,
    read_golden,
)

ROLLOUT = Fields(
    "kind model_files lora_file lora_strength window_frames sink_frames sigmas timesteps bank kv_after_block "
    "kv_frames_held",
    described="name title notes",
    may_be_empty="switch_frames_requested switch_frames_effective shot_start_blocks",
    texts="tensors",
    tolerances="atol",
    counts="frames_per_block num_blocks num_latent_frames latent_size_hw tokens_per_frame batch "
    "num_steps latent_channels",
    positive="shift",
    fixed={"clean_pass_timestep": 0.0},
    nested={"flow_slice_index": Fields("channels row columns")},
)
SOLVER = {"solver": "flow_unipc", "solver_order": 2, "solver_type": "bh2"}
FIELDS = {
    "ll1_rollout": replace(ROLLOUT, read=f"{ROLLOUT.read} rope prompt_segments switch_keeps_sink"),
    "ll2_rollout": replace(
        ROLLOUT,
        read=f"{ROLLOUT.read} global_sink_frames multi_shot_sink shot_rope_offset_frames rope_offset_per_block "
        "prompt_index_per_block",
        fixed={**ROLLOUT.fixed, **SOLVER},
    ),
    "ll1_resume": Fields(
        "kind completed_blocks steps_done_in_next_block",
        described="name title expected",
        texts="rollout",
        tolerances="atol",
    ),
    "flow_unipc_trajectory": Fields(
        "kind sigmas timesteps",
        described="name title",
        texts="velocity_formula tensors",
        tolerances="atol",
        counts="num_steps",
        positive="shift",
        fixed={
            **SOLVER,
            "num_train_timesteps": 1000,
            "prediction": "velocity converted to x0: x0 = x - sigma*v",
            "lower_order_final": True,
            "final_sigma": 0.0,
        },
    ),
    "vae21_decode": Fields(
        "kind model_files",
        texts="tensors",
        tolerances="atol",
        counts="arrival_chunks",
        described="name title num_latent_frames num_pixel_frames latent_size_hw pixel_size_hw base_dim z_dim dim_mult "
        "num_res_blocks temporal_downsample",
    ),
}


def claim(path: Path, data: dict | list) -> list[Scenario] | None:
    if not isinstance(data, dict) or data.get("kind") not in FIELDS:
        return None
    root = path.parent.parent  # files are named from the folder above ll1/, ll2/ and vae/
    run: dict[str, Callable] = {
        "ll1_resume": resume,
        "flow_unipc_trajectory": trajectory,
        "vae21_decode": decode,
        "ll1_rollout": rollout_check,
        "ll2_rollout": rollout_check,
    }
    fields = FIELDS[data["kind"]]
    if data["kind"] != "ll1_rollout":
        return [Scenario(path, knowing(fields, data, lambda: run[data["kind"]](root, data)))]
    files = model_files_of(data)
    return [
        Scenario(
            path,
            knowing(fields, data, lambda file=file: rollout_check(root, data, [file])),
            name=Path(file).name if files[1:] else "",
        )
        for file in files
    ]


ROPE = {"absolute": False, "relative": True}
BFLOAT16 = 1.5e-2  # relative RMS of latents made in bfloat16; the reference's own bfloat16 is 6.6e-3 from its float32


def model_files_of(data: dict) -> list[str]:
    """The model files of a golden: names of files, each alone or with an entry as `file.pt#generator_ema`."""
    files = data["model_files"]
    if not files or not isinstance(files, list):
        raise BadGolden(f'the field "model_files" is {files!r}; it must be a list of files, or nothing is compared')
    for name in files:
        if not (isinstance(name, str) and re.fullmatch("[^#]+(#[^#]+)?", name)):
            raise BadGolden(f'the field "model_files" has {name!r}; it must be a file, or `file#entry`')
    return files


def entry_of(name: str) -> tuple[str, str]:
    """File and entry of `file.pt#generator_ema`; without a suffix the loader takes the first entry it knows."""
    file, _, entry = name.partition("#")
    return file, entry or "auto"


def check_entry(root: Path, name: str) -> None:
    """Raise BadGolden if the file of `file.pt#entry` is not there or lacks the entry."""
    file, entry = entry_of(name)
    content, _ = read_content(existing(root / file))
    try:
        unwrap(content, entry)
    except ValueError as error:
        raise BadGolden(f"{name}: {error}") from error


def network(root: Path, data: dict, files: list[str], dtype: torch.dtype = torch.float32) -> CausalNetwork:
    """The model through the pack's loader; several files are layers of overrides, merged into one."""
    for name in files:
        check_entry(root, name)
    options = {"dtype": dtype}
    file, entry = entry_of(files[0])
    if len(files) == 1:
        patcher = load_patcher(root / file, entry, options)
    else:
        weights = read_weights(root / file, entry)[0]
        for file, entry in map(entry_of, files[1:]):
            weights |= clean_keys(unwrap(read_content(root / file)[0], entry)[0])
        with throw_away() as folder:
            merged = Path(folder) / "merged.safetensors"
            save_file(weights, merged)
            patcher = load_patcher(merged, model_options=options)
    if data.get("lora_file"):
        patcher, _ = apply_lora(patcher, existing(root / data["lora_file"]), data["lora_strength"])
    patcher.patch_model()
    return CausalNetwork(patcher.model.diffusion_model, dtype)


def settings_of(data: dict) -> Settings:
    common = {"window": data["window_frames"], "sink": data["sink_frames"], "block": data["frames_per_block"]}
    if data["kind"] == "ll1_rollout":
        return Settings(steps=len(data["sigmas"]), shift=data["shift"], relative=ROPE[data["rope"]], **common)
    return Settings(
        steps=data["num_steps"],
        shift=data["shift"],
        solver="unipc",
        shot_sink=data["multi_shot_sink"],
        shot_offset=int(data["shot_rope_offset_frames"]),
        channels=data["latent_channels"],
        **common,
    )


def segments_of(data: dict, prompts: Tensor) -> list[Segment]:
    if data["kind"] == "ll2_rollout":
        block = data["frames_per_block"]
        return [
            Segment(
                start * block, prompts[data["prompt_index_per_block"][start]][None], SHOT_CUT if start else KEEP_SINK
            )
            for start in [0, *data["shot_start_blocks"]]
        ]
    block = data["frames_per_block"]
    mode = KEEP_SINK if data["switch_keeps_sink"] in (True, None) else NEW_SINK
    starts = [0, *(-(-frame // block) * block for frame in data["switch_frames_requested"])]
    return [
        Segment(start, prompts[list(indices)], mode)
        for start, indices in zip(starts, data["prompt_segments"], strict=True)
    ]


def prompts_of(data: dict) -> tuple[list[int], list[int]]:
    """The prompt of each block as the shots of `segments_of` have it, and as the file lists it."""
    listed = data.get("prompt_index_per_block", [])
    starts = sorted({0, *data.get("shot_start_blocks", [])})
    return [listed[max(start for start in starts if start <= block)] for block in range(len(listed))], listed


def sinks_of(data: dict) -> tuple[int, int]:
    """The sink the pack keeps for the whole take, and the one the file asks for, which matters with shot sinks only."""
    sink = data["sink_frames"]
    return sink, data["global_sink_frames"] if data.get("multi_shot_sink") else sink


class Recorder:
    """Collects what the golden files hold about every predicted flow."""

    def __init__(self, data: dict, columns: int):
        self.block, self.index = data["frames_per_block"], data["flow_slice_index"]
        blocks = data["num_blocks"]
        self.mean = torch.zeros(blocks, columns, dtype=torch.float64)
        self.meansq = torch.zeros(blocks, columns, dtype=torch.float64)
        self.slices: dict[tuple[int, int], Tensor] = {}

    def __call__(self, first: int, column: int, flow: Tensor) -> None:
        block = first // self.block
        self.mean[block, column] = flow.double().mean()
        self.meansq[block, column] = flow.double().square().mean()
        part = flow[:, self.index["channels"], :, self.index["row"]]  # [B, 4, F, W]
        self.slices[block, column] = part[..., self.index["columns"]]


def make_rollout(
    root: Path, data: dict, files: list[str] | None = None, on_flow=None, dtype: torch.dtype = torch.float32
) -> tuple[Rollout, dict]:
    tensors = load_tensors(root / data["tensors"])
    bank = load_tensors(root / data["bank"]) if "bank" in data else tensors
    net = network(root, data, files or model_files_of(data), dtype)

    def noise(first: int, step: int, shape: tuple[int, ...]) -> Tensor:
        source = bank["noise"] if step == 0 else bank["renoise"][step - 1]
        return source[:, :, first : first + shape[2]]

    first = bank["noise"]
    take = Rollout(
        net,
        settings_of(data),
        segments_of(data, bank["prompts"]),
        (first.shape[0], first.shape[1], *first.shape[3:]),
        noise,
        torch.device("cpu"),
        frames=data["num_latent_frames"],
        on_flow=on_flow,
    )
    return take, tensors


def rollout_check(root: Path, data: dict, files: list[str] | None = None) -> list[Check]:
    atol = data["atol"]
    recorder = Recorder(data, len(data["timesteps"]) + 1)
    take, expected = make_rollout(root, data, files, recorder)
    steps = take.settings.schedule()
    given = torch.tensor(data["sigmas"][: len(steps.timesteps)])
    checks = [
        Check("sigmas", absolute_error(torch.tensor(steps.sigmas[:-1]), given), 1e-6),
        Check("timesteps", absolute_error(torch.tensor(steps.timesteps), torch.tensor(data["timesteps"])), 1e-3),
        Check("size", mismatch([take.shape[0], *take.shape[2:]], [data["batch"], *data["latent_size_hw"]]), 0.0),
        Check("prompts", mismatch(*prompts_of(data)), 0.0),
        Check("sinks", mismatch(*sinks_of(data)), 0.0),
    ]
    blocks = []
    for block in range(data["num_blocks"]):
        blocks.append(take.next_block())
        if data.get("kv_after_block") == block:
            take.settle()
            checks += cache_checks(take, expected, data)
    take.settle()
    x0 = torch.cat(blocks, dim=2)
    checks.append(Check("x0", absolute_error(x0, expected["x0"]), atol))
    checks.append(Check("flow_mean", absolute_error(recorder.mean, expected["flow_mean"]), atol))
    checks.append(Check("flow_meansq", absolute_error(recorder.meansq, expected["flow_meansq"]), atol))
    for (block, column), part in recorder.slices.items():
        checks.append(
            Check(f"flow_slice {block}.{column}", absolute_error(part, expected["flow_slice"][block, column]), atol)
        )
    if "rope_offset_per_block" in data:
        offset = data["shot_rope_offset_frames"]
        shots = [sum(start <= block for start in data["shot_start_blocks"]) for block in range(data["num_blocks"])]
        checks.append(Check("offsets", mismatch([s * offset for s in shots], data["rope_offset_per_block"]), 0.0))
    effective = [s.start for s in take.segments[1:]]
    checks.append(Check("switches", mismatch(effective, data.get("switch_frames_effective", effective)), 0.0))
    checks.append(Check("x0 in bfloat16", bfloat16_error(root, data, files), BFLOAT16))
    return checks


def bfloat16_error(root: Path, data: dict, files: list[str] | None = None) -> float:
    """Relative RMS distance of latents made in bfloat16 to the reference's in float32."""
    take, expected = make_rollout(root, data, files, dtype=torch.bfloat16)
    x0 = torch.cat([take.next_block() for _ in range(data["num_blocks"])], dim=2)
    return float((x0 - expected["x0"]).square().mean().sqrt() / expected["x0"].square().mean().sqrt())


def cache_checks(take: Rollout, expected: dict, data: dict) -> list[Check]:
    cache, tokens = take.streams[0].cache, data["tokens_per_frame"]
    frames = data["kv_frames_held"]
    slots = [take.table.frame_in.index(frame) if frame in take.table.frame_in else -1 for frame in frames]
    checks = [Check("kv frames", mismatch(take.table.held_frames(), frames), 0.0)]
    if -1 in slots:
        return checks
    for name, stored in (("k", cache.keys), ("v", cache.values)):
        data4 = torch.stack(
            [x.unflatten(1, (-1, tokens))[:, slots] for x in stored]
        )  # [layers, B, frames, tokens, n, d]
        meansq = data4.double().square().mean(dim=(1, 3, 4, 5))
        checks.append(Check(f"kv_{name}_meansq", absolute_error(meansq, expected[f"kv_{name}_meansq"]), data["atol"]))
        part = data4[:, :, :, -1, :, :8]
        checks.append(Check(f"kv_{name}_slice", absolute_error(part, expected[f"kv_{name}_slice"]), data["atol"]))
    return checks


class Stopped(BaseException):
    pass


def resume(root: Path, case: dict) -> list[Check]:
    """Stop, save, load into a new rollout, go on: against the golden latents, and bit for bit against no stop."""
    data = read_golden(root / case["rollout"])
    FIELDS[data["kind"]].check(data, case["rollout"])
    data["model_files"] = model_files_of(data)[:1]  # forms of the same model
    done, blocks = case["completed_blocks"], data["num_blocks"]
    if done not in range(blocks):
        raise BadGolden(f'the field "completed_blocks" is {done!r}; the rollout has {blocks}, and one must be left')
    whole, expected = make_rollout(root, data)
    uninterrupted = [whole.next_block() for _ in range(blocks)]
    take, _ = make_rollout(root, data)
    for _ in range(done):
        take.next_block()
    steps = case["steps_done_in_next_block"]
    if steps:

        def stop(first: int, column: int, _flow: Tensor) -> None:
            if first == done * data["frames_per_block"] and column == steps - 1:
                raise Stopped

        take.on_flow = stop
        with contextlib.suppress(Stopped):
            take.next_block()
    with throw_away() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, *take.state())
        again, _ = make_rollout(root, data)
        again.load_state(*load_state(path))
    rest = torch.cat([again.next_block() for _ in range(blocks - done)], dim=2)
    first = done * data["frames_per_block"]
    return [
        Check("x0", absolute_error(rest, expected["x0"][:, :, first:]), case["atol"]),
        Check("uninterrupted", mismatch(rest, torch.cat(uninterrupted[done:], dim=2)), 0.0),
    ]


def trajectory(root: Path, data: dict) -> list[Check]:
    expected = load_tensors(root / data["tensors"])
    steps = unipc_steps(data["num_steps"], data["shift"])
    checks = [
        Check("sigmas", absolute_error(torch.tensor(steps.sigmas), torch.tensor(data["sigmas"])), data["atol"]),
        Check("timesteps", mismatch([int(t) for t in steps.timesteps], data["timesteps"]), 0.0),
    ]
    checks += follow("stored", steps, expected, lambda i, _x: expected["velocity"][i], data["atol"])
    velocity = formula.parse(data["velocity_formula"])
    times = torch.tensor(data["timesteps"])
    checks += follow("formula", steps, expected, lambda i, x: velocity(x, times[i]), data["atol"])
    return checks


def follow(name: str, steps: Steps, expected: dict, velocity: Callable, atol: float) -> list[Check]:
    solver, x, checks = FlowUniPC(steps), expected["x"][0], []
    for i in range(len(steps.timesteps)):
        x = solver.step(x, velocity(i, x), i)
        checks.append(Check(f"{name} x{i + 1}", absolute_error(x, expected["x"][i + 1]), atol))
    return checks


def decode(root: Path, data: dict) -> list[Check]:
    import comfy.sd

    tensors = load_tensors(root / data["tensors"])
    scale, offset = (tensors[name].view(1, -1, 1, 1, 1) for name in ("latent_std", "latent_mean"))
    latents = tensors["latents"] * scale + offset
    checks = []
    for file in model_files_of(data):
        weights = {key: tensor.float() for key, tensor in load_tensors(root / file).items()}
        vae = comfy.sd.VAE(sd=weights, dtype=torch.float32).first_stage_model.float()
        for pattern in data["arrival_chunks"]:
            decoder = StreamDecoder(vae)
            pixels = torch.cat([decoder.decode(part) for part in latents.split(pattern, dim=2)], dim=2)
            checks.append(Check(f"pixels {pattern}", absolute_error(pixels, tensors["pixels"]), data["atol"]))
    return checks
