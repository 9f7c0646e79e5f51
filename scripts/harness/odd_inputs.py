"""Every node of the pack with right inputs, and with odd ones for each input in turn: what a link can bring.

shelf = Shelf(models)                      # the folder that tiny checkpoints are written into
values = right_inputs(node, shelf)         # the node runs with these
for name, what, odd in odd_inputs(node, values, shelf):
    run(node, **with_odd(values, name, odd))
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .causal import tiny_vae

NAN = math.nan
POSES = str([[0.5, 0.9, 0.5, 0.5, 0, 0, 1, 0, 0, x, 0, 1, 0, 0, 0, 0, 1, 0] for x in (0, 1)])
FILES = [
    "ltx-2.3",
    "ltxv-0.9.8",
    "upscaler-x2",
    "upscaler-temporal-x2",
    "wan-t2v",
    "wan-fun-inp",
    "wan-fun-control",
    "wan-camera",
    "wan-camera-5b",
    "wan-5b",
    "wan-vace",
    "wan-causal",
    "wan-vae",
    "taew-2.2",
    "gemma-3",
    "t5",
    "umt5",
    "ic-lora-ltx-2.3",
    "lora-wan",
    "lora-ltx-2.3",
]
MODELS = ["ltx-2.3", "ltxv-0.9.8", "wan-t2v", "wan-fun-inp", "wan-camera", "wan-5b", "wan-vace"]
VAES = ["ltx-2.3", "audio", "ltxv-0.9.8", "wan-vae", "taew-2.2"]
CLIPS = ["gemma-3", "t5", "umt5"]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class Shelf:
    """Models, prompts and latents of every family, each loaded once."""

    def __init__(self, folder: Path):
        import folder_paths

        from tiny import write_models

        self.paths = write_models(folder, FILES)
        for name in ("checkpoints", "diffusion_models", "vae", "loras", "text_encoders", "latent_upscale_models"):
            folder_paths.add_model_folder_path(name, str(folder / name), is_default=True)
        folder_paths.filename_list_cache.clear()

    @functools.cache  # noqa: B019 - a shelf lives as long as its test module
    def checkpoint(self, name: str) -> tuple:
        import comfy.sd

        return comfy.sd.load_checkpoint_guess_config(str(self.paths[name]), output_vae=True, output_clip=False)

    @functools.cache  # noqa: B019
    def model(self, name: str) -> Any:
        import comfy.sd

        if name.startswith("ltx"):
            return self.checkpoint(name)[0]
        if name == "wan-causal":
            from oner.longlive.loader import load_patcher

            return load_patcher(self.paths[name], model_options={"dtype": torch.float32})
        return comfy.sd.load_diffusion_model(str(self.paths[name]), model_options={"dtype": torch.float32})

    @functools.cache  # noqa: B019
    def vae(self, name: str) -> Any:
        from oner.nodes.ltx.loaders import AUDIO_PARTS, load_vae

        if name == "audio":
            return load_vae(str(self.paths["ltx-2.3"]), AUDIO_PARTS)
        if name == "causal":
            return tiny_vae()
        return self.checkpoint(name)[2] if name.startswith("ltx") else load_vae(str(self.paths[name]))

    @functools.cache  # noqa: B019
    def clip(self, name: str) -> Any:
        from oner.nodes.any.text_encoders import TextEncoderLoader

        kinds = {"gemma-3": ("ltx-2", self.paths["ltx-2.3"].name), "t5": ("ltx-video",), "umt5": ("wan",)}
        return TextEncoderLoader.execute(f"tiny-{name}", *kinds[name]).args[0]

    @functools.cache  # noqa: B019
    def prompt(self, name: str) -> list:
        clip = self.clip(name)
        rate = {} if name == "umt5" else {"frame_rate": 24.0}
        return [[c, {**o, **rate}] for c, o in clip.encode_from_tokens_scheduled(clip.tokenize("a ball"))]

    @functools.cache  # noqa: B019
    def upscaler(self, name: str) -> Any:
        from comfy_extras.nodes_hunyuan import LatentUpscaleModelLoader

        return LatentUpscaleModelLoader.execute(self.paths[name].name).args[0]


def latents() -> dict[str, dict]:
    """Every kind of latent that a graph can hold."""
    from comfy.nested_tensor import NestedTensor

    video, sound = draw(1, 128, 3, 2, 2), draw(1, 8, 18, 16)
    both = NestedTensor((video, sound))
    return {
        "audio-video": {"samples": both},
        "video": {"samples": video},
        "sound": {"samples": sound, "type": "audio"},
        "wan": {"samples": draw(1, 16, 3, 8, 8)},
        "wan 2.2": {"samples": draw(1, 48, 3, 4, 4)},
        "picture": {"samples": draw(1, 4, 8, 8)},
        "half": {"samples": video.half()},
        "three parts": {"samples": NestedTensor((video, sound, sound))},
        "wrong order": {"samples": NestedTensor((sound, video))},
        "two videos": {"samples": draw(2, 128, 3, 2, 2)},
        "one frame": {"samples": draw(1, 128, 1, 2, 1)},
        "no samples": {},
        "empty": {"samples": torch.zeros(1, 128, 0, 2, 2)},
        "NaN": {"samples": video * NAN},
        "picture mask": {"samples": both, "noise_mask": draw(1, 64, 64)},
        "mask of one part": {"samples": both, "noise_mask": NestedTensor((draw(1, 1, 3, 2, 2),))},
        "mask of other frames": {"samples": both, "noise_mask": draw(1, 1, 7, 2, 2)},
        "mask NaN": {"samples": both, "noise_mask": draw(1, 1, 3, 2, 2) * NAN},
        "mask of numbers": {"samples": video, "noise_mask": 1.0},
    }


# --- right inputs ----------------------------------------------------------------------------------------------------

OLD_LTX2 = {
    "LTXVSetAudioVideoMaskByTime",
    "LTXAddVideoICLoRAGuide",
    "LTXAddVideoICLoRAGuideAdvanced",
    "LTXVSetAudioRefTokens",
    "MultimodalGuider",
    "LTXICLoRALoaderModelOnly",
    "LTXVAudioOnlyModel",
    "LTXVGemmaCLIPModelLoader",
    "LTXVGemmaEnhancePrompt",
    "LowVRAMAudioVAELoader",
}
BY_FAMILY: dict[str, dict[str, Any]] = {
    "ltx": {"MODEL": "ltx-2.3", "VAE": "ltx-2.3", "CLIP": "gemma-3", "LATENT": "audio-video", "files": "ltx-2.3"},
    "ltxv": {"MODEL": "ltxv-0.9.8", "VAE": "ltxv-0.9.8", "CLIP": "t5", "LATENT": "video", "files": "ltxv-0.9.8"},
    "wan": {"MODEL": "wan-fun-inp", "VAE": "wan-vae", "CLIP": "umt5", "LATENT": "wan", "files": "wan-t2v"},
    "longlive": {"MODEL": "wan-causal", "VAE": "causal", "CLIP": "umt5", "LATENT": "wan", "files": "wan-causal"},
}
BY_NAME: dict[str, Any] = {
    "width": 64,
    "height": 64,
    "length": 9,
    "num_frames": 9,
    "stg_blocks": "1",
    "blocks": "1",
    "skip_blocks": "1",
    "batch_size": 1,
    "crf": 20,
    "noise_seed": 7,
    "seed": 7,
    "steps": 3,
    "end_seconds": 0.3,
    "end_time": 0.3,
}


def family(node: type) -> str:
    place = node.__module__.split(".")
    room = place[place.index("nodes") + 1]
    if room == "legacy_ltxvideo":
        return "ltx" if node.define_schema().node_id in OLD_LTX2 else "ltxv"
    return "ltx" if room == "any" else room


def right_value(node: type, wanted: Any, shelf: Shelf) -> Any:
    kind = wanted.get_io_type()
    by_type = BY_FAMILY[family(node)]
    if kind == "VAE":
        return shelf.vae("audio" if wanted.id == "audio_vae" else by_type["VAE"])
    if kind in ("MODEL", "CLIP"):
        return getattr(shelf, kind.lower())(by_type[kind])
    if kind == "CONDITIONING":
        return shelf.prompt(by_type["CLIP"])
    if kind == "LATENT":
        return latents()["sound" if wanted.id == "audio_latent" else by_type["LATENT"]]
    if kind in ("IMAGE", "MASK"):
        count = 9 if "video" in wanted.id or "mask" in wanted.id else 1
        return draw(count, 64, 64, 3) if kind == "IMAGE" else (draw(count, 64, 64) > 0.5).float()
    if wanted.optional and kind not in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"):
        return None
    made = made_inputs(shelf).get(kind)
    if made is not None:
        return made
    if kind == "COMBO":
        options = [str(option) for option in wanted.options]
        file = shelf.paths[by_type["files"]].name
        return wanted.default if wanted.default in options else file if file in options else (options or [""])[0]
    if kind == "COMFY_DYNAMICCOMBO_V3":
        return {wanted.id: wanted.options[0].key}
    value = BY_NAME.get(wanted.id, getattr(wanted, "default", None))
    return {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}.get(kind) if value is None else value


def right_inputs(node: type, shelf: Shelf) -> dict[str, Any]:
    schema = node.define_schema()
    images = {"start_image"} if schema.node_id == "OnerWanFunConditioning" else None  # the others are for other models
    values = {each.id: right_value(node, each, shelf) for each in schema.inputs}
    if images is not None:
        values |= {"width": 32, "height": 32}
        values |= {
            each.id: None
            for each in schema.inputs
            if each.optional and isinstance(values[each.id], Tensor) and each.id not in images
        }
        return values
    return values | overrides(shelf).get(schema.node_id, {})


def tracks(frames: int) -> dict[str, Tensor]:
    return {"track_path": draw(frames, 2, 2) * 64, "track_visibility": torch.ones(frames, 2, dtype=torch.bool)}


@functools.cache
def made_inputs(shelf: Shelf) -> dict[str, Any]:
    """By type: what other nodes of a graph make."""
    import comfy.samplers
    from comfy_extras.nodes_custom_sampler import CFGGuider, RandomNoise

    from oner.longlive.presets import Settings
    from oner.samplers.windows.drift import DriftSettings
    from oner.wan import camera

    guider = CFGGuider.execute(shelf.model("ltxv-0.9.8"), shelf.prompt("t5"), shelf.prompt("t5"), 2.0).args[0]
    return {
        "AUDIO": {"waveform": draw(1, 2, 24000) - 0.5, "sample_rate": 44100},
        "SIGMAS": torch.tensor([1.0, 0.5, 0.0]),
        "GUIDER": guider,
        "SAMPLER": comfy.samplers.ksampler("euler"),
        "NOISE": RandomNoise.execute(5).args[0],
        "LATENT_UPSCALE_MODEL": shelf.upscaler("upscaler-x2"),
        "TRACKS": tracks(9),
        "ONER_CAMERA_PATH": camera.move(["Zoom Out"], 9),
        "ONER_DRIFT": DriftSettings(),
        "ONER_LONGLIVE_SETTINGS": Settings(window=6, sink=2, block=2, steps=1),
        "ONER_TAKE": take(shelf),
        "GUIDER_PARAMETERS": {"VIDEO": {"cfg": 2.0}, "AUDIO": {"cfg": 2.0}},
    }


def take(shelf: Shelf) -> Any:
    from oner.longlive.presets import Settings
    from oner.nodes.longlive.rollout import LongLiveRollout

    settings = Settings(window=6, sink=2, block=2, steps=1)
    return run(
        LongLiveRollout,
        model=shelf.model("wan-causal"),
        positive=shelf.prompt("umt5"),
        settings=settings,
        width=16,
        height=16,
        length=5,
        seed=1,
        cfg=1.0,
        filename_prefix="odd",
    ).args[0]


def window_plan() -> Any:
    """A film of one window."""
    from oner.samplers.windows.plan import GRIDS, Row, WindowPlan

    return WindowPlan((Row(0, 17, 0, 17, prompt="a fox"),), GRIDS["ltx"], 24.0)


def small_video() -> str:
    """The name of a video in the input folder."""
    import folder_paths

    from .media import Clip

    Clip(32, 32, 5).write(Path(folder_paths.get_input_directory()) / "odd.mp4")
    return "odd.mp4"


@functools.cache
def overrides(shelf: Shelf) -> dict[str, dict[str, Any]]:
    from oner.nodes.ltx.guider import LTXGuidance

    track = '[[{"x": 10, "y": 20}, {"x": 50, "y": 20}]]'
    source = {"samples": draw(1, 16, 4, 2, 2)}
    one_step = {"sigmas": torch.tensor([1.0, 0.0])}
    few = dict.fromkeys(("background", "control_video_2", "images", "reference_2", "reference_3", "reference_4"))
    guidance = LTXGuidance.execute(3.0, 1.0, "1", 0.7, 3.0).args[0]
    given = run(by_id("OnerWanFunConditioning"), **right_inputs(by_id("OnerWanFunConditioning"), shelf))
    lora = {"lora_name": shelf.paths["lora-wan"].name}
    return {
        "OnerLTXMultimodalGuider": {"video": guidance, "audio": guidance},
        "OnerLTXOutpaintGuide": {"width": 128},
        "OnerLTXInpaintGuide": {"mask": torch.ones(9, 64, 64)},
        "OnerTextEncoderLoader": {"folder": "tiny-gemma-3", "projection": shelf.paths["ltx-2.3"].name},
        "OnerLatentTemporalUpsample": {"upscale_model": shelf.upscaler("upscaler-temporal-x2")},
        "OnerSTGScheduleGuider": {
            "blocks": "[1], [2], []",
            "sigmas": "1, 0.9, 0.5",
            "cfg": "1, 2, 3",
            "stg": "1, 1, 0",
            "rescale": "1, 1, 1",
        },
        "OnerLTXVPreset": {"preset": "2B 0.9.8 distilled", "stage": "first pass"},
        "OnerLTXVFitFrames": {"images": draw(9, 64, 64, 3)},
        "OnerMatchDrift": {"images": draw(9, 64, 64, 3), "reference": draw(9, 64, 64, 3), "overlap": 5},
        "OnerWanCameraPathFromText": {"text": POSES},
        "OnerWanMotionAmplitude": {"positive": given.args[0], "negative": given.args[1]},
        "OnerWanTrajectoryVideo": {"coordinates": track},
        "OnerWan5BCameraLoader": {"unet_name": shelf.paths["wan-camera-5b"].name},
        "OnerWanExpertsGuider": {"model_high": shelf.model("wan-t2v"), "model_low": None},
        "OnerWanLoraLoader": {"model": shelf.model("wan-t2v"), **lora},
        "OnerLoraSchedule": {"model": shelf.model("wan-t2v"), **lora},
        "OnerWanRecipe": {"lora_strength": 0.0, "model": shelf.model("wan-t2v"), "model_low": None},
        "OnerWanGPImport": {"text": '{"num_inference_steps": 4, "guidance_scale": 1}'},
        "OnerWanRIFLEx": {"k": 2},
        "OnerWanVACEComposer": {"model": shelf.model("wan-vace"), "length": 5, "width": 32, "height": 32} | few,
        "OnerLongLiveRollout": {"length": 13, "source": source, "width": 16, "height": 16, "cfg": 2.0},
        "OnerLongLiveContinue": {"length": 13, "negative": None},
        "OnerLongLiveLoadTake": {"name": take(shelf).folder.name},
        "OnerLongLiveBudget": {"length": 13},
        "OnerWindowInputs": {"audio": made_inputs(shelf)["AUDIO"]},
        "OnerWindowedSampler": {
            "plan": window_plan(),
            "vae": shelf.vae("ltxv-0.9.8"),
            "clip": shelf.clip("t5"),
            "audio_vae": None,
            "filename_prefix": "odd",
        },
        "OnerShotPrompts": {"plan": window_plan(), "filename_prefix": "odd"},
        "OnerJoinVideos": {"names": small_video(), "filename_prefix": "odd"},
        "OnerWindowPlan": {"prompts": "a fox", "length": "100%", "audio": made_inputs(shelf)["AUDIO"]},
        "STGGuider": {"stg": 0.0},
        "STGGuiderNode": {"stg": 0.0},
        "STGGuiderAdvanced": {
            "stg_layers_indices": "[1]",
            "sigmas": "1.0",
            "cfg_values": "1",
            "stg_scale_values": "1",
            "stg_rescale_values": "1",
        },
        "LTXVGemmaEnhancePrompt": {"image": None, "max_tokens": 32},
        "LTXVDilateVideoMask": {"image_as_mask": None},
        "LTXVSparseTrackEditor": {"points_store": track},
        "LTXVDrawTracks": {"tracks": '[[{"x": 10, "y": 9}]]', "width": 16, "height": 16},
        "OnerLTXDrawTracks": {"tracks": tracks(1), "width": 32, "height": 32},
        "LTXVBaseSampler": one_step,
        "LTXVExtendSampler": one_step,
        "LTXVInContextSampler": one_step,
        "LTXVTiledSampler": one_step,
        "LTXVLoopingSampler": one_step,
        "MultiPromptProvider": {"prompts": "a | b"},
        "LTXVMultiPromptProvider": {"prompts": "a | b"},
    }


@functools.cache
def every_node() -> tuple[type, ...]:
    from oner.nodes.legacy_ltxvideo.shims import SHIMS

    from .schemas import node_list

    return (*node_list(), *SHIMS)


def by_id(node_id: str) -> type:
    return next(node for node in every_node() if node.define_schema().node_id == node_id)


def run(node: type, **inputs: Any) -> Any:
    """The node's output, run as ComfyUI's executor runs it: on a locked clone of its class."""
    from comfy_api.internal import make_locked_method_func

    node.GET_SCHEMA()
    return make_locked_method_func(node, "EXECUTE_NORMALIZED", node.PREPARE_CLASS_CLONE(None))(**inputs)


# --- odd inputs ------------------------------------------------------------------------------------------------------


def odd_images(right: Tensor) -> dict[str, Any]:
    spoilt = [right.clone(), right.clone()]
    spoilt[0].view(-1)[-1], spoilt[1].view(-1)[0] = NAN, math.inf
    return {
        "grey": right[..., :1],
        "alpha": torch.cat([right, right[..., :1]], -1),
        "2 channels": right[..., :2],
        "5 channels": torch.cat([right, right[..., :2]], -1),
        "NaN": spoilt[0],
        "infinite": spoilt[1],
        "no frame": right[:0],
        "a pixel": right[:, :1, :1],
        "half": right.half(),
        "flat": right[0],
        "bytes": (right * 255).to(torch.uint8),
        "2 frames": torch.cat([right[:1]] * 2),
        "a line": right[:, :1],
        "large": right * 9 - 4,
        "no rows": right[:, :0],
        "text": "image",
        "odd size": right[:, :33, :47],
    }


def odd_masks(right: Tensor) -> dict[str, Any]:
    return {
        "flat": right[0],
        "a channel": right[:, None],
        "other frames": torch.cat([right[:1]] * 2),
        "no frame": right[:0],
        "NaN": right * NAN,
        "a pixel": right[:, :1, :1],
        "half": right.half(),
        "flags": right > 0.5,
        "odd size": right[:, :33, :47],
        "nothing": right * 0,
        "above 1": right * 5,
        "colour": draw(1, 64, 64, 3),
    }


def odd_sounds(right: dict) -> dict[str, Any]:
    wave, rate = right["waveform"], right["sample_rate"]

    def sound(waveform: Any, sample_rate: Any = rate) -> dict:
        return {"waveform": waveform, "sample_rate": sample_rate}

    return {
        "one channel": sound(wave[:, :1]),
        "5.1": sound(wave[:, :1].repeat(1, 6, 1)),
        "7.1": sound(wave[:, :1].repeat(1, 8, 1)),
        "9 channels": sound(wave[:, :1].repeat(1, 9, 1)),
        "no sample": sound(wave[..., :0]),
        "a sample": sound(wave[..., :1]),
        "5 ms": sound(wave[..., :220]),
        "rate 0": sound(wave, 0),
        "rate NaN": sound(wave, NAN),
        "rate 8000": sound(wave, 8000),
        "rate 44101": sound(wave, 44101),
        "rate huge": sound(wave, 10**9),
        "rate as float": sound(wave, 22050.0),
        "NaN": sound(wave * NAN),
        "half": sound(wave.half()),
        "two": sound(wave.repeat(2, 1, 1)),
        "flat": sound(wave[0]),
        "no waveform": {},
        "text": "sound",
    }


def odd_prompts(right: list, shelf: Shelf) -> dict[str, Any]:
    (tensor, options), *_ = right
    others = {f"of {name}": shelf.prompt(name) for name in CLIPS}
    return {
        "none": [],
        "narrow": [[tensor[..., :7], options]],
        "no tokens": [[tensor[:, :0], options]],
        "NaN": [[tensor * NAN, options]],
        "two": [*right, *right],
        "bare": [[tensor, {}]],
        "flat": [[tensor[0], options]],
        "batch": [[tensor.repeat(2, 1, 1), options]],
        "text": "a ball",
        **others,
    }


SIGMAS = {
    "none": torch.zeros(0),
    "one": torch.ones(1),
    "rising": torch.tensor([0.0, 0.5, 1.0]),
    "large": torch.tensor([14.6, 1.0]),
    "NaN": torch.tensor([1.0, NAN, 0.0]),
    "negative": torch.tensor([1.0, -1.0]),
    "table": torch.ones(2, 2),
    "half": torch.tensor([1.0, 0.5, 0.0]).half(),
    "equal": torch.tensor([0.5, 0.5]),
    "list": [1.0, 0.0],
}
TEXTS = {
    "empty": "",
    "blank": "  ",
    "a letter": "x",
    "no number": "nan",
    "negative": "-1",
    "bracket": "[",
    "object": "{}",
    "empty lists": "[[]]",
    "null byte": "a\0b",
    "number": 5,
    "large number": "1e999",
    "many": "1, " * 200,
    "above": "../x",
    "text": "null",
    "lines": "\n\n",
    "deep": "[" * 1500,
    "bars": "|||",
    "other script": "\u202e\u0661",
}
FLAGS = {"yes": True, "no": False, "text": "yes", "number": 1}


def odd_numbers(wanted: Any) -> dict[str, Any]:
    odd = {"NaN": NAN, "infinite": math.inf, "huge": 10**12, "below": -(10**6), "half": 2.5, "text": "3", "flag": True}
    odd |= {str(number): number for number in (-1, 0, 1, 2, 3, 7)}
    ends = {"lowest": wanted.min, "below lowest": wanted.min and wanted.min - 1}
    if wanted.max is not None:
        ends["above highest"] = wanted.max + 1
    if wanted.get_io_type() == "FLOAT" and wanted.max is not None:
        ends["highest"] = wanted.max
    return {**odd, **{what: number for what, number in ends.items() if number is not None}}


MISSING = object()


def with_odd(right: dict[str, Any], name: str, odd: Any) -> dict[str, Any]:
    """The inputs with one that is odd, or left out."""
    others = {key: value for key, value in right.items() if key != name}
    return others if odd is MISSING else {**others, name: odd}


def odd_inputs(node: type, right: dict[str, Any], shelf: Shelf) -> Iterator[tuple[str, str, Any]]:
    """Each input's name, what is odd, and the value."""
    for wanted in node.define_schema().inputs:
        kind, value = wanted.get_io_type(), right[wanted.id]
        if value is None:
            value = right_value(node, wanted, shelf)
        yield wanted.id, "nothing", None
        yield wanted.id, "left out", MISSING
        for what, odd in odd_values(wanted, kind, value, shelf).items():
            yield wanted.id, what, odd
    yield "surplus", "unknown", 1


