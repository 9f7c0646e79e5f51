"""Names of files and folders that come from outside: a graph, a settings file, a downloaded index.

A plain name means the same place below its folder on Windows as elsewhere, or, like "a?b", cannot be made there.
Sources: ComfyUI's `get_save_image_path` and `is_within_directory`; Microsoft, "Naming Files, Paths, and Namespaces".
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

LONGEST_PART, LONGEST = 255, 1024  # bytes in UTF-8: a file name on common file systems; a whole name
CONTROL = {"Cc", "Cs", "Zl", "Zp"}  # Unicode categories: control, lone surrogate, line and paragraph separator
RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    port + number for port in ("COM", "LPT") for number in "123456789¹²³"
}


def plain_path(name: str, what: str, *, new: bool = False, spare: int = 0) -> PurePosixPath:
    """`name` as a relative path of plain parts, "a//./b" as "a/b".

    `what` is the input that the sentence names; a `new` name is to be made, and may grow by `spare` bytes before that.
    Raises ValueError with the reason and the remedy.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0  # a lone surrogate, named below
    fault = f"is {size} bytes long: use at most {LONGEST}" if size > LONGEST else _fault(name, new, spare)
    if fault:
        shown = name if len(name) <= 60 else f"{name[:60]}..."
        raise ValueError(f"{what} {shown!r} {fault}")
    return PurePosixPath(name)


def check_within(folder: Path, path: Path, what: str) -> None:
    """Raise ValueError if `path` leaves `folder` once its links are followed; neither has to exist."""
    root, target = os.path.realpath(folder), os.path.realpath(path)
    if root != target and Path(root) not in Path(target).parents:
        raise ValueError(f"{what}: {path} leads out of {folder} through a link: put the real file or folder there")


def free_folder(parent: Path, name: str) -> Path:
    """A new folder name_00001, name_00002, ... below `parent`."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / f"{name}_{number:05}"
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def _fault(name: str, new: bool, spare: int) -> str:
    """What keeps a name from being plain; empty if nothing does."""
    parts = PurePosixPath(name).parts
    odd = next((c for c in name if unicodedata.category(c) in CONTROL), None)
    if odd is not None:
        return f"holds the control character U+{ord(odd):04X}: remove it"
    if not name.strip() or not parts:
        return "names nothing: give a name"
    if "\\" in name:
        return r"holds a \: separate folders by /"
    if name.startswith("/"):
        return "is an absolute path: give a name below the folder"
    if re.match("[A-Za-z]:", name):
        return f"starts with {name[:2]!r}, a drive of Windows: give a name below the folder"
    if new and ":" in name:
        return "holds a colon, which Windows keeps for drives and streams: remove it"
    if ".." in parts:
        return "leads out of its folder by ..: give a name below it"
    for part, grows in zip(parts, [0] * (len(parts) - 1) + [spare], strict=True):
        stem = part.split(".")[0].rstrip(" ")
        if stem.upper() in RESERVED:
            return f"holds {stem!r}, which is a device on Windows: choose another name"
        if part.endswith((".", " ")):
            return f"holds {part!r}, which ends in a dot or a space: remove it"
        if len(part.encode()) + grows > LONGEST_PART:
            return f"has a part of {len(part.encode())} bytes: use at most {LONGEST_PART - grows}"
    return ""
