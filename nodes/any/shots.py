"""Films in parts: a prompt for each shot, so that several machines can make one film, and the files made one again."""

from __future__ import annotations

import copy
import json
from typing import Any

import torch
from comfy_api.latest import InputImpl, io, ui

from ...utils.media import VideoStream
from ...utils.video_reader import VideoReader
from ..node import Node
from ..paths import check_new_file, input_path, new_file, new_file_problem
from ..saved import saved_result, workflow_metadata
from .window_plan import PlanType

PLAN, SAMPLER, PROMPTS = "OnerWindowPlan", "OnerWindowedSampler", "OnerShotPrompts"
PIECE = 64  # frames read and written at once


def prefix_input(default: str, tooltip: str) -> io.String.Input:
    return io.String.Input("filename_prefix", default=default, tooltip=tooltip)


class ShotPrompts(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerShotPrompts",
            display_name="Shot Prompts",
            category="Oner/sampling",
            description="Shots of a film do not depend on one another: this writes an API prompt for each, to be "
            "queued on any number of servers. To sample nothing here, queue this node alone (Queue Selected Output "
            "Nodes).",
            search_aliases=["distributed", "several GPUs", "parallel", "render farm", "split film", "API"],
            is_output_node=True,
            hidden=[io.Hidden.prompt],
            inputs=[
                PlanType.Input("plan", tooltip="of the whole film: shot 0"),
                prefix_input("oner/shot", "name of the files in the output folder, to which the shot is added"),
            ],
            outputs=[
                io.String.Output(
                    display_name="names", tooltip="the files written, one a line, below the output folder"
                ),
                io.Int.Output(display_name="shots", tooltip="number of shots"),
            ],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix=None):
        """The name's check before anything runs; a connected name is not known yet."""
        return new_file_problem(filename_prefix, ".json")

    @classmethod
    def execute(cls, plan, filename_prefix):
        check_new_file(filename_prefix, "_01.json")
        if plan.shots_before or plan.whole:
            raise ValueError("the plan is of one shot alone: set shot of Window Plan to 0, for all of them")
        count, saved = len(plan.shots()), []
        for number in range(1, count + 1):
            prompt = prompt_of_shot(cls.hidden.prompt, number)
            path = new_file(f"{filename_prefix}_{number:02}", cls.hidden.prompt, 0, 0, ".json")
            path.write_text(json.dumps(prompt, indent=1), encoding="utf-8")
            saved.append(saved_result(path))
        names = [f"{each.subfolder}/{each.filename}".lstrip("/") for each in saved]
        return io.NodeOutput("\n".join(names), count, ui={"prompts": saved})


def prompt_of_shot(prompt: dict[str, Any] | None, number: int) -> dict[str, Any]:
    """An API prompt that makes one shot: its plan and its file's name changed, this kind of node left out."""
    changed = {id: copy.deepcopy(node) for id, node in (prompt or {}).items() if node["class_type"] != PROMPTS}
    for node in changed.values():
        if node["class_type"] == PLAN:
            node["inputs"]["shot"] = number
        if node["class_type"] == SAMPLER:
            prefix = node["inputs"].get("filename_prefix")
            if not isinstance(prefix, str):
                raise ValueError("filename_prefix of Windowed Sampler is a link, which cannot say the shot: write it")
            node["inputs"]["filename_prefix"] = f"{prefix}_shot_{number:02}"
    return changed


class JoinVideos(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerJoinVideos",
            display_name="Join Videos",
            category="Oner/video",
            description="One file of several, one after the other with their sounds, read and written piece by piece: "
            "shots made apart become a film.",
            search_aliases=["concatenate", "append videos", "merge videos", "film", "shots"],
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            inputs=[
                io.String.Input(
                    "names",
                    multiline=True,
                    default="",
                    dynamic_prompts=False,
                    tooltip="files in order, one a line: shot_01.mp4 [output] of the output folder, or without the "
                    "mark of the input folder",
                ),
                prefix_input("oner/joined", "name of the file in the output folder, to which a number is added"),
                io.Int.Input(
                    "crf", default=18, min=0, max=51, tooltip="H.264 quality of the file, 0 (lossless) to 51 (worst)"
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="the joined file"),
                io.String.Output(display_name="report", tooltip="where each file begins in it"),
            ],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix=None):
        """The name's check before anything runs; a connected name is not known yet."""
        return new_file_problem(filename_prefix, ".mp4")

    @classmethod
    def execute(cls, names, filename_prefix, crf):
        lines = [line.strip() for line in names.splitlines() if line.strip()]
        if not lines:
            raise ValueError("names is empty: write the files, one a line")
        readers = [VideoReader(input_path(line, f"names, line {n}")) for n, line in enumerate(lines, 1)]
        check_alike(lines, readers)
        first = readers[0]
        sounds = [each.sound for each in readers if each.sound is not None]
        rate, channels = (sounds[0].sample_rate, sounds[0].channels) if sounds else (0, 0)
        path = new_file(filename_prefix, cls.hidden.prompt, first.width, first.height, ".mp4")
        stream = VideoStream(
            path,
            float(first.rate),
            crf=crf,
            metadata=workflow_metadata(cls.hidden),
            sample_rate=rate or None,
            channels=channels or 2,
        )
        report, done = [], 0
        try:
            for line, reader in zip(lines, readers, strict=True):
                report.append(f"{line}: from frame {done} ({float(done / first.rate):.2f} s), {reader.count} frames")
                for start in range(0, reader.count, PIECE):
                    end = min(start + PIECE, reader.count)
                    count = round((done + end) / first.rate * rate) - round((done + start) / first.rate * rate)
                    stream.add(reader.read(start, end), sound_of(reader, start, count, channels) if rate else None)
                done += reader.count
        except BaseException:
            stream.close()
            raise
        stream.finish()
        video = InputImpl.VideoFromFile(str(path))
        return io.NodeOutput(video, "\n".join(report), ui=ui.PreviewVideo([saved_result(path)]))


def sound_of(reader: VideoReader, start: int, count: int, channels: int) -> torch.Tensor:
    """Samples [channels, count] of a file from one of its frames on; silence where it has none."""
    if reader.sound is None:
        return torch.zeros(channels, count)
    begin = float(start / reader.rate)
    found = reader.sound.read(begin, begin + count / reader.sound.sample_rate)[:, :count]
    return torch.nn.functional.pad(found, (0, count - found.shape[1]))


def check_alike(names: list[str], readers: list[VideoReader]) -> None:
    """Raise ValueError for files that cannot be one: of other sizes, frame rates or sample rates than the first."""
    sounding = next((each for each in readers if each.sound is not None), None)
    for name, each in zip(names, readers, strict=True):
        facts = [(f"{each.width}x{each.height} pixels", f"{readers[0].width}x{readers[0].height} pixels")]
        facts.append((f"{float(each.rate):.3f} frames a second", f"{float(readers[0].rate):.3f} frames a second"))
        if each.sound is not None:
            facts.append(tuple(f"{r.sound.channels} channels of {r.sound.sample_rate} Hz" for r in (each, sounding)))
        for own, wanted in facts:
            if own != wanted:
                raise ValueError(f"{name} has {own}, and the files before it {wanted}: convert it first")
