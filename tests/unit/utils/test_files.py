"""What is read from files, and what is said of those that cannot be; nothing is run from them."""

import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from harness.damage import HTML, Canary, canary_of
from oner.utils import files

A = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


def write(path, content):
    path.write_bytes(content)
    return path


def test_weights_and_metadata_come_back(tmp_path):
    save_file(A, tmp_path / "a.safetensors", {"k": "v"})
    tensors, metadata = files.read_weights(tmp_path / "a.safetensors")
    assert tensors.keys() == A.keys()
    assert all(torch.equal(tensors[key], A[key]) for key in A)
    assert metadata["k"] == "v"
    assert files.check_weights(tmp_path / "a.safetensors") == ({"a.weight": [2, 3], "a.bias": [2]}, {"k": "v"})
    assert files.read_tensors(tmp_path / "a.safetensors", {"b": "a.bias"}).keys() == {"b"}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"state_dict": x, "epoch": 3}, lambda x: {"model": x}])
def test_pickles_old_and_new_come_back_unwrapped(tmp_path, wrap, zipped):
    torch.save(wrap(A), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    tensors, metadata = files.read_weights(tmp_path / "a.pt")
    assert all(torch.equal(tensors[key], A[key]) for key in A)
    assert metadata == {}


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.ckpt", "a.bin", "a.safetensors", "a.sft"])
@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_is_run_from_a_pickle(tmp_path, name, zipped):
    path = tmp_path / name
    content = {"a": Canary(canary_of(path))}
    torch.save(content, path) if zipped else write(path, pickle.dumps(content))
    with pytest.raises(ValueError, match=rf"^{name} (holds objects that are no weights|is a (PyTorch|pickle))"):
        files.read_weights(path)
    assert not canary_of(path).exists()
    torch.load(path, weights_only=False) if zipped else pickle.loads(path.read_bytes())
    assert canary_of(path).exists(), "the canary would have told"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty: download it again"),
        (b"abc", "is a text, not weights"),
        (b"\x01\x02\x03", "has 3 bytes, too few"),
        (HTML, "is an HTML page, not weights"),
        (b"\xef\xbb\xbf  <HTML>", "is an HTML page"),
        (b'{"error": "Repository not found"}', "is a JSON text, not weights"),
        (b"GGUF\x03\0\0\0\0\0\0\0", "is a GGUF file: load it with a GGUF loader"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ((10**10).to_bytes(8, "little") + b'{"a": ', r"is not a complete safetensors file \(14 bytes end within"),
        ((4).to_bytes(8, "little") + b'{"a":', "is no safetensors file"),
        ((2).to_bytes(8, "little") + b"{}", "holds no tensors"),
        ((9).to_bytes(8, "little") + b"[1, 2, 3]", "is no safetensors file"),
    ],
)
def test_what_is_no_safetensors_file_is_said_to_be_what_it_is(tmp_path, content, sentence):
    path = write(tmp_path / "a.safetensors", content)
    with pytest.raises(ValueError, match=f"^a.safetensors {sentence}"):
        files.read_header(path)


def test_a_header_of_640_bytes_is_not_taken_for_a_pickle(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}}).ljust(640).encode()
    path = write(tmp_path / "a.safetensors", (640).to_bytes(8, "little") + header + bytes(100))
    with pytest.raises(ValueError, match=r"is not a complete safetensors file \(748 of 1048 bytes\)"):
        files.read_header(path)


def test_a_safetensors_file_with_another_ending_is_said_to_be_one(tmp_path):
    save_file(A, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"^a\.pt is a safetensors file: give it the ending \.safetensors"):
        files.read_weights(tmp_path / "a.pt")


def test_what_the_disk_refuses_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"^a is missing: download it again"):
        files.check_file(tmp_path / "a")
    with pytest.raises(ValueError, match=r" is a folder, not a file"):
        files.check_file(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ValueError, match=r"^loop cannot be read \(Too many levels of symbolic links\)"):
        files.check_file(tmp_path / "loop")
    if os.geteuid():  # root may read anything
        write(tmp_path / "b", b"b").chmod(0)
        with pytest.raises(ValueError, match=r"^b cannot be read \(Permission denied\): check the file and its rights"):
            files.check_file(tmp_path / "b")


