"""How a take is rolled out and which prompt speaks when."""

from __future__ import annotations

import dataclasses

from comfy_api.latest import io

from ...longlive.conditioning import default_mode, schedule_conditioning, shot_text
from ...longlive.presets import PRESETS, Settings
from ...longlive.schedule import (
    HARD_CUT,
    SHOT_CUT,
    listed,
    parse_prompts,
    place_prompts,
    plan_prompts,
    read_shot_folder,
    read_switch_file,
    untimed_paragraphs,
)
from ...utils.files import read_text, reading
from ...utils.prompts import cut_prompt
from ..any.window_plan import PlanType
from ..node import Node, own_type
from ..paths import input_path

SettingsType = own_type("ONER_LONGLIVE_SETTINGS", Settings, "LongLive Settings")
UMT5, TOKENS = "umt5xxl", 512  # Wan's text encoder in token dicts, and how much of a prompt its models read
EXAMPLE = "0s: a fox runs through tall grass\n5s: a fox runs through tall grass, it starts to snow"
LINES, JSONL, SHOTS = "lines", "LongLive 1.0 JSONL", "LongLive 2.0 shots"


class LongLiveSettings(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLongLiveSettings",
            display_name="LongLive Settings",
            category="Oner/sampling",
            description="Window, sink, block and steps of a block-by-block rollout, as the released models were "
            "trained. The other values override the preset.",
            search_aliases=["kv cache window", "sink", "self forcing settings", "rollout preset"],
            inputs=[
                io.Combo.Input("preset", options=list(PRESETS), tooltip="the model the take is made with"),
                io.Int.Input(
                    "window",
                    default=0,
                    min=-1,
                    max=240,
                    advanced=True,
                    tooltip="latent frames attended in all, sink and current block included; 0 = preset, -1 = all "
                    "frames",
                ),
                io.Int.Input(
                    "sink",
                    default=-1,
                    min=-1,
                    max=64,
                    advanced=True,
                    tooltip="first latent frames that stay in the window for good; -1 = preset, 0 = none",
                ),
                io.Int.Input(
                    "block",
                    default=0,
                    min=0,
                    max=64,
                    advanced=True,
                    tooltip="latent frames made in one go; must be what the model was trained with; 0 = preset",
                ),
                io.Int.Input(
                    "steps",
                    default=0,
                    min=0,
                    max=50,
                    advanced=True,
                    tooltip="denoising steps a block; the models were trained for 4, or 2; 0 = preset",
                ),
                io.Float.Input(
                    "shift",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.01,
                    advanced=True,
                    tooltip="shift of the noise levels; the models were trained with 5; 0 = preset",
                ),
                io.Combo.Input(
                    "positions",
                    options=["preset", "absolute", "relative"],
                    default="preset",
                    advanced=True,
                    tooltip="relative counts positions within the window, so that takes may be endless; absolute is "
                    "exact LongLive 1.0",
                ),
                io.Int.Input(
                    "fps",
                    default=0,
                    min=0,
                    max=60,
                    advanced=True,
                    tooltip="frames per second of the video and of seconds in the schedule; 0 = preset (16, or 24 for "
                    "2.0)",
                ),
            ],
            outputs=[SettingsType.Output(display_name="settings", tooltip="for LongLive Prompt Schedule and Rollout")],
        )

    @classmethod
    def execute(cls, preset, window, sink, block, steps, shift, positions, fps):
        chosen = {"window": window, "block": block, "steps": steps, "shift": shift, "fps": fps}
        changes = {name: value for name, value in chosen.items() if value}
        if sink >= 0:
            changes["sink"] = sink
        if positions != "preset":
            changes["relative"] = positions == "relative"
        settings = dataclasses.replace(PRESETS[preset], **changes)
        settings.check()
        return io.NodeOutput(settings)


