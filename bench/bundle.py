"""One archive that measures on a GPU machine without a network: `make gpu-bundle`.

    python bench/bundle.py [--cards 90] [--python 3.12] [--core TREE] [--recorded FILE]

It holds the pack, the ComfyUI tree, the wheels that a machine with torch and the usual packages lacks, and
run_offline.sh. Kernels in the wheels for compute capabilities other than `--cards` are blanked, so that it stays small.
"""

from __future__ import annotations

import argparse
import io
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "scripts"))

from harness import pack

# What ComfyUI imports and machines with torch, transformers, scipy and their like do not have.
WHEELS = """alembic annotated-types av blake3 comfy-aimdo comfy-angle comfy-kitchen greenlet kornia kornia_rs
lazy-importer Mako pydantic pydantic-settings pydantic_core PyOpenGL python-dotenv simpleeval spandrel SQLAlchemy
torchsde trampoline typing-inspection"""
OPTIONAL = ["sageattention==1.0.6"]  # of Python alone; needs triton, which torch brings
GLIBC = (17, 24, 26, 27, 28, 31, 34)
PACK = ["__init__.py", "nodes", "ltx", "wan", "longlive", "samplers", "utils", "scripts", "bench", "pyproject.toml"]
PACK += ["tests/gpu", "tests/conftest.py", "web"]
NOT_OF_CORE = ("blueprints/", "tests/", "tests-unit/", ".github/", "comfy_api_nodes/")
OTHER_CARDS = ("backends/hip/", "aimdo_rocm.so")
LIMIT = 60 * 2**20

RUN = """#!/bin/bash
# python3 with torch for a GPU, transformers, scipy and aiohttp; nothing is installed and nothing is fetched.
#     bash run_offline.sh [--parts kernels,graphs,...] [--limit SECONDS] [--tiny] [--out FOLDER]
cd "$(dirname "$0")" || exit 1
export PYTHONPATH="$PWD/site" COMFYUI_PATH="$PWD/comfyui" PYTHONDONTWRITEBYTECODE=1
recorded=(); [ -f recorded.safetensors ] && recorded=(--recorded "$PWD/recorded.safetensors")
exec python3 oner/bench/gpu.py "${recorded[@]}" "$@"
"""


def download(folder: Path, python: str) -> list[Path]:
    names = [f"{name}=={version(name)}" for name in WHEELS.split()] + OPTIONAL
    platforms = [f"--platform=manylinux_2_{minor}_x86_64" for minor in GLIBC] + ["--platform=manylinux2014_x86_64"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += [f"--python-version={python}", "--implementation=cp", *platforms, "--dest", str(folder), *names]
    subprocess.run(command, check=True)
    return sorted(folder.glob("*.whl"))


def blank_kernels(library: bytes, cards: set[int]) -> bytes:
    """The library with the code for other cards zeroed, which then compresses to nothing; offsets stay as they are.

    A fat binary is a header (magic, version, header size, size) before entries (kind, version, header size, size, ...,
    compute capability at byte 28), as cuobjdump lists them.
    """
    data, magic = bytearray(library), struct.pack("<I", 0xBA55ED50)
    at = data.find(magic)
    while at != -1:
        header, size = struct.unpack_from("<HQ", data, at + 6)
        entry, end = at + header, at + header + size
        while entry < end:
            (length,), (body,) = struct.unpack_from("<I", data, entry + 4), struct.unpack_from("<Q", data, entry + 8)
            if struct.unpack_from("<I", data, entry + 28)[0] not in cards:
                data[entry + length : entry + length + body] = bytes(body)
            entry += length + body
        at = data.find(magic, max(end, at + 4))
    return bytes(data)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o755
    tar.addfile(info, io.BytesIO(content))


def write(target: Path, core: Path, python: str, cards: set[int], recorded: Path | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:xz", preset=6) as tar, tempfile.TemporaryDirectory() as scratch:
        add(tar, "run_offline.sh", RUN.encode())
        if recorded:
            add(tar, "recorded.safetensors", recorded.read_bytes())
        tracked = subprocess.run(["git", "ls-files", *PACK], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in tracked.stdout.splitlines():
            add(tar, f"oner/{name}", (ROOT / name).read_bytes())
        for path in sorted(core.rglob("*")):
            name = path.relative_to(core).as_posix()
            if path.is_file() and not name.startswith(NOT_OF_CORE) and "__pycache__" not in name:
                add(tar, f"comfyui/{name}", path.read_bytes())
        for wheel in download(Path(scratch), python):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if not name.endswith("/") and not any(other in name for other in OTHER_CARDS):
                        content = archive.read(name)
                        if name.endswith(".so") and "cuda" in name:
                            content = blank_kernels(content, cards)
                        add(tar, f"site/{name}", content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, nargs="+", default=[90], help="compute capabilities, e.g. 89 90 120")
    parser.add_argument("--python", default="3.12", help="the machine's Python")
    parser.add_argument("--core", type=Path, default=pack.find_comfy(), help="ComfyUI tree")
    parser.add_argument("--recorded", type=Path, help="what bench/graphs.py --record wrote on a CPU")
    parser.add_argument("--out", type=Path, default=ROOT / ".artifacts" / "oner-gpu.tar.xz")
    options = parser.parse_args()
    write(options.out, options.core, options.python, set(options.cards), options.recorded)
    size = options.out.stat().st_size
    print(f"{options.out}: {size / 2**20:.1f} MiB")
    return int(size > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
