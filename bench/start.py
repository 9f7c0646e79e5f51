"""ComfyUI and the pack for a measurement, and what every measurement needs: a clock, a log, a time limit.

A measurement is a script that imports this module first: ComfyUI reads its arguments when it is imported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "scripts"))

from harness import pack

TINY = "--tiny" in sys.argv


def parse(doc: str | None, **extra: dict) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, for a CPU: shows that it runs, not how fast")
    parser.add_argument("--out", default="", help="a file to which every result is appended at once, as a JSON line")
    for name, settings in extra.items():
        parser.add_argument(f"--{name}", **settings)
    return parser.parse_args()


def start(base: Path | None = None, *, dynamic: bool = False, **arguments: bool | str) -> None:
    """Import ComfyUI with `arguments` of its command line set, and ready for dynamic VRAM if `dynamic`."""
    pack.alias_pack()
    if not pack.start_core(None if base is None else str(base)):
        sys.exit("no ComfyUI found: set COMFYUI_PATH")
    from comfy.cli_args import args

    for name, value in arguments.items():
        setattr(args, name, value)
    if dynamic and not args.cpu:  # before torch starts CUDA, as main.py has it
        import comfy_aimdo.control

        comfy_aimdo.control.init()


def turn_on_dynamic_vram() -> None:
    """As main.py does; layers that are made from now on have no weights until a file is loaded."""
    import comfy.memory_management
    import comfy.model_management
    import comfy.model_patcher
    from comfy.cli_args import args

    if args.cpu:
        return
    import comfy_aimdo.control

    headroom = int(args.vram_headroom * 1024**3)
    devices = comfy.model_management.get_all_torch_devices()
    if not comfy_aimdo.control.init_devices((device.index, headroom) for device in devices):
        raise RuntimeError("comfy-aimdo does not work here: no dynamic VRAM")
    comfy_aimdo.control.set_log_error()
    comfy.model_patcher.CoreModelPatcher = comfy.model_patcher.ModelPatcherDynamic
    comfy.memory_management.aimdo_enabled = True


def device():
    import comfy.model_management

    return comfy.model_management.get_torch_device()


def wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(run: Callable[[], object]) -> float:
    wait()
    begin = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - begin


def median_ms(run: Callable[[], object], repeats: int, warm: int = 1) -> float:
    for _ in range(warm):
        run()
    return 1000 * statistics.median(seconds(run) for _ in range(repeats))


def machine() -> dict:
    import torch
    from comfyui_version import __version__

    found = {
        "device": f"{platform.machine()} CPU",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "comfyui": __version__,
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name()
        found["cuda"] = torch.version.cuda
        found["cudnn"] = str(torch.backends.cudnn.version())
    return found


class Log:
    """Results as JSON lines, each on disk as soon as it is known: a run that is cut short loses none."""

    def __init__(self, section: str, out: str) -> None:
        self.section, self.out, self.begin = section, out, time.perf_counter()

    def add(self, name: str, **values: object) -> None:
        at = round(time.perf_counter() - self.begin, 1)
        line = json.dumps({"section": self.section, "name": name, "at_s": at, **values}, default=str)
        print(line, flush=True)
        if self.out:
            with open(self.out, "a") as file:
                file.write(line + "\n")

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """What fails is a result too; the rest goes on."""
        try:
            yield
        except Exception as error:  # a measurement of what breaks
            where = traceback.format_exc().splitlines()[-12:]
            self.add(name, error=f"{type(error).__name__}: {error}"[:600], traceback=where)


def peak_gib(run: Callable[[], object]) -> float:
    """Largest memory in use on the device while `run` runs; 0 on a CPU."""
    import torch

    if not torch.cuda.is_available():
        run()
        return 0.0
    torch.cuda.reset_peak_memory_stats()
    run()
    wait()
    return round(torch.cuda.max_memory_allocated() / 1024**3, 2)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
