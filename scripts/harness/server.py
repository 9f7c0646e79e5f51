"""Run the real ComfyUI server with this pack in a throw-away base directory, and talk to its API.

with run_server() as server, Client(server.url) as client:
    outputs = client.run(prompt, on_progress=print)
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .base import make_base, throw_away
from .pack import find_comfy

READY = "To see the GUI go to:"  # logged once the port listens
LOG_TAIL = 40  # lines


@dataclass
class Server:
    url: str
    base: Path
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)

    @property
    def output(self) -> Path:
        return self.base / "output"

    def log_tail(self) -> str:
        return "".join(self.log[-LOG_TAIL:])


def free_port(preferred: int) -> int:
    """`preferred` if nobody listens there, else a free one."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ComfyUI binds
        try:
            s.bind(("127.0.0.1", preferred))
        except OSError:
            s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def has_accelerator() -> bool:
    import torch

    return torch.accelerator.is_available()


@contextmanager
def run_server(base: Path | None = None, port: int = 0, timeout: float = 300) -> Iterator[Server]:
    """The server, ready to answer; `base` keeps its models and outputs, else they are thrown away at the end.

    It listens on `port` if that is free, else on any.

    Raises RuntimeError with the end of its log if it stops, or is not ready after `timeout` seconds.
    """
    with throw_away() as scratch:
        server = start(make_base(base or Path(scratch)), free_port(port))
        ready = threading.Event()
        reader = threading.Thread(target=read_log, args=(server, ready), daemon=True)
        reader.start()
        try:
            in_time = ready.wait(timeout)
            if not any(READY in line for line in server.log):
                what = "stopped" if in_time else f"is not ready after {timeout:g} s"
                raise RuntimeError(f"ComfyUI {what}; the end of its log:\n{server.log_tail()}")
            yield server
        finally:
            stop(server.process)
            reader.join()


def start(base: Path, port: int) -> Server:
    comfy = find_comfy()
    if comfy is None:
        raise RuntimeError("No ComfyUI found: run scripts/bootstrap.py or set COMFYUI_PATH")
    options = [] if has_accelerator() else ["--cpu"]
    process = subprocess.Popen(
        [
            sys.executable,
            str(comfy / "main.py"),
            *options,
            "--base-directory",
            str(base),
            "--port",
            str(port),
            "--database-url",
            "sqlite:///:memory:",
            "--disable-api-nodes",
            "--disable-auto-launch",
        ],
        cwd=comfy,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,  # Ctrl-C is ours to pass on
    )
    return Server(url=f"http://127.0.0.1:{port}", base=base, process=process)


def read_log(server: Server, ready: threading.Event) -> None:
    for line in server.process.stdout:
        server.log.append(line)
        if READY in line:
            ready.set()
    ready.set()  # it has stopped


