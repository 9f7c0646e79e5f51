"""Contact sheets of the pocket models: `python scripts/pocket/contact.py [NAME ...]` writes pocket/<NAME>.png."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["wan", "ltx", "ltx-image"])
    parser.add_argument("--models", type=Path)
    parser.add_argument("--count", type=int, default=24)
    args = parser.parse_args()
    pack.alias_pack()
    if not pack.start_core():
        raise SystemExit("No ComfyUI found: run `make setup`, or set COMFYUI_PATH")
    import torch

    from harness.base import throw_away
    from harness.executor import Executor
    from pocket import graphs, world
    from pocket.files import FOLDER
    from pocket.sheets import contact_sheet

    torch.set_grad_enabled(False)
    models = args.models or FOLDER
    with throw_away() as scratch:
        executor = Executor(graphs.make_base(Path(scratch), models))
        for name in args.names:
            shipped = graphs.SHIPPED[name]
            scenes = graphs.prompts(args.count, shipped.frames)
            graphs.write_first_frames(executor.base, scenes)
            if shipped.guide:
                shipped.guide(executor.base, scenes, shipped.frames)
            clips = graphs.run(executor, name, scenes)
            captions = [world.caption(s)[2:].replace(" background", "") for s in scenes]
            side = clips.shape[2]
            sheet = contact_sheet(clips, captions, across=3, columns=5, rows=1, side=side, gap=0, margin=14, font=10)
            sheet.save(models / f"{name}.png")


if __name__ == "__main__":
    main()
