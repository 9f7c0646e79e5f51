"""LTX-Video 0.9.x goldens: scenarios `ltxv-golden/1` through our guider and sampler, tables `ltxv-tables/1`.

The network is loaded by ComfyUI's loader and sampled by CFGGuider.sample with a KSAMPLER, noise injected; guides,
second pass and upsampling go through the functions and nodes a graph uses.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import comfy.model_management
import comfy.model_patcher
import comfy.samplers
import comfy.sd
import torch
from comfy.ldm.lightricks.latent_upsampler import LatentUpsampler
from comfy.ldm.lightricks.vae.causal_video_autoencoder import processor
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key
from comfy_extras.nodes_lt import LTXVCropGuides
from comfy_extras.nodes_lt_upsampler import LTXVLatentUpsampler
from einops import rearrange
from torch import Tensor

from oner.ltx.ltxv import presets as ltxv_presets
from oner.ltx.ltxv.conditions import append_guide, mix_into_frames
from oner.ltx.ltxv.guidance import GuidanceSchedule
from oner.ltx.ltxv.guider import LTXVGuider
from oner.ltx.ltxv.sampler import appended_frames, noise_given_tokens, sample_ltxv
from oner.ltx.ltxv.schedules import linear_quadratic
from oner.ltx.ltxv.sizes import first_pass_side
from oner.ltx.ltxv.stg import perturbs
from oner.ltx.schedules import shifted_sigmas
from oner.utils.latent_statistics import compress_tones, match_statistics
from parity.scenario import (
    Check,
    Fields,
    Scenario,
    UnknownField,
    absolute_error,
    find_above,
    knowing,
    load_tensors,
    mismatch,
    relative_error,
)

SCHEDULE_TOLERANCE, TENSOR_TOLERANCE = 1e-6, 1e-5
MODES = {
    "AttentionValues": "attention values",
    "AttentionSkip": "attention skip",
    "Residual": "residual",
    "TransformerBlock": "transformer block",
}


PASS = Fields(
    "timesteps skip_initial_inference_steps skip_final_inference_steps guidance_scale stg_scale rescaling_scale "
    "guidance_timesteps cfg_star_rescale",
    may_be_empty="skip_block_list",
    counts="num_inference_steps",
)
SCENARIO = Fields(
    "format scheduler timesteps forward_batches",
    texts="checkpoint",
    may_be_empty="conditionings",
    described="name description noise_layout measured_deviation perturbed_minus_positive_relative tensors",
    nested={
        "pixel": Fields(counts="frames height width", positive="fps"),
        "conditionings": Fields("frame strength tensor"),
        "multi_scale": Fields(
            counts="width height", positive="downscale_factor", nested={"first_pass": PASS, "second_pass": PASS}
        ),
        "parameters": replace(PASS, read=f"{PASS.read} skip_layer_strategy"),
        "tolerance": Fields(
            tolerances="final intermediate", fixed={"relative_to": "max absolute value of the expected tensor"}
        ),
    },
)
# With two passes the parameters are theirs.
TWO_PASSES = replace(SCENARIO, nested={**SCENARIO.nested, "parameters": Fields("skip_layer_strategy")})
TABLE_FIELDS = {
    "linear_quadratic": Fields("timesteps", counts="steps"),
    "linear_quadratic_custom": Fields("timesteps", counts="steps linear_steps", positive="threshold_noise"),
    "uniform_shifted": Fields("terminal timesteps", counts="steps latent_shape"),
    "skipped_steps": Fields("skip_initial skip_final timesteps", counts="steps"),
    "guidance_index": Fields("guidance_timesteps", nested={"rows": Fields("steps timesteps index")}),
    "multi_scale_sizes": Fields(
        "first_pass second_pass", counts="width height", positive="downscale_factor", described="decoded_resized_to"
    ),
    "adain": Fields("prefix factor"),
    "tone_map": Fields("input", nested={"rows": Fields("compression tensor")}),
    "latent_normalisation": Fields("input mean std normalised unnormalised"),
    "image_condition_noise": Fields("prefix noise_scale timestep"),
    "presets": Fields(
        each=Fields(
            "stochastic_sampling decode_timestep decode_noise_scale downscale_factor",
            fixed={"stg_mode": "attention_values"},
            nested={"first_pass": PASS, "second_pass": replace(PASS, read=f"{PASS.read} tone_map_compression_ratio")},
        )
    ),
}


def claim(path: Path, data: dict | list) -> list[Scenario] | None:
    kind = data.get("format") if isinstance(data, dict) else None
    if kind == "ltxv-golden/1":
        fields = TWO_PASSES if data["multi_scale"] else SCENARIO
        return [Scenario(path, knowing(fields, data, lambda: run_scenario(path, data)))]
    if kind == "ltxv-tables/1":
        return [table_scenario(path, data, name) for name in data if name != "format"]
    if kind == "ltx-golden-index/1":
        return []
    return None


def table_scenario(path: Path, data: dict, name: str) -> Scenario:
    """One scenario a table; a table without a comparison here stays uncovered."""
    if name not in TABLES:
        return Scenario(path, name=name)
    return Scenario(path, knowing(TABLE_FIELDS[name], data[name], lambda: run_table(path, data, name), name), name)


# --- scenarios -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def load_model(path: Path):
    return comfy.sd.load_diffusion_model(str(path), model_options={"dtype": torch.float32})


def to_tokens(latent: Tensor) -> Tensor:
    return rearrange(latent, "b c t h w -> b (t h w) c")


def to_latent(tokens: Tensor, height: int, width: int) -> Tensor:
    return rearrange(tokens, "b (t h w) c -> b c t h w", h=height, w=width)


def schedule_of(parameters: dict) -> GuidanceSchedule:
    """The guidance of a scenario's parameters: numbers hold always, lists go with guidance_timesteps."""
    names = ("guidance_scale", "stg_scale", "rescaling_scale")
    keys = parameters.get("guidance_timesteps")
    blocks = parameters.get("skip_block_list") or []
    star = parameters.get("cfg_star_rescale", False)
    if not keys:
        return GuidanceSchedule.constant(*(parameters[name] for name in names), blocks, cfg_star=star)
    lists = [v if isinstance(v := parameters[name], list) else [v] * len(keys) for name in names]
    nested = blocks if blocks and isinstance(blocks[0], list) else [blocks] * len(keys)
    return GuidanceSchedule.binned(keys, *lists, nested, cfg_star=star)


