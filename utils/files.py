"""One door for every file that the pack reads: weights, JSON, text, tokenizers, video.

What cannot be read ends in a ValueError that names the file, what is wrong with it and what to do. Nothing runs code
from a file: pickles are read by torch's restricted reader. Weights still come through ComfyUI's own reader, which maps
them from disk, after the file was found whole.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .core import need

core = need("comfy.utils", "load_torch_file")

SAFETENSORS = (".safetensors", ".sft")
AGAIN = "download it again"
HEAD = 512  # bytes that tell what a file is
SAMPLE = 2**16  # values of a tensor that are looked at: what a disk reads at once anyway
SHARE = 0.05  # of a network's tensors that a file may lack, where ComfyUI's class has more than was trained
# how a file begins -> what it is, and what to do
SIGNS = (
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file: fetch it with `git lfs pull`"),
    (b"PK\x03\x04", "is a PyTorch or zip file: if it holds weights, give it the ending .pt"),
    *(
        (bytes([0x80, protocol]), "is a pickle: if it holds weights, give it the ending .pt")
        for protocol in (2, 3, 4, 5)
    ),
    (b"GGUF", "is a GGUF file: load it with a GGUF loader"),
    (b"\x89HDF", f"is an HDF5 file: {AGAIN} as .safetensors"),
)
SCALES = (".comfy_quant", ".weight_scale", ".scale_weight")  # beside a weight of whole numbers that is quantised
QUANTISED = (*SCALES, ".input_scale", ".scale_input", "scaled_fp8")  # what quantised layers have beside their weights
# what ComfyUI's detection and torch's loading raise for weights that are not as they should be
STUMBLES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
)
FOLDERS = re.compile(r"(?:[A-Za-z]:)?[\\/](?:[^\\/:*?\"'<>|\n]+[\\/])+")  # before a file's name
FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}  # safetensors' names
INTEGERS = {"I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL"}


def check_file(path: str | Path) -> bytes:
    """The first bytes of a file that is there and can be read."""
    name = Path(path).name
    if os.path.isdir(path):
        raise ValueError(f"{name} is a folder, not a file: choose a file")
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        raise ValueError(f"{name} is missing: {AGAIN}, or choose another") from None
    except OSError as error:
        raise ValueError(f"{name} cannot be read ({error.strerror or error}): check the file and its rights") from error
    if not head:
        raise ValueError(f"{name} is empty: {AGAIN}")
    return head


def read_text(path: str | Path) -> str:
    """A text file in UTF-8."""
    check_file(path)
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{Path(path).name} is no text (byte {error.start}): save it as UTF-8") from error


def parse_json(text: str, what: str) -> Any:
    """JSON text as Python's objects; `what` is what the sentence calls it."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(
            f"{what} nests its lists or objects too deeply to be read: it is no file of this kind"
        ) from None
    except ValueError as error:  # JSONDecodeError, and whole numbers of thousands of digits
        begins = " (it is an HTML page)" if _is_html(text[:HEAD].encode(errors="replace")) else ""
        raise ValueError(f"{what} is not valid JSON{begins}: {error}") from error


def parse_object(text: str, what: str) -> dict[str, Any]:
    """JSON text that must be an object."""
    data = parse_json(text, what)
    if not isinstance(data, dict):
        raise ValueError(f"{what} is a JSON {_json_kind(data)}, not an object {{...}}")
    return data


def read_json(path: str | Path) -> dict[str, Any]:
    """A downloaded JSON file that must be an object."""
    text, name = read_text(path), Path(path).name
    try:
        return parse_object(text, name)
    except ValueError as error:
        raise ValueError(f"{error}: {AGAIN}") from error


def is_safetensors(path: str | Path) -> bool:
    return str(path).lower().endswith(SAFETENSORS)


