"""Shipped LTX-2 workflows with two clips at once: two files, each with its own picture and sound."""

import copy

import av
import numpy as np
import pytest

from workflows import load_all

WORKFLOWS = {workflow.name: workflow for workflow in load_all()}


def contents(path):
    """All pictures and samples of a file."""
    with av.open(str(path)) as file:
        frames = list(file.decode())
    pictures = [frame.to_ndarray(format="rgb24") for frame in frames if isinstance(frame, av.VideoFrame)]
    samples = [frame.to_ndarray() for frame in frames if isinstance(frame, av.AudioFrame)]
    return np.stack(pictures), np.concatenate(samples, axis=-1) if samples else np.zeros(0)


OWN_SOUND = ["LTX_2.3_Text_to_Video", "LTX_2.3_Image_to_Video"]
GIVEN_SOUND = ["LTX_2.3_Audio_to_Video", "LTX_2.3_IC-LoRA_Inpaint", "LTX_2.3_IC-LoRA_Outpaint"]  # in both


@pytest.mark.parametrize("name", OWN_SOUND + GIVEN_SOUND)
def test_two_clips_at_once_are_two_files(name, executor):
    workflow = WORKFLOWS[name]
    prompt = copy.deepcopy(workflow.tiny_prompt())
    prompt["size"]["inputs"]["batch_size"] = 2
    files = executor.run(prompt).files
    assert len(files) == 2
    for file in files:
        workflow.tiny_result.check(file)
    (pictures, sound), (other_pictures, other_sound) = map(contents, files)
    assert not np.array_equal(pictures, other_pictures)
    assert np.array_equal(sound, other_sound) == (name in GIVEN_SOUND)
    for file in files:
        file.unlink()


def test_two_hdr_clips_are_all_their_frames_and_two_previews(executor):
    workflow = WORKFLOWS["LTX_2.3_IC-LoRA_HDR"]
    prompt = copy.deepcopy(workflow.tiny_prompt())
    prompt["size"]["inputs"]["batch_size"] = 2
    files = executor.run(prompt).files
    frames = [file for file in files if file.suffix == ".exr"]
    previews = [file for file in files if file.suffix == ".mp4"]
    assert (len(frames), len(previews)) == (34, 2)
    for preview in previews:
        workflow.tiny_result.check(preview)
    (pictures, _), (others, _) = map(contents, previews)
    assert not np.array_equal(pictures, others)
    for file in files:
        file.unlink()
