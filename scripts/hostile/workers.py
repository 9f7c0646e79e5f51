"""Cases shared out to processes, so that one that dies or hangs is a result."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from .changes import Prompt, is_link, make_hostile, place
from .judge import Ending, Guard, Sandbox

LONGEST = 30.0  # seconds of one case
START = 300.0  # seconds until a process is ready
MEMORY = 16 * 2**30  # bytes of address space: what asks for more fails instead of taking the machine along
STEPS = 2  # more than that of a tiny prompt are cut to so many, or as the node has it
STEPS_OF = {"OnerLTXScheduler": 1, "OnerLinearQuadraticSigmas": 10**6}  # four passes a step; skips some of its steps
SHORTER = {17: 9, 9: 5}  # lengths of tiny prompts
NEEDS_LENGTH = {"LTX_2.3_Go_On", "Wan_2.1_Fun_Camera"}  # cuts a part off the end; has two moves of the camera
COSTLY = {  # a second each, in dozens of blocks or steps: they get a third of the cases that others get
    "LTX_2.3_Text_to_Video",
    "LTX_2.3_Two_Stage_Text_to_Video",
    "LTX_2.3_Image_to_Video",
    "LTX_2.3_Audio_to_Video",
    "LTX_2.3_Keyframes_to_Video",
    "LTX-Video_0.9.8_Dev_Image_to_Video",
    "LTX-Video_0.9.8_Video_to_Video",
}
SMALL = 64  # instead of the least size that a node works out
PLANTED = ["checkpoints", "loras", "vae", "diffusion_models", "latent_upscale_models"]  # folders with a canary
Job = tuple[str, list[int]]  # workflow, cases of it


@dataclass(frozen=True)
class Done:
    case: int
    workflow: str
    changes: list[tuple[str, str]]
    ending: Ending
    seconds: float


def base_prompt(workflow: str) -> Prompt:
    """A workflow's tiny prompt, with as few steps, frames and pixels as show the same."""
    from workflows import load

    prompt = load(workflow).tiny_prompt()
    for node in prompt.values():
        inputs = node["inputs"]
        steps, length = inputs.get("steps"), inputs.get("length")
        if isinstance(steps, int):
            inputs["steps"] = min(steps, STEPS_OF.get(node["class_type"], STEPS))
        if isinstance(length, int) and workflow not in NEEDS_LENGTH:
            inputs["length"] = SHORTER.get(length, length)
        for side in ("width", "height"):
            if is_link(inputs.get(side)) and prompt[inputs[side][0]]["class_type"] == "OnerWanSize":
                inputs[side] = SMALL
    return prompt


def turns(names: list[str]) -> list[str]:
    """The workflows in the order in which cases take them: case n is of turn n % their number."""
    return names + 2 * [name for name in names if name not in COSTLY]


def share_out(turns: list[str], cases: list[int]) -> list[Job]:
    """The cases of each workflow, which run together, as they share what is loaded."""
    jobs: dict[str, list[int]] = {}
    for case in cases:
        jobs.setdefault(turns[case % len(turns)], []).append(case)
    return list(jobs.items())


class Canary:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple:
        return os.makedirs, (self.folder, 0o777, True)


def plant(root: Path, models: Path) -> None:
    """Model files that would run code when they are read."""
    import pickle

    for folder in PLANTED:
        for name in ("zz-canary.pt", "zz-canary.safetensors"):
            (models / folder).mkdir(parents=True, exist_ok=True)
            (models / folder / name).write_bytes(pickle.dumps({"state_dict": Canary(root / "canary")}))


def open_sandbox(root: Path) -> Sandbox:
    """ComfyUI in this process, on a base directory deep in `root`, with every tiny model."""
    from harness.executor import Executor
    from workflows import load_all

    from .values import register

    base, here = root / "a" / "b" / "c" / "base", root / "a" / "b" / "here"
    (base / "temp").mkdir(parents=True)
    here.mkdir()
    os.chdir(here)
    tempfile.tempdir = str(base / "temp")
    executor = Executor(base)
    for workflow in load_all():
        workflow.write_tiny_models(base / "models")
        workflow.write_inputs(base / "input")
    plant(root, base / "models")
    register()
    sandbox = Sandbox(root, executor, Guard(base))
    sandbox.known = sandbox.files()
    return sandbox


