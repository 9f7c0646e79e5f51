"""Every place on disk that a node's input names: takes, prefixes, files of the input folder, encoder folders.

A prefix means what it means in ComfyUI's own save nodes: sub-folders, %year% and %width%, and also the
%date:yyyy-MM-dd% and %Node.widget% that the browser fills in for those. Nothing leaves ComfyUI's folders; model
folders alone may hold links, which only their owner can make.
"""

from __future__ import annotations

import re
import time
from pathlib import Path, PurePosixPath

import folder_paths

from ..utils.names import check_within, free_folder, plain_path

PARENT = "takes"  # folder below ComfyUI's output folder
NUMBER = 6  # bytes of the number that a take's folder gets, "_00001"
FRAME = len("_00001.exr")  # bytes that the name of a saved picture gets
DATE_FIELDS = {"d": "tm_mday", "M": "tm_mon", "h": "tm_hour", "m": "tm_min", "s": "tm_sec"}
FORBIDDEN_IN_VALUES = r'[/?<>\\:*|"\x00-\x1f\x7f]'  # what the browser replaces in a widget's value


def takes_folder() -> Path:
    return Path(folder_paths.get_output_directory()) / PARENT


def take_name(folder: Path) -> str:
    """What LongLive Load Take calls a take's folder: "take_00001" or "shots/take_00001"."""
    return folder.relative_to(takes_folder()).as_posix()


def find_take(name: str, what: str = "name") -> Path:
    """The folder of a take below output/takes. Raises ValueError if it is not there, or a name or link leads out."""
    folder = takes_folder() / plain_path(_text(name, what), what)
    _check_links(Path(folder_paths.get_output_directory()), folder, what)
    if not folder.is_dir():
        raise ValueError(f"{what} {name!r} is no folder below output/{PARENT}: give a take's name, such as take_00001")
    return folder


def fill_prefix(
    prefix: str, prompt: dict | None, what: str = "filename_prefix", *, folder: Path | None = None, spare: int = NUMBER
) -> str:
    """A prefix with its dates and widget values filled in; what the sizes and numbers stand for comes in `new_take`.

    `prompt` is the API prompt {id: {class_type, inputs}}; a widget's value, such as a sentence, loses the dots and
    spaces at its end. Raises ValueError if it could not be put into `folder` (that of the takes), `spare` bytes longer.
    """
    now = time.localtime()

    def fill(match: re.Match) -> str:
        key = match[1]
        if key == "date" or key.startswith("date:"):
            return _format_date(key.partition(":")[2] or "yyyy-MM-dd", now)
        value = _widget(prompt or {}, key)
        if value is None:
            return match[0]
        words = re.sub(FORBIDDEN_IN_VALUES, "_", str(value).lower() if isinstance(value, bool) else str(value))
        return words.rstrip(". ") or words

    prefix = _text(prefix, what)
    filled = re.sub("%([^%]+)%", fill, prefix)
    plain = plain_path(filled, what if filled == prefix else f"{what} {prefix!r}, filled in as", new=True, spare=spare)
    check_within(Path(folder_paths.get_output_directory()), (folder or takes_folder()) / plain.parent, what)
    return plain.as_posix()


def new_take(prefix: str, width: int, height: int, what: str = "filename_prefix") -> Path:
    """Make output/takes/<prefix>_00001, the first number that is free, from what `fill_prefix` gave."""
    try:
        output = folder_paths.get_output_directory()
        folder, name, *_ = folder_paths.get_save_image_path(f"{PARENT}/{prefix}", output, width, height)
        return free_folder(Path(folder), name)
    except OSError as error:
        raise ValueError(
            f"{what} {prefix!r}: no folder can be made there ({error}): name another, or move what is there"
        ) from error


def new_file(prefix: str, prompt: dict | None, width: int, height: int, ending: str) -> Path:
    """The next free file output/<prefix>_00001_<ending>, as ComfyUI's save nodes number them; its folder is made."""
    output, what = folder_paths.get_output_directory(), "filename_prefix"
    filled = check_new_file(prefix, ending, prompt)
    try:
        folder, name, number, *_ = folder_paths.get_save_image_path(filled, output, width, height)
    except OSError as error:
        raise ValueError(f"{what} {prefix!r}: no folder can be made there ({error}): name another") from error
    return Path(folder) / f"{name}_{number:05}_{ending}"


def check_new_file(prefix: str, ending: str, prompt: dict | None = None) -> str:
    """The prefix of a `new_file`, filled in. Raises ValueError if it could not be put into the output folder."""
    folder = Path(folder_paths.get_output_directory())
    return fill_prefix(prefix, prompt, folder=folder, spare=len("_00001_" + ending))


def new_file_problem(prefix: str | None, ending: str) -> bool | str:
    """For ComfyUI's validation: what is wrong with a prefix, or True; one that is connected is not known yet."""
    try:
        if prefix is not None:
            check_new_file(prefix, ending)
    except ValueError as error:
        return str(error)
    return True