def test_whole_numbers_are_weights_only_beside_a_scale(tmp_path):
    whole = {"a.weight": torch.ones(2, 2, dtype=torch.int8), "b.alpha": torch.ones((), dtype=torch.int64)}
    save_file(whole, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"a\.safetensors holds 1 weights of whole numbers without a scale"):
        files.check_weights(tmp_path / "a.safetensors")
    for scale in ("comfy_quant", "weight_scale", "scale_weight"):
        save_file(whole | {f"a.{scale}": torch.ones(1)}, tmp_path / "a.safetensors")
        files.check_weights(tmp_path / "a.safetensors")
    quantised = json.dumps({"layers": {"a": {"format": "int8"}}})
    save_file(whole, tmp_path / "a.safetensors", {"_quantization_metadata": quantised})
    files.check_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_nan_is_found_in_any_type(tmp_path, dtype):
    tensor = torch.ones(2, 3).to(dtype)
    save_file({"a": tensor}, tmp_path / "a.safetensors")
    files.check_weights(tmp_path / "a.safetensors")
    odd = torch.tensor([[1.0, 2.0, 3.0], [4.0, torch.nan, 6.0]]).to(dtype)
    save_file({"a": odd, "b": tensor}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"1 tensors hold NaN or infinite values \(first: a\)"):
        files.check_weights(tmp_path / "a.safetensors")


def test_a_network_is_complete_but_for_parts_that_may_be_absent():
    network = torch.nn.ModuleDict({name: torch.nn.Linear(2, 2) for name in ("encoder", "decoder")})
    keys = [key for key, _ in network.named_parameters()]
    files.check_complete(network, keys, "f")
    files.check_complete(network, [key for key in keys if "encoder" in key], "f", optional=("decoder.",))
    with pytest.raises(ValueError, match=r"f lacks 2 of 4 weights \(decoder\.weight, decoder\.bias\)"):
        files.check_complete(network, keys[:2], "f")
    with pytest.raises(ValueError, match=r"f lacks 1 of 4 weights"):
        files.check_complete(network, keys[:3], "f", optional=("decoder.",))


def test_one_weight_in_many_is_left_to_comfyuis_log_unless_it_is_of_a_block():
    network = torch.nn.ModuleDict({"blocks": torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(20))})
    keys = [key for key, _ in network.named_parameters()]
    files.check_complete(network, keys[1:], "f")
    with pytest.raises(ValueError, match=r"f lacks 1 of 40 weights \(blocks\.0\.weight\)"):
        files.check_complete(network, keys[1:], "f", always="blocks.")


def test_what_comfyui_stumbles_over_names_the_file_without_its_folders():
    sentence = r"^f is no model that ComfyUI can take \(no b\.json there\): download it again"
    with pytest.raises(ValueError, match=sentence), files.taken_by_core("f"):
        raise OSError("no /home/a/b.json there")
    with pytest.raises(torch.OutOfMemoryError), files.taken_by_core("f"):
        raise torch.OutOfMemoryError("too much")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1", "w is not valid JSON: "),
        ("[" * 100_000, "w nests"),
        ('{"a": ' * 100_000, "w nests"),
        ("9" * 5000, "w is not valid JSON: "),
        ("<!DOCTYPE html>", r"w is not valid JSON \(it is an HTML page\)"),
        ("[1]", "w is a JSON list, not an object"),
        ("null", "w is a JSON null, not an object"),
    ],
)
def test_json_that_is_no_object_is_refused(text, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        files.parse_object(text, "w")


def test_json_and_text_come_back(tmp_path):
    path = write(tmp_path / "a.json", b'\xef\xbb\xbf{"a": [1]}')  # with the mark that Windows' editors write
    assert files.read_json(path) == {"a": [1]}
    with pytest.raises(ValueError, match=r"^a\.json is no text \(byte 0\): save it as UTF-8"):
        files.read_text(write(path, b"\xff\xfe"))