def read_header(path: str | Path) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Shape of every tensor and the metadata of a safetensors file that is whole, without reading a tensor."""
    with _opened(path) as file:
        return {key: file.get_slice(key).get_shape() for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def check_weights(path: str | Path) -> tuple[dict[str, list[int]], dict[str, str]]:
    """`read_header` of a file whose weights are numbers to calculate with: floats or quantised, no NaN among them."""
    name = Path(path).name
    with _opened(path) as file:
        keys = list(file.keys())
        slices = {key: file.get_slice(key) for key in keys}
        check_floats((key for key in keys if slices[key].get_dtype() in INTEGERS), keys, name, file.metadata() or {})
        check_finite(((key, file.get_tensor(key)) for key in keys if slices[key].get_dtype() in FLOATS), name)
        return {key: slices[key].get_shape() for key in keys}, file.metadata() or {}


def read_tensors(path: str | Path, names: Mapping[str, str] | None = None) -> dict[str, Tensor]:
    """All tensors of a safetensors file, or some under new names: `names` = {new: name in the file}."""
    with _opened(path) as file:
        names = {key: key for key in file.keys()} if names is None else names  # noqa: SIM118
        return {new: file.get_tensor(name) for new, name in names.items()}


def read_content(path: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What a file of weights holds, and its metadata: named tensors, or in a pickle perhaps dicts of them.

    Checked are those of a safetensors file; of a pickle `check_tensors` is for what was taken from it.
    """
    name = Path(path).name
    if is_safetensors(path):
        check_weights(path)
        with taken_by_core(name):
            content, metadata = core.load_torch_file(str(path), return_metadata=True)[:2]
        return content, metadata or {}
    return _read_pickle(path), {}


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file of weights and its metadata; a pickle's are taken out of `state_dict`, or its only dict."""
    content, metadata = read_content(path)
    if not is_safetensors(path):
        only = next(iter(content.values())) if len(content) == 1 else None
        content = check_tensors(content.get("state_dict", only if isinstance(only, dict) else content), Path(path).name)
    return content, metadata


def check_tensors(content: Any, name: str) -> dict[str, Tensor]:
    """The tensors of a dict from a pickle. Raises ValueError unless they are floats or quantised, without NaN."""
    if not isinstance(content, dict):
        raise ValueError(f"{name} holds a {type(content).__name__}, not weights by name: choose a file of weights")
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"{name} holds no tensors: choose a file of weights, or {AGAIN}")
    whole = (key for key, value in tensors.items() if not (value.is_floating_point() or value.is_complex()))
    check_floats(whole, tensors, name, {})
    check_finite(((key, value) for key, value in tensors.items() if value.is_floating_point()), name)
    return tensors


def check_floats(whole: Iterable[str], keys: Iterable[str], name: str, metadata: Mapping[str, str]) -> None:
    """Raise ValueError if a weight of whole numbers (`whole` names them) has no scale, so is not a quantised one."""
    keys, quantised = set(keys), metadata.get("_quantization_metadata", "")
    layers = {key: key.removesuffix(".weight") for key in whole if key.endswith(".weight")}
    odd = [
        key for key, layer in layers.items() if not any(layer + s in keys for s in SCALES) and layer not in quantised
    ]
    if odd:
        raise ValueError(
            f"{name} holds {len(odd)} weights of whole numbers without a scale (first: {odd[0]}): it was converted "
            f"wrongly, {AGAIN}"
        )


def check_finite(tensors: Iterable[tuple[str, Tensor]], name: str, most: int | None = SAMPLE) -> None:
    """Raise ValueError if tensors hold NaN or infinity; looks at the first `most` values of each, None for all."""
    odd = [key for key, tensor in tensors if not _is_finite(tensor.flatten()[:most])]
    if odd:
        raise ValueError(f"{name}: {len(odd)} tensors hold NaN or infinite values (first: {odd[0]}): {AGAIN}")


def check_complete(
    network: torch.nn.Module, given: Iterable[str], name: str, *, always: str = "", optional: tuple[str, ...] = ()
) -> None:
    """Raise ValueError if a file lacked weights of the network that was built for it; ComfyUI says so in its log alone.

    `given` are the file's keys as the network calls them. Of names that begin with `always` none may be absent, of the
    parts in `optional` all together.
    """
    expected, given = [key for key, _ in network.named_parameters() if not key.endswith(QUANTISED)], set(given)
    absent = tuple(part for part in optional if not any(key.startswith(part) for key in given))
    missing = [key for key in expected if key not in given and not (absent and key.startswith(absent))]
    if any(always and key.startswith(always) for key in missing) or len(missing) > SHARE * len(expected):
        raise ValueError(f"{name} lacks {len(missing)} of {len(expected)} weights ({_few(missing)}): {AGAIN}")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Around what makes sense of a file's text: its sentences get the file's name in front."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


