"""Shot Prompts and Join Videos: what they write, and what they refuse."""

import json
from pathlib import Path

import av
import folder_paths
import pytest
import torch

from oner.nodes.any.shots import JoinVideos, prompt_of_shot
from oner.utils.media import VideoStream
from oner.utils.video_reader import VideoReader

PROMPT = {
    "plan": {"class_type": "OnerWindowPlan", "inputs": {"prompts": "a"}},
    "film": {"class_type": "OnerWindowedSampler", "inputs": {"filename_prefix": "oner/film", "plan": ["plan", 0]}},
    "shots": {"class_type": "OnerShotPrompts", "inputs": {"plan": ["plan", 0]}},
}


def test_the_prompt_of_a_shot_makes_it_alone_under_a_name_of_its_own():
    before = json.dumps(PROMPT)
    changed = prompt_of_shot(PROMPT, 2)
    assert set(changed) == {"plan", "film"}
    assert changed["plan"]["inputs"]["shot"] == 2
    assert changed["film"]["inputs"]["filename_prefix"] == "oner/film_shot_02"
    assert json.dumps(PROMPT) == before


def test_a_linked_file_name_is_refused():
    linked = {**PROMPT, "film": {"class_type": "OnerWindowedSampler", "inputs": {"filename_prefix": ["x", 0]}}}
    with pytest.raises(ValueError, match="is a link"):
        prompt_of_shot(linked, 1)


def clip(name, frames, *, value=0, fps=16, size=32, rate=0):
    path = Path(folder_paths.get_input_directory()) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = VideoStream(path, fps, sample_rate=rate or None)
    samples = torch.full((2, round(frames / fps * rate)), 0.25) if rate else None
    stream.add(torch.full((frames, size, size, 3), value, dtype=torch.uint8), samples)
    stream.finish()
    return path


def join(names):
    class Join(JoinVideos):
        hidden = type("Hidden", (), {"prompt": None, "extra_pnginfo": None})()

    return Join.execute(names=names, filename_prefix="oner/joined", crf=18)


def test_files_follow_one_another_with_their_sounds(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    clip("a.mp4", 20, value=40, rate=24000)
    clip("b.mp4", 70, value=200)
    made = join("a.mp4\n\n b.mp4")
    reader = VideoReader(made.args[0].get_stream_source())
    assert reader.count == 90
    assert [int(reader.read(i, i + 1).float().mean()) for i in (0, 19, 20, 89)] == pytest.approx(
        [40, 40, 200, 200], abs=2
    )
    assert made.args[1].splitlines()[1] == "b.mp4: from frame 20 (1.25 s), 70 frames"
    sound = reader.sound.read(0.0, 5.6)
    assert float(sound[:, 12000:28000].mean()) == pytest.approx(0.25, abs=0.02)
    assert float(sound[:, 40000:].abs().max()) < 0.01
    with av.open(made.args[0].get_stream_source()) as file:
        assert len(file.streams.audio) == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [({"size": 48}, "b.mp4 has 48x48 pixels"), ({"fps": 8}, "b.mp4 has 8.000 frames"), ({"rate": 48000}, "48000 Hz")],
)
def test_files_that_do_not_fit_are_refused(other, words, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    clip("a.mp4", 9, rate=24000)
    clip("b.mp4", 9, **other)
    with pytest.raises(ValueError, match=words):
        join("a.mp4\nb.mp4")


def test_no_names_and_missing_files_are_refused():
    for names, words in (("  \n", "names is empty"), ("nowhere.mp4", "line 1 'nowhere.mp4' is no file")):
        with pytest.raises(ValueError, match=words):
            join(names)