def output_subfolder(path: Path) -> str:
    """The folder of a file below ComfyUI's output folder, as the browser asks for it."""
    return path.parent.relative_to(folder_paths.get_output_directory()).as_posix().strip(".")


def window_folder() -> Path:
    """Where finished windows of long videos are kept: beside the user's settings, out of the browser's reach."""
    return Path(folder_paths.get_system_user_directory("oner")) / "windows"


def output_prefix(output_dir: str, filename_prefix: str) -> str:
    """The prefix by which ComfyUI's save nodes put files into a folder: "output/hdr" and "frame" give "hdr/frame".

    The folder lies below ComfyUI's output folder and may begin with its name. Raises ValueError if it lies elsewhere.
    """
    parts = plain_path(_text(output_dir, "output_dir"), "output_dir", new=True).parts
    folder = PurePosixPath(*(parts[1:] if parts[0] == "output" else parts))
    name = plain_path(_text(filename_prefix, "filename_prefix"), "filename_prefix", new=True, spare=FRAME)
    root = Path(folder_paths.get_output_directory())
    check_within(root, root / folder, "output_dir")
    check_within(root, root / folder / name.parent, "filename_prefix")
    return (folder / name).as_posix()


def input_path(name: str, what: str, *, folder: bool = False) -> Path:
    """A file, or a folder, below ComfyUI's input folder, or, named as core does, "x [output]" or "x [temp]".

    Raises ValueError if the name leads out or no such thing is there.
    """
    name, base = folder_paths.annotated_filepath(_text(name, what))
    root = Path(base or folder_paths.get_input_directory())
    path = root / plain_path(name, what)
    _check_links(root, path, what)
    if not (path.is_dir() if folder else path.is_file()):
        kind = "folder" if folder else "file"
        raise ValueError(f"{what} {name!r} is no {kind} in the {root.name} folder: put it there")
    return path


def encoder_folder(name: str, what: str = "folder") -> Path:
    """A folder with a config.json below one of the text_encoders folders."""
    plain = plain_path(_text(name, what), what)
    for base in folder_paths.get_folder_paths("text_encoders"):
        if (Path(base) / plain / "config.json").is_file():
            return Path(base) / plain
    raise ValueError(f"{what}: the text_encoders folders hold no {name} with a config.json: press R to read them again")


def model_file(kind: str, name: str, what: str) -> str:
    """The path of a file in one of ComfyUI's model folders of a kind, such as "loras"."""
    path = folder_paths.get_full_path(kind, name)
    if path is None:
        raise ValueError(f"{what}: models/{kind} holds no {name}: put it there, or press R to read the folders again")
    return path


def file_beside(path: Path, name: str, what: str) -> Path:
    """`name`.safetensors in the folder of the file `path`; a link there counts as a file that exists."""
    stem = _text(name, what).removesuffix(".safetensors")
    plain = plain_path(stem, what, new=True, spare=len(".safetensors"))
    if len(plain.parts) > 1:
        raise ValueError(f"{what} is {name!r}: give a name without folders")
    return path.parent / f"{plain.name}.safetensors"


def _text(name: object, what: str) -> str:
    """What an input was given, as text; a link from a node without a type can bring anything."""
    if not isinstance(name, str | int):
        raise ValueError(f"{what} is {type(name).__name__}, not text: connect a node that gives text")
    return str(name)


def _check_links(root: Path, path: Path, what: str) -> None:
    """Raise ValueError if `path`, or anything in it if it is a folder, leads out of `root` through a link."""
    check_within(root, path, what)
    for each in path.iterdir() if path.is_dir() else ():
        check_within(root, each, what)


def _format_date(text: str, now: time.struct_time) -> str:
    """A date in the browser's words: yyyy, yy, MM, M, dd, d, hh, h, mm, m, ss, s."""

    def field(match: re.Match) -> str:
        letters = match[0]
        if letters[0] == "y":
            return {"yy": f"{now.tm_year % 100:02}", "yyyy": str(now.tm_year)}.get(letters, letters)
        return f"{getattr(now, DATE_FIELDS[letters[0]]):0{len(letters)}}"

    return re.sub("dd?|MM?|hh?|mm?|ss?|yyy?y?", field, text)


def _widget(prompt: dict, key: str) -> object:
    """The value of "Node.widget" in an API prompt, by class or title of the node; None if there is none or a link."""
    node, _, widget = key.rpartition(".")
    by_class = [each for each in prompt.values() if each["class_type"] == node]
    by_title = [each for each in prompt.values() if (each.get("_meta") or {}).get("title") == node]
    values = [each["inputs"].get(widget) for each in by_class or by_title]
    return next((value for value in values if not isinstance(value, list)), None)
