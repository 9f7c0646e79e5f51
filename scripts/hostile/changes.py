"""The ways in which a prompt is made hostile. Each changes one thing and says what; all chance comes from `rng`."""

from __future__ import annotations

import copy
import functools
import math
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from .values import IN_TEXTS, NUMBERS, OBJECTS, OUTSIDE, TEXTS, value_node

Prompt = dict[str, dict[str, Any]]
MANY = 2  # a size or count may grow to this many times its tiny value, or SMALL
SMALL = 8
FREE = re.compile(r"seed")  # numbers of any size that cost nothing
COSTLY = re.compile(r"second|duration|scale|factor|megapixel|length|width|height|frames|steps|start|end")
# type -> core's nodes that graphs have between two nodes: class, the input that the link goes to, other inputs, slot
BETWEEN: dict[str, list[tuple[str, list[str], dict[str, Any], int]]] = {
    "LATENT": [
        ("RepeatLatentBatch", ["samples"], {"amount": 2}, 0),
        ("LatentFromBatch", ["samples"], {"batch_index": 0, "length": 1}, 0),
        ("LatentFlip", ["samples"], {"flip_method": "x-axis: vertically"}, 0),
        ("LatentUpscaleBy", ["samples"], {"upscale_method": "bilinear", "scale_by": 0.5}, 0),
        ("LatentBatch", ["samples1", "samples2"], {}, 0),
        ("LatentMultiply", ["samples"], {"multiplier": 0.5}, 0),
        ("LTXVSeparateAVLatent", ["av_latent"], {}, 0),
        ("LTXVSeparateAVLatent", ["av_latent"], {}, 1),
    ],
    "IMAGE": [
        ("RepeatImageBatch", ["image"], {"amount": 2}, 0),
        ("ImageFromBatch", ["image"], {"batch_index": 0, "length": 1}, 0),
        ("ImageScaleBy", ["image"], {"upscale_method": "bilinear", "scale_by": 0.3}, 0),
        ("ImageInvert", ["image"], {}, 0),
        ("ImageBatch", ["image1", "image2"], {}, 0),
    ],
    "MASK": [("InvertMask", ["mask"], {}, 0), ("GrowMask", ["mask"], {"expand": -3, "tapered_corners": True}, 0)],
    "CONDITIONING": [
        ("ConditioningZeroOut", ["conditioning"], {}, 0),
        ("ConditioningSetTimestepRange", ["conditioning"], {"start": 0.2, "end": 0.8}, 0),
        ("ConditioningSetAreaStrength", ["conditioning"], {"strength": 0.5}, 0),
        ("ConditioningCombine", ["conditioning_1", "conditioning_2"], {}, 0),
        ("ConditioningConcat", ["conditioning_to", "conditioning_from"], {}, 0),
        ("ConditioningAverage", ["conditioning_to", "conditioning_from"], {"conditioning_to_strength": 0.5}, 0),
    ],
    "MODEL": [
        ("ModelSamplingSD3", ["model"], {"shift": 3.0}, 0),
        ("ModelSamplingAuraFlow", ["model"], {"shift": 1.7}, 0),
        ("RescaleCFG", ["model"], {"multiplier": 0.7}, 0),
        (
            "EasyCache",
            ["model"],
            {"reuse_threshold": 0.2, "start_percent": 0.15, "end_percent": 0.95, "verbose": False},
            0,
        ),
    ],
    "SIGMAS": [
        ("FlipSigmas", ["sigmas"], {}, 0),
        ("SplitSigmas", ["sigmas"], {"step": 1}, 0),
        ("SplitSigmas", ["sigmas"], {"step": 1}, 1),
        ("SetFirstSigma", ["sigmas"], {"sigma": 0.7}, 0),
    ],
    "AUDIO": [
        ("TrimAudioDuration", ["audio"], {"start_index": 0.0, "duration": 0.1}, 0),
        ("AudioAdjustVolume", ["audio"], {"volume": 100}, 0),
    ],
}