def timesteps_of(parameters: dict) -> list[float]:
    if "timesteps" in parameters:
        counts = [name for name in parameters if name.endswith("inference_steps")]
        if counts:
            raise UnknownField(f'the field "{counts[0]}" is not known beside "timesteps", which lists all steps')
        return parameters["timesteps"]
    levels = linear_quadratic(parameters["num_inference_steps"])
    stop = len(levels) - parameters.get("skip_final_inference_steps", 0)
    return list(levels[parameters.get("skip_initial_inference_steps", 0) : stop])


class Recorder:
    """What a run does at each step, in the token layout of the goldens (extra tokens first)."""

    def __init__(self, guider: LTXVGuider, extra: int) -> None:
        self.extra, self.inputs, self.velocities, self.passes, self.batches = extra, [], [], [], []
        inner_passes, inner_predict = guider.run_passes, guider.predict_noise

        def run_passes(x, timestep, entry, model_options):
            out = inner_passes(x, timestep, entry, model_options)
            stated = [out[1], out[0], out[2]]  # negative, positive, perturbed
            if entry.stg > 0 and not perturbs(guider.mode, entry.blocks):
                stated[2] = out[0]
            self.passes.append([self.tokens((x - x0) / timestep) for x0 in stated if x0 is not None])
            return out

        def predict_noise(x, timestep, model_options=None, seed=None):
            self.inputs.append(self.tokens(x))
            self.batches.append(0)
            denoised = inner_predict(x, timestep, model_options, seed)
            self.velocities.append(self.tokens((x - denoised) / timestep))
            return denoised

        def count(executor, x, *args, **kwargs):
            self.batches[-1] += x.shape[0]
            return executor(x, *args, **kwargs)

        guider.run_passes, guider.predict_noise = run_passes, predict_noise
        guider.model_options = comfy.model_patcher.create_model_options_clone(guider.model_options)
        add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "count", count, guider.model_options, is_model_options=True)

    def tokens(self, latent: Tensor) -> Tensor:
        ordered = torch.cat(
            [latent[:, :, latent.shape[2] - self.extra :], latent[:, :, : latent.shape[2] - self.extra]], 2
        )
        return to_tokens(ordered)


