"""Write tiny checkpoints into a models folder.

python scripts/tiny FOLDER [NAME ...]      --help lists the names
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import pack
from tiny import ENCODERS, MODELS, write_models


def main() -> None:
    names = "".join(f"  {name:22}text_encoders/tiny-{name}/\n" for name in ENCODERS) + "\n".join(
        f"  {name:22}{model.folder}/{model.file}" for name, model in MODELS.items()
    )
    parser = argparse.ArgumentParser(
        prog="python scripts/tiny",
        description="Write tiny random-weight checkpoints into a models folder.",
        epilog=f"names:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="default: all but the big ones (the tiny autoencoders)"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - {*MODELS, *ENCODERS}):
        parser.error(f"unknown: {', '.join(unknown)}; --help lists the names")
    if not pack.start_core():
        parser.error("no ComfyUI found; run the set-up first, or set COMFYUI_PATH")
    for name, path in write_models(arguments.folder, arguments.names or None, arguments.seed).items():
        print(f"{name:22} {path}")


if __name__ == "__main__":
    main()
