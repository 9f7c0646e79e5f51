"""Train pocket checkpoints: `python scripts/pocket/__main__.py [NAME ...] [--seconds S] [--seed N] [--resume]`.

Without names: everything, in order. Each training uses one thread; run several names in several processes at once.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import pack


def main() -> None:
    from pocket.files import FOLDER, save
    from pocket.recipes import RECIPES

    parser = argparse.ArgumentParser(prog="pocket", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *RECIPES], help="what to train; default: all")
    parser.add_argument("--seconds", type=float, help="CPU seconds instead of the recipe's")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the set lies and is written")
    parser.add_argument("--resume", action="store_true", help="go on from the weights that are there")
    args = parser.parse_args()

    pack.alias_pack()
    if not pack.start_core():
        raise SystemExit("No ComfyUI found: run `make setup`, or set COMFYUI_PATH")
    import torch

    torch.set_num_threads(1)
    for name in args.names or RECIPES:
        recipe = RECIPES[name]
        module = importlib.import_module(f"pocket.{recipe.module}")
        seconds = recipe.seconds if args.seconds is None else args.seconds
        seed = recipe.seed if args.seed is None else args.seed
        result = module.train(seconds, seed, args.out, args.resume)
        if result is not None:  # the text encoders write a folder of their own
            save(args.out / recipe.file, *result, recipe.dtype)


if __name__ == "__main__":
    main()
