"""Which files of a Hugging Face folder are read, and what is said when they are not as expected."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from oner.utils import files, hf_folder


def write(folder, shards, index=True):
    for name, weights in shards.items():
        save_file(weights, folder / name)
    if index:
        where = {key: name for name, weights in shards.items() for key in weights}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def read(folder, rename=lambda key: key):
    opened = []

    def load(file):
        opened.append(file.rsplit("/", 1)[1])
        return load_file(file)

    return hf_folder.read_weights(folder, rename, load), opened


A, B = torch.arange(3.0), torch.ones(2, 2)
TWO = {"model-1.safetensors": {"a": A}, "model-2.safetensors": {"b": B}}


def test_shards_merge_into_one_state_dict_under_new_names(tmp_path):
    write(tmp_path, TWO)
    weights, _ = read(tmp_path, lambda key: f"model.{key}")
    assert weights.keys() == {"model.a", "model.b"}
    assert torch.equal(weights["model.a"], A)
    assert torch.equal(weights["model.b"], B)


def test_only_files_with_a_wanted_tensor_are_opened(tmp_path):
    write(tmp_path, TWO)
    (tmp_path / "model-2.safetensors").unlink()
    weights, opened = read(tmp_path, lambda key: key if key == "a" else None)
    assert weights.keys() == {"a"}
    assert opened == ["model-1.safetensors"]


def test_missing_shards_are_named_before_anything_is_read(tmp_path):
    write(tmp_path, {f"model-{i}.safetensors": {f"w{i}": A} for i in range(7)})
    for i in range(1, 7):
        (tmp_path / f"model-{i}.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks 6 of 7 weight files: download model-1\.safetensors, .* and 2 more"):
        read(tmp_path)


def test_a_single_file_needs_no_index_and_any_name(tmp_path):
    write(tmp_path, {"diffusion.fp16.safetensors": {"a": A}}, index=False)
    assert read(tmp_path)[0].keys() == {"a"}


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (
            lambda folder: write(folder, TWO, index=False),
            r"holds 2 weight files .* and no model\.safetensors\.index\.json",
        ),
        (lambda folder: (folder / "pytorch_model.bin").touch(), r"holds no \.safetensors file"),
        (
            lambda folder: [(folder / f"{n}.safetensors.index.json").write_text("{}") for n in ("a", "b")],
            r"holds 2 weight indices",
        ),
    ],
)
def test_an_ambiguous_or_empty_folder_is_refused(tmp_path, prepare, sentence):
    prepare(tmp_path)
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/secret.safetensors", "..\\secret.safetensors"])
def test_an_index_cannot_name_a_file_outside_its_folder(tmp_path, name):
    (folder := tmp_path / "model").mkdir()
    save_file({"a": A}, tmp_path / "secret.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json: the file '.*secret\.safetensors'"):
        read(folder)


def test_a_folder_without_a_readable_config_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no config\.json"):
        hf_folder.read_config(tmp_path)
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(ValueError, match=r"config\.json is not valid JSON"):
        hf_folder.read_config(tmp_path)


def test_the_header_gives_shapes_and_metadata(tmp_path):
    save_file({"b": B}, tmp_path / "m.safetensors", {"model_version": "2.3"})
    assert files.read_header(tmp_path / "m.safetensors") == ({"b": [2, 2]}, {"model_version": "2.3"})


def test_a_folders_own_tokenizer_comes_before_one_beside_it(tmp_path):
    names, folder = ["tokenizer.json", "spiece.model"], tmp_path / "text_encoder"
    places = [tmp_path / "tokenizer" / names[0], folder / "tokenizer" / names[0], folder / names[1], folder / names[0]]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        assert hf_folder.find_tokenizer(folder, names) == place
