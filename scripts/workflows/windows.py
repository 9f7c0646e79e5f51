"""What the workflows of long videos have in common: the plan, what the windows are given, the sampler. No workflow itself."""

from __future__ import annotations

from typing import Any

from comfy_execution.graph_utils import Node

from .builder import Graph

PLAN = {"max_overlap": 0, "discard_last": 0, "prefix_frames": 0, "allow_new_shot": True, "snap": True, "shot": 0}
SAMPLER = {"carry": "frames", "crossfade": 4, "crf": 18, "cache_gb": 20.0, "last_frames": 1}
TINY = {"film.width": 64, "film.height": 64, "film.cache_gb": 0.0}  # tests sample every window twice
NOTE = """**Window Plan** shows the time line before anything runs: change prompts, times and overlaps there. **Windowed Sampler**
writes the film to the output folder as its windows are finished; it plays whenever you cancel. Run again, and it goes
on where it was; change the prompt of a window, and it makes the film anew from there."""


def plan(
    g: Graph, prompts: str, length: str, *, fps: float, grid: str, window: int, overlap: int, **widgets: Any
) -> Node:
    values = {**PLAN, **widgets}
    return g.node(
        "OnerWindowPlan",
        "plan",
        title="Window plan",
        prompts=prompts,
        length=length,
        fps=fps,
        grid=grid,
        window=window,
        overlap=overlap,
        **values,
    )


def drift(g: Graph) -> Node:
    return g.node(
        "OnerDriftControl",
        "drift",
        title="Drift control",
        mode="pairs affine",
        strength=1.0,
        anchor="previous",
        fade=False,
        sharpness="report",
    )


def sample(g: Graph, name: str, width: int, height: int, **links: Any) -> Node:
    return g.node(
        "OnerWindowedSampler",
        "film",
        title="Windowed sampler",
        width=width,
        height=height,
        filename_prefix=f"oner/{name}",
        **{**SAMPLER, **links},
    )
