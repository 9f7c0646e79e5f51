"""Shipped workflows on the pocket set: what stands in for the real files, and what is then to be seen.

An entry whose clip does not show what it says has no place here: its workflow then stands in NOT_SERVED.
scripts/gallery.py runs the entries and writes their pictures, scripts/generate.py writes the page.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import workflows
from workflows.builder import Prompt, split_target, substitute
from workflows.wan_2_2_recipe import PROFILE

from . import graphs, world
from .files import FOLDER, join
from .footage import Footage, image, video
from .judge import judge, psnr, read_back
from .wan_fun import path_error

LTX_CHECKPOINT = "pocket_ltx_with_vae.safetensors"
TAKES = ("OnerLongLiveRollout", "OnerLongLiveContinue")
LIKE_IMAGE, OFF_WAY = 25.0, 0.06  # dB, share of the width: the bars of image to video and of control


@dataclass(frozen=True)
class Entry:
    """A workflow on the pocket set.

    text: its prompt. changes, media: "node.widget" -> value, or what to load. seen: number of a picture -> the sentence
    that holds from there to the next; without it the text holds throughout. begins: the medium that the first picture
    must be. follows: whose way the shape must take. heard: whether the sound must tell the shape that is seen last.
    bypassed: node -> its input that takes its place.
    note: what stands in for what, or why a setting differs.
    """

    text: str
    changes: dict[str, Any]
    media: dict[str, Footage] = field(default_factory=dict)
    seen: dict[int, str] = field(default_factory=dict)
    begins: str = ""
    follows: Footage | None = None
    heard: bool = False
    bypassed: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def caption(self) -> str:
        """The first sentence, and of each later one the words that are new in it."""
        sentences = list(self.seen.values()) if len(self.seen) > 1 else [self.text]
        new = [
            " ".join(w for w, old in zip(after.split(), before.split(), strict=True) if w != old)
            for before, after in itertools.pairwise(sentences)
        ]
        return ", then ".join([sentences[0], *new])


@dataclass(frozen=True)
class Made:
    """What a workflow made: pictures [F, H, W, 3] in 0..1, and core's AUDIO and the file if they have a sound."""

    clip: torch.Tensor
    sound: dict[str, Any] | None = None
    file: Path | None = None


RED = "a red circle moving right on a dark background"
BLUE = "a blue square moving up on a bright background"
YELLOW = "a yellow triangle moving left on a dark background"
GREEN = "a green circle moving right on a bright background"
PURPLE = "a purple triangle moving down on a dark background"
CYAN = "a cyan square moving left on a dark background"


def outlined(sentence: str) -> str:
    return sentence.replace("a ", "a outlined ", 1)


_LTX = {"model.model_name": LTX_CHECKPOINT, "text_encoder.folder": "pocket_t5", "negative.text": ""}
_LTX_TWO_PASSES = _LTX | {
    "upscaler.model_name": "pocket_ltx_upsampler_x2.safetensors",
    "width.value": 96,  # the smallest size with a first pass at 64
    "height.value": 96,
    "length.value": 17,
}
_LTX_DECODE = {"decode_settings": "vae"}
_LTX_DECODE_NOTE = "**Decode settings** is bypassed, as the VAE has no timestep"

_LTX_23 = {"model.model_name": graphs.LTX2_FILE, "text_encoder.folder": "pocket_gemma"}
_LTX_23_TWO_STAGES = _LTX_23 | {
    "upscaler.model_name": "pocket_ltx_upsampler_x2.safetensors",
    "size.width": 128,
    "size.height": 128,
    "size.length": 17,
}

_WAN = {"vae.vae_name": "pocket_wan_vae.safetensors", "text_encoder.folder": "pocket_umt5", "negative.text": ""}
_FUN_SIZE = {"conditioning.width": 64, "conditioning.height": 64, "conditioning.length": 9}
_FUN = _WAN | _FUN_SIZE | {"model.unet_name": "pocket_wan_fun_control.safetensors"}
_ONE_EXPERT = "one model is both experts"
_STYLE = "pocket_wan_outlined.safetensors"
_STYLE_NOTE = f"{_ONE_EXPERT}; the style LoRA is in the place of both 4-step LoRAs, and outlines show that they act"
_LORAS = {"lora_high.lora_name": _STYLE, "lora_low.lora_name": _STYLE}


def _experts(model: str) -> dict[str, Any]:
    return _WAN | {f"model_{noise}.unet_name": f"{model}.safetensors" for noise in ("high", "low")}


