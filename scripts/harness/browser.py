"""Drive ComfyUI's real frontend in headless Chromium: load graphs, read back what it makes of them, run them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

ARGUMENTS = [
    "--no-sandbox",  # root has no sandbox
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
VIEWPORT = {"width": 2560, "height": 1440}  # 16:9; large, so that a whole graph can be read on a screenshot
PAGE_READY = "window.app?.extensionManager?.spinner === false"  # window.app appears only after set-up

# What the frontend itself knows is wrong with a graph, and the graph as it would save and queue it.
LOAD = """async ([kind, graph, name]) => {
    const stores = document.querySelector('#vue-app').__vue_app__.config.globalProperties.$pinia._s
    const alerts = [], toast = stores.get('toast'), addAlert = toast.addAlert
    toast.addAlert = message => alerts.push(message)
    if (kind === 'api') await app.loadApiJson(graph, name)
    else await app.loadGraphData(graph, true, true, name)
    toast.addAlert = addAlert
    const { output, workflow } = await app.graphToPrompt()
    for (const node of Object.values(output)) {
        if (node.class_type === 'LoadVideo') node.inputs['video-preview'] ??= ''  // is there once the video has loaded
        delete node.inputs.audioUI  // the player, which frontend 1.45 queues too
    }
    const missing = stores.get('missingModel').missingModelCandidates ?? []
    return JSON.parse(JSON.stringify({  // as a file: without what is undefined
        prompt: output, workflow, alerts,
        missing_nodes: (stores.get('missingNodesError').missingNodesError?.nodeTypes ?? []).map(n => n.type ?? n),
        missing_models: missing.map(m => ({name: m.name, url: m.url ?? '', directory: m.directory ?? ''})),
    }))
}"""
QUEUE = """() => new Promise((resolve, reject) => {
    const on = (event, done) => app.api.addEventListener(event, e => done(e.detail), {once: true})
    on('execution_success', resolve)
    on('execution_error', e => reject(new Error(`${e.node_type} ${e.node_id}: ${e.exception_message}`)))
    on('execution_interrupted', () => reject(new Error('interrupted')))
    app.queuePrompt(0).then(queued => queued || reject(new Error('refused: ' + JSON.stringify(app.lastNodeErrors))))
})"""
SET_WIDGET = """([id, name, value]) => {
    const node = app.graph.nodes.find(n => String(n.id) === id)
    const widget = node.widgets.find(w => w.name === name)
    widget.value = value
    widget.callback?.(value)
}"""
# Zoom so that the graph fills the window; `margin` is what the toolbars cover on every side.
FIT = """margin => {
    const boxes = [...app.graph.nodes, ...app.graph.groups].map(item => item.boundingRect ?? item._bounding)
    const [left, top] = [0, 1].map(i => Math.min(...boxes.map(box => box[i])))
    const [right, bottom] = [0, 1].map(i => Math.max(...boxes.map(box => box[i] + box[i + 2])))
    const view = app.canvas.canvas.getBoundingClientRect(), ds = app.canvas.ds
    ds.scale = Math.min((view.width - 2 * margin) / (right - left), (view.height - 2 * margin) / (bottom - top), 1.5)
    ds.offset[0] = view.width / 2 / ds.scale - (left + right) / 2
    ds.offset[1] = view.height / 2 / ds.scale - (top + bottom) / 2
    app.canvas.draw(true, true)
    // DOM widgets follow the canvas a frame after it is drawn
    return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))
}"""
FOCUS = "app.extensionManager.command.execute('Workspace.ToggleFocusMode')"


@dataclass(frozen=True)
class Loaded:
    """A graph after the frontend has loaded it: `prompt` and `workflow` are what it would queue and save."""

    prompt: dict[str, Any]
    workflow: dict[str, Any]
    alerts: list[str]
    missing_nodes: list[str]
    missing_models: list[dict[str, str]]


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for path in map(shutil.which, names) if path), None)


@contextmanager
def open_page(url: str) -> Iterator[Page]:
    """A page with the frontend ready; RuntimeError without Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        raise RuntimeError("Chromium is not installed: install the package `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        try:
            page = browser.new_page(viewport=VIEWPORT)
            page.set_default_timeout(120_000)
            goto(page, url)
            yield page
        finally:
            browser.close()


def goto(page: Page, url: str) -> None:
    page.goto(url, wait_until="domcontentloaded")
    page.wait_for_function(PAGE_READY)


def load_api(page: Page, prompt: dict[str, Any], name: str) -> Loaded:
    """Load an API prompt, which the frontend lays out itself."""
    return Loaded(**page.evaluate(LOAD, ["api", prompt, name]))


def load_workflow(page: Page, workflow: dict[str, Any], name: str) -> Loaded:
    """Load a UI file."""
    return Loaded(**page.evaluate(LOAD, ["workflow", workflow, name]))


def set_widget(page: Page, node: str, widget: str, value: Any) -> None:
    page.evaluate(SET_WIDGET, [node, widget, value])


def queue_and_wait(page: Page) -> str:
    """Press Run and wait for the end; the prompt's id. Raises with the node's message if it fails."""
    return page.evaluate(QUEUE)["prompt_id"]


def screenshot(page: Page, path: Path) -> None:
    """The whole graph without toolbars, as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.evaluate(FOCUS)
    page.evaluate(FIT, 60)
    page.wait_for_timeout(300)  # previews of the graph before vanish late
    page.screenshot(path=path)
    page.evaluate(FOCUS)
