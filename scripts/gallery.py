"""Run shipped workflows on the pocket checkpoints and write their thumbnails and animations: what `make gallery` runs.

python scripts/gallery.py [NAME ...]    all entries of scripts/pocket/gallery.py, or some

Each clip is read back; if it does not show what its entry says, its pictures stay as they are, status 1.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from harness import pack

pack.alias_pack()
if not pack.start_core():
    sys.exit("No ComfyUI found: run `make setup`, or set COMFYUI_PATH")

import torch

import workflows
from harness.base import throw_away
from harness.executor import Executor
from pocket import gallery, thumbnails
from workflows.builder import split_target

THUMBNAILS = pack.ROOT / "workflows"
ANIMATIONS = pack.ROOT / "docs" / "gallery"


def write(name: str, made: gallery.Made) -> None:
    """The thumbnail and the animation of a workflow; its own video file if that has a sound."""
    entry, prompt = gallery.ENTRIES[name], workflows.load(name).prompt
    titles = {target: prompt[split_target(target)[0]]["_meta"]["title"] for target in entry.media}
    given = {titles[target]: footage.pictures() for target, footage in entry.media.items()}
    sheet = thumbnails.thumbnail(made.clip, given, entry.caption)
    sheet.save(THUMBNAILS / f"{name}.jpg", quality=88, comment=entry.caption)  # by which tests know whose it is
    ANIMATIONS.mkdir(exist_ok=True)
    thumbnails.save_animation(made.clip, list(given.values()), ANIMATIONS / f"{name}.webp")
    if made.sound:
        shutil.copy(made.file, ANIMATIONS / f"{name}.mp4")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *gallery.ENTRIES], metavar="NAME", help="default: all")
    names = parser.parse_args().names or gallery.ENTRIES
    failed = 0
    with throw_away() as scratch, torch.inference_mode():
        executor = Executor(gallery.make_base(Path(scratch)))
        for name in names:
            made = gallery.run(executor, name)
            found = gallery.faults(gallery.ENTRIES[name], made)
            print(f"{name}: {'; '.join(found) or 'as asked'}", flush=True)
            if found:
                failed += 1
            else:
                write(name, made)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
