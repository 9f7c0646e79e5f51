"""Tiny encoder folders come out the same from the same seed, and read plain English."""

import pytest

from oner.utils.text_encoders import FolderTokenizer
from tiny.text import write_text_encoder

KINDS = ("gemma3", "t5", "umt5")


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_the_bytes_of_every_file(tmp_path, kind):
    first = contents(write_text_encoder(tmp_path / "a", kind, seed=3))
    assert contents(write_text_encoder(tmp_path / "b", kind, seed=3)) == first
    other = contents(write_text_encoder(tmp_path / "c", kind, seed=4))
    assert {name for name in first if first[name] != other[name]} == {n for n in first if n.endswith(".safetensors")}


@pytest.mark.parametrize("kind", KINDS)
def test_plain_english_needs_no_unknown_token(tmp_path, kind):
    tokenizer = FolderTokenizer.from_pretrained(str(write_text_encoder(tmp_path / kind, kind)))
    text = 'Two people walk (slowly): 25% of them don\'t, "why?" [A-Z] + 7.'
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.get_vocab()["<unk>"] not in ids
    assert tokenizer.decode(ids).strip() == text
