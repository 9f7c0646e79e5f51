"""Reads WanGP profiles, settings and finetunes (JSON, or the comment of a video WanGP made) into a recipe.

Key names: WanGP's settings (commit 8681e9f). What maps to other nodes is named with its place in the graph; unknown
keys are listed. Nothing is dropped silently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..utils import files
from .recipes import WANGP_SOLVERS, Recipe, check_recipe

CAUSVID = (1000, 934, 862, 756, 603, 410, 250, 140, 74)  # timesteps of WanGP's "causvid" solver
USED = {
    "num_inference_steps",
    "flow_shift",
    "guidance_scale",
    "guidance2_scale",
    "guidance3_scale",
    "guidance_phases",
    "switch_threshold",
    "switch_threshold2",
    "model_switch_phase",
    "sample_solver",
    "sample_solvers",
    "activated_loras",
    "loras_multipliers",
    "name",
    "model",
    "help",
    "settings_version",
    "type",
    "model_type",
    "base_model_type",
    "model_filename",
    "image_mode",
    "mode",
}
# key -> where the value goes in a graph
ELSEWHERE = {
    "prompt": "the positive prompt",
    "negative_prompt": "the negative prompt",
    "seed": "RandomNoise",
    "resolution": "width and height",
    "video_length": "length",
    "force_fps": "Create Video: fps",
    "cfg_star_switch": "Wan Experts Guider: cfg_zero_star",
    "cfg_zero_step": "Wan Experts Guider: zero_init_steps (+1)",
    "apg_switch": "Wan Experts Guider: apg",
    "slg_switch": "Wan Experts Guider: slg",
    "slg_layers": "Wan Experts Guider: slg_layers",
    "slg_start_perc": "Wan Experts Guider: slg_start_percent / 100",
    "slg_end_perc": "Wan Experts Guider: slg_end_percent / 100",
    "perturbation_switch": "Wan Experts Guider: slg",
    "perturbation_layers": "Wan Experts Guider: slg_layers",
    "perturbation_start_perc": "Wan Experts Guider: slg_start_percent / 100",
    "perturbation_end_perc": "Wan Experts Guider: slg_end_percent / 100",
    "NAG_scale": "KJNodes' WanVideoNAG",
    "NAG_tau": "KJNodes' WanVideoNAG",
    "NAG_alpha": "KJNodes' WanVideoNAG",
    "RIFLEx_setting": "Wan RIFLEx",
    "motion_amplitude": "Wan Motion Amplitude",
    "denoising_strength": "Wan Scheduler: denoise",
    "mask_expand": "Wan VACE Composer: mask_grow (times 1.5)",
    "keep_frames_video_guide": "Wan VACE Composer: keep_frames",
    "frames_positions": "Wan VACE Composer: positions",
    "video_guide_outpainting": "Wan VACE Composer: outpaint",
    "control_net_weight": "Wan VACE Composer: strength",
    "control_net_weight2": "Wan VACE Composer: strength_2",
    "image_start": "start_image",
    "image_end": "end_image",
    "image_refs": "Wan VACE Composer: references",
    "video_guide": "control_video",
    "video_mask": "control_mask",
    "audio_guidance_scale": "no node here",
    "embedded_guidance_scale": "no node here",
    "skip_steps_cache_type": "ComfyUI's EasyCache",
    "skip_steps_multiplier": "ComfyUI's EasyCache",
    "skip_steps_start_step_perc": "ComfyUI's EasyCache",
    "tea_cache_setting": "ComfyUI's EasyCache",
    "batch_size": "batch_size",
    "repeat_generation": "the queue",
    "temporal_upsampling": "ComfyUI's Frame Interpolate",
    "film_grain_intensity": "no node here",
    "film_grain_saturation": "no node here",
    "alt_guidance_scale": "LTX Guidance: modality",
    "alt_scale": "LTX Guidance: rescale",
    "masking_strength": "no node here",
    "input_video_strength": "no node here",
    "self_refiner_setting": "no node here",
    "sliding_window_size": "ComfyUI's Wan Context Windows",
    "sliding_window_overlap": "ComfyUI's Wan Context Windows",
    "sliding_window_discard_last_frames": "no node here",
    "sliding_window_overlap_noise": "no node here",
    "sliding_window_color_correction_strength": "no node here",
    "multi_prompts_gen_type": "one prompt a run",
    "speakers_locations": "no node here",
    "audio_prompt_type": "no node here",
    "image_prompt_type": "which images are connected",
    "video_prompt_type": "which control and mask are connected",
    "spatial_upsampling": "ComfyUI's Upscale Image (using Model)",
}
# keys of a finetune's "model" object -> where the value goes in a graph
MODEL_USED = {"name", "loras", "loras_multipliers"}
MODEL_ELSEWHERE = {
    "architecture": "the choice of the model",
    "URLs": "the model loader",
    "URLs2": "the low-noise expert's loader",
    "modules": "the model loader: WanGP puts such a module (VACE) on top of the model",
    "VAE_URLs": "Load VAE",
    "text_encoder_URLs": "Load CLIP or Text Encoder Loader",
    "preload_URLs": "files to have in place",
    "description": "a text to read",
    "infos": "a text to read",
    "prompt_infos": "a text to read",
    "resolutions": "width and height",
}
OLDEST_SETTINGS = 2.5


@dataclass
class Imported:
    """A recipe, values whose place is another node, and keys nobody knows."""

    recipe: Recipe
    elsewhere: dict[str, Any] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def report(self) -> str:
        lines = [f"{self.recipe.name}: {self.recipe.steps} steps, cfg {' / '.join(f'{c:g}' for c in self.recipe.cfg)}"]
        lines += [f"warning: {text}" for text in self.warnings]
        places = ELSEWHERE | {f"model.{key}": place for key, place in MODEL_ELSEWHERE.items()}
        lines += [f"{key} = {value!r}: goes to {places[key]}" for key, value in self.elsewhere.items()]
        if self.unknown:
            lines.append(f"unknown keys, not used: {', '.join(self.unknown)}")
        return "\n".join(lines)


def read_settings(data: dict[str, Any], name: str = "WanGP import") -> Imported:
    """A WanGP profile, settings or finetune object; ValueError where it contradicts itself."""
    given = data.get("model")
    model: dict[str, Any] = given if isinstance(given, dict) else {}
    warnings: list[str] = []
    phases = _whole(data, "guidance_phases", 1)
    scales = ("guidance_scale", "guidance2_scale", "guidance3_scale")[:phases]
    cfg = [1.0 if data.get(key) is None else _number(data, key, 0.0) for key in scales]
    thresholds = [_number(data, key, 0.0) / 1000 for key in ("switch_threshold", "switch_threshold2")[: phases - 1]]
    if "num_inference_steps" not in data:
        warnings.append("no num_inference_steps: 30 steps, WanGP's default")
    steps = _whole(data, "num_inference_steps", 30)
    solver, sigmas = _solver(data, steps, warnings)
    loras = [*_list(model, "loras"), *_list(data, "activated_loras")]
    multipliers = " ".join(
        filter(None, map(_multipliers, (model.get("loras_multipliers"), data.get("loras_multipliers"))))
    )
    recipe = Recipe(
        name=str(model.get("name") or data.get("name") or name),
        steps=steps,
        cfg=tuple(cfg),
        thresholds=tuple(thresholds),
        low_from=_whole(data, "model_switch_phase", 1) + 1,
        shift=_number(data, "flow_shift", 0.0) or None,
        solver=solver,
        sigmas=sigmas,
        loras=tuple(PurePosixPath(str(url)).name.removesuffix(".safetensors") for url in loras),
        multipliers=multipliers,
        links=tuple(str(url) if "://" in str(url) else "no link in the file" for url in loras),
    )
    version = _number(data, "settings_version", OLDEST_SETTINGS)
    if version < OLDEST_SETTINGS:
        warnings.append(
            f"settings_version is {version:g}: before {OLDEST_SETTINGS} some keys had other names and meanings"
        )
    others = {key: value for key, value in data.items() if key not in USED}
    of_model = {key: value for key, value in model.items() if key not in MODEL_USED}
    elsewhere = {key: value for key, value in others.items() if key in ELSEWHERE}
    elsewhere |= {f"model.{key}": value for key, value in of_model.items() if key in MODEL_ELSEWHERE}
    unknown = [key for key in others if key not in ELSEWHERE]
    unknown += [f"model.{key}" for key in of_model if key not in MODEL_ELSEWHERE]
    return Imported(
        check_recipe(recipe),
        {key: value for key, value in elsewhere.items() if value not in (None, "", [], 0, "0")},
        sorted(unknown),
        warnings,
    )


def _solver(data: dict[str, Any], steps: int, warnings: list[str]) -> tuple[str, tuple[float, ...]]:
    """Our solver, and the fixed sigmas of the one that has them."""
    written = str(data.get("sample_solver", data.get("sample_solvers", "")) or "").lower()
    if "sample_solvers" in data and "sample_solver" not in data:
        warnings.append(f"'sample_solvers' is a misspelling that WanGP ignores; {written!r} is used here")
    if written == "causvid":
        if steps > len(CAUSVID):
            raise ValueError(f"the file wants {steps} steps of causvid, whose list has {len(CAUSVID)}")
        return "euler", (*(t / 1000 for t in CAUSVID[:steps]), 0.0)
    solver = WANGP_SOLVERS.get(written)
    if solver is None:
        warnings.append(f"solver {written!r} is not known here: euler is used")
    return solver or "euler", ()


def _number(data: dict[str, Any], key: str, default: float) -> float:
    """A number of the settings, also one written as text; the default for nothing."""
    value = data.get(key)
    if value is None or value == "" or value is False:
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{key} is {str(value)[:40]!r} in the settings: it must be a number")
    return number


def _whole(data: dict[str, Any], key: str, default: int) -> int:
    """As `_number`, for whole numbers; 0 counts as nothing."""
    return int(_number(data, key, default)) or default


def _list(data: dict[str, Any], key: str) -> list:
    value = data.get(key) or []
    if not isinstance(value, list):
        raise ValueError(f"{key} is {str(value)[:40]!r} in the settings: it must be a list")
    return value


def _multipliers(value: Any) -> str:
    return " ".join(str(v) for v in value) if isinstance(value, list) else str(value or "")


def read_text(text: str, name: str = "WanGP import") -> Imported:
    """The text of a WanGP JSON file or video comment."""
    data = files.parse_json(text, name)
    if isinstance(data, list):  # a queue
        data = data[0] if data else {}
    data = data.get("params", data) if isinstance(data, dict) else data
    if not isinstance(data, dict) or not data:
        raise ValueError(f"{name} holds no WanGP settings: an object of settings is needed")
    return read_settings(data, name)


def read_file(path: Path) -> Imported:
    """A WanGP JSON file, or a video whose comment holds the settings it was made with."""
    if path.suffix.lower() == ".json":
        return read_text(files.read_text(path), path.stem)
    tags = files.video_tags(path)
    if not tags.get("comment"):
        raise ValueError(f"{path.name} has no comment: WanGP stores its settings there unless that is switched off")
    return read_text(tags["comment"], path.stem)
