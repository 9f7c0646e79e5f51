"""Write the shipped workflows from scripts/workflows/: API prompts, UI files and thumbnails.

    python scripts/build_workflows.py            all files; needs Chromium, as the real frontend makes the UI files
    python scripts/build_workflows.py NAME ...   those of some workflows
    python scripts/build_workflows.py --check    compare the API prompts with the committed ones, write nothing

UI files hold widths from font metrics, so they are not compared as text: the browser tests compare their prompts.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import pack

pack.alias_pack()
pack.start_core()

from comfyui_version import __version__ as CORE_VERSION

import workflows
from harness.base import PACK_NAME, make_base, throw_away
from harness.browser import load_api, load_workflow, open_page, screenshot
from harness.server import run_server
from pocket.gallery import ENTRIES as GALLERY
from workflows.builder import Model, Workflow, split_target
from workflows.layout import arrange

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = pack.ROOT / "workflows"
SCREENSHOTS = pack.ROOT / ".artifacts" / "screenshots"
THUMBNAIL = (640, 360)
PLAYER_READY = 2000  # milliseconds; a player that comes up after its graph is gone stays on screen
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "oner/workflows")


def api_path(workflow: Workflow) -> Path:
    return FOLDER / "api" / f"{workflow.name}.json"


def api_text(workflow: Workflow) -> str:
    return json.dumps(workflow.prompt, indent=2, sort_keys=True) + "\n"


def check() -> int:
    """The exit status: 1 if a committed API prompt is not what its module builds, or belongs to no module."""
    expected = {api_path(workflow): api_text(workflow) for workflow in workflows.load_all()}
    stale = [path for path, text in expected.items() if not path.exists() or path.read_text() != text]
    stale += sorted(set((FOLDER / "api").glob("*.json")) - set(expected))
    for path in stale:
        print(f"{path.relative_to(pack.ROOT)} is not current: run scripts/build_workflows.py")
    return int(bool(stale))


def build(names: list[str]) -> None:
    shipped = [workflows.load(name) for name in names] or workflows.load_all()
    for workflow in shipped:
        api_path(workflow).parent.mkdir(parents=True, exist_ok=True)
        api_path(workflow).write_text(api_text(workflow))
    with throw_away() as scratch:
        base = make_base(Path(scratch))
        for workflow in shipped:
            place_models(workflow, base / "models")
            workflow.write_inputs(base / "input")
        with run_server(base) as server, open_page(server.url) as page:
            for workflow in shipped:
                ui = build_ui(page, workflow)
                (FOLDER / f"{workflow.name}.json").write_text(json.dumps(ui, indent=2) + "\n")
                write_thumbnail(page, workflow)
                print(f"{workflow.name}: {len(workflow.prompt)} nodes")


def place_models(workflow: Workflow, models: Path) -> None:
    """Empty files under the names the workflow loads, so that nothing is reported missing."""
    for target, model in workflow.models.items():
        path = models / model.directory / widget_value(workflow, target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def linked(workflow: Workflow) -> dict[str, Model]:
    return {target: model for target, model in workflow.models.items() if model.url}


def widget_value(workflow: Workflow, target: str) -> Any:
    node, widget = split_target(target)
    return workflow.prompt[node]["inputs"][widget]


def build_ui(page: Page, workflow: Workflow) -> dict[str, Any]:
    """The UI file as the frontend saves it after laying out; RuntimeError if it does not give the same prompt back."""
    ui = load_api(page, workflow.prompt, workflow.name).workflow
    if any(node["class_type"] == "LoadVideo" for node in workflow.prompt.values()):
        page.wait_for_timeout(PLAYER_READY)
    arrange(ui, workflow.groups, [(workflow.title, note_text(workflow))])
    stamp(ui, workflow)
    loaded = load_workflow(page, ui, workflow.name)
    if loaded.alerts or loaded.missing_nodes:
        raise RuntimeError(f"{workflow.name}: the frontend reports {loaded.alerts + loaded.missing_nodes}")
    if loaded.prompt != workflow.prompt:
        raise RuntimeError(
            f"{workflow.name}: the frontend makes another prompt:\n{differences(workflow, loaded.prompt)}"
        )
    saved = loaded.workflow
    saved["id"] = str(uuid.uuid5(NAMESPACE, workflow.name))
    saved["extra"].pop("ds", None)
    return saved


def differences(workflow: Workflow, prompt: dict[str, Any]) -> str:
    ids = sorted(set(workflow.prompt) | set(prompt))
    lines = [
        f"  {id}: built {workflow.prompt.get(id)}\n  {id}: loads {prompt.get(id)}"
        for id in ids
        if workflow.prompt.get(id) != prompt.get(id)
    ]
    return "\n".join(lines)


def stamp(ui: dict[str, Any], workflow: Workflow) -> None:
    """Say on each node which pack it comes from, and on loaders where their files are; keep seeds as they are."""
    pack_version = re.search(r'^version = "(.+)"', (pack.ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    nodes = {str(node["id"]): node for node in ui["nodes"] if str(node["id"]) in workflow.prompt}
    for node in nodes.values():
        if node["type"].startswith("Oner"):
            node["properties"] |= {"cnr_id": PACK_NAME, "ver": pack_version}
        else:
            node["properties"] |= {"cnr_id": "comfy-core", "ver": workflow.core or CORE_VERSION}
        values = node.get("widgets_values") or []
        node["widgets_values"] = ["fixed" if value == "randomize" else value for value in values]
    for target, model in linked(workflow).items():
        entry = {"name": widget_value(workflow, target), "url": model.url, "directory": model.directory}
        nodes[split_target(target)[0]]["properties"].setdefault("models", []).append(entry)


def note_text(workflow: Workflow) -> str:
    files = {(model.directory, widget_value(workflow, target)): model.url for target, model in linked(workflow).items()}
    parts = [f"# {workflow.title}", workflow.description]
    if workflow.core:
        parts.append(f"Needs ComfyUI {workflow.core} or newer.")
    if files:
        links = [f"- `models/{directory}`: [{name}]({url})" for (directory, name), url in files.items()]
        parts += ["## Models", "\n".join(links)]
    return "\n\n".join([*parts, "## How to use", workflow.how_to])


def write_thumbnail(page: Page, workflow: Workflow) -> None:
    """The graph on screen: whole as .artifacts/screenshots/<name>.png, and at 16:9 as the template's JPEG.

    The JPEG of a workflow in the gallery is a picture of its clip, and scripts/gallery.py writes it.
    """
    from PIL import Image

    shot = SCREENSHOTS / f"{workflow.name}.png"
    screenshot(page, shot)
    if workflow.name in GALLERY:
        return
    small = Image.open(shot).convert("RGB").resize(THUMBNAIL, Image.Resampling.LANCZOS)
    small.save(FOLDER / f"{workflow.name}.jpg", quality=80)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if the committed API prompts are not current")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a workflow to write, such as LTX_2.3_Retake")
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    build(arguments.names)
    return 0


if __name__ == "__main__":
    sys.exit(main())