_FUN_EXPERTS = _experts("pocket_wan_fun_control") | _FUN_SIZE
_T2V_EXPERTS = _experts("pocket_wan") | {"latent.width": 64, "latent.height": 64, "latent.length": 9}
_LONGLIVE = {
    "model.model_name": "pocket_wan_causal.safetensors",
    "model.lora_name": "none",
    "text_encoder.folder": "pocket_umt5",
    "vae.vae_name": "pocket_wan_vae.safetensors",
    "settings.window": 9,  # as it was trained
    "rollout.width": 64,
    "rollout.height": 64,
}


# ways that no prompt tells
_WALK = video("a yellow circle moving right on a dark background", 9, way=5)
_RISE = video("a blue circle moving up on a bright background", 9, way=5, kind="depth")
_LED = video(RED, 9, way=0)
_SOURCE = video(GREEN, 9, way=12)
_SPOKEN = replace(video(RED, 17), fps=24, sound=True)


def _take(length: int, node: str = "rollout") -> dict[str, Any]:
    return {f"{node}.length": length, f"{node}.last_frames": length}


ENTRIES = {
    "LTX_2.3_Distilled_Text_to_Video": Entry(RED, _LTX_23_TWO_STAGES, heard=True, note="stage 2 is at 128 px"),
    "LTX_2.3_Distilled_Image_to_Video": Entry(
        PURPLE,
        _LTX_23_TWO_STAGES,
        media={"start_image.image": image(PURPLE, 17)},
        begins="start_image.image",
        heard=True,
        note="stage 2 is at 128 px",
    ),
    "LTX_2.3_Retake": Entry(
        "a red square moving right on a dark background",
        _LTX_23 | {"fit.width": 64, "fit.height": 64, "window.start_seconds": 0.05, "window.end_seconds": 0.7},
        media={"source.file": _SPOKEN},
        seen={9: "a red square moving right on a dark background"},
        begins="source.file",
        heard=True,
        note="all but the first picture is made anew, to show it",
    ),
    "LTX_2.3_Go_On": Entry(
        RED,
        _LTX_23
        | {f"{node}.{side}": 64 for node in ("size", "new_part") for side in ("width", "height")}
        | {"size.length": 17, "new_part.length": 9, "tail.from_seconds": -0.6, "next_prompt.text": RED},
        seen={0: RED},
        heard=True,
        note="the part that is shown again is 0.6 s long",
    ),
    "LTX-Video_0.9.8_Distilled_Text_to_Video": Entry(
        BLUE,
        _LTX_TWO_PASSES,
        bypassed=_LTX_DECODE,
        note=f"the second pass is at 128 px, twice what the model knows; {_LTX_DECODE_NOTE}",
    ),
    "LTX-Video_0.9.8_Dev_Image_to_Video": Entry(
        PURPLE,
        _LTX_TWO_PASSES | {f"preset_{n}.preset": "13B 0.9.8 distilled" for n in (1, 2)},
        media={"image.image": image(PURPLE, 17)},
        begins="image.image",
        bypassed=_LTX_DECODE,
        note="preset of the distilled model, as that of the dev model perturbs blocks 11 to 39 and this model has 4; "
        + _LTX_DECODE_NOTE,
    ),
    "LongLive_1.0_Text_to_Video": Entry(
        YELLOW, _LONGLIVE | _take(81) | {"budget.width": 64, "budget.height": 64, "budget.length": 81}
    ),
    "LongLive_1.0_Interactive": Entry(
        f"0s: {RED}\n2s: a red circle moving up on a dark background\n"
        "4s: a cyan circle moving up on a dark background\n"
        "6s [new sink]: a cyan circle moving left on a dark background",
        _LONGLIVE | _take(129),
        seen={
            0: RED,
            45: "a red circle moving up on a dark background",
            81: "a cyan circle moving up on a dark background",
            117: "a cyan circle moving left on a dark background",
        },
    ),
    "LongLive_1.0_Endless": Entry(CYAN, _LONGLIVE | _take(117)),
    "LongLive_1.0_Image_to_Video": Entry(
        RED, _LONGLIVE | _take(57), media={"image.image": image(RED, 33)}, seen={9: RED}, begins="image.image"
    ),
    "LongLive_1.0_Continue": Entry(
        RED,
        _LONGLIVE
        | _take(93, "continue")
        | {"new_prompt.text": "a green circle moving up on a dark background", "rollout.length": 57, "fork.length": 33},
        seen={0: RED, 57: "a green circle moving up on a dark background"},
    ),
    "Wan_2.1_Fun_Control_from_Edges": Entry(
        "a red circle moving right on a bright background",
        _FUN | {"guider.cfg": 1.0},
        media={"source.file": _WALK},
        follows=_WALK,
        note="CFG 1, at which the control model follows best",
    ),
    "Wan_2.2_Fun_Control_Start_End": Entry(
        _RISE.sentence,
        _FUN_EXPERTS,
        media={
            "start_image.image": image(_RISE.sentence, 9, way=_RISE.way),
            "end_image.image": image(_RISE.sentence, 9, at=8, way=_RISE.way),
            "control.file": _RISE,
        },
        begins="start_image.image",
        follows=_RISE,
        note=_ONE_EXPERT,
    ),
    "Wan_2.2_Fun_Trajectory": Entry(
        RED,
        _FUN_EXPERTS
        | {"trajectory.width": 64, "trajectory.height": 64, "trajectory.length": 9, "trajectory.radius": 8.0}
        | {"trajectory.coordinates": json.dumps([{"x": round(x), "y": round(y)} for x, y in _LED.path().tolist()])},
        media={"start_image.image": image(RED, 9, way=_LED.way)},
        begins="start_image.image",
        follows=_LED,
        note=f"{_ONE_EXPERT}; blobs of radius 8, since those made for this size are too small for the model",
    ),
    "Wan_2.2_Lightning_4_Steps": Entry(BLUE, _T2V_EXPERTS | _LORAS, seen={0: outlined(BLUE)}, note=_STYLE_NOTE),
    "Wan_2.2_LoRA_Schedule_3_Phases": Entry(
        YELLOW, _T2V_EXPERTS | _LORAS, seen={0: outlined(YELLOW)}, note=_STYLE_NOTE
    ),
    "Wan_2.2_Accelerator_Recipe": Entry(
        CYAN,
        _T2V_EXPERTS | {"import.text": re.sub(r"wan2\.2_t2v_\w+\.1_\w+\.safetensors", _STYLE, PROFILE)},
        seen={0: outlined(CYAN)},
        note=_STYLE_NOTE,
    ),
    "Wan_2.2_Video_to_Video": Entry(
        GREEN,
        _experts("pocket_wan") | {"lora.lora_name": _STYLE, "lora.lora_low_name": _STYLE},
        media={"source.file": _SOURCE},
        seen={0: outlined(GREEN)},
        follows=_SOURCE,
        note=_STYLE_NOTE,
    ),
}