@contextmanager
def taken_by_core(
    name: str, what: str = "is no model that ComfyUI can take", passing: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Around one call that gives a file's content to ComfyUI: what it stumbles over becomes a sentence with the file.

    `passing` are errors that go through as they are, as memory that is not enough does.
    """
    try:
        yield
    except (torch.cuda.OutOfMemoryError, *passing):
        raise
    except STUMBLES as error:
        raise ValueError(f"{name} {what} ({_first_line(error)}): {AGAIN}, or choose another") from error


def load_tokenizer(path: Path, load: Callable[[str], Any]) -> Any:
    """A tokenizer by the library whose `load` reads such files; tokenizers raises bare Exceptions."""
    check_file(path)
    try:
        return load(str(path))
    except Exception as error:
        raise ValueError(f"{path.name} is no tokenizer ({_first_line(error)}): {AGAIN}") from error


def video_tags(path: Path) -> dict[str, str]:
    """The metadata of a video file, keys in lower case."""
    import av

    check_file(path)
    try:
        with av.open(str(path), metadata_errors="replace") as video:
            return {key.lower(): value for key, value in video.metadata.items()}
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ValueError(f"{path.name} is no video ({_first_line(error)}): choose another") from error


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """A safetensors file whose header and size were found right."""
    head, name = check_file(path), Path(path).name
    try:
        file = safe_open(str(path), framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{name} {_fault(path, head, str(error))}") from error
    with file:
        if not len(file.keys()):
            raise ValueError(f"{name} holds no tensors: choose a file of weights, or {AGAIN}")
        yield file


def _fault(path: str | Path, head: bytes, error: str) -> str:
    """What is wrong with a file that is not a complete safetensors file, and what to do."""
    size = os.path.getsize(path)
    if _begins_a_header(head):
        (length,) = struct.unpack("<Q", head[:8])
        if 8 + length > size:
            return f"is not a complete safetensors file ({size} bytes end within its header): {AGAIN}"
        if (whole := 8 + length + _data_size(path, length)) > size:
            return f"is not a complete safetensors file ({size} of {whole} bytes): {AGAIN}"
    if sign := _sign(head):
        return sign
    if size < 8:
        return f"has {size} bytes, too few for a safetensors file: {AGAIN}"
    return f"is no safetensors file ({error.splitlines()[0]}): {AGAIN}"


def _begins_a_header(head: bytes) -> bool:
    """Whether a file begins as safetensors do: the header's length in 8 bytes, then its JSON object."""
    return head[7:9] == b"\x00{"


def _data_size(path: str | Path, length: int) -> int:
    """How many bytes of tensors a safetensors header of `length` bytes asks for; 0 if it cannot be read."""
    with open(path, "rb") as file:
        file.seek(8)
        try:
            header = json.loads(file.read(length))
            return max(entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__")
        except (ValueError, RecursionError, AttributeError, LookupError, TypeError):
            return 0


def _sign(head: bytes) -> str | None:
    """What a file is by its first bytes, and what to do; None if they say nothing."""
    for begin, words in SIGNS:
        if head.startswith(begin):
            return words
    if _is_html(head):
        return f"is an HTML page, not weights (a login or error page): {AGAIN}, logged in where that is needed"
    if head[:1] in b"{[":
        return f"is a JSON text, not weights: {AGAIN}"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return f"is a text, not weights: {AGAIN}"
    return None


def _is_html(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml"))


def _read_pickle(path: str | Path) -> dict[str, Any]:
    head, name = check_file(path), Path(path).name
    zipped = head.startswith(b"PK\x03\x04")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)  # only zips can be mapped
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"{name} {_pickle_fault(head, zipped, error)}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{name} holds a {type(content).__name__}, not weights by name: choose a file of weights")
    return content


def _pickle_fault(head: bytes, zipped: bool, error: Exception) -> str:
    if _begins_a_header(head):
        return "is a safetensors file: give it the ending .safetensors"
    if not zipped and not head.startswith(b"\x80") and (sign := _sign(head)):
        return sign
    if "Unsupported" in str(error) or "weights_only" in str(error) or "Weights only" in str(error):
        return (
            "holds objects that are no weights; reading them could run code, so it is not opened: choose a "
            ".safetensors file"
        )
    return f"is damaged or no PyTorch file ({_first_line(error)}): {AGAIN}"


def _is_finite(values: Tensor) -> bool:
    return bool(values.float().isfinite().all())


def _json_kind(data: Any) -> str:
    return {list: "list", str: "text", type(None): "null"}.get(type(data), "number")


def _few(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _first_line(error: BaseException, most: int = 160) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.endswith(":")]  # torch's title of a list
    text = (telling or lines or [type(error).__name__])[0]
    if isinstance(error, KeyError | AttributeError):
        text = f"{type(error).__name__} {text}"
    text = FOLDERS.sub("", text)
    return text if len(text) <= most else f"{text[:most]}..."


def is_whole(value: Any) -> bool:
    """Whether a value of a JSON file is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31