def log_of(root: Path) -> Path:
    """Where the worker of that folder writes its standard error: beside it, as what is in it is watched."""
    return root.with_suffix(".log")


def limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def work(line: Connection, root: Path, seed: int) -> None:
    """What a worker does: jobs come in, Done goes out, None after each job."""
    import faulthandler
    import warnings

    root.mkdir()
    os.dup2(os.open(log_of(root), os.O_WRONLY | os.O_CREAT), 2)  # progress bars, and the last words of one that dies
    faulthandler.enable()

    from harness import pack

    pack.alias_pack()
    pack.start_core()
    limit_memory()
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    sandbox = open_sandbox(root)
    line.send(None)
    while job := line.recv():
        run_job(line, sandbox, seed, job)
        line.send(None)


def run_job(line: Connection, sandbox: Sandbox, seed: int, job: Job) -> None:
    workflow, cases = job
    before = base_prompt(workflow)
    session = sandbox.executor.session()
    ending = sandbox.run(before, before, session)
    if ending.how != "finished":
        line.send(Done(0, workflow, [], Ending("raw", f"unchanged: {ending.how} {ending.error}"), 0))
    for case in cases:
        prompt, changes = make_hostile(before, seed, case)
        line.send((case, changes))
        start = time.monotonic()
        ending = sandbox.run(place(prompt, str(sandbox.root / "outside")), before, session)
        line.send(Done(case, workflow, changes, ending, time.monotonic() - start))


class Worker:
    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, root, seed), daemon=True)
        self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.case: tuple[int, list[tuple[str, str]]] = (0, [])
        self.deadline = time.monotonic() + START

    def give(self, job: Job | None) -> None:
        self.job = job
        self.deadline = time.monotonic() + START  # loading is no case
        self.line.send(job)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def run_cases(names: list[str], cases: list[int], seed: int, count: int, scratch: Path) -> Iterator[Done]:
    """Every case's end, as it comes."""
    jobs = share_out(names, cases)
    count = min(count, len(jobs))
    folders = iter(range(10**6))
    workers = [Worker(scratch / str(next(folders)), seed) for _ in range(count)]
    try:
        while workers:
            wait([worker.line for worker in workers], timeout=1)
            for worker in list(workers):
                lost = yield from listen(worker, jobs)
                if lost is None:
                    continue
                workers.remove(worker)
                worker.stop()
                if lost[1]:
                    jobs.insert(0, lost)
                if jobs:
                    workers.append(Worker(scratch / str(next(folders)), seed))
    finally:
        for worker in workers:
            worker.stop()


def listen(worker: Worker, jobs: list[Job]) -> Iterator[Done]:
    """Take what a worker says. Gives None, or if it is over the job that is left, which may have no cases."""
    try:
        while worker.line.poll():
            said = worker.line.recv()
            if said is None:
                if not jobs:
                    return ("", [])
                worker.give(jobs.pop(0))
            elif isinstance(said, Done):
                worker.deadline = time.monotonic() + LONGEST
                worker.case = (0, [])
                yield said
            else:
                worker.case, worker.deadline = said, time.monotonic() + LONGEST
    except (EOFError, ConnectionError):
        return (yield from bury(worker, "died", "the process died"))
    if time.monotonic() > worker.deadline:
        return (yield from bury(worker, "slow", f"over {LONGEST:g} s"))
    return None


def bury(worker: Worker, how: str, why: str) -> Iterator[Done]:
    """The end of the case that a worker was at; gives the rest of its job."""
    if worker.job is None:
        raise RuntimeError(f"a worker could not start, {why}:\n{last_words(worker)}")
    name, cases = worker.job
    case, changes = worker.case
    yield Done(case, name, changes, Ending(how, f"{why}: {last_words(worker)}"), 0)
    return (name, cases[cases.index(case) + 1 :]) if case else ("", [])


def last_words(worker: Worker) -> str:
    log = log_of(worker.root)
    return log.read_text(errors="replace")[-4000:] if log.exists() else "it wrote nothing"
