"""Names that reach the disk: prefixes of takes as in core's save nodes, and everything else refused in a sentence."""

import re
import time

import pytest

from oner.nodes import paths

NOW = time.struct_time((2026, 3, 7, 9, 5, 2, 5, 66, 0))
PROMPT = {
    "7": {"class_type": "EmptyImage", "inputs": {"width": 832, "batch": ["3", 0]}, "_meta": {"title": "Size"}},
    "8": {"class_type": "PrimitiveString", "inputs": {"value": "../a:b"}, "_meta": {"title": "Who"}},
    "9": {"class_type": "Words", "inputs": {"text": "A cat runs. ", "on": True}, "_meta": {"title": "Say"}},
    "10": {"class_type": "Other", "inputs": {}, "_meta": None},
}


@pytest.fixture
def base(tmp_path, monkeypatch):
    import folder_paths

    for kind in ("input", "output"):
        (tmp_path / kind).mkdir()
        monkeypatch.setattr(folder_paths, f"{kind}_directory", str(tmp_path / kind))
    monkeypatch.setattr(time, "localtime", lambda *_: NOW)
    return tmp_path


@pytest.mark.parametrize(
    ("prefix", "folder"),
    [
        ("take", "take"),
        ("a/b/c", "a/b/c"),
        ("./a//b/", "a/b"),
        ("%year%-%month%-%day%/t", "2026-03-07/t"),
        ("%date:yyyy-MM-dd%/%date:hhmmss%", "2026-03-07/090502"),
        ("%date:yy M d h m s yyy%", "26 3 7 9 5 2 yyy"),
        ("%date%", "2026-03-07"),
        ("%date:yyyy/MM%/t", "2026/03/t"),
        ("%width%x%height%", "832x480"),
        ("%EmptyImage.width%", "832"),
        ("%Size.width%", "832"),
        ("%Who.value%", ".._a_b"),
        ("%Say.text%", "A cat runs"),
        ("%Say.on%", "true"),
        ("50%", "50%"),
        ("%Nobody.width%", "%Nobody.width%"),
        ("%Size.batch%", "%Size.batch%"),
        ("%Size.depth%", "%Size.depth%"),
    ],
)
def test_a_prefix_names_the_folder_as_in_cores_save_nodes(prefix, folder, base):
    filled = paths.fill_prefix(prefix, PROMPT)
    made = [paths.new_take(filled, 832, 480) for _ in range(2)]
    assert made == [base / "output" / "takes" / f"{folder}_{number}" for number in ("00001", "00002")]
    assert [paths.take_name(each) for each in made] == [f"{folder}_00001", f"{folder}_00002"]
    assert paths.find_take(paths.take_name(made[0])) == made[0]


def test_core_puts_files_into_the_same_sub_folders(base):
    """The prefix alone decides; ours is below output/takes."""
    import folder_paths

    prefix = "%year%/a/%width%"
    theirs, name, *_ = folder_paths.get_save_image_path(prefix, str(base / "output" / "takes"), 832, 480)
    assert (
        paths.new_take(paths.fill_prefix(prefix, {}), 832, 480) == base / "output" / "takes" / theirs / f"{name}_00001"
    )


def test_a_filled_in_value_cannot_lead_out(base):
    prompt = {"1": {"class_type": "Text", "inputs": {"value": ".."}}}
    with pytest.raises(ValueError, match=r"filename_prefix '%Text.value%/x', filled in as '../x' leads out"):
        paths.fill_prefix("%Text.value%/x", prompt)


def test_a_file_in_the_way_is_named(base):
    (base / "output" / "takes").mkdir()
    (base / "output" / "takes" / "a").write_text("")
    with pytest.raises(ValueError, match=r"filename_prefix 'a/b': no folder can be made there .*move what is there"):
        paths.new_take(paths.fill_prefix("a/b", None), 16, 16)


@pytest.mark.parametrize(
    ("folder", "name", "prefix"),
    [
        ("output/hdr_exr", "frame", "hdr_exr/frame"),
        ("output", "frame", "frame"),
        ("output/output", "frame", "output/frame"),
        ("shots/a", "b/%width%", "shots/a/b/%width%"),
    ],
)
def test_a_folder_and_a_name_make_the_prefix_of_a_save_node(folder, name, prefix, base):
    assert paths.output_prefix(folder, name) == prefix


def test_a_folder_for_pictures_that_leads_out_is_refused(base):
    (base / "output" / "away").symlink_to(base)
    for folder, name, what in (("away", "x", "output_dir"), ("output", "away/x", "filename_prefix")):
        with pytest.raises(ValueError, match=f"^{what}: .* leads out of"):
            paths.output_prefix(folder, name)
    assert len(paths.output_prefix("output", "x" * 245)) == 245
    with pytest.raises(ValueError, match=r"filename_prefix 'x+\.\.\.' has a part of 246 bytes: use at most 245"):
        paths.output_prefix("output", "x" * 246)


