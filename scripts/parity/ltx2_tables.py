"""LTX-2 golden tables (`ltx2-tables/1`): pure functions, and single forwards of the network."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from comfy.model_patcher import create_model_options_clone
from comfy.sampler_helpers import convert_cond, prepare_model_patcher, prepare_sampling
from comfy.samplers import calc_cond_batch, process_conds
from comfy.utils import pack_latents, unpack_latents
from torch import Tensor

from oner.ltx.latents import audio_latent_frames, latent_frames
from oner.ltx.ltx2 import positions
from oner.ltx.ltx2.guidance import Binned, Guidance, guide
from oner.ltx.ltx2.reference_attention import group_references, weight_matrix
from oner.ltx.ltx2.references import subsampled_frames, token_weights, whole_length
from oner.ltx.schedules import SIGMA_PRESETS, shifted_sigmas
from oner.samplers.res2s import res2s_coefficients, sde_coefficients
from oner.samplers.step_noise import standardise

from .scenario import Check, Choice, Fields, Scenario, absolute_error, knowing, load_tensors, mismatch, relative_error

ABSOLUTE, RELATIVE = 1e-6, 1e-5
CLOSED_FORM = 1e-10  # float64, less the digits that the reference loses where terms cancel
FIXED_LISTS = {
    "distilled_stage1": "distilled stage 1",
    "stage2": "distilled stage 2",
    "tiled_stage2": "distilled stage 2, tiled",
}

Tensors = dict[str, Tensor]


def scenarios(path: Path, data: dict, load_model: Callable) -> list[Scenario]:
    """One scenario a table; a table without a comparison here stays uncovered."""
    tables = {**TABLES, "network_forward": functools.partial(network_forward, path.parent, load_model)}
    found = []
    for name, rows in data.items():
        if name == "format":
            continue
        table = tables.get(name)
        run = table and knowing(FIELDS[name], rows, functools.partial(run_table, table, path, rows), name)
        found.append(Scenario(path, run, name))
    return found


def run_table(table: Callable, path: Path, rows: list | dict) -> list[Check]:
    """The checks of all rows of a table."""
    return table(rows, load_tensors(path.with_suffix(".safetensors")))


def close(name: str, actual: object, expected: object, tolerance: float) -> Check:
    actual, expected = (torch.as_tensor(value, dtype=torch.float64) for value in (actual, expected))
    return Check(name, absolute_error(actual, expected), tolerance)


def schedule(rows: list, _tensors: Tensors) -> list[Check]:
    return [
        close(f"{r['steps']}/{r['tokens']}", shifted_sigmas(r["steps"], r["tokens"]), r["sigmas"], ABSOLUTE)
        for r in rows
    ]


def fixed_sigma_lists(rows: dict, _tensors: Tensors) -> list[Check]:
    return [close(name, SIGMA_PRESETS[FIXED_LISTS[name]], sigmas, ABSOLUTE) for name, sigmas in rows.items()]


def audio_frames(rows: list, _tensors: Tensors) -> list[Check]:
    return [
        Check(f"{r['frames']}@{r['fps']}", mismatch(audio_latent_frames(r["frames"], r["fps"]), r["audio_frames"]), 0)
        for r in rows
    ]


def lip_dub_frame_count(rows: list, _tensors: Tensors) -> list[Check]:
    return [Check(str(r["source_frames"]), mismatch(whole_length(r["source_frames"]), r["frames"]), 0) for r in rows]


def position_table(rows: list, tensors: Tensors) -> list[Check]:
    checks = []
    for row in rows:
        kind = row["kind"]
        size = [row.get(f"latent_{axis}") for axis in ("frames", "height", "width")]
        if kind == "video":
            actual = positions.video_positions(*size)
        elif kind == "keyframe":
            actual = positions.keyframe_positions(row["frame_index"], *size[1:])
        elif kind == "reference":
            actual = positions.reference_positions(*size, row["downscale_factor"], row["temporal_scale_factor"])
        elif kind == "audio":
            actual = positions.audio_positions(row["audio_frames"])
        else:
            actual = positions.audio_reference_positions(row["audio_frames"])
        if "fps" in row:
            actual = actual.to(torch.float32)
            actual[:, 0] /= row["fps"]
        checks.append(Check(row["tensor"], absolute_error(actual, tensors[row["tensor"]]), ABSOLUTE))
    return checks


def temporal_region(rows: list, _tensors: Tensors) -> list[Check]:
    checks = []
    for r in rows:
        window = r["start_seconds"], r["end_seconds"]
        video = positions.frames_in_window(latent_frames(r["frames"]), r["fps"], *window)
        audio = positions.audio_in_window(audio_latent_frames(r["frames"], r["fps"]), *window)
        label = f"{r['frames']}@{r['fps']} {window}"
        checks.append(Check(f"{label} video", mismatch(video.int().tolist(), r["video_latent_frames"]), 0))
        checks.append(Check(f"{label} audio", mismatch(audio.int().tolist(), r["audio_frames"]), 0))
    return checks


def attention_masks(rows: list, tensors: Tensors) -> list[Check]:
    checks = []
    for index, row in enumerate(rows):
        clip, *counts = (
            torch.Size(shape).numel() for shape in (row["target_latent"], *(i["latent_shape"] for i in row["items"]))
        )
        weights = [tensors[i["weight_tensor"]] if "weight_tensor" in i else i["weight"] for i in row["items"]]
        groups = group_references(clip, counts, weights)
        if row["tensor"] is None:
            checks.append(Check(f"{index}: no mask", mismatch(groups, []), 0))
        else:
            checks.append(Check(row["tensor"], mismatch(weight_matrix(clip, groups), tensors[row["tensor"]]), 0))
    return checks


def mask_video(rows: list, tensors: Tensors) -> list[Check]:
    checks = []
    for r in rows:
        size = (r[f"latent_{axis}"] for axis in ("frames", "height", "width"))
        actual = token_weights(tensors[r["input"]], *size)
        checks.append(Check(r["output"], relative_error(actual, tensors[r["output"]]), RELATIVE))
    return checks


def temporal_subsample(rows: list, _tensors: Tensors) -> list[Check]:
    return [
        Check(f"{r['frames']}/{r['scale']}", mismatch(subsampled_frames(r["frames"], r["scale"]), r["kept"]), 0)
        for r in rows
    ]


def guidance_formula(rows: list, tensors: Tensors) -> list[Check]:
    checks = []
    for r in rows:
        names = ("positive", "negative", "perturbed", "isolated")
        passes = {name: tensors[r["prefix"] + name] for name in names}
        guidance = Guidance(
            cfg=r["cfg_scale"], stg=r["stg_scale"], modality=r["modality_scale"], rescale=r["rescale_scale"]
        )
        error = relative_error(guide(passes, guidance), tensors[r["prefix"] + "result"])
        checks.append(Check(r["prefix"], error, RELATIVE))
    return checks


def sigma_bins(rows: dict, _tensors: Tensors) -> list[Check]:
    # The scale of each bin is its upper bound, which shows which bin was taken.
    binned = Binned(tuple((upper, Guidance(cfg=upper)) for upper in rows["upper_bounds"]))
    return [
        Check(str(r["sigma"]), mismatch(binned.at(r["sigma"]).cfg, r["selected_upper_bound"]), 0)
        for r in rows["lookups"]
    ]


def skip_step(rows: list, _tensors: Tensors) -> list[Check]:
    return [
        Check(
            str(r["skip_step"]),
            mismatch([Guidance(skip_step=r["skip_step"]).skips(i) for i in range(len(r["skipped"]))], r["skipped"]),
            0,
        )
        for r in rows
    ]


def res2s_table(rows: list, _tensors: Tensors) -> list[Check]:
    return [close(f"h={r['h']}", res2s_coefficients(r["h"]), [r["a21"], r["b1"], r["b2"]], CLOSED_FORM) for r in rows]


def sde_table(rows: list, _tensors: Tensors) -> list[Check]:
    return [
        close(
            f"{r['sigma']}->{r['sigma_next']}",
            sde_coefficients(r["sigma_next"], r["eta"]),
            [r["alpha_ratio"], r["sigma_down"], r["sigma_up"]],
            CLOSED_FORM,
        )
        for r in rows
    ]


def sde_seed_noise(rows: list, tensors: Tensors) -> list[Check]:
    checks = []
    for r in rows:
        expected = tensors[r["tensor"]]
        generator = torch.Generator().manual_seed(r["seed"])
        drawn = standardise(torch.randn(expected.shape, generator=generator, dtype=torch.float64))
        checks.append(Check(r["tensor"], relative_error(drawn, expected), RELATIVE))
    return checks


def network_forward(folder: Path, load_model: Callable, rows: list, tensors: Tensors) -> list[Check]:
    checks = []
    for row in rows:
        velocities = forward(load_model(folder, row["checkpoint"]), row, tensors)
        for modality, velocity in zip(("video", "audio"), velocities, strict=True):
            name = f"{row['prefix']}{row['variant']}_velocity_{modality}"
            checks.append(Check(name, relative_error(velocity, tensors[name]), RELATIVE))
    return checks


def forward(model, row: dict, tensors: Tensors) -> list[Tensor]:
    """The network's velocity for stored latents, through core's conditions and batching."""

    def stored(name: str) -> Tensor:
        return tensors[row["prefix"] + name]

    latents, shapes = pack_latents([stored("video"), stored("audio")])
    mask = None
    if row["variant"] == "masked":
        masks = [stored(f"mask_{m}").expand(shape) for m, shape in zip(("video", "audio"), shapes, strict=True)]
        mask = pack_latents(masks)[0]
    context = torch.cat([stored("context_video"), stored("context_audio")], dim=-1)
    conds = {"positive": convert_cond([[context, {"frame_rate": row["fps"]}]])}
    options = create_model_options_clone(model.model_options)
    prepare_model_patcher(model, conds, options)
    inner, conds, _ = prepare_sampling(model, latents.shape, conds, options)
    model.pre_run()
    conds = process_conds(inner, latents, conds, model.load_device, latents, mask, 0, latent_shapes=shapes)
    sigma = torch.tensor([row["sigma"]])
    (x0,) = calc_cond_batch(inner, [conds["positive"]], latents, sigma, options)
    return unpack_latents((latents - x0) / sigma, shapes)


TABLES = {
    "schedule": schedule,
    "fixed_sigma_lists": fixed_sigma_lists,
    "audio_latent_frames": audio_frames,
    "lip_dub_frame_count": lip_dub_frame_count,
    "positions": position_table,
    "temporal_region": temporal_region,
    "attention_masks": attention_masks,
    "mask_video_to_tokens": mask_video,
    "temporal_subsample": temporal_subsample,
    "guidance_formula": guidance_formula,
    "sigma_bins": sigma_bins,
    "skip_step": skip_step,
    "res2s_coefficients": res2s_table,
    "sde_coefficients": sde_table,
    "sde_seed_noise": sde_seed_noise,
}

GRID = Fields("kind tensor", counts="latent_frames latent_height latent_width", positive="fps")
FIELDS: dict[str, Fields | Choice] = {
    "schedule": Fields("sigmas", counts="steps tokens", described="latent_shape"),
    "fixed_sigma_lists": Fields(" ".join(FIXED_LISTS)),
    "audio_latent_frames": Fields("audio_frames", counts="frames", positive="fps"),
    "lip_dub_frame_count": Fields("frames", counts="source_frames"),
    "positions": Choice(
        "kind",
        {
            "video": GRID,
            "keyframe": replace(GRID, read=f"{GRID.read} frame_index"),
            "reference": replace(GRID, counts=f"{GRID.counts} downscale_factor temporal_scale_factor"),
            "audio": Fields("kind tensor", counts="audio_frames"),
            "audio_reference": Fields("kind tensor", counts="audio_frames"),
        },
    ),
    "temporal_region": Fields(
        "start_seconds end_seconds video_latent_frames audio_frames", counts="frames", positive="fps"
    ),
    "attention_masks": Fields(
        "tensor",
        counts="target_latent",
        may_be_empty="items",
        nested={"items": Fields("weight weight_tensor", described="kind", counts="latent_shape")},
    ),
    "mask_video_to_tokens": Fields("input output", counts="latent_frames latent_height latent_width"),
    "temporal_subsample": Fields("kept", counts="frames scale"),
    "guidance_formula": Fields("prefix cfg_scale stg_scale modality_scale rescale_scale"),
    "sigma_bins": Fields("upper_bounds", nested={"lookups": Fields("sigma selected_upper_bound")}),
    "skip_step": Fields("skip_step skipped"),
    "res2s_coefficients": Fields("a21 b1 b2", nonzero="h"),
    # The coefficients do not depend on the sigma a step starts from.
    "sde_coefficients": Fields("sigma_next eta alpha_ratio sigma_down sigma_up", described="sigma"),
    "sde_seed_noise": Fields("seed tensor"),
    "network_forward": Fields("prefix variant", texts="checkpoint", positive="sigma fps", described="measured_comfyui"),
}
