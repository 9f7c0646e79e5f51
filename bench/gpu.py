"""All measurements of a GPU, one after another, each in a process of its own with a limit: `make bench`.

    python bench/gpu.py --out FOLDER [--parts kernels,graphs,...] [--limit 400] [--tiny]

FOLDER gets results.jsonl, to which every figure is appended as soon as it is known, and logs.txt.
`--tiny` is the dry run of the very same path for a CPU.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import start

HERE = Path(__file__).resolve().parent

LONGLIVE = ["longlive.py", "--vaes", "full VAE|full VAE, channels last"]


@dataclass(frozen=True)
class Part:
    """Commands that run beside each other, and the seconds after which they are stopped."""

    commands: list[list[str]]
    seconds: int


def graphs(kind: str, shares: int, *more: str) -> list[list[str]]:
    return [["graphs.py", "--kind", kind, "--share", f"{i + 1}/{shares}", *more] for i in range(shares)]


def parts(tiny: bool, recorded: str) -> dict[str, Part]:
    compare = ["--compare", recorded] if recorded else []
    names = ["--names", "LTX_2.3_Distilled_Text_to_Video"] if tiny else []
    shares = 1 if tiny else 5
    every = [
        *graphs("float32", shares, *compare, *names),
        *graphs("auto", shares, *names),
        *graphs("dynamic", shares, *names),
        *graphs("fp8", 1 if tiny else 3, *names),
    ]
    return {
        "kernels": Part([["kernels.py"]], 60),
        "tests": Part([["-m", "pytest", "-q", "-p", "no:cacheprovider", str(start.ROOT / "tests" / "gpu")]], 60),
        "graphs": Part(every, 150),
        "forward": Part([forward("wan-1.3b-480p,ltx-2.3-stage-1,ltx-2.3-stage-2,ltx-2.3-stage-2-image")], 120),
        "longlive": Part([["longlive.py", "--core", "--arms", "eager,cudnn"]], 90),
        "sage": Part([forward("wan-1.3b-480p,ltx-2.3-stage-2", "core,cudnn,sage")], 90),
        "decode": Part([["decode.py"]], 90),
        "decode-compiled": Part([["decode.py", "--compile"]], 150),
        "graphed": Part([[*LONGLIVE, "--arms", "cudnn graphs,cudnn compiled graphs"]], 150),
        "compiled": Part([forward("ltx-2.3-stage-1,wan-1.3b-480p", "core,exact,cudnn compiled")], 150),
        "large": Part([forward("wan-14b-720p,wan-5b-720p")], 150),
        "fp8": Part([forward("wan-1.3b-480p-fp8,ltx-2.3-stage-1-fp8")], 60),
    }


def forward(cases: str, arms: str = "core,exact,cudnn,phases,multimodal,core cfg,multimodal cfg,multimodal 4 passes"):
    return ["forward.py", "--cases", cases, "--arms", arms]


def run(part: Part, folder: Path, name: str, seconds: float) -> list[int | None]:
    """Exit codes; None for what was stopped."""
    common = ["--out", str(folder / "results.jsonl"), *(["--tiny"] if start.TINY else [])]
    # processes that share a machine take one thread each, for the sake of the others
    environment = start.environment() | ({"OMP_NUM_THREADS": "1"} if len(part.commands) > 1 else {})
    with tempfile.TemporaryDirectory() as scratch:
        processes = []
        for number, (script, *rest) in enumerate(part.commands):
            command = [script, *rest] if script == "-m" else [str(HERE / script), *rest, *common]
            with open(Path(scratch) / f"{number}.log", "w") as log:
                processes.append(subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env=environment))
        end = time.monotonic() + seconds
        codes: list[int | None] = []
        for process in processes:
            try:
                codes.append(process.wait(max(0.1, end - time.monotonic())))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                codes.append(None)
        with open(folder / "logs.txt", "a") as all_logs:
            for number, command in enumerate(part.commands):
                text = (Path(scratch) / f"{number}.log").read_text(errors="replace")
                all_logs.write(f"== {name}: {' '.join(command)}: {codes[number]}\n{text[-200_000:]}\n")
    return codes


def main() -> int:
    arguments = start.parse(
        __doc__,
        parts={"default": "", "help": "comma-separated; all of them if empty"},
        recorded={"default": "", "help": "what bench/graphs.py recorded on a CPU"},
        limit={"type": float, "default": 1e9, "help": "seconds for everything"},
    )
    folder = Path(arguments.out or start.ROOT / ".artifacts" / "bench")
    folder.mkdir(parents=True, exist_ok=True)
    everything = parts(start.TINY, arguments.recorded)
    begin = time.monotonic()
    failed = False
    for name in arguments.parts.split(",") if arguments.parts else everything:
        left = arguments.limit - (time.monotonic() - begin)
        if left < 10:
            print(f"{name}: no time left")
            continue
        at = time.monotonic()
        codes = run(everything[name], folder, name, min(left, everything[name].seconds if not start.TINY else 900))
        print(f"{name}: exit codes {codes} after {time.monotonic() - at:.0f} s", flush=True)
        failed |= any(codes) or None in codes
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