def test_links_out_of_the_output_folder_are_refused(base):
    (outside := base / "outside").mkdir()
    (outside / "take.safetensors").write_text("secret")
    (takes := base / "output" / "takes").mkdir()
    (takes / "away").symlink_to(outside)
    (takes / "t_00001").mkdir()
    (takes / "t_00001" / "latents.bin").symlink_to(outside / "take.safetensors")
    for call in (
        lambda: paths.fill_prefix("away/x", None),
        lambda: paths.find_take("away"),
        lambda: paths.find_take("t_00001"),
    ):
        with pytest.raises(ValueError, match=re.escape(f"leads out of {base / 'output'} through a link")):
            call()
    assert [path.name for path in outside.iterdir()] == ["take.safetensors"]


def test_links_within_the_output_folder_work(base):
    (base / "output" / "other").mkdir()
    (base / "output" / "takes").mkdir()
    (base / "output" / "takes" / "near").symlink_to(base / "output" / "other")
    take = paths.new_take(paths.fill_prefix("near/x", None), 16, 16)
    assert paths.take_name(take) == "near/x_00001"
    assert paths.find_take("near/x_00001") == take
    assert (base / "output" / "other" / "x_00001").is_dir()


def test_a_take_with_a_colon_that_is_there_can_still_be_read(base):
    (base / "output" / "takes" / "take:1_00001").mkdir(parents=True)
    assert paths.find_take("take:1_00001").is_dir()
    with pytest.raises(ValueError, match="filename_prefix 'take:1' holds a colon"):
        paths.fill_prefix("take:1", None)


def test_shots_may_be_links_within_the_input_folder_only(base):
    (shots := base / "input" / "shots").mkdir()
    (base / "input" / "shared.json").write_text("{}")
    (base / "secret.json").write_text("{}")
    (shots / "0.json").symlink_to(base / "input" / "shared.json")
    assert paths.input_path("shots", "text", folder=True) == shots
    (shots / "1.json").symlink_to(base / "secret.json")
    with pytest.raises(ValueError, match=r"text: .*1\.json leads out of .* through a link"):
        paths.input_path("shots", "text", folder=True)


@pytest.mark.parametrize("value", [None, ["a", "b"], {"a": 1}, 1.5])
def test_what_is_no_text_is_refused_by_its_type(value, base):
    for call, what in (
        (lambda: paths.fill_prefix(value, None), "filename_prefix"),
        (lambda: paths.find_take(value), "name"),
        (lambda: paths.input_path(value, "file"), "file"),
        (lambda: paths.encoder_folder(value), "folder"),
        (lambda: paths.file_beside(base / "m.pt", value, "save_as"), "save_as"),
    ):
        with pytest.raises(ValueError, match=f"^{what} is {type(value).__name__}, not text"):
            call()
    assert paths.fill_prefix(5, None) == "5"


def test_a_takes_folder_that_leads_out_is_refused(base):
    (outside := base / "outside").mkdir()
    (base / "output" / "takes").symlink_to(outside)
    with pytest.raises(ValueError, match="leads out of"):
        paths.fill_prefix("take", None)


def test_files_come_from_the_input_folder_or_where_core_says(base):
    (base / "input" / "a").mkdir()
    (base / "input" / "a" / "pose.txt").write_text("in")
    (base / "output" / "pose.txt").write_text("out")
    assert paths.input_path("a/pose.txt", "file").read_text() == "in"
    assert paths.input_path("pose.txt [output]", "file").read_text() == "out"
    (base / "input" / "far.txt").symlink_to(base / "output" / "pose.txt")
    with pytest.raises(ValueError, match=r"file: .*far\.txt leads out of .* through a link"):
        paths.input_path("far.txt", "file")
    with pytest.raises(ValueError, match=r"file 'pose\.txt' is no file in the input folder: put it there"):
        paths.input_path("pose.txt", "file")
    with pytest.raises(ValueError, match="text 'a' is no file in the input folder"):
        paths.input_path("a", "text")
    with pytest.raises(ValueError, match=r"text 'a/pose\.txt' is no folder in the input folder"):
        paths.input_path("a/pose.txt", "text", folder=True)


def test_an_encoder_folder_may_be_a_link_but_no_way_out(base, monkeypatch):
    import folder_paths

    (real := base / "elsewhere" / "t5").mkdir(parents=True)
    (real / "config.json").write_text("{}")
    (models := base / "text_encoders").mkdir()
    (models / "t5").symlink_to(real)
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "text_encoders", ([str(models)], set()))
    assert paths.encoder_folder("t5") == models / "t5"
    for name in ("../elsewhere/t5", str(real)):
        with pytest.raises(ValueError, match=r"^folder .*(leads out|absolute)"):
            paths.encoder_folder(name)


def test_a_clean_checkpoint_goes_beside_its_model_and_over_nothing(tmp_path):
    from oner.nodes.longlive.loader import write_clean

    model = tmp_path / "model.pt"
    assert paths.file_beside(model, "clean", "save_as") == tmp_path / "clean.safetensors"
    assert paths.file_beside(model, "clean.safetensors", "save_as") == tmp_path / "clean.safetensors"
    with pytest.raises(ValueError, match="save_as is 'a/b': give a name without folders"):
        paths.file_beside(model, "a/b", "save_as")
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "nothing")
    assert "exists already" in write_clean(str(model), paths.file_beside(model, "link", "save_as"), "auto")
    assert not (tmp_path / "nothing").exists()
