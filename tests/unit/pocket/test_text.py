"""The pocket text encoder folders through the pack's own loaders."""

import pytest
import torch

from oner.ltx.text_encoder import load_t5
from oner.wan.text_encoder import load_umt5
from pocket import text

CAPTION = "a red circle moving right on a dark background"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text_encoders")
    text.write_folders(folder)
    return folder


@pytest.mark.parametrize("caption", [CAPTION, ""])
def test_the_t5_folder_gives_the_vectors_of_training(folders, caption):
    clip = load_t5(str(folders / "pocket_t5"))
    ((cond, extra),) = clip.encode_from_tokens_scheduled(clip.tokenize(caption))
    vectors, mask = text.encode([caption])
    count = int(mask.sum())
    assert extra["attention_mask"].sum() == count
    torch.testing.assert_close(cond[:, :count].float().cpu(), vectors[:, :count], atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("caption", [CAPTION, ""])
def test_the_umt5_folder_gives_the_vectors_of_training_and_zeros_behind(folders, caption):
    clip = load_umt5(str(folders / "pocket_umt5"))
    ((cond, _),) = clip.encode_from_tokens_scheduled(clip.tokenize(caption))
    vectors, mask = text.encode([caption])
    count = int(mask.sum())
    assert cond.shape[1] == 512
    assert not cond[:, count:].any()
    torch.testing.assert_close(cond[:, :count].float().cpu(), vectors[:, :count], atol=2e-3, rtol=2e-3)


def test_every_word_of_the_world_is_one_token():
    _, mask = text.encode([" ".join(text.VOCABULARY[:10])])
    assert mask.sum() == 11
