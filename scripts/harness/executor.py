"""Run API prompts in this process with ComfyUI's real executor and this pack, without a server or a port.

executor = Executor(base)          # a base directory whose models/ holds what the prompt loads
result = executor.run(prompt)
result.output("decode")            # what the node gave
result.files                       # what was saved below base/output
"""

from __future__ import annotations

import asyncio
import functools
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .base import make_base
from .pack import ROOT
from .server import WorkflowError, WorkflowInterrupted, WorkflowRefused, name_node, output_files


@dataclass(frozen=True)
class Result:
    """`slots[node][slot]` is a node's output; `progress[node]` its (value, total) reports; `ui` what it showed."""

    slots: dict[str, list[Any]]
    ui: dict[str, Any]
    progress: dict[str, list[tuple[float, float]]]
    files: list[Path]

    def output(self, node: str, slot: int = 0) -> Any:
        return self.slots[node][slot]


@dataclass
class Listener:
    """Stands where the executor expects the web server: keeps what a browser would be told."""

    client_id: str | None = None
    last_node_id: str | None = None
    sockets_metadata: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, Any]] = field(default_factory=list)

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:  # noqa: ARG002
        self.events.append((event, data))

    def progress(self) -> dict[str, list[tuple[float, float]]]:
        reports: dict[str, list[tuple[float, float]]] = {}
        for event, data in self.events:
            if event == "progress":
                reports.setdefault(data["node"], []).append((data["value"], data["max"]))
        return reports


@functools.cache
def load_nodes() -> None:
    """Load core's nodes and the pack as ComfyUI does at its start, once per process."""
    import nodes
    import server

    server.PromptServer(asyncio.new_event_loop())  # nodes register routes and sockets on its instance
    asyncio.run(nodes.init_public_apis())
    failed = asyncio.run(nodes.init_builtin_extra_nodes())
    if failed or not asyncio.run(nodes.load_custom_node(str(ROOT), ignore=set(nodes.NODE_CLASS_MAPPINGS))):
        raise RuntimeError(f"ComfyUI could not load {failed or ROOT}")


def use_base(base: Path) -> None:
    """Point ComfyUI's folders at `base`."""
    import folder_paths

    models = base / "models"
    for name, (paths, extensions) in list(folder_paths.folder_names_and_paths.items()):
        if name != "custom_nodes":
            moved = list(dict.fromkeys(str(models / Path(path).name) for path in paths))
            folder_paths.folder_names_and_paths[name] = (moved, extensions)
    folder_paths.models_dir = str(models)
    folder_paths.set_output_directory(str(base / "output"))
    folder_paths.set_input_directory(str(base / "input"))
    folder_paths.set_temp_directory(str(base / "temp"))
    folder_paths.set_user_directory(str(base / "user"))
    folder_paths.filename_list_cache.clear()


class Executor:
    """ComfyUI's executor on a base directory.

    Every run starts with an empty cache of node outputs, unless it gets one from `session`: then nodes that have run
    are not run again, as in a server that goes on.
    """

    def __init__(self, base: Path) -> None:
        self.base = make_base(base)
        load_nodes()

    @staticmethod
    def session() -> Any:
        import execution

        class Session(execution.PromptExecutor):
            """Keeps the exception, of which ComfyUI passes on the words."""

            failure: BaseException | None = None

            def handle_execution_error(self, *arguments: Any) -> None:
                super().handle_execution_error(*arguments)
                self.failure = arguments[-1]

        return Session(Listener(), execution.CacheType.CLASSIC, {"ram": 0, "lru": 0, "ram_inactive": 0})

    def run(self, prompt: dict[str, dict[str, Any]], session: Any = None) -> Result:
        """Execute an API prompt; WorkflowError with the node and its message if it is refused or fails.

        What a node raised is the cause of the error.
        """
        import comfy.utils
        import execution

        use_base(self.base)
        id = str(uuid.uuid4())
        valid, error, outputs, node_errors = asyncio.run(execution.validate_prompt(id, prompt, None))
        if not valid or node_errors:
            raise WorkflowRefused({"error": error, "node_errors": node_errors}, prompt)
        executor = session or self.session()
        executor.server = listener = Listener()
        comfy.utils.set_progress_bar_global_hook(functools.partial(report, listener))
        try:
            executor.execute(prompt, id, {"client_id": "executor"}, outputs)
        finally:
            comfy.utils.set_progress_bar_global_hook(None)
        raise_failure(executor, prompt)
        return Result(
            slots=read_slots(executor, prompt),
            ui=executor.history_result["outputs"],
            progress=listener.progress(),
            files=output_files(executor.history_result["outputs"], self.base / "output"),
        )


def report(listener: Listener, value: float, total: float, preview: Any, node_id: str | None = None) -> None:  # noqa: ARG001
    import comfy.model_management
    from comfy_execution.utils import get_executing_context

    comfy.model_management.throw_exception_if_processing_interrupted()
    context = get_executing_context()
    node = node_id or (context.node_id if context else listener.last_node_id)
    listener.send_sync("progress", {"node": node, "value": value, "max": total})


def raise_failure(executor: Any, prompt: dict[str, dict[str, Any]]) -> None:
    for event, data in executor.status_messages:
        if event == "execution_error":
            said = f"{name_node(data['node_id'], prompt)}: {data['exception_message'].strip()}"
            raise WorkflowError(said, data["node_id"]) from executor.failure
        if event == "execution_interrupted":
            raise WorkflowInterrupted(f"{name_node(data['node_id'], prompt)}: interrupted")


def read_slots(executor: Any, prompt: dict[str, dict[str, Any]]) -> dict[str, list[Any]]:
    """Outputs from the executor's cache; a node that ran over a list has a list per slot."""
    slots: dict[str, list[Any]] = {}

    async def read() -> None:  # gives nothing: asyncio.run makes text of what its task gives, tensors too
        for id in prompt:
            entry = await executor.caches.outputs.get(id)
            if entry is not None:
                slots[id] = [values[0] if len(values) == 1 else values for values in entry.outputs]

    asyncio.run(read())
    return slots