def odd_values(wanted: Any, kind: str, right: Any, shelf: Shelf) -> dict[str, Any]:
    if kind in ("INT", "FLOAT"):
        return odd_numbers(wanted)
    if kind == "COMBO":
        return {
            "unknown": "none of these",
            "empty": "",
            "number": 3,
            "list": [],
            **{f"choice {option}": option for option in list(wanted.options)[:6]},
        }
    if kind == "COMFY_DYNAMICCOMBO_V3":
        return {
            "unknown": {wanted.id: "none of these"},
            "no key": {},
            "text": "none of these",
            "surplus": {wanted.id: wanted.options[0].key, "surplus": 1},
            **{f"alone {option.key}": {wanted.id: option.key} for option in wanted.options},
        }
    if kind == "CONDITIONING":
        return odd_prompts(right, shelf)
    made: dict[str, Any] = {
        "IMAGE": odd_images,
        "MASK": odd_masks,
        "AUDIO": odd_sounds,
        "SIGMAS": lambda _: SIGMAS,
        "STRING": lambda _: TEXTS,
        "BOOLEAN": lambda _: FLAGS,
        "LATENT": lambda _: latents(),
        "MODEL": lambda _: {f"of {name}": shelf.model(name) for name in MODELS},
        "VAE": lambda _: {f"of {name}": shelf.vae(name) for name in VAES},
        "CLIP": lambda _: {f"of {name}": shelf.clip(name) for name in CLIPS},
        "LATENT_UPSCALE_MODEL": lambda _: {n: shelf.upscaler(n) for n in ("upscaler-x2", "upscaler-temporal-x2")},
    }
    return {**(made[kind](right) if kind in made else {}), **wrong_things()}


def wrong_things() -> dict[str, Any]:
    """What no socket of a type of its own takes."""
    seen, paths = torch.ones(2, 1, dtype=torch.bool), draw(2, 1, 2)
    return {
        "a number": 3,
        "a word": "x",
        "an empty list": [],
        "a list of words": ["x"],
        "an empty object": {},
        "an object of numbers": {"VIDEO": 3, "reference_downscale_factor": "two", "track_path": 5},
        "unknown values": {"VIDEO": {"none of these": 1}, "reference_downscale_factor": 0},
        "a thing": object(),
        "tracks without sight": {"track_path": paths},
        "tracks of NaN": {"track_path": paths * NAN, "track_visibility": seen},
        "other numbers of tracks": {"track_path": paths, "track_visibility": torch.ones(2, 3, dtype=torch.bool)},
        "no tracks": {"track_path": paths[:, :0], "track_visibility": seen[:, :0]},
        "flat tracks": {"track_path": paths[0], "track_visibility": seen[0]},
    }
