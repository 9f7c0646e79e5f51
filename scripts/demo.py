"""A prompt to a finished MP4 through the real ComfyUI server: what `make demo` runs.

Two videos on the pocket checkpoints, which obey the prompt: the main workflow with sound, and a LongLive take.
--workflow runs any shipped workflow instead, on tiny random weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from pathlib import Path

from harness import pack

pack.alias_pack()
if not pack.start_core():
    sys.exit("No ComfyUI found: run scripts/bootstrap.py, or set COMFYUI_PATH")

import workflows
from harness.base import PACK_NAME, throw_away
from harness.server import Client, Progress, Server, WorkflowError, output_files, run_server
from pocket import gallery, show
from pocket.sheets import contact_sheet
from workflows.builder import Prompt, Workflow

RESULTS = pack.ROOT / ".artifacts" / "demo"
BAR = 30  # characters
PORT = 8288  # the same every time, if it is free, so that a printed link works again


class ProgressBar:
    """One line that is drawn over; a line per node where output is not a terminal."""

    def __init__(self) -> None:
        self.node = ""

    def __call__(self, progress: Progress) -> None:
        step = f" {progress.value:g}/{progress.maximum:g}" if progress.maximum > 1 else ""
        if sys.stdout.isatty():
            share = (progress.done + progress.value / progress.maximum) / progress.total
            filled = round(BAR * share)
            print(
                f"\r[{'#' * filled}{'-' * (BAR - filled)}] {share:4.0%}  {progress.title}{step}\033[K",
                end="",
                flush=True,
            )
        elif progress.node != self.node or step:
            print(f"  {progress.done + 1}/{progress.total} {progress.title}{step}", flush=True)
        self.node = progress.node

    def close(self) -> None:
        if sys.stdout.isatty():
            print("\r\033[K", end="")


def make_video(server: Server, workflow: Workflow, text: str | None) -> Path:
    """Queue the workflow, show its progress, and give the checked video, copied to the results folder."""
    bar = ProgressBar()
    started = time.perf_counter()
    with Client(server.url) as client:
        outputs = client.run(workflow.tiny_prompt(text), bar)
    bar.close()
    video = next(path for path in output_files(outputs, server.output) if path.suffix == ".mp4")
    found = workflow.tiny_result.check(video)
    RESULTS.mkdir(parents=True, exist_ok=True)
    copied = Path(shutil.copy(video, RESULTS / video.name))
    print(f"Done in {time.perf_counter() - started:.1f} s, and read back as promised: {found}")
    return copied


def show_workflow(server: Server, workflow: Workflow, text: str | None) -> None:
    """A shipped workflow on random weights."""
    print(f"\n{workflow.title} ({workflow.name})")
    if workflow.tiny_models:
        print("The checkpoints are tiny and their weights random: the video is noise, not what the prompt says.")
    video = make_video(server, workflow, text)
    print(f"\n  {video}")


def show_pocket(server: Server, text: str, title: str, prompt: Prompt, name: str) -> None:
    """A video that obeys the prompt, its contact sheet and its graph, in the results folder."""
    scene, caption = show.read_prompt(text)
    print(f'\n{title} on the pocket checkpoints: "{caption}"')
    bar = ProgressBar()
    started = time.perf_counter()
    with Client(server.url) as client:
        outputs = client.run(prompt, bar)
    bar.close()
    made = next(p for p in output_files(outputs, server.output) if p.parent.name == "oner")
    RESULTS.mkdir(parents=True, exist_ok=True)
    video = Path(shutil.copy(made, RESULTS / f"{name}.mp4"))
    clip, sound = show.read_video(video), show.read_sound(video)
    print(f"Done in {time.perf_counter() - started:.1f} s. The judge sees {show.verdict(clip, scene, sound)}")
    sheet, graph = video.with_suffix(".png"), video.with_suffix(".json")
    contact_sheet([clip], [caption]).save(sheet)
    graph.write_text(json.dumps(prompt, indent=1))
    print(f"\n  {video}\n  {sheet}\n  {graph} (the graph; open it in ComfyUI)")


def main() -> None:
    shipped = {workflow.name: workflow for workflow in workflows.load_all()}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", help=f"what the videos show; default: {show.PROMPT}")
    parser.add_argument("--keep", action="store_true", help="leave the server up until Ctrl-C")
    parser.add_argument("--workflow", choices=shipped, metavar="NAME", help="run this one, on random weights")
    options = parser.parse_args()
    chosen = shipped.get(options.workflow)
    text = options.prompt or show.PROMPT
    if chosen is None:
        show.read_prompt(text)  # an unknown word: say so now
    with throw_away() as scratch:
        base = gallery.make_base(Path(scratch))
        if chosen:
            chosen.write_tiny_models(base / "models")
        print("Starting ComfyUI ...", flush=True)
        with run_server(base, PORT) as server:
            if chosen:
                show_workflow(server, chosen, options.prompt)
            else:
                main_title = shipped[show.WORKFLOW].title
                show_pocket(server, text, main_title, show.workflow(text), "workflow")
                show_pocket(server, text, "LongLive take", show.take(text), "take")
            link = f"{server.url}/?template={options.workflow or show.WORKFLOW}&source={PACK_NAME}"
            if options.keep:
                print(f"\nIn the browser, until Ctrl-C: {link}", flush=True)
                server.process.wait()
            else:
                print(f"\nIn the browser: {link} while `make demo KEEP=1` keeps the server up")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else the server would outlive us
    try:
        main()
    except (WorkflowError, ValueError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
