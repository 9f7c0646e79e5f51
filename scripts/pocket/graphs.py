"""ComfyUI graphs that run the pocket set through core's nodes and ours: for scores, for tests, for pictures.

Each graph takes a list of scenes and gives one clip per scene as the output of node "clip_<i>".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from . import ltx_ic as ltx_ic_lora
from . import wan_fun, world
from .files import FOLDER, join
from .judge import judge, psnr
from .mixture import CONTROLS
from .world import Scene

Prompt = dict[str, dict[str, Any]]
LTX2_FILE = "pocket_ltx23.safetensors"


@dataclass(frozen=True)
class Shipped:
    """How a model is meant to be run and what it promises: what a score in the model card refers to.

    sounds: it makes sounds too. begins: its first picture is that of write_first_frames. outlines: it draws outlines.
    guide: writes the videos whose ways it follows, and returns the ways. unguided: options of build without them.
    """

    frames: int
    steps: int
    cfg: float
    build: Callable[..., Prompt]
    sounds: bool = False
    begins: bool = False
    outlines: bool = False
    guide: Callable[[Path, list[Scene], int], torch.Tensor] | None = None
    unguided: dict[str, Any] = field(default_factory=dict)


def wan(scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int = 9) -> Prompt:
    """Wan text to video at 64 x 64."""
    prompt = _loaders("pocket_wan", "pocket_wan_vae", "pocket_umt5", "wan")
    prompt["shift"] = _node("ModelSamplingSD3", model=["model", 0], shift=3.0)
    prompt["empty"] = _node("EmptyHunyuanLatentVideo", width=64, height=64, length=frames, batch_size=1)
    for i, scene in enumerate(scenes):
        prompt |= _sampled(i, scene, ["shift", 0], ["empty", 0], seed, steps, cfg)
        prompt[f"clip_{i}"] = _node("VAEDecode", samples=[f"sampler_{i}", 0], vae=["vae", 0])
    return prompt


def wan_style(scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int = 9, strength: float = 1.0) -> Prompt:
    """Wan text to video with the style LoRA."""
    prompt = wan(scenes, seed, steps, cfg, frames)
    prompt["style"] = _node(
        "LoraLoaderModelOnly", model=["model", 0], lora_name="pocket_wan_outlined.safetensors", strength_model=strength
    )
    prompt["shift"]["inputs"]["model"] = ["style", 0]
    return prompt


def ltx(scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int = 17) -> Prompt:
    """LTX-Video text to video at 64 x 64."""
    prompt = _loaders("pocket_ltx", "pocket_ltx_vae", "pocket_t5", "ltx-video")
    prompt["empty"] = _node("EmptyLTXVLatentVideo", width=64, height=64, length=frames, batch_size=1)
    for i, scene in enumerate(scenes):
        prompt |= _sampled(i, scene, ["model", 0], ["empty", 0], seed, steps, cfg)
        prompt[f"clip_{i}"] = _node("VAEDecode", samples=[f"sampler_{i}", 0], vae=["vae", 0])
    return prompt


def ltx_style(
    scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int = 17, strength: float = 1.0
) -> Prompt:
    """LTX-Video text to video with the style LoRA."""
    prompt = ltx(scenes, seed, steps, cfg, frames)
    prompt["style"] = _node(
        "LoraLoaderModelOnly", model=["model", 0], lora_name="pocket_ltx_outlined.safetensors", strength_model=strength
    )
    for i in range(len(scenes)):
        prompt[f"sampler_{i}"]["inputs"]["model"] = ["style", 0]
    return prompt


def ltx_ic(scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int = 17, strength: float = 1.0) -> Prompt:
    """LTX-Video with the IC-LoRA: follows the depth video input/control_<i>.webp, see write_references."""
    prompt = ltx(scenes, seed, steps, cfg, frames)
    prompt["ic"] = _node(
        "OnerLTXICLoRALoader", model=["model", 0], lora_name="pocket_ltx_ic_depth.safetensors", strength=strength
    )
    for i in range(len(scenes)):
        prompt[f"control_{i}"] = _node("LoadImage", image=f"control_{i}.webp")
        prompt[f"given_{i}"] = _node(
            "OnerLTXReferenceVideo",
            positive=[f"positive_{i}", 0],
            negative=["negative", 0],
            vae=["vae", 0],
            video=[f"control_{i}", 0],
            latent=["empty", 0],
            strength=1.0,
            attention_strength=1.0,
            iclora_parameters=["ic", 1],
        )
        prompt[f"sampler_{i}"]["inputs"] |= {
            "model": ["ic", 0],
            "positive": [f"given_{i}", 0],
            "negative": [f"given_{i}", 1],
            "latent_image": [f"given_{i}", 2],
        }
        prompt[f"bare_{i}"] = _node(
            "OnerLTXCrop", positive=[f"given_{i}", 0], negative=[f"given_{i}", 1], latent=[f"sampler_{i}", 0]
        )
        prompt[f"clip_{i}"]["inputs"]["samples"] = [f"bare_{i}", 2]
    return prompt


def ltx_image(scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int = 17) -> Prompt:
    """LTX-Video image to video: the first frame is input/first_<i>.png, see write_first_frames."""
    prompt = ltx(scenes, seed, steps, cfg, frames)
    for i in range(len(scenes)):
        prompt[f"image_{i}"] = _node("LoadImage", image=f"first_{i}.png")
        prompt[f"given_{i}"] = _node(
            "LTXVImgToVideo",
            positive=[f"positive_{i}", 0],
            negative=["negative", 0],
            vae=["vae", 0],
            image=[f"image_{i}", 0],
            width=64,
            height=64,
            length=frames,
            batch_size=1,
            strength=1.0,
        )
        inputs = prompt[f"sampler_{i}"]["inputs"]
        inputs["positive"], inputs["negative"] = [f"given_{i}", 0], [f"given_{i}", 1]
        inputs["latent_image"] = [f"given_{i}", 2]
    return prompt


def ltx2(scenes: list[Scene], seed: int, _steps: int, _cfg: float, frames: int = 17, stages: str = "one") -> Prompt:
    """LTX-2.3 text to video with sound ("sound_<i>") at 64 x 64 by the distilled sigmas: 8 steps without guidance.

    stages "two" goes on at 128 x 128 as the shipped two-stage workflow does: latent upsampler, then 3 more steps.
    """
    size = {"one": 64, "two": 128}[stages]
    prompt = {
        "model": _node("OnerLTXModelLoader", model_name=LTX2_FILE),
        "clip": _node(
            "OnerTextEncoderLoader", folder="pocket_gemma", type="ltx-2", projection=["model", 3], device="default"
        ),
        "empty": _node(
            "OnerLTXEmptyLatent",
            width=size,
            height=size,
            length=frames,
            fps=24.0,
            batch_size=1,
            stages=stages,
            audio=True,
        ),
        "sampler": _node("KSamplerSelect", sampler_name="euler"),
        "sigmas_1": _node("OnerLTXSigmaPreset", preset="distilled stage 1"),
    }
    if stages == "two":
        prompt["sigmas_2"] = _node("OnerLTXSigmaPreset", preset="distilled stage 2")
        prompt["upsampler"] = _node("LatentUpscaleModelLoader", model_name="pocket_ltx_upsampler_x2.safetensors")
    for i, scene in enumerate(scenes):
        prompt[f"prompt_{i}"] = _node("CLIPTextEncode", clip=["clip", 0], text=world.caption(scene))
        prompt[f"positive_{i}"] = _node(
            "LTXVConditioning", positive=[f"prompt_{i}", 0], negative=[f"prompt_{i}", 0], frame_rate=24.0
        )
        prompt |= _stage(f"1_{i}", [f"positive_{i}", 0], ["empty", 0], ["sigmas_1", 0], seed + i)
        last = f"stage_1_{i}"
        if stages == "two":
            prompt[f"large_{i}"] = _node(
                "OnerLTXStageHandOver",
                positive=[f"positive_{i}", 0],
                latent=[last, 0],
                upscale_model=["upsampler", 0],
                vae=["model", 1],
            )
            prompt |= _stage(f"2_{i}", [f"large_{i}", 0], [f"large_{i}", 1], ["sigmas_2", 0], seed + i + 1)
            last = f"stage_2_{i}"
        prompt[f"parts_{i}"] = _node("OnerLTXStageOutput", latent=[last, 0], audio_source="last stage")
        prompt[f"clip_{i}"] = _node("VAEDecode", samples=[f"parts_{i}", 0], vae=["model", 1])
        prompt[f"sound_{i}"] = _node("LTXVAudioVAEDecode", samples=[f"parts_{i}", 1], audio_vae=["model", 2])
    return prompt


def _stage(name: str, positive: list, latent: list, sigmas: list, seed: int) -> Prompt:
    return {
        f"guider_{name}": _node("BasicGuider", model=["model", 0], conditioning=positive),
        f"noise_{name}": _node("RandomNoise", noise_seed=seed),
        f"stage_{name}": _node(
            "SamplerCustomAdvanced",
            noise=[f"noise_{name}", 0],
            guider=[f"guider_{name}", 0],
            sampler=["sampler", 0],
            sigmas=sigmas,
            latent_image=latent,
        ),
    }


def ltx2_two_stages(scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int = 17) -> Prompt:
    """LTX-2.3 text to video with sound at 128 x 128 in two stages."""
    return ltx2(scenes, seed, steps, cfg, frames, stages="two")


def ltx_upsampled(count: int) -> Prompt:
    """The videos input/control_<i>.webp of 64 px at 128 px: latents through the upsampler ("clip_<i>") or scaled
    bilinearly ("clip_latent_<i>"), and pictures scaled bilinearly ("clip_picture_<i>").
    """
    prompt = {
        "vae": _node("VAELoader", vae_name="pocket_ltx_vae.safetensors"),
        "upsampler": _node("LatentUpscaleModelLoader", model_name="pocket_ltx_upsampler_x2.safetensors"),
    }
    for i in range(count):
        prompt[f"video_{i}"] = _node("LoadImage", image=f"control_{i}.webp")
        prompt[f"latent_{i}"] = _node("VAEEncode", pixels=[f"video_{i}", 0], vae=["vae", 0])
        prompt[f"small_{i}"] = _node("VAEDecode", samples=[f"latent_{i}", 0], vae=["vae", 0])
        prompt[f"large_{i}"] = _node(
            "LTXVLatentUpsampler", samples=[f"latent_{i}", 0], upscale_model=["upsampler", 0], vae=["vae", 0]
        )
        prompt[f"clip_{i}"] = _node("VAEDecode", samples=[f"large_{i}", 0], vae=["vae", 0])
        prompt[f"scaled_{i}"] = _node(
            "LatentUpscaleBy", samples=[f"latent_{i}", 0], upscale_method="bilinear", scale_by=2.0
        )
        prompt[f"clip_latent_{i}"] = _node("VAEDecode", samples=[f"scaled_{i}", 0], vae=["vae", 0])
        prompt[f"clip_picture_{i}"] = _node(
            "ImageScale", image=[f"small_{i}", 0], upscale_method="bilinear", width=128, height=128, crop="disabled"
        )
    return prompt


def upsampled(executor: Any, scenes: list[Scene], frames: int = 17) -> dict[str, float]:
    """PSNR in dB to the scenes at 128 px of what the upsampler makes of 64 px, and of scaling instead."""
    for i, clip in enumerate(world.render(scenes, frames)):
        _write_video(executor.base, f"control_{i}", clip)
    truth = world.render(scenes, frames, 128)
    result = executor.run(_saved(ltx_upsampled(len(scenes))))
    return {
        name: sum(psnr(result.output(f"{id}_{i}"), t) for i, t in enumerate(truth)) / len(scenes)
        for name, id in (("upsampled", "clip"), ("scaled latents", "clip_latent"), ("scaled pictures", "clip_picture"))
    }


def wan_control(scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int = 9, given: bool = True) -> Prompt:
    """Wan Fun Control: follows input/control_<i>.webp, see write_controls; given: whether it sees that at all."""
    prompt = _wan_fun(scenes, seed, steps, cfg, frames, "control_video", "control_{}.webp")
    if not given:
        for i in range(len(scenes)):
            del prompt[f"image_{i}"], prompt[f"fun_{i}"]["inputs"]["control_video"]
    return prompt


def wan_image(scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int = 9) -> Prompt:
    """The same model as image to video: the first frame is input/first_<i>.png, see write_first_frames."""
    return _wan_fun(scenes, seed, steps, cfg, frames, "start_image", "first_{}.png")


def _wan_fun(scenes: list[Scene], seed: int, steps: int, cfg: float, frames: int, given: str, file: str) -> Prompt:
    prompt = _loaders("pocket_wan_fun_control", "pocket_wan_vae", "pocket_umt5", "wan")
    prompt["shift"] = _node("ModelSamplingSD3", model=["model", 0], shift=3.0)
    for i, scene in enumerate(scenes):
        prompt |= _sampled(i, scene, ["shift", 0], [f"fun_{i}", 2], seed, steps, cfg)
        prompt[f"image_{i}"] = _node("LoadImage", image=file.format(i))
        prompt[f"fun_{i}"] = _node(
            "OnerWanFunConditioning",
            model=["model", 0],
            positive=[f"positive_{i}", 0],
            negative=["negative", 0],
            vae=["vae", 0],
            width=64,
            height=64,
            length=frames,
            batch_size=1,
            control_strength=1.0,
            start_percent=0.0,
            end_percent=1.0,
            **{given: [f"image_{i}", 0]},
        )
        inputs = prompt[f"sampler_{i}"]["inputs"]
        inputs["positive"], inputs["negative"] = [f"fun_{i}", 0], [f"fun_{i}", 1]
        prompt[f"clip_{i}"] = _node("VAEDecode", samples=[f"sampler_{i}", 0], vae=["vae", 0])
    return prompt


def on_time_line(name: str, stories: list[list[Scene]], seed: int, frames: int) -> Prompt:
    """The shipped graph of a model, each clip of which goes through the scenes of a story in equal parts."""
    shipped = SHIPPED[name]
    prompt = shipped.build([story[0] for story in stories], seed, shipped.steps, shipped.cfg, frames=frames)
    for i, story in enumerate(stories):
        ends = [f"{100 * k / len(story):g}%" for k in range(len(story) + 1)]
        parts = zip(ends, ends[1:], story, strict=False)
        prompt[f"line_{i}"] = _node(
            "OnerPromptTimeLine",
            model=["shift" if "shift" in prompt else "model", 0],
            clip=["clip", 0],
            text="\n".join(f"[{start}:{end}] {world.caption(scene)}" for start, end, scene in parts),
            fps=24.0,
            length=frames,
            softness=1.0,
            strength=-8.0,
        )
        sounds = f"guider_1_{i}" in prompt
        reads = prompt[f"positive_{i}" if sounds else f"sampler_{i}"]["inputs"]
        reads["positive"] = [f"line_{i}", 1]
        prompt[f"guider_1_{i}" if sounds else f"sampler_{i}"]["inputs"]["model"] = [f"line_{i}", 0]
    return _saved(prompt)


def longlive(name: str, text: str, length: int, seed: int, steps: int = 4) -> Prompt:
    """A LongLive take of `length` frames under a prompt schedule; the pictures are output 2 of node "take_<name>".

    The model was trained with a window of three blocks, so more than that is reached by relative positions.
    """
    return {
        "causal": _node(
            "OnerLongLiveLoader",
            model_name="pocket_wan_causal.safetensors",
            lora_name="none",
            strength=1.0,
            part="auto",
            weight_dtype="default",
            save_as="",
        ),
        "clip": _text_encoder("pocket_umt5", "wan"),
        "vae": _node("VAELoader", vae_name="pocket_wan_vae.safetensors"),
        "settings": _node(
            "OnerLongLiveSettings",
            preset="LongLive 1.0 endless",
            window=9,
            sink=3,
            block=0,
            steps=steps,
            shift=0.0,
            positions="preset",
            fps=0,
        ),
        f"schedule_{name}": _node(
            "OnerLongLivePromptSchedule",
            clip=["clip", 0],
            text=text,
            settings=["settings", 0],
            format="lines",
            switch_frames="40",
            line=1,
            blocks_per_shot=4,
        ),
        f"take_{name}": _node(
            "OnerLongLiveRollout",
            model=["causal", 0],
            positive=[f"schedule_{name}", 0],
            settings=["settings", 0],
            vae=["vae", 0],
            width=64,
            height=64,
            length=length,
            seed=seed,
            cfg=1.0,
            filename_prefix=name,
            batch_size=1,
            last_frames=min(length, 1024),
            checkpoint_blocks=0,
            cache_storage="model",
            cache_device="gpu",
            crf=18,
            denoise=1.0,
            compile=False,
        ),
    }


def video_file(pictures: list, prefix: str, fps: float, scale: int) -> Prompt:
    """Nodes that enlarge pictures and write them as output/<prefix>*.mp4."""
    return {
        "large": _node(
            "ImageScale", image=pictures, upscale_method="lanczos", width=64 * scale, height=64 * scale, crop="disabled"
        ),
        "video": _node("CreateVideo", images=["large", 0], fps=fps),
        "file": _node("SaveVideo", video=["video", 0], filename_prefix=prefix, format="mp4", codec="h264"),
    }


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}


def _loaders(model: str, vae: str, encoder: str, kind: str) -> Prompt:
    return {
        "model": _node("UNETLoader", unet_name=f"{model}.safetensors", weight_dtype="default"),
        "vae": _node("VAELoader", vae_name=f"{vae}.safetensors"),
        "clip": _text_encoder(encoder, kind),
        "negative": _node("CLIPTextEncode", clip=["clip", 0], text=""),
    }


def _text_encoder(folder: str, kind: str) -> dict[str, Any]:
    return _node("OnerTextEncoderLoader", folder=folder, type=kind, projection="none", device="default")


def _sampled(i: int, scene: Scene, model: list, latent: list, seed: int, steps: int, cfg: float) -> Prompt:
    return {
        f"positive_{i}": _node("CLIPTextEncode", clip=["clip", 0], text=world.caption(scene)),
        f"sampler_{i}": _node(
            "KSampler",
            model=model,
            positive=[f"positive_{i}", 0],
            negative=["negative", 0],
            latent_image=latent,
            seed=seed + i,
            steps=steps,
            cfg=cfg,
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
        ),
    }


def prompts(count: int, frames: int, seed: int = 64) -> list[Scene]:
    """Half held-out combinations of words, half trained ones, all different as far as there are enough."""
    generator = torch.Generator().manual_seed(seed)
    scenes = []
    for held_out, share in ((True, count // 2), (False, count - count // 2)):
        options = world.combinations(held_out)
        order = torch.randperm(len(options), generator=generator).tolist()
        for k in range(share):
            u, v, w = torch.rand(3, generator=generator).tolist()
            scenes.append(world.place(Scene(*options[order[k % len(order)]]), frames, u, v, w))
    return scenes


def make_base(folder: Path, models: Path = FOLDER) -> Path:
    """A ComfyUI base directory with links to the pocket set among its models, and LTX-2.3 with its video VAE."""
    for entry in models.resolve().glob("*/*"):
        if entry.name == LTX2_FILE:
            join_ltx2(entry, models / "vae" / "pocket_ltx_vae.safetensors", folder / "models" / "checkpoints")
            continue
        link = folder / "models" / entry.parent.name / entry.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(entry, target_is_directory=entry.is_dir())
    return folder


def join_ltx2(checkpoint: Path, vae: Path, folder: Path) -> None:
    """Write LTX-2.3 with its video VAE inside, as it is released, under its name into the folder."""
    join(folder / checkpoint.name, {"": checkpoint, "vae.": vae}, model_version="2.3.0")


def first_frames(scenes: list[Scene]) -> torch.Tensor:
    """The first picture of each scene in 8 bits. [B, H, W, 3] in 0..1"""
    return (world.render(scenes, 1)[:, 0] * 255).round() / 255


def write_first_frames(base: Path, scenes: list[Scene]) -> torch.Tensor:
    """Put input/first_<i>.png for each scene; returns them as they are read back [B, H, W, 3]."""
    from PIL import Image

    frames = first_frames(scenes)
    (base / "input").mkdir(exist_ok=True)
    for i, frame in enumerate((frames * 255).round().to(torch.uint8)):
        Image.fromarray(frame.numpy()).save(base / "input" / f"first_{i}.png")
    return frames


def write_controls(base: Path, scenes: list[Scene], frames: int, seed: int = 9) -> torch.Tensor:
    """Put input/control_<i>.webp for each scene, every kind in turn; returns the ways they show [B, F, 2]."""
    path = ltx_ic_lora.paths(scenes, frames, torch.Generator().manual_seed(seed))
    for i, scene in enumerate(scenes):
        _write_video(base, f"control_{i}", CONTROLS[i % len(CONTROLS)]([scene], frames, path=path[i : i + 1])[0])
    return path


def write_references(base: Path, scenes: list[Scene], frames: int, seed: int = 9) -> torch.Tensor:
    """Put a depth video input/control_<i>.webp for each scene; returns the ways they show [B, F, 2]."""
    path = ltx_ic_lora.paths(scenes, frames, torch.Generator().manual_seed(seed))
    for i, video in enumerate(world.depth(scenes, frames, path=path)):
        _write_video(base, f"control_{i}", video)
    return path


def _write_video(base: Path, name: str, pictures: torch.Tensor) -> None:
    from PIL import Image

    (base / "input").mkdir(exist_ok=True)
    first, *rest = [Image.fromarray(p.numpy()) for p in (pictures.clamp(0, 1) * 255).round().to(torch.uint8)]
    first.save(base / "input" / f"{name}.webp", save_all=True, append_images=rest, lossless=True)


SHIPPED = {
    "wan": Shipped(9, 12, 2.5, wan),
    "ltx": Shipped(17, 12, 2.5, ltx),
    "ltx-image": Shipped(17, 12, 2.5, ltx_image, begins=True),
    "wan-control": Shipped(9, 12, 1.0, wan_control, guide=write_controls, unguided={"given": False}),
    "wan-image": Shipped(9, 12, 2.5, wan_image, begins=True),
    "wan-style": Shipped(9, 12, 2.5, wan_style, outlines=True),
    "ltx-style": Shipped(17, 12, 2.5, ltx_style, outlines=True),
    "ltx-ic": Shipped(17, 12, 1.0, ltx_ic, guide=write_references, unguided={"strength": 0.0}),
    "ltx2": Shipped(17, 8, 1.0, ltx2, sounds=True),
    "ltx2-two-stages": Shipped(17, 11, 1.0, ltx2_two_stages, sounds=True),
}


def mean_path_error(clips: torch.Tensor, paths: torch.Tensor) -> float:
    """Mean distance to the given ways [B, F, 2] as a share of the width; a clip without a shape counts as 0.5."""
    seen = [judge(clip) for clip in clips]
    errors = [0.5 if v is None else wan_fun.path_error(v.path, path) for v, path in zip(seen, paths, strict=True)]
    return sum(errors) / len(errors)


def run(executor: Any, name: str, scenes: list[Scene], seed: int = 0, **options: Any) -> torch.Tensor:
    """The clips [B, F, H, W, 3] that the shipped settings of a model give for scenes."""
    return torch.stack(_run(executor, name, scenes, seed, ["clip"], **options)[0])


def run_with_sound(executor: Any, name: str, scenes: list[Scene], seed: int = 0) -> tuple[torch.Tensor, list[dict]]:
    """The same, and the sounds as core's AUDIO."""
    clips, sounds = _run(executor, name, scenes, seed, ["clip", "sound"])
    return torch.stack(clips), sounds


def _run(executor: Any, name: str, scenes: list[Scene], seed: int, ends: list[str], **options: Any) -> list[list[Any]]:
    """For each kind of end, its outputs, one per scene."""
    shipped = SHIPPED[name]
    result = executor.run(_saved(shipped.build(scenes, seed, shipped.steps, shipped.cfg, **options)))
    return [[result.output(f"{end}_{i}") for i in range(len(scenes))] for end in ends]


def _saved(prompt: Prompt) -> Prompt:
    """With a preview behind every clip and sound, since ComfyUI runs only what leads to an output node."""
    ends = [id for id in prompt if id.startswith(("clip_", "sound_"))]
    return prompt | {f"see_{id}": _node("PreviewAny", source=[id, 0]) for id in ends}