INTRODUCTION = """# Gallery

Shipped workflows on the [pocket checkpoints](../pocket/README.md), which know a world of moving shapes. Each graph is
the shipped one with the files, sizes and prompt of that world, and with what *also* says. Every clip was read back by
image analysis and shows what its prompt says. Left of a clip stands what the workflow was given, if anything.
`make gallery` makes all anew.
"""
_BLOCK_28 = "its guidance perturbs block 28, and the pocket model has 4"
# beginning of a name -> why none of the pocket models serves it
NOT_SERVED = {
    "LTX_2.3_Text_to_Video": _BLOCK_28,
    "LTX_2.3_Text_to_Audio": _BLOCK_28,
    "LTX_2.3_Go_On_from_File": "it begins with a saved latent; *a clip that goes on* above shows the same",
    "LTX_2.3_IC-LoRA": "there is no pocket IC-LoRA for LTX-2.3",
    "LTX_2.3_Lip_Dub": "there is no pocket IC-LoRA for LTX-2.3",
    "LTX_2.3_": f"{_BLOCK_28}, and there is no pocket distilled LoRA",
    "LTX_2.5_": "there is no pocket model for LTX-2.5",
    "LTX-Video_0.9.8_Video_to_Video": "the pocket model follows the prompt alone: the source does not steer the motion",
    "LTX-Video_0.9.8_Extend_Video": "windows of the pocket model are judged by the tests alone",
    "LTX-Video_2B_Keyframes": "the pocket model does not look at a keyframe: the last image has no effect",
    "LTX-Video_2B_Double_Frame_Rate": "there is no pocket temporal upscaler",
    "LongLive_2.0_Multi-Shot": "there is no pocket model on latents of the Wan 2.2 VAE",
    "Wan_2.1_Fun_First_and_Last_Image": "there is no pocket inpaint model",
    "Wan_2.1_Fun_Control_with_Reference_and_Trajectory": "the pocket control model takes no reference, as V1.0",
    "Wan_2.1_Fun_Camera": "there is no pocket camera model",
    "Wan_2.2_Fun_Image_to_Video_Experts": "there is no pocket inpaint model",
    "Wan_2.2_Fun_Camera_from_File": "there is no pocket camera model",
    "Wan_2.2_Long_Image_to_Video": "there is no pocket inpaint model",
    "Wan_2.2_Continue_Any_Video": "there is no pocket inpaint model",
    "Wan_2.2_Prompt_Time_Line": "there is no pocket pair of experts",
    "Wan_2.2_Film_of_Shots": "there is no pocket pair of experts",
    "Join_Videos": "it makes no video, and joins yours",
    "Match_Colours_of_Two_Clips": "it makes no video, and corrects yours",
    "Wan_2.2_5B_": "there is no pocket model on latents of the Wan 2.2 VAE",
    "Wan_VACE_": "there is no pocket VACE model",
}


