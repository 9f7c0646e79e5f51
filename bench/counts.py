"""Counts that may not regress, for one run of each shipped workflow on tiny checkpoints: `make bench-ci`.

    python bench/counts.py           compare with bench/counts.json, exit 1 if a count grew
    python bench/counts.py --write   record the current counts

Counted, never timed: model forwards and their batch, multiply-adds of all matrix and convolution work, and the
largest number of bytes the sampled latents take.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from harness import pack

pack.alias_pack()
BASE = pack.ROOT / ".cache" / "tiny"
BASE.mkdir(parents=True, exist_ok=True)
pack.start_core(str(BASE))

import torch
from comfy.ldm.lightricks.model import LTXBaseModel
from comfy.ldm.wan.model import Head, WanModel
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.flop_counter import FlopCounterMode

from harness.executor import Executor
from oner.utils.worker import Worker
from workflows import Workflow, load_all

FILE = Path(__file__).with_suffix(".json")
SLACK = 1.01  # FLOPs depend a little on core's release


class Forwards:
    """Counts calls of diffusion models, and samples in them, while active.

    A LongLive rollout calls the parts of a Wan model itself: there the head stands for the whole.
    """

    def __init__(self) -> None:
        self.calls, self.samples, self.inside = 0, 0, 0

    def enter(self, module: torch.nn.Module, inputs: tuple) -> None:
        whole = isinstance(module, (LTXBaseModel, WanModel))
        if whole or (isinstance(module, Head) and not self.inside):
            x = inputs[0][0] if isinstance(inputs[0], list) else inputs[0]  # LTX-2 takes [video, audio]
            self.calls += 1
            self.samples += x.shape[0]
        self.inside += whole

    def leave(self, module: torch.nn.Module, _inputs: tuple, _output: object) -> None:
        self.inside -= isinstance(module, (LTXBaseModel, WanModel))

    def __enter__(self) -> Forwards:
        self.hooks = [
            register_module_forward_pre_hook(self.enter),
            register_module_forward_hook(self.leave, always_call=True),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()


def unthread() -> None:
    """Have takes decode at once instead of beside their sampling: the FLOP counter sees one thread only."""
    for name, module in list(sys.modules.items()):
        if name.endswith(".longlive.take"):  # ComfyUI loads the pack under a name of its own
            module.Worker = lambda work, device, **_: Worker(work, device, threaded=False)


def measure(workflow: Workflow, executor: Executor) -> dict[str, int]:
    workflow.write_tiny_models(executor.base / "models")
    workflow.write_inputs(executor.base / "input")
    unthread()
    with Forwards() as forwards, FlopCounterMode(display=False) as flops:
        result = executor.run(workflow.tiny_prompt())
    for file in result.files:
        file.unlink()
    return {
        "forwards": forwards.calls,
        "forward_samples": forwards.samples,
        "mega_flops": round(flops.get_total_flops() / 1e6),
    }


def main() -> int:
    executor = Executor(BASE)
    counts = {workflow.name: measure(workflow, executor) for workflow in load_all() if workflow.runs_here}
    known = json.loads(FILE.read_text())
    if "--write" in sys.argv:  # what only a newer ComfyUI runs keeps the counts that it gave there
        FILE.write_text(json.dumps({**known, **counts}, indent=2) + "\n")
        return 0
    failed = False
    for name, current in counts.items():
        for count, value in current.items():
            allowed = known.get(name, {}).get(count)
            grew = allowed is None or value > allowed * (SLACK if count == "mega_flops" else 1)
            failed |= grew
            print(f"{'grew' if grew else 'ok':5} {name}  {count} {value}, recorded {allowed}")
    if failed:
        print("a count grew: find out why, or record it with python bench/counts.py --write")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