def run_stage(model, conds, latent: dict, noise: Tensor, parameters: dict, mode: str) -> tuple[Tensor, Recorder]:
    guider = LTXVGuider(model, *conds, schedule_of(parameters), mode)
    recorder = Recorder(guider, appended_frames({"positive": [conds[0][0][1]]}, latent["samples"]))
    sigmas = torch.tensor([*timesteps_of(parameters), 0.0])
    sampler = comfy.samplers.KSAMPLER(sample_ltxv)
    samples = guider.sample(
        noise, latent["samples"], sampler, sigmas, denoise_mask=latent.get("noise_mask"), disable_pbar=True
    )
    return samples, recorder


def stand_in_upsampler(mean: Tensor, std: Tensor):
    """A latent upscale model that repeats pixels, and a VAE that has the statistics only, for ComfyUI's own node."""

    class Nearest(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dtype = torch.float32
            self.weight = torch.nn.Parameter(torch.zeros(1))  # older releases read the type from a parameter

        def forward(self, x: Tensor) -> Tensor:
            return x.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)

    class Statistics(processor):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("std-of-means", std)
            self.register_buffer("mean-of-means", mean)

    upscaler = Nearest()
    if "operations" in signature(LatentUpsampler.from_config).parameters:  # ComfyUI 0.27 and older take the module
        device, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
        upscaler = comfy.model_patcher.CoreModelPatcher(upscaler, device, offload)
        upscaler.model_dtype = lambda: torch.float32
    return upscaler, SimpleNamespace(first_stage_model=SimpleNamespace(per_channel_statistics=Statistics()))


