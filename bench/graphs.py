"""Every shipped workflow, executed on this machine's device with tiny checkpoints: what breaks there?

    python bench/graphs.py --record FILE                      on a CPU: samples of what every node gives, in float32
    python bench/graphs.py --compare FILE [--kind float32]    the same on a GPU, and how far it is from the recording
    python bench/graphs.py --kind auto|fp8|dynamic            in ComfyUI's own choice of precision: that it runs

With `--share 2/8` it runs the second eighth of the workflows. Errors of nodes are results, not a reason to stop.
"""

from __future__ import annotations

from pathlib import Path

import start

from harness.base import throw_away

arguments = start.parse(
    __doc__,
    kind={"default": "float32", "choices": ["float32", "auto", "fp8", "dynamic"]},
    record={"default": ""},
    compare={"default": ""},
    share={"default": "1/1"},
    names={"default": "", "help": "comma-separated names of workflows; all of them if empty"},
)
scratch = throw_away()
BASE = Path(scratch.name)
KINDS = {"float32": {"force_fp32": True}, "fp8": {"fp8_e4m3fn_unet": True}}
# no frontend is served, so none is needed
start.start(BASE, dynamic=arguments.kind == "dynamic", front_end_root=str(BASE), **KINDS.get(arguments.kind, {}))

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from harness.executor import Executor
from workflows import Workflow, load_all

SAMPLES = 256
Samples = dict[str, Tensor]


def tensors(value: object) -> list[Tensor]:
    """The tensors in a node's output: of a latent, an image, a sound, a prompt."""
    if isinstance(value, Tensor):
        return [value]
    if getattr(value, "is_nested", False):
        return list(value.unbind())  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return [t for key in ("samples", "waveform", "noise_mask") if key in value for t in tensors(value[key])]
    if isinstance(value, list):  # a CONDITIONING: pairs of what a text encoder gave and a dict
        return [pair[0] for pair in value if isinstance(pair, list | tuple) and pair and isinstance(pair[0], Tensor)]
    return []


def samples(name: str, slots: dict[str, list]) -> Samples:
    """Some values of everything that the nodes of a workflow gave."""
    found = {}
    for node, outputs in slots.items():
        for slot, value in enumerate(outputs):
            for part, tensor in enumerate(tensors(value)):
                flat = tensor.detach().flatten().float().cpu()
                picked = flat[:: max(1, flat.numel() // SAMPLES)][:SAMPLES].clone()
                found[f"{name}/{node}/{slot}/{part}"] = picked
    return found


def run(log: start.Log, executor: Executor, workflow: Workflow) -> Samples:
    found: Samples = {}
    with log.trying(f"{workflow.name}, {arguments.kind}"):
        result = executor.run(workflow.tiny_prompt())
        found = samples(workflow.name, result.slots)
        bad = [key.removeprefix(workflow.name + "/") for key, x in found.items() if not x.isfinite().all()]
        log.add(f"{workflow.name}, {arguments.kind}", files=len(result.files), values=len(found), not_finite=bad)
        for file in result.files:
            file.unlink()
    return found


def compare(log: start.Log, workflow: Workflow, found: Samples, known: Samples) -> None:
    errors = {}
    for key, expected in known.items():
        if key.startswith(workflow.name + "/") and key in found:
            actual = found[key]
            if actual.shape != expected.shape:
                errors[key] = float("inf")
            else:
                errors[key] = float((actual - expected).norm() / expected.norm().clamp(min=1e-12))
    far = {key.removeprefix(workflow.name + "/"): e for key, e in errors.items() if not e < 1e-4}
    log.add(f"{workflow.name}, against the CPU", values=len(errors), worst=max(errors.values(), default=0.0), far=far)


def main() -> None:
    torch.backends.cudnn.allow_tf32 = False
    log = start.Log("graphs", arguments.out)
    number, count = map(int, arguments.share.split("/"))
    executor = Executor(BASE)
    known = load_file(arguments.compare) if arguments.compare else {}
    everything: Samples = {}
    here = [workflow for workflow in load_all() if workflow.runs_here]
    chosen = [w for w in here if not arguments.names or w.name in arguments.names.split(",")]
    mine = chosen[number - 1 :: count]
    for workflow in mine:
        workflow.write_tiny_models(executor.base / "models")
        workflow.write_inputs(executor.base / "input")
    if arguments.kind == "dynamic":
        start.turn_on_dynamic_vram()
    for workflow in mine:
        found = run(log, executor, workflow)
        everything |= found
        if known and found:
            compare(log, workflow, found, known)
    if arguments.record:
        save_file(everything, arguments.record)


if __name__ == "__main__":
    main()
    scratch.cleanup()