class NoPlace(Exception):
    """A prompt has no input of the kind that is to be changed."""


def pick(rng: Random, found: list) -> Any:
    """One of the places of a change. Raises NoPlace if there are none."""
    if not found:
        raise NoPlace
    return rng.choice(found)


@functools.cache
def class_inputs(kind: str) -> dict[str, Any]:
    """What a node class says of its inputs. Kept: files that a prompt writes do not change what is made next."""
    import nodes

    return nodes.NODE_CLASS_MAPPINGS[kind].INPUT_TYPES()


def inputs_of(node: dict[str, Any]) -> dict[str, tuple[Any, str, dict[str, Any]]]:
    """name -> (type, 'required' or 'optional', options), with the inputs that its dynamic combos have now."""
    import nodes
    from comfy_api.latest import _io

    given = class_inputs(node["class_type"])
    if issubclass(nodes.NODE_CLASS_MAPPINGS[node["class_type"]], _io.ComfyNode):
        try:
            given, _, _ = _io.get_finalized_class_inputs(copy.deepcopy(given), node["inputs"])
        except Exception:  # a combo that an earlier change has spoilt
            return {}
    return {
        name: (info[0], category, info[1] if len(info) > 1 else {})
        for category in ("required", "optional")
        for name, info in given.get(category, {}).items()
    }


def output_types(kind: str) -> tuple[str, ...]:
    import nodes

    return tuple(map(str, nodes.NODE_CLASS_MAPPINGS[kind].RETURN_TYPES))


def output_names(kind: str) -> tuple[str, ...]:
    import nodes

    node = nodes.NODE_CLASS_MAPPINGS[kind]
    return tuple(map(str, getattr(node, "RETURN_NAMES", None) or node.RETURN_TYPES))


