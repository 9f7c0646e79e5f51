"""Contact sheets of the pocket models: `python scripts/pocket/contact.py [NAME ...]` writes pocket/<NAME>.png."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import pack

COLUMNS, SHOWN, MARGIN = 3, 5, 14  # clips a row, frames a clip, pixels above for the caption


def sheet(clips, captions: list[str]):
    """A PIL image: each clip [F, H, W, 3] as SHOWN frames in a strip under its caption."""
    import torch
    from PIL import Image, ImageDraw

    size = clips[0].shape[1]
    width, height = SHOWN * size + 8, size + MARGIN + 4
    rows = -(-len(clips) // COLUMNS)
    image = Image.new("RGB", (COLUMNS * width, rows * height), (24, 24, 28))
    draw = ImageDraw.Draw(image)
    for i, (clip, caption) in enumerate(zip(clips, captions, strict=True)):
        left, top = i % COLUMNS * width + 4, i // COLUMNS * height
        draw.text((left, top + 1), caption, fill=(220, 220, 220), font_size=10)
        picks = torch.linspace(0, len(clip) - 1, SHOWN).round().long()
        strip = torch.cat(list(clip[picks].clamp(0, 1)), dim=1)
        image.paste(Image.fromarray((strip * 255).round().to(torch.uint8).numpy()), (left, top + MARGIN))
    return image


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
            sheet(clips, [world.caption(s)[2:].replace(" background", "") for s in scenes]).save(models / f"{name}.png")


if __name__ == "__main__":
    main()
