"""From a module of this package to a workflow: an API prompt with what the UI file and the tests need beside it.

A workflow module declares
    NAME         file name and template name, [A-Za-z0-9_.-]+
    TITLE        heading of its note
    DESCRIPTION  markdown below the heading: what it makes
    HOW_TO       markdown: what to set, in which order; links to models whose file link is not certain
    build(g)     makes the nodes on a Graph; word ids ("stage_1_sampler") are what API users read; every widget is set,
                 also those with a default, since the frontend queues them all (build_workflows.py says which lack)
    GROUPS       group title -> ids of its nodes, from left to right
    MODELS       "node.widget" -> Model, for loaders whose file has a certain download link
    TINY         "node.widget" -> value that lets the same graph run on tiny checkpoints on a CPU
    TINY_MODELS  names of the tiny checkpoints it then loads (scripts/tiny)
    TINY_WITHOUT ids of nodes that cannot run on tiny checkpoints, with a comment why; all they feed is optional (optional)
    TINY_RESULT  the Video or Recording that the graph then saves
    INPUTS       "node.widget" -> Clip, Sound or SavedClip, for loaders of the input folder: a stand-in under that name (optional)
    TINY_IMAGES  the Images that it saves beside the video (optional)
    TINY_NODES   id -> (class, inputs) of what stands there on tiny checkpoints, with a comment why (optional)
    CORE         the oldest ComfyUI that runs it, where that is newer than what the pack needs (optional)
The node called "prompt", if any, has the widget "text", which `make demo PROMPT=...` sets.
"""

from __future__ import annotations

import copy
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from comfy_execution.graph_utils import GraphBuilder, Node, is_link

from harness.media import Clip, Images, Recording, SavedClip, Sound, Video
from harness.pack import core_is_at_least

Prompt = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Model:
    """A model file: `url` is the link the frontend can offer to download, `directory` a models folder.

    Without a link (empty) the file is only named in the note by hand.
    """

    url: str
    directory: str


class Graph(GraphBuilder):
    """Core's GraphBuilder with unprefixed word ids and titles; a title defaults to the id in words."""

    def __init__(self) -> None:
        super().__init__(prefix="")
        self.titles: dict[str, str] = {}

    def node(self, class_type: str, id: str, title: str | None = None, **inputs: Any) -> Node:
        """Add a node; inputs are values or `other.out(0)`. Dotted names of dynamic inputs: `**{"codec.crf": 19}`."""
        if id in self.nodes:
            raise ValueError(f"two nodes have the id {id!r}")
        self.titles[id] = title or id.replace("_", " ").capitalize()
        return super().node(class_type, id, **inputs)

    def finalize(self) -> Prompt:
        prompt = super().finalize()
        for id, node in prompt.items():
            node["_meta"] = {"title": self.titles[id]}
        return prompt


@dataclass(frozen=True)
class Workflow:
    name: str
    title: str
    description: str
    how_to: str
    prompt: Prompt
    groups: dict[str, list[str]]
    models: dict[str, Model]
    tiny: dict[str, Any]
    tiny_models: list[str]
    tiny_result: Video | Recording
    inputs: dict[str, Clip | Sound | SavedClip]
    tiny_without: list[str]
    tiny_images: Images | None
    tiny_nodes: dict[str, tuple[str, dict[str, Any]]]
    core: str

    def tiny_prompt(self, text: str | None = None) -> Prompt:
        """The prompt that runs on tiny checkpoints, with `text` as its prompt if given."""
        changes = self.tiny if text is None else {**self.tiny, "prompt.text": text}
        prompt = leave_out(substitute(self.prompt, changes), self.tiny_without)
        stand_ins = {
            id: {**prompt[id], "class_type": kind, "inputs": inputs} for id, (kind, inputs) in self.tiny_nodes.items()
        }
        return {**prompt, **copy.deepcopy(stand_ins)}

    @property
    def runs_here(self) -> bool:
        """Whether the ComfyUI of this process is new enough for it."""
        return not self.core or core_is_at_least(self.core)

    def write_inputs(self, folder: Path) -> None:
        """Write a stand-in for every image and video that the prompt loads into an input folder."""
        for target, clip in self.inputs.items():
            node, widget = split_target(target)
            for name in self.prompt[node]["inputs"][widget].splitlines():
                clip.write(folder / name)

    def write_tiny_models(self, models: Path) -> None:
        """Write the checkpoints that the tiny prompt loads into a models folder."""
        if self.tiny_models:
            from tiny import write_models

            write_models(models, self.tiny_models)


def split_target(target: str) -> tuple[str, str]:
    """'save.codec.crf' -> ('save', 'codec.crf')"""
    node, _, widget = target.partition(".")
    return node, widget


def substitute(prompt: Prompt, changes: dict[str, Any]) -> Prompt:
    """A copy of `prompt` with widget values changed; ValueError for a widget that it does not set."""
    changed = copy.deepcopy(prompt)
    for target, value in changes.items():
        node, widget = split_target(target)
        if node not in changed or widget not in changed[node]["inputs"]:
            raise ValueError(f"the workflow sets no {target!r}")
        if is_link(changed[node]["inputs"][widget]):
            raise ValueError(f"{target!r} is a link, not a value")
        changed[node]["inputs"][widget] = value
    return changed


def leave_out(prompt: Prompt, ids: list[str]) -> Prompt:
    """`prompt` without some of its nodes and without the links from them."""
    return {
        id: {**node, "inputs": {k: v for k, v in node["inputs"].items() if not (is_link(v) and v[0] in ids)}}
        for id, node in prompt.items()
        if id not in ids
    }


def read_module(name: str) -> Workflow:
    """Build the workflow of module `name` and check that its declarations fit its graph."""
    module = importlib.import_module(f".{name}", __package__)
    graph = Graph()
    module.build(graph)
    prompt = graph.finalize()
    check_declarations(module, prompt)
    return Workflow(
        name=module.NAME,
        title=module.TITLE,
        description=module.DESCRIPTION,
        how_to=module.HOW_TO,
        prompt=prompt,
        groups=module.GROUPS,
        models=module.MODELS,
        tiny=module.TINY,
        tiny_models=module.TINY_MODELS,
        tiny_result=module.TINY_RESULT,
        inputs=getattr(module, "INPUTS", {}),
        tiny_without=getattr(module, "TINY_WITHOUT", []),
        tiny_images=getattr(module, "TINY_IMAGES", None),
        tiny_nodes=getattr(module, "TINY_NODES", {}),
        core=getattr(module, "CORE", ""),
    )


def check_declarations(module: ModuleType, prompt: Prompt) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", module.NAME):
        raise ValueError(f"{module.__name__}: NAME {module.NAME!r} does not work in a template link")
    grouped = [id for ids in module.GROUPS.values() for id in ids]
    if sorted(grouped) != sorted(prompt):
        odd = sorted(set(grouped) ^ set(prompt)) or sorted({id for id in grouped if grouped.count(id) > 1})
        raise ValueError(f"{module.__name__}: GROUPS must hold every node once; look at {odd}")
    for name in ("TINY_WITHOUT", "TINY_NODES"):
        unknown = set(getattr(module, name, [])) - set(prompt)
        if unknown:
            raise ValueError(f"{module.__name__}: {name} names {sorted(unknown)}, which the graph does not have")
    inputs = getattr(module, "INPUTS", {})
    substitute(prompt, {**dict.fromkeys(module.MODELS), **dict.fromkeys(inputs), **module.TINY})