def is_link(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def is_ours(kind: str) -> bool:
    import nodes

    return getattr(nodes.NODE_CLASS_MAPPINGS[kind], "RELATIVE_PYTHON_MODULE", "").startswith("custom_nodes.")


def widgets(prompt: Prompt, *types: str) -> list[tuple[str, str]]:
    """(node, input) of every value, not link, of some types, in an order that depends on nothing else."""
    return [
        (id, name)
        for id, node in prompt.items()
        for name, (kind, _, _) in inputs_of(node).items()
        if name in node["inputs"]
        and not is_link(node["inputs"][name])
        and ("COMBO" if isinstance(kind, list) else kind) in types
    ]


def links(prompt: Prompt) -> Iterator[tuple[str, str, str]]:
    """(node, input, type of what comes) of every link."""
    for id, node in prompt.items():
        for name, value in node["inputs"].items():
            if is_link(value) and value[0] in prompt:
                yield id, name, output_types(prompt[value[0]]["class_type"])[value[1]]


def in_range(value: float, options: dict[str, Any]) -> bool:
    return options.get("min", -math.inf) <= value <= options.get("max", math.inf)


def affordable(name: str, value: float, options: dict[str, Any], tiny: Any) -> bool:
    """Whether a number that may be accepted asks for little more than the tiny prompt does."""
    if not math.isfinite(value) or value <= 0 or FREE.search(name):
        return True
    limit = MANY * max(SMALL, abs(tiny) if isinstance(tiny, int | float) else 0)
    whole = isinstance(options.get("default", 0), int)
    return value <= limit if whole or COSTLY.search(name) else True


def numbers_for(name: str, options: dict[str, Any], tiny: Any, linked: bool, ours: bool) -> list[float]:
    """Numbers for an input. Those too large to be accepted without gigabytes only where they must be refused."""
    step = 1 if isinstance(tiny, int) else 0.01
    edges = [options[k] + d for k in ("min", "max") if k in options for d in (-step, 0, step)]
    refused = ours or not linked  # core checks no range of what comes by a link
    return [
        v
        for v in [*edges, *NUMBERS]
        if affordable(name, v, options, tiny) or (refused and math.isfinite(v) and not in_range(v, options))
    ]


def number(rng: Random, prompt: Prompt) -> str | None:
    id, name = pick(rng, widgets(prompt, "INT", "FLOAT"))
    _, _, options = inputs_of(prompt[id])[name]
    old = prompt[id]["inputs"][name]
    numbers = numbers_for(name, options, old, False, is_ours(prompt[id]["class_type"]))
    value = rng.choice([number for number in numbers if number != old])
    prompt[id]["inputs"][name] = value
    return f"{id}.{name} = {value!r}"


def linked_number(rng: Random, prompt: Prompt) -> str | None:
    id, name = pick(rng, widgets(prompt, "INT", "FLOAT"))
    kind, _, options = inputs_of(prompt[id])[name]
    numbers = numbers_for(name, options, prompt[id]["inputs"][name], True, is_ours(prompt[id]["class_type"]))
    return connect(prompt, id, name, kind, rng.choice(numbers))


def connect(prompt: Prompt, id: str, name: str, kind: str, value: Any) -> str:
    """Let a value node give an input its value."""
    source = f"hostile_{len(prompt)}"
    prompt[source] = {"class_type": value_node(kind), "inputs": {"value": value}}
    prompt[id]["inputs"][name] = [source, 0]
    return f"{id}.{name} = {value!r} by link"


def odd_object(rng: Random, prompt: Prompt) -> str | None:
    """A link replaced by a picture, sound, ... that nobody expects."""
    found = [link for link in links(prompt) if OBJECTS.get(link[2])]
    if not found:
        return None
    id, name, kind = pick(rng, found)
    return connect(prompt, id, name, kind, rng.choice(list(OBJECTS[kind])))


def text(rng: Random, prompt: Prompt) -> str | None:
    found = widgets(prompt, "STRING")
    if not found:
        return None
    id, name = pick(rng, found)
    old = str(prompt[id]["inputs"][name])
    numbers = list(re.finditer(r"\d+(?:\.\d+)?", old))
    choice = rng.random()
    if choice < 0.2 and numbers:
        match = rng.choice(numbers)
        value = old[: match.start()] + rng.choice(IN_TEXTS) + old[match.end() :]
    elif choice < 0.3 and old:
        value = old[: rng.randrange(len(old))]
    else:
        value = rng.choice(TEXTS)
    if value == old:
        return None
    if rng.random() < 0.2:
        return connect(prompt, id, name, "STRING", value)
    prompt[id]["inputs"][name] = value
    return f"{id}.{name} = {short(value)}"


def short(value: str) -> str:
    return ascii(value) if len(value) < 80 else f"{value[:40]!a}... of {len(value)} letters"


def wrong_link(rng: Random, prompt: Prompt) -> str | None:
    """A link replaced by another output of the same type."""
    outputs: dict[str, list[tuple[str, int]]] = {}
    for id, node in prompt.items():
        for slot, kind in enumerate(output_types(node["class_type"])):
            outputs.setdefault(kind, []).append((id, slot))
    found = [
        (id, name, source)
        for id, name, kind in links(prompt)
        for source in outputs.get(kind, [])
        if source != tuple(prompt[id]["inputs"][name]) and id not in upstream(prompt, source[0])
    ]
    if not found:
        return None
    id, name, source = pick(rng, found)
    was = prompt[id]["inputs"][name]
    prompt[id]["inputs"][name] = list(source)
    return f"{id}.{name} from {source[0]}:{source[1]} instead of {was[0]}:{was[1]}"


def upstream(prompt: Prompt, id: str) -> set[str]:
    """A node and all that it needs."""
    found, ahead = set(), [id]
    while ahead:
        each = ahead.pop()
        if each in prompt and each not in found:
            found.add(each)
            ahead += [value[0] for value in prompt[each]["inputs"].values() if is_link(value)]
    return found


def core_between(rng: Random, prompt: Prompt) -> str | None:
    """A node of core put into a link."""
    found = [link for link in links(prompt) if link[2] in BETWEEN]
    if not found:
        return None
    id, name, kind = pick(rng, found)
    between, inputs, others, slot = rng.choice(BETWEEN[kind])
    was = prompt[id]["inputs"][name]
    new = f"hostile_{len(prompt)}"
    prompt[new] = {"class_type": between, "inputs": {**dict.fromkeys(inputs, was), **others}}
    prompt[id]["inputs"][name] = [new, slot]
    return f"{between} (output {slot}) before {id}.{name}"


def dropped(rng: Random, prompt: Prompt) -> str | None:
    """An optional input left out."""
    found = [
        (id, name)
        for id, node in prompt.items()
        for name, (_, category, _) in inputs_of(node).items()
        if category == "optional" and name in node["inputs"]
    ]
    if not found:
        return None
    id, name = pick(rng, found)
    del prompt[id]["inputs"][name]
    return f"without {id}.{name}"


def unknown(rng: Random, prompt: Prompt) -> str | None:
    """An input that the node does not have: one of another node, or one of no node."""
    id = rng.choice(list(prompt))
    others = [(name, value) for node in prompt.values() for name, value in node["inputs"].items()]
    name, value = rng.choice([*others, ("hostile", 1), ("self", 1), ("cls", 1), ("", 1), ("a.b", 1)])
    if name in inputs_of(prompt[id]) or (is_link(value) and id in upstream(prompt, value[0])):
        return None
    prompt[id]["inputs"][name] = copy.deepcopy(value)
    return f"{id} gets {name!r}, which it does not have"


def switched(rng: Random, prompt: Prompt) -> str | None:
    """Another choice of a combo, or one that it does not offer."""
    found = widgets(prompt, "COMBO", "COMFY_DYNAMICCOMBO_V3", "BOOLEAN")
    if not found:
        return None
    id, name = pick(rng, found)
    node = prompt[id]
    kind, _, options = inputs_of(node)[name]
    offered = kind if isinstance(kind, list) else options.get("options") or [True, False]
    offered = [option["key"] if isinstance(option, dict) else option for option in offered]
    others = [option for option in offered if option != node["inputs"][name]]
    value = rng.choice(others) if others and rng.random() < 0.85 else rng.choice(["hostile", "", -1, "../../x"])
    node["inputs"][name] = value
    for new, (_, category, info) in inputs_of(node).items():  # what the new choice needs
        if category == "required" and new not in node["inputs"] and "default" in info:
            node["inputs"][new] = info["default"]
    return f"{id}.{name} = {value!r}"


KINDS: dict[str, Callable[[Random, Prompt], str | None]] = {
    "number": number,
    "linked number": linked_number,
    "odd object": odd_object,
    "text": text,
    "wrong link": wrong_link,
    "core between": core_between,
    "dropped": dropped,
    "unknown": unknown,
    "switched": switched,
}


def make_hostile(prompt: Prompt, seed: int, case: int) -> tuple[Prompt, list[tuple[str, str]]]:
    """A copy of a prompt with one to three changes, and (kind, words) of each. The same for the same seed and case."""
    rng = Random(f"{seed}/{case}")
    changed = copy.deepcopy(prompt)
    done: list[tuple[str, str]] = []
    wanted = rng.choice([1, 1, 2, 3])
    while len(done) < wanted:
        kind = rng.choice(list(KINDS))
        try:
            words = KINDS[kind](rng, changed)
        except NoPlace:
            continue
        if words:
            done.append((kind, words))
    return changed, done


def touched(before: Prompt, after: Prompt) -> set[str]:
    """The nodes that are new or have other inputs."""
    return {id for id, node in after.items() if id not in before or repr(node["inputs"]) != repr(before[id]["inputs"])}


def place(value: Any, outside: str) -> Any:
    """A prompt's value with the path that OUTSIDE stands for."""
    if isinstance(value, str):
        return value.replace(OUTSIDE, outside)
    if isinstance(value, dict):
        return {key: place(each, outside) for key, each in value.items()}
    return [place(each, outside) for each in value] if isinstance(value, list) else value
