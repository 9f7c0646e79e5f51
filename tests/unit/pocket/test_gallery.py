"""The gallery: its entries name what is there, files and page are made from them, and its judging judges."""

import dataclasses

import pytest
import torch
from PIL import Image

from harness.pack import ROOT
from pocket import gallery, thumbnails, world
from pocket.files import FOLDER
from pocket.footage import video
from workflows import load_all

NAMES = [workflow.name for workflow in load_all()]
CLIPS = ROOT / "docs" / "gallery"
each_entry = pytest.mark.parametrize("name", gallery.ENTRIES)


def test_every_workflow_is_served_or_has_a_reason_why_not():
    assert set(gallery.ENTRIES) <= set(NAMES)
    for begin in gallery.NOT_SERVED:
        assert any(name.startswith(begin) and gallery.reason(name) for name in NAMES), begin
    assert [name for name in NAMES if not gallery.reason(name)] == [n for n in NAMES if n in gallery.ENTRIES]


@each_entry
def test_entry_changes_what_the_workflow_sets_to_files_of_the_pocket_set(name):
    prompt = gallery.build(name)
    values = {str(value) for node in prompt.values() for value in node["inputs"].values()}
    there = {path.name for path in FOLDER.glob("*/*")} | {gallery.LTX_CHECKPOINT}
    assert {value for value in values if value.endswith(".safetensors")} <= there
    assert prompt["text_encoder"]["inputs"]["folder"] in there
    links = [value[0] for node in prompt.values() for value in node["inputs"].values() if isinstance(value, list)]
    assert set(links) <= set(prompt)


@each_entry
def test_thumbnail_and_clip_are_those_of_the_entry(name):
    with Image.open(ROOT / "workflows" / f"{name}.jpg") as image:
        assert image.size == thumbnails.SIZE
        assert image.info.get("comment", b"").decode() == gallery.ENTRIES[name].caption
    with Image.open(CLIPS / f"{name}.webp") as image:
        assert image.n_frames >= 9


def test_only_thumbnails_of_entries_are_pictures_of_clips():
    for name in set(NAMES) - set(gallery.ENTRIES):
        with Image.open(ROOT / "workflows" / f"{name}.jpg") as image:
            assert "comment" not in image.info, name


def test_clips_are_small_and_all_there_is():
    files = list(CLIPS.iterdir())
    expected = {f"{name}.webp" for name in gallery.ENTRIES}
    expected |= {f"{name}.mp4" for name, entry in gallery.ENTRIES.items() if entry.heard}
    assert {file.name for file in files} == expected
    assert max(file.stat().st_size for file in files) <= 150_000
    thumbs = [ROOT / "workflows" / f"{name}.jpg" for name in NAMES]
    assert sum(file.stat().st_size for file in files + thumbs) <= 4_000_000


def test_page_is_current():
    assert (ROOT / "docs" / "gallery.md").read_text() == gallery.page()


RED = "a red circle moving right on a dark background"
SOURCE = video(RED, 9, way=0)
ENTRY = gallery.Entry(RED, {}, media={"image.image": SOURCE}, begins="image.image", follows=SOURCE)


def rendered(sentence: str, **changes) -> torch.Tensor:
    return dataclasses.replace(SOURCE, sentence=sentence, **changes).pictures()


def test_a_clip_that_is_as_told_has_no_faults():
    assert gallery.faults(ENTRY, gallery.Made(rendered(RED))) == []


@pytest.mark.parametrize(
    ("clip", "fault"),
    [
        (rendered("a green circle moving right on a dark background"), "colour"),
        (rendered("a red circle moving left on a dark background"), "direction"),
        (rendered("a outlined red circle moving right on a dark background"), "outline"),
        (rendered(RED, way=8), "off its way"),
        (rendered(RED, way=8), "dB to the image"),
        (torch.zeros(9, 64, 64, 3), "no shape"),
    ],
)
def test_a_clip_that_is_not_as_told_is_found_out(clip, fault):
    assert any(fault in found for found in gallery.faults(ENTRY, gallery.Made(clip)))


def test_a_sound_that_does_not_tell_the_shape_is_found_out():
    entry = dataclasses.replace(ENTRY, heard=True)
    for shape, faults in (("circle", 0), ("square", 1)):
        tone = world.tone(dataclasses.replace(world.parse(RED), shape=shape), 9)
        made = gallery.Made(rendered(RED), {"waveform": tone[None], "sample_rate": 16000})
        found = gallery.faults(entry, made)
        assert len(found) == faults
        assert all(f"with the tone of a {shape}, not as asked: tone" in fault for fault in found)


def test_each_part_of_a_clip_is_held_against_its_own_sentence():
    up = "a red circle moving up on a dark background"
    scenes = [world.place(world.parse(sentence), 9) for sentence in (RED, up)]
    clip = world.render(scenes, 9).flatten(0, 1)
    entry = gallery.Entry(RED, {}, seen={0: RED, 9: up})
    assert gallery.faults(entry, gallery.Made(clip)) == []
    assert gallery.faults(entry, gallery.Made(clip.flip(0))) != []
    assert entry.caption == f"{RED}, then up"


def test_thumbnail_shows_the_clip_and_what_was_given():
    clip = rendered(RED)
    sheet = thumbnails.thumbnail(clip, {"Image": clip[:1], "Control": clip}, RED)
    assert sheet.size == thumbnails.SIZE
    red = [sheet.crop(box) for box in ((0, 0, 160, 324), (160, 0, 640, 324))]
    assert all(picture.getextrema()[0][1] > 200 for picture in red)