def run_scenario(path: Path, data: dict) -> list[Check]:
    tensors = load_tensors(path.with_suffix(".safetensors"))
    model = load_model(find_above(path.parent, data["checkpoint"]))
    final, intermediate = data["tolerance"]["final"], data["tolerance"]["intermediate"]
    checks: list[Check] = []

    def compare(name: str, actual: Tensor, tolerance: float = intermediate) -> None:
        if name in tensors:
            checks.append(Check(name, relative_error(actual, tensors[name]), tolerance))

    options = {"frame_rate": data["pixel"]["fps"]}
    conds = [
        [[tensors[f"context_{side}"], {**options, "attention_mask": tensors[f"context_{side}_mask"].int()}]]
        for side in ("positive", "negative")
    ]
    mode = MODES[data["parameters"].get("skip_layer_strategy") or "AttentionValues"]
    scales = data["multi_scale"]
    first = scales["first_pass"] if scales else data["parameters"]
    if data["scheduler"] != "lq" and "timesteps" not in first:  # the levels of other schedules come from the checkpoint
        first = {name: value for name, value in first.items() if not name.endswith("inference_steps")}
        first["timesteps"] = data["timesteps"]
    frames = (data["pixel"]["frames"] - 1) // 8 + 1
    size = [data["pixel"][side] for side in ("height", "width")]
    if scales:
        size = [first_pass_side(scales[side], scales["downscale_factor"]) for side in ("height", "width")]
    height, width = (side // 32 for side in size)

    noise = to_latent(tensors["noise0"], height, width)
    latent = {"samples": tensors.get("init_latent", torch.zeros(1, 128, frames, height, width))}
    start_sigma = timesteps_of(first)[0]
    added = iter(sorted(name for name in tensors if name.startswith("noise") and name != "noise0"))
    for item in data["conditionings"]:
        content = tensors[item["tensor"]]
        if item["frame"] == 0:
            latent = mix_into_frames(latent, content, item["strength"], start_sigma)
        else:
            *conds, latent = append_guide(*conds, latent, content, item["frame"], item["strength"])
            noise = torch.cat([noise, tensors[next(added)]], dim=2)
    samples, record = run_stage(model, conds, latent, noise, first, mode)
    if "noise_mask" in latent:
        mask = latent["noise_mask"].expand(-1, -1, -1, height, width)
        compare("conditioning_mask", 1 - record.tokens(mask)[..., 0])
    compare("step0_input_tokens", record.inputs[0])
    if record.passes[0] and "step0_pass_velocities" in tensors:
        compare("step0_pass_velocities", torch.cat(record.passes[0]))
    outputs = [*record.inputs[1:], record.tokens(samples)]
    for step in range(min(2, len(record.velocities))):
        compare(f"step{step}_guided_velocity", record.velocities[step])
        compare(f"step{step}_output_tokens", outputs[step])
    _, _, cropped = LTXVCropGuides.execute(*conds, {**latent, "samples": samples}).result
    result, batches, levels = cropped["samples"], record.batches, timesteps_of(first)
    schedule = schedule_of(first)

    if scales:
        compare("first_pass_latent", result)
        upsampled = LTXVLatentUpsampler.execute(
            {"samples": result}, *stand_in_upsampler(tensors["latent_mean"], tensors["latent_std"])
        ).result[0]["samples"]
        compare("upsampled_latent", upsampled)
        matched = match_statistics(upsampled, result)
        compare("adain_latent", matched)
        second = scales["second_pass"]
        noise = to_latent(tensors[next(added)], *matched.shape[3:])
        result, record = run_stage(model, conds, {"samples": matched}, noise, second, mode)
        batches, levels = batches + record.batches, levels + timesteps_of(second)
    compare("final_latent", result, final)
    listed = torch.tensor(data["timesteps"])
    checks.append(Check("timesteps", absolute_error(torch.tensor(levels), listed), SCHEDULE_TOLERANCE))
    if all(perturbs(mode, entry.blocks) for entry in schedule.entries if entry.stg > 0):
        checks.append(Check("forward_batches", mismatch(batches, data["forward_batches"]), 0.0))
    return checks


# --- tables ----------------------------------------------------------------------------------------------------------


def run_table(path: Path, data: dict, name: str) -> list[Check]:
    tensors = load_tensors(path.with_suffix(".safetensors"))
    return TABLES[name](data[name], tensors)


def _levels(name: str, actual, expected: list[float]) -> Check:
    return Check(name, absolute_error(torch.as_tensor(actual, dtype=torch.float32), torch.tensor(expected)), 1e-6)


def check_linear_quadratic(rows, _):
    return [
        _levels(
            f"steps {row['steps']}",
            linear_quadratic(row["steps"], row.get("threshold_noise", 0.025), row.get("linear_steps")),
            row["timesteps"],
        )
        for row in rows
    ]


def check_uniform_shifted(rows, _):
    return [
        _levels(
            f"steps {row['steps']}",
            shifted_sigmas(row["steps"], torch.Size(row["latent_shape"][2:]).numel(), terminal=row["terminal"])[:-1],
            row["timesteps"],
        )
        for row in rows
    ]


def check_skipped_steps(rows, _):
    return [
        _levels(
            f"skip {row['skip_initial']} and {row['skip_final']}",
            linear_quadratic(row["steps"])[row["skip_initial"] : row["steps"] - row["skip_final"]],
            row["timesteps"],
        )
        for row in rows
    ]


def check_guidance_index(table, _):
    keys = table["guidance_timesteps"]
    schedule = GuidanceSchedule.binned(keys, *[[1.0] * len(keys)] * 3, [()] * len(keys))
    return [
        Check(f"steps {row['steps']}", mismatch([schedule.index(t) for t in row["timesteps"]], row["index"]), 0.0)
        for row in table["rows"]
    ]


def check_multi_scale_sizes(rows, _):
    checks = []
    for row in rows:
        first = [first_pass_side(row[side], row["downscale_factor"]) for side in ("width", "height")]
        label = f"{row['width']}x{row['height']}"
        checks.append(Check(f"{label} first", mismatch(first, row["first_pass"]), 0.0))
        checks.append(Check(f"{label} second", mismatch([2 * side for side in first], row["second_pass"]), 0.0))
    return checks


def check_adain(rows, tensors):
    checks = []
    for row in rows:
        latent, reference, expected = (tensors[row["prefix"] + part] for part in ("latent", "reference", "result"))
        actual = match_statistics(latent, reference, row["factor"])
        checks.append(Check(row["prefix"], relative_error(actual, expected), TENSOR_TOLERANCE))
    return checks


def check_tone_map(table, tensors):
    source = tensors[table["input"]]
    return [
        Check(row["tensor"], relative_error(compress_tones(source, row["compression"]), tensors[row["tensor"]]), 1e-5)
        for row in table["rows"]
    ]


def check_latent_normalisation(table, tensors):
    statistics = processor()
    statistics.register_buffer("std-of-means", tensors[table["std"]])
    statistics.register_buffer("mean-of-means", tensors[table["mean"]])
    source = tensors[table["input"]]
    pairs = {"normalised": statistics.normalize(source), "unnormalised": statistics.un_normalize(source)}
    return [Check(name, relative_error(actual, tensors[table[name]]), 1e-5) for name, actual in pairs.items()]


def check_image_condition_noise(table, tensors):
    init, latent, mask, noise, expected = (
        tensors[table["prefix"] + part] for part in ("init", "latent", "mask", "noise", "result")
    )
    actual = noise_given_tokens(latent, init, 1 - mask[..., None], noise, table["noise_scale"], table["timestep"])
    return [Check("result", relative_error(actual, expected), TENSOR_TOLERANCE)]


def check_presets(table, _):
    """The stages of our presets against the reference's parameters."""
    ours = {name.replace(" ", "-"): preset for name, preset in ltxv_presets.PRESETS.items()}
    checks = []
    for name, expected in table.items():
        preset = next(ours[key] for key in ours if key.lower() == name.lower())
        checks.append(Check(f"{name} stochastic", mismatch(preset.stochastic, expected["stochastic_sampling"]), 0.0))
        constants = [ltxv_presets.DECODE_TIMESTEP, ltxv_presets.DECODE_NOISE_SCALE, ltxv_presets.DOWNSCALE_FACTOR]
        listed = [expected[key] for key in ("decode_timestep", "decode_noise_scale", "downscale_factor")]
        checks.append(Check(f"{name} constants", mismatch(constants, listed), 0.0))
        for key, stage in (("first_pass", ltxv_presets.FIRST), ("second_pass", ltxv_presets.SECOND)):
            actual, parameters = preset.stages[stage], expected[key]
            checks.append(_levels(f"{name} {key} timesteps", actual.sigmas, timesteps_of(parameters)))
            wanted = schedule_of(parameters)
            same = [wanted.at(t) == actual.guidance.at(t) for t in actual.sigmas]
            checks.append(Check(f"{name} {key} guidance", mismatch(all(same), True), 0.0))
            checks.append(Check(f"{name} {key} cfg star", mismatch(actual.guidance.cfg_star, wanted.cfg_star), 0.0))
            compression = parameters.get("tone_map_compression_ratio", 0.0)
            checks.append(Check(f"{name} {key} tone map", mismatch(actual.tone_map, compression), 0.0))
    return checks


TABLES = {
    "linear_quadratic": check_linear_quadratic,
    "linear_quadratic_custom": check_linear_quadratic,
    "uniform_shifted": check_uniform_shifted,
    "skipped_steps": check_skipped_steps,
    "guidance_index": check_guidance_index,
    "multi_scale_sizes": check_multi_scale_sizes,
    "adain": check_adain,
    "tone_map": check_tone_map,
    "latent_normalisation": check_latent_normalisation,
    "image_condition_noise": check_image_condition_noise,
    "presets": check_presets,
}
