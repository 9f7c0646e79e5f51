"""Prompts on a time line, for models that make a whole clip at once."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...samplers.windows.text_bias import at_window, encode
from ...samplers.windows.time_line import TimeLine, from_starts, make_time_line, read_markers, table
from ..node import Node


class PromptTimeLine(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerPromptTimeLine",
            display_name="Prompt Time Line",
            category="Oner/conditioning",
            description="One prompt whose parts hold at their own times: each latent frame of a Wan, LTX-Video or "
            "LTX-2 clip, and each moment of its sound, reads the text of its time. Connect model and positive.",
            search_aliases=[
                "prompt relay",
                "prompt schedule",
                "prompt travel",
                "timeline",
                "timed prompts",
                "segments",
            ],
            inputs=[
                io.Model.Input("model", tooltip="Wan, LTX-Video or LTX-2 model"),
                io.Clip.Input("clip", tooltip="text encoder of the model"),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    dynamic_prompts=False,
                    tooltip="what holds throughout, then [25%:50%], [2s:4s], [0:02:0:04] (minutes and seconds) or "
                    "[49:97] (frames from 1), each before its text; [5s:] runs to the end. Or lines such as "
                    '"0s: a fox" and "5s: it snows", each to the next',
                ),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=1.0,
                    max=240.0,
                    step=0.001,
                    tooltip="frames a second of the film (1 to 240)",
                ),
                io.Int.Input(
                    "length",
                    default=121,
                    min=1,
                    max=100000,
                    tooltip="frames of the clip, as of the latent (1 to 100000); where it ends is 100 %",
                ),
                io.Float.Input(
                    "softness",
                    default=1.0,
                    min=0.0,
                    max=64.0,
                    step=0.1,
                    tooltip="latent frames over which one text goes over into the next (0 to 64); 0 cuts",
                ),
                io.Float.Input(
                    "strength",
                    default=-8.0,
                    min=-40.0,
                    max=0.0,
                    step=0.1,
                    tooltip="most suppression of a text outside its time, as a bias of the attention (-40 to 0): "
                    "at 0 every text holds everywhere, at -40 none is left outside its time",
                ),
                io.Int.Input(
                    "first_frame",
                    default=0,
                    min=0,
                    max=10000000,
                    optional=True,
                    tooltip="frame of the film that the clip begins with (0 to 10000000), for a part of a longer film",
                ),
                io.Model.Input("model_low", optional=True, tooltip="low-noise expert of Wan 2.2, to read it as well"),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="model that reads time lines; others are not affected"),
                io.Conditioning.Output(display_name="positive", tooltip="the texts and their times, for this model"),
                io.String.Output(display_name="report", tooltip="table: segment, seconds, latent frames, text"),
                io.Model.Output(display_name="model_low", tooltip="model_low that reads time lines, if one is given"),
            ],
        )

    @classmethod
    def execute(cls, model, clip, text, fps, length, softness, strength, first_frame=0, model_low=None):
        family = family_of(model, "model")
        line = read(text, first_frame + length, fps, family.STEP)
        positive = at_window(encode(clip, line, softness, strength, first_frame, length), first_frame, length)
        low = None if model_low is None else reader(model_low, "model_low", positive)
        report = table(line, softness, first_frame, length)
        return io.NodeOutput(reader(model, "model", positive), positive, report, low)


def reader(model: Any, name: str, positive: list) -> Any:
    """A clone of a MODEL that reads time lines; ValueError if the texts are those of another one."""
    family = family_of(model, name)
    family.need_prompts(model, clip=positive)
    patched = model.clone()
    family.patch(patched)
    return patched


def family_of(model: Any, name: str) -> Any:
    """The module that knows the text attention of a MODEL; ValueError if none does."""
    from ...ltx.ltx2 import time_line as ltx2
    from ...ltx.ltxv import time_line as ltxv
    from ...wan import time_line as wan

    for family in (wan, ltx2, ltxv):
        if family.can(model.model.diffusion_model):
            return family
    raise ValueError(
        f"{name} is {type(model.model).__name__}, a {type(model.model.diffusion_model).__name__}; a time line works on "
        "Wan (text, image, Fun, VACE, camera), LTX-Video and LTX-2 models. For LongLive use LongLive Prompt Schedule"
    )


def read(text: str, length: int, fps: float, step: int) -> TimeLine:
    """The time line of a text of either form; one without times holds throughout."""
    from ...longlive import schedule

    line = read_markers(text, length, fps, step)
    if line is not None:
        return line
    if not text.strip():
        return make_time_line("", [], length, fps, step)
    prompts = schedule.parse_prompts(text)
    if odd := next((each for each in prompts if each.mode or each.blend > 1), None):
        raise ValueError(
            f'"{odd.text[:40]}" has "{odd.mode or f"blend {odd.blend}"}", which LongLive alone knows: take it out'
        )
    starts = [(_frame(each, fps, step), each.text) for each in prompts]
    begun = [start for start, _ in starts if start == 0]
    everywhere = starts.pop(0)[1] if len(begun) > 1 or (begun and len(starts) == 1) else ""
    return from_starts(everywhere, starts, length, fps, step)


def _frame(prompt: Any, fps: float, step: int) -> float:
    """The start of a line of a schedule, in frames of the film."""
    if prompt.unit == "l":
        return 1 + (prompt.start - 1) * step if prompt.start else 0.0
    return prompt.start * fps if prompt.unit == "s" else prompt.start
