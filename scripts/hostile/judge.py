"""How a hostile prompt ended, and whether that is allowed."""

from __future__ import annotations

import os
import re
import sys
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.executor import Executor
from harness.pack import ROOT
from harness.raised import ASIDE, on_purpose
from harness.server import WorkflowError, WorkflowRefused

from .changes import Prompt, is_link, is_ours, links, output_names, output_types, touched, upstream

ALLOWED = ("refused", "finished", "said", "core's own")
LIMITS = {"SaveVideo": "avcodec_open2"}  # what core's nodes cannot do with sound values: H.264 has no odd sizes
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
RUNS = {"os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"}
CHANGES = {"os.mkdir": [0], "os.remove": [0], "os.rmdir": [0], "os.rename": [0, 1], "os.link": [1], "os.symlink": [1]}


@dataclass(frozen=True)
class Ending:
    how: str  # one of ALLOWED, or "raw", "outside", "slow", "died"
    error: str = ""
    node: str = ""

    @property
    def allowed(self) -> bool:
        return self.how in ALLOWED


class Guard:
    """Sees what this process writes outside `base`, or runs."""

    def __init__(self, base: Path) -> None:
        self.base = str(base.resolve())
        self.seen: list[str] = []
        sys.addaudithook(self.look)

    def look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in RUNS:
            self.seen.append(f"{event} {arguments[0]!r}")
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
            self.note(event, arguments[0])
        else:
            for place in CHANGES.get(event, []):
                self.note(event, arguments[place])

    def note(self, event: str, path: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a number of an open file
        real = os.path.realpath(os.fsdecode(path))
        if not real.startswith((self.base + os.sep, "/dev/")) and "__pycache__" not in real:
            self.seen.append(f"{event} {real}")

    def take(self) -> list[str]:
        seen, self.seen = self.seen, []
        return seen


@dataclass
class Sandbox:
    """A base directory inside a folder in which nothing else may appear, and whose own inputs may not change."""

    root: Path  # of everything
    executor: Executor
    guard: Guard
    known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def files(self) -> dict[str, tuple[int, int]]:
        """What may not change: all but the outputs, and the windows of films that are kept."""
        found = {}
        base = self.executor.base
        outputs = (base / "output", base / "temp", base / "user" / "__oner")
        for folder, inside, names in os.walk(self.root):
            inside[:] = [name for name in inside if Path(folder, name) not in outputs]
            for name in [*inside, *names]:
                path = os.path.join(folder, name)
                state = os.lstat(path)
                found[path] = (state.st_size, state.st_mtime_ns) if name in names else (0, 0)
        return found

    def changed(self) -> list[str]:
        """What is new or other. A new model file is none: loaders save what they made of one among ComfyUI's models
        where a graph names it. It goes again, as the next case may not find it."""
        now = self.files()
        for path in now.keys() - self.known.keys():
            if Path(path).is_relative_to(self.executor.base / "models"):
                Path(path).unlink()
                del now[path]
        odd = [path for path in now.keys() | self.known.keys() if now.get(path) != self.known.get(path)]
        self.known = now
        return sorted(odd)

    def run(self, prompt: Prompt, before: Prompt, session: Any) -> Ending:
        self.guard.take()  # of what else this process does
        ending = self.end_of(prompt, before, session)
        if ending.how == "passed":  # would it end so without the pack's nodes on the way, too?
            again = [without(prompt, before, ending.node) for without in (without_passed, bypassed)]
            alone = (self.end_of(each, before, session) for each in again)
            own = any(each.how == "core's own" and bare(each.error) == bare(ending.error) for each in alone)
            ending = replace(ending, how="core's own" if own else "raw")
        odd = self.guard.take() + self.changed()
        return Ending("outside", f"touched {odd[0]}, and {len(odd) - 1} more") if odd else ending

    def end_of(self, prompt: Prompt, before: Prompt, session: Any) -> Ending:
        try:
            self.executor.run(prompt, session)
        except WorkflowRefused as error:
            own = raw_in_validation(error.answer)
            return Ending("raw", own) if own else Ending("refused", str(error))
        except WorkflowError as error:
            how = judge(error.__cause__, error.node, prompt, touched(before, prompt))
            said = str(error) if how == "said" else describe(error.__cause__)
            return Ending(how, said, error.node)
        except Exception as error:  # of the executor itself
            return Ending("raw", describe(error))
        return Ending("finished")


def bare(error: str) -> str:
    """What and where, without the numbers, which may be other ones."""
    return re.sub(r"\d+", "#", error)


def judge(error: BaseException | None, node: str, prompt: Prompt, changed: set[str]) -> str:
    """'said' for a sentence of the pack, "core's own" where the pack had no part, else 'raw'.

    The pack has a part in what a node of core raises when its code is on the way there, or when one of its nodes
    let pass what was changed before it: 'passed'.
    """
    if error is None:
        return "raw"
    if on_purpose(error):
        return "said"
    if any(map(is_pack, frames_of(error))) or not upstream(prompt, node) & changed:
        return "raw"
    if LIMITS.get(prompt[node]["class_type"], "no such words") in str(error):
        return "core's own"
    return "passed" if passed(prompt, node) & changed else "core's own"


def passed(prompt: Prompt, node: str) -> set[str]:
    """The nodes of the pack before a node, and all before those."""
    ours = [id for id in upstream(prompt, node) if is_ours(prompt[id]["class_type"])]
    return {each for id in ours for each in upstream(prompt, id)}


def undone_before(prompt: Prompt, before: Prompt, node: str) -> set[str]:
    """The nodes that go back to what they were: of the pack, all before those, and what those had before them."""
    ours = passed(prompt, node)
    return ours.union(*(upstream(before, id) for id in ours if id in before))


def without_passed(prompt: Prompt, before: Prompt, node: str) -> Prompt:
    """A prompt in which only what reaches a node without one of the pack on the way is changed."""
    undone = undone_before(prompt, before, node)
    return {id: before[id] if id in undone and id in before else each for id, each in prompt.items()}


def bypassed(prompt: Prompt, before: Prompt, node: str) -> Prompt:
    """A prompt in which what came to a node through one of the pack comes past it, as if that were bypassed.

    The other outputs of such a node stay those of the unchanged prompt.
    """
    made, changed = without_passed(prompt, before, node), touched(before, prompt)
    undone = undone_before(prompt, before, node)

    def past(link: Any) -> Any:
        """The link that stands for one, with the changed nodes before it copied beside the unchanged ones."""
        if not is_link(link) or not upstream(prompt, link[0]) & changed:
            return link
        id, slot = link
        if is_ours(prompt[id]["class_type"]):
            source = taken_through(prompt, id, slot)
            return link if source is None else past(source)
        if id not in undone:
            return link
        inputs = {name: past(value) for name, value in prompt[id]["inputs"].items()}
        made[f"changed {id}"] = {**prompt[id], "inputs": inputs}
        return [f"changed {id}", slot]

    for id in upstream(prompt, node) - undone:
        made[id] = {**prompt[id], "inputs": {name: past(value) for name, value in prompt[id]["inputs"].items()}}
    return made


def taken_through(prompt: Prompt, id: str, slot: int) -> Any:
    """The link whose value a bypassed node gives: of the output's type, and name if there are several."""
    kind, name = output_types(prompt[id]["class_type"])[slot], output_names(prompt[id]["class_type"])[slot]
    found = {own: prompt[id]["inputs"][own] for node, own, of in links(prompt) if node == id and of == kind}
    return found.get(name, next(iter(found.values()), None))


def frames_of(error: BaseException) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(error.__traceback__))


def is_pack(frame: traceback.FrameSummary) -> bool:
    file = Path(frame.filename)
    return file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0] not in ASIDE


def raw_in_validation(answer: dict[str, Any]) -> str:
    """What the pack's own checks before a run stumbled over, if anything."""
    for node in answer["node_errors"].values():
        for error in node["errors"]:
            lines = error.get("extra_info", {}).get("traceback", [])
            if any(is_ours(node["class_type"]) and str(ROOT) in line for line in lines[-1:]):
                return f"{error['details']}\n{''.join(lines)}"
    return ""


def describe(error: BaseException | None) -> str:
    """The error and where: the pack's last line, and the last of all."""
    if error is None:
        return "ended without an error of a node"
    frames = frames_of(error)
    ours = [frame for frame in frames if is_pack(frame)]
    where = [f"{Path(f.filename).name}:{f.lineno} {f.line}" for f in [*ours[-1:], *frames[-1:]]]
    return f"{type(error).__name__}: {str(error)[:300]} | " + " | ".join(dict.fromkeys(where))