def stop(process: subprocess.Popen[str]) -> None:
    """Ask as Ctrl-C does, so that ComfyUI tidies up; insist if that takes more than 20 s."""
    if process.poll() is None:
        deaf = os.name == "nt" or signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # a background job's child is, too
        process.send_signal(signal.SIGTERM if deaf else signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class WorkflowError(RuntimeError):
    """A workflow that was refused or failed; says at which node and why."""

    def __init__(self, said: str, node: str = "") -> None:
        super().__init__(said)
        self.node = node  # id of the one that failed, if any


class WorkflowRefused(WorkflowError):
    """A workflow that ComfyUI did not take; `answer` is what its API says then."""

    def __init__(self, answer: dict[str, Any], prompt: dict[str, Any]) -> None:
        super().__init__(describe_refusal(answer, prompt))
        self.answer = answer


class WorkflowInterrupted(WorkflowError):
    """A workflow that was cancelled."""


@dataclass(frozen=True)
class Progress:
    """`node` (called `title`) is at `value` of `maximum`; `done` of `total` nodes are finished."""

    node: str
    title: str
    value: float
    maximum: float
    done: int
    total: int


OnProgress = Callable[[Progress], object]


class Client:
    """One session with a server: HTTP requests, and a websocket that is open before anything is queued."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.id = uuid.uuid4().hex
        self.prompts: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Client:
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.connect())
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(self.session.close())
        self.loop.close()

    async def connect(self) -> None:
        import aiohttp

        self.session = aiohttp.ClientSession()
        self.socket = await self.session.ws_connect(f"{self.url}/ws?clientId={self.id}", max_msg_size=0)

    def request(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON answer of a GET, or of a POST when there is a body; None for an empty one."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue an API prompt and give its id; WorkflowError if ComfyUI refuses it, even in part."""
        try:
            answer = self.request("/prompt", {"prompt": prompt, "client_id": self.id})
        except urllib.error.HTTPError as error:
            raise WorkflowRefused(json.loads(error.read()), prompt) from None
        if answer["node_errors"]:
            self.request("/queue", {"delete": [answer["prompt_id"]]})
            raise WorkflowRefused(answer, prompt)
        self.prompts[answer["prompt_id"]] = prompt
        return answer["prompt_id"]

    def follow(self, prompt_id: str, on_progress: OnProgress | None = None) -> dict[str, Any]:
        """Wait for a queued prompt, reporting progress as it happens; give its outputs by node id."""
        self.loop.run_until_complete(self.listen(prompt_id, on_progress))
        return self.history(prompt_id)["outputs"]

    async def listen(self, prompt_id: str, on_progress: OnProgress | None) -> None:
        import aiohttp

        prompt = self.prompts[prompt_id]
        cached: set[str] = set()
        failure: WorkflowError | None = None
        async for message in self.socket:
            if message.type != aiohttp.WSMsgType.TEXT:
                continue  # previews
            event = json.loads(message.data)
            kind, data = event["type"], event["data"]
            if data.get("prompt_id") != prompt_id:
                continue
            if kind == "execution_cached":
                cached = set(data["nodes"])
            elif kind == "progress_state" and on_progress:
                report_progress(data["nodes"], cached, prompt, on_progress)
            elif kind == "execution_error":
                failure = WorkflowError(f"{name_node(data['node_id'], prompt)}: {data['exception_message'].strip()}")
            elif kind == "execution_interrupted":
                failure = WorkflowInterrupted(f"{name_node(data['node_id'], prompt)}: interrupted")
            elif kind == "executing" and data["node"] is None:  # sent last, when the history is written
                if failure:
                    raise failure
                return
        raise WorkflowError("ComfyUI closed the connection before the workflow was finished")

    def run(self, prompt: dict[str, Any], on_progress: OnProgress | None = None) -> dict[str, Any]:
        """Queue a prompt and follow it to its end."""
        return self.follow(self.queue(prompt), on_progress)

    def history(self, prompt_id: str) -> dict[str, Any]:
        return self.request(f"/history/{prompt_id}")[prompt_id]

    def interrupt(self, prompt_id: str) -> None:
        self.request("/interrupt", {"prompt_id": prompt_id})


def report_progress(nodes: dict[str, Any], cached: set[str], prompt: dict[str, Any], on_progress: OnProgress) -> None:
    done = cached | {id for id, node in nodes.items() if node["state"] == "finished"}
    for id, node in nodes.items():
        if node["state"] == "running":
            shown = node["real_node_id"] if node["real_node_id"] in prompt else node["display_node_id"]
            title = prompt.get(shown, {}).get("_meta", {}).get("title", shown)
            on_progress(Progress(id, title, node["value"], node["max"], len(done & set(prompt)), len(prompt)))


def name_node(id: str, prompt: dict[str, Any]) -> str:
    """'Stage 1 sampler (SamplerCustomAdvanced, stage_1_sampler)'"""
    node = prompt.get(id, {})
    kind = node.get("class_type", "unknown")
    return f"{node.get('_meta', {}).get('title', kind)} ({kind}, {id})"


def describe_refusal(answer: dict[str, Any], prompt: dict[str, Any]) -> str:
    lines = [
        f"{name_node(id, prompt)}: {error['message']}: {error['details']}"
        for id, node in answer.get("node_errors", {}).items()
        for error in node["errors"]
    ]
    error = answer.get("error", {})
    return "\n".join(lines) or f"{error.get('message')} {error.get('details', '')}".strip()


def output_files(outputs: dict[str, Any], folder: Path) -> list[Path]:
    """The files that nodes saved, in `folder` (the output directory), from the outputs of a run."""
    return [
        folder / item["subfolder"] / item["filename"]
        for node in outputs.values()
        for items in node.values()
        for item in items
        if isinstance(item, dict) and item.get("type") == "output"
    ]
