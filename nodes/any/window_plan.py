"""The plan of a long video, from prompts with times and commands."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ...samplers.windows import plan as plans
from ...samplers.windows.plan_picture import draw_plan, plan_report
from ...samplers.windows.plan_text import COMMANDS, read_length, read_plan_text
from ..node import Node, own_type

PlanType = own_type("ONER_WINDOW_PLAN", plans.WindowPlan, "Window Plan")
CUSTOM = "custom"
EXAMPLE = """0s: a fox runs through tall grass, evening light
5s: a fox runs through tall grass, it starts to snow
10s: [/new_shot] a den under a tree, the fox sleeps"""


def custom_grid() -> list[io.Input]:
    def number(name: str, default: int, least: int, tooltip: str) -> io.Int.Input:
        return io.Int.Input(name, default=default, min=least, max=1024, tooltip=tooltip)

    return [
        number("minimum", 5, 1, "fewest frames of a window, 1 to 1024"),
        number("step", 4, 1, "frames between two lengths that the model can make, 1 to 1024"),
        number("frame_offset", 1, 0, "a length is this + k * step frames, 0 to 1024"),
        number("overlap_offset", 1, 0, "an overlap is this + k * step frames, 0 to 1024"),
    ]


class WindowPlan(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWindowPlan",
            display_name="Window Plan",
            category="Oner/sampling",
            description="Plan a long video before anything runs: which frames each window makes, what it is given of "
            "the one before, which prompt, seed and images it has. Shows the time line.",
            search_aliases=[
                "long video",
                "sliding window",
                "multi prompt",
                "prompt travel",
                "storyboard",
                "shots",
                "extend video",
                "context windows",
            ],
            is_output_node=True,
            inputs=[
                io.String.Input(
                    "prompts",
                    multiline=True,
                    default=EXAMPLE,
                    tooltip='lines with times ("5s: ..."), or paragraphs with an empty line between, or JSON; one text '
                    f"is for all windows, none for the guider's own prompt. Commands in a prompt: {COMMANDS}",
                ),
                io.String.Input(
                    "length",
                    default="15s",
                    tooltip="of the film: 301 (frames), 12s, 0:45, or 100% of the sound; empty = as long as the "
                    "prompts' durations, a window for each that has none",
                ),
                io.Float.Input(
                    "fps",
                    default=16.0,
                    min=1.0,
                    max=240.0,
                    step=0.01,
                    tooltip="frames per second of the video, 1 to 240: 16 for Wan, 24 for Wan 2.2 5B, 25 for LTX",
                ),
                io.DynamicCombo.Input(
                    "grid",
                    options=[
                        *(io.DynamicCombo.Option(name, []) for name in plans.GRIDS),
                        io.DynamicCombo.Option(CUSTOM, custom_grid()),
                    ],
                    tooltip="lengths that the model can make: wan 4k + 1 from 5, vace 4k + 1 from 17, ltx 8k + 1 from "
                    "17, svi 4k + 1 with overlaps of 4k; or your own",
                ),
                io.Int.Input(
                    "window",
                    default=81,
                    min=1,
                    max=100000,
                    tooltip="most frames sampled at once, overlap and discarded ones included; rounded down to the "
                    "grid",
                ),
                io.Int.Input(
                    "overlap",
                    default=9,
                    min=0,
                    max=10000,
                    tooltip="frames of what came before that a window is given, rounded to the grid; 0 = none, each "
                    "window is a shot of its own",
                ),
                io.Int.Input(
                    "max_overlap",
                    default=0,
                    min=0,
                    max=10000,
                    advanced=True,
                    tooltip="frames up to which the overlap of a window shorter than the grid's minimum is raised, so "
                    "that fewer are thrown away; 0 = not",
                ),
                io.Int.Input(
                    "discard_last",
                    default=0,
                    min=0,
                    max=1000,
                    advanced=True,
                    tooltip="last frames of each window that are sampled and left out, where a model ends blurred; "
                    "frames",
                ),
                io.Int.Input(
                    "prefix_frames",
                    default=0,
                    min=0,
                    max=10000000,
                    tooltip="frames of a given video that the film continues; 0 = it begins by itself",
                ),
                io.Boolean.Input(
                    "allow_new_shot",
                    default=True,
                    advanced=True,
                    tooltip="whether a window may begin without memory; off for models that need a start image, so "
                    "that a new shot is refused",
                ),
                io.Boolean.Input(
                    "snap",
                    default=True,
                    tooltip="move ends of prompts and film to the grid, so that no frame is sampled and thrown away; "
                    "off = exact lengths, the rest is trimmed",
                ),
                io.Audio.Input(
                    "audio", optional=True, tooltip="sound that length is a part of: 100% makes the film as long"
                ),
                io.Int.Input(
                    "shot",
                    default=0,
                    min=0,
                    max=10000,
                    optional=True,
                    advanced=True,
                    tooltip="make one shot alone, 1 = the first: the same frames as in the film, for several machines "
                    "at once (Shot Prompts writes their prompts); 0 = the whole film",
                ),
            ],
            outputs=[
                PlanType.Output(display_name="plan", tooltip="for the windowed nodes"),
                io.Int.Output(display_name="length", tooltip="frames of the film, without the given video"),
                io.String.Output(display_name="report", tooltip="a table of the windows, and what was moved"),
                io.Image.Output(display_name="picture", tooltip="the time line, as shown in the node"),
            ],
        )

    @classmethod
    def execute(
        cls,
        prompts,
        length,
        fps,
        grid,
        window,
        overlap,
        max_overlap,
        discard_last,
        prefix_frames,
        allow_new_shot,
        snap,
        audio=None,
        shot=0,
    ):
        name = grid["grid"]
        sizes = {key: value for key, value in grid.items() if key != "grid"}
        seconds = None if audio is None else audio["waveform"].shape[-1] / audio["sample_rate"]
        plan = plans.make_plan(
            read_plan_text(prompts),
            read_length(length, fps, seconds),
            plans.Grid(**sizes) if name == CUSTOM else plans.GRIDS[name],
            window,
            overlap,
            fps,
            discard=discard_last,
            max_overlap=max_overlap,
            prefix=prefix_frames,
            allow_new_shot=allow_new_shot,
            snap=snap,
        )
        plan = plan.shot(shot) if shot else plan
        picture = draw_plan(plan)
        return io.NodeOutput(plan, plan.total, plan_report(plan), picture, ui=ui.PreviewImage(picture))