def make_base(folder: Path) -> Path:
    """A ComfyUI base directory with the pocket set, and LTX-Video and its VAE in one checkpoint as released."""
    base = graphs.make_base(folder)
    parts = {"model.diffusion_model.": "diffusion_models/pocket_ltx", "vae.": "vae/pocket_ltx_vae"}
    files = {prefix: FOLDER / f"{file}.safetensors" for prefix, file in parts.items()}
    join(base / "models" / "checkpoints" / LTX_CHECKPOINT, files)
    return base


def build(name: str, text: str | None = None) -> Prompt:
    """The shipped API prompt of a workflow with what its entry changes, and maybe another text."""
    entry, shipped = ENTRIES[name], workflows.load(name).prompt
    files = {target: file_name(name, shipped, target) for target in entry.media}
    prompt = substitute(shipped, {"prompt.text": text or entry.text, **entry.changes, **files})
    for id, taken in entry.bypassed.items():
        source = prompt.pop(id)["inputs"][taken]
        for node in prompt.values():
            node["inputs"] |= {key: source for key, value in node["inputs"].items() if value == [id, 0]}
    return prompt


def file_name(name: str, prompt: Prompt, target: str) -> str:
    """For a medium: a name of its own with the ending of the shipped file."""
    node, widget = split_target(target)
    return f"{name}_{node}{Path(prompt[node]['inputs'][widget]).suffix}"


def run(executor: Any, name: str) -> Made:
    """What a workflow puts into its video file."""
    prompt = build(name)
    for target, footage in ENTRIES[name].media.items():
        footage.write(executor.base / "input" / file_name(name, workflows.load(name).prompt, target))
    result = executor.run(prompt)
    if takes := [id for id, node in prompt.items() if node["class_type"] in TAKES]:
        return Made(result.output(takes[-1], 2).float())
    saved = next(node["inputs"] for node in prompt.values() if node["class_type"] == "CreateVideo")
    clip = result.output(*saved["images"]).float()
    return Made(clip, result.output(*saved["audio"]), result.files[-1]) if "audio" in saved else Made(clip)


def faults(entry: Entry, made: Made) -> list[str]:
    """What is not to be seen or heard of what an entry says."""
    asked, clip, found = entry.seen or {0: entry.text}, made.clip, []
    sounds: list = [None] * len(asked)
    if entry.heard:
        sounds[-1] = made.sound["waveform"][0], made.sound["sample_rate"]  # tells the shape seen last
    for (first, sentence), last, sound in zip(asked.items(), [*list(asked)[1:], len(clip)], sounds, strict=True):
        seen, wrong = read_back(clip[first:last], world.parse(sentence), sound)
        found += [seen] * bool(wrong)
    if entry.begins:
        given = replace(entry.media[entry.begins], height=clip.shape[1], width=clip.shape[2])
        like = psnr(clip[0], given.pictures()[0])
        found += [f"the first picture has {like:.1f} dB to the image"] * (like < LIKE_IMAGE)
    verdict = judge(clip)
    if entry.follows and verdict:
        off = path_error(verdict.path, entry.follows.path())
        found += [f"the shape is {off:.1%} of the width off its way"] * (off >= OFF_WAY)
    return found


def reason(name: str) -> str:
    """Why a workflow is not served; empty if it is."""
    return "" if name in ENTRIES else next(why for begin, why in NOT_SERVED.items() if name.startswith(begin))


def page() -> str:
    """docs/gallery.md"""
    shipped = workflows.load_all()
    served = [(w, ENTRIES[w.name]) for w in shipped if w.name in ENTRIES]
    lines = [INTRODUCTION, "| workflow | prompt | also |", "| --- | --- | --- |"]
    for workflow, entry in served:
        link, clip = f"[{workflow.title}](../workflows/{workflow.name}.json)", f"gallery/{workflow.name}.webp"
        sound = f"<br>[with sound](gallery/{workflow.name}.mp4)" if entry.heard else ""
        lines.append(f"| {link}<br>![{entry.caption}]({clip}){sound} | {entry.caption} | {entry.note} |")
    lines += ["", "No pocket model serves the others. Their thumbnail is a picture of the graph.", ""]
    lines += ["| workflow | why not |", "| --- | --- |"]
    for workflow in shipped:
        if workflow.name not in ENTRIES:
            lines.append(f"| [{workflow.title}](../workflows/{workflow.name}.json) | {reason(workflow.name)} |")
    return "\n".join(lines) + "\n"