def tokens_of(clip, text: str) -> dict:
    """The tokens of a prompt, as many as the model reads: ComfyUI's own text encoders do not cut."""
    sections = clip.tokenize(text)
    if UMT5 not in sections:
        return sections
    return {**sections, UMT5: [cut_prompt(each, TOKENS, "LongLive", ends=True) for each in sections[UMT5]]}


class LongLivePromptSchedule(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLongLivePromptSchedule",
            display_name="LongLive Prompt Schedule",
            category="Oner/conditioning",
            description="Prompts that change while a take runs. All are encoded before the take starts; changes happen "
            "at block starts, and the report says where each one landed.",
            search_aliases=["prompt travel", "interactive prompts", "prompt switch", "recache", "multi prompt"],
            inputs=[
                io.Clip.Input("clip", tooltip="Wan's text encoder (UMT5)"),
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    default=EXAMPLE,
                    tooltip='a line "<time>: <prompt>" each change; time in seconds (5s, 0:05), frames (80f) or latent '
                    "frames (21l); before the colon may stand [keep sink], [new sink], [text only], [hard cut], "
                    "[shot cut] or [blend 4]",
                ),
                SettingsType.Input("settings", tooltip="the settings the take is made with: they set the grid"),
                io.Combo.Input(
                    "format",
                    options=[LINES, JSONL, SHOTS],
                    default=LINES,
                    advanced=True,
                    tooltip="what text is: lines as above; LongLive 1.0's JSONL or the name of such a file in the "
                    "input folder; or the name of a folder of LongLive 2.0 shots (0.json, 1.json, ...) in the input "
                    "folder",
                ),
                io.String.Input(
                    "switch_frames",
                    default="40, 80, 120, 160, 200",
                    advanced=True,
                    tooltip="for JSONL only: latent frames at which the prompt changes, one fewer than prompts",
                ),
                io.Int.Input(
                    "line",
                    default=1,
                    min=1,
                    max=100000,
                    advanced=True,
                    tooltip="for JSONL only: line of the file, from 1",
                ),
                io.Int.Input(
                    "blocks_per_shot",
                    default=4,
                    min=1,
                    max=1000,
                    advanced=True,
                    tooltip="for shots only: blocks a shot lasts if the folder has no shot_durations.txt",
                ),
                PlanType.Input(
                    "plan",
                    optional=True,
                    tooltip="from Window Plan, in place of text: its prompts with their starts and new shots; text is "
                    "then empty or as the node comes, format lines",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="the schedule, for LongLive Rollout"),
                io.String.Output(
                    display_name="report", tooltip="the prompts, with the frame and second at which each takes effect"
                ),
            ],
        )

    @classmethod
    def execute(cls, clip, text, settings, format, switch_frames, line, blocks_per_shot, plan=None):
        what = f"text (a name in the input folder, as format is {format}; for prompts choose {LINES})"
        notes = []
        if plan is not None:
            if format != LINES or text.strip() not in ("", EXAMPLE):
                raise ValueError(
                    f"text and plan both say the prompts: empty text and set format to {LINES}, or unplug plan"
                )
            prompts = plan_prompts(plan, settings.fps, SHOT_CUT if settings.shot_sink else HARD_CUT)
        elif format == LINES:
            prompts = parse_prompts(text)
            notes = untimed_paragraphs(text)
        elif format == JSONL:
            given = text.lstrip().startswith("{")
            content = text if given else read_text(input_path(text.strip(), what))
            with reading("text" if given else text.strip()):
                prompts = read_switch_file(content, switch_frames, line)
        else:
            prompts = read_shot_folder(input_path(text.strip(), what, folder=True), settings.block, blocks_per_shot)
        placed, report = place_prompts(prompts, settings.block, settings.fps, default_mode(settings))
        encoded = [clip.encode_from_tokens_scheduled(tokens_of(clip, shot_text(prompt))) for prompt in placed]
        moved = report or ["every prompt starts where it was asked to"]
        words = "\n".join([*listed(placed, settings.fps), *moved, *notes])
        return io.NodeOutput(schedule_conditioning(placed, encoded, settings.block), words)
