"""Plain names pass as they are; everything else is refused with its reason."""

import pytest

from oner.utils.names import check_within, plain_path


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("take", "take"),
        ("shots/day 1/take", "shots/day 1/take"),
        ("./a//b/", "a/b"),
        (".hidden", ".hidden"),
        ("console", "console"),
        ("Füchse_狐", "Füchse_狐"),
        ("50%", "50%"),
        ("a..b", "a..b"),
        ("take:1", "take:1"),
        (" a", " a"),
        ("x" * 255, "x" * 255),
    ],
)
def test_plain_names_pass(name, plain):
    assert plain_path(name, "name").as_posix() == plain


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "names nothing"),
        ("  ", "names nothing"),
        ("./.", "names nothing"),
        ("/x", "absolute"),
        ("//s/x", "absolute"),
        ("C:/x", "'C:', a drive"),
        ("c:x", "a drive"),
        ("a\\b", "folders by /"),
        ("ab:c", "colon"),
        ("..", r"by \.\."),
        ("a/../b", r"by \.\."),
        ("a/..", r"by \.\."),
        ("con", "'con', which is a device"),
        ("a/NUL.txt", "'NUL', which is a device"),
        ("lpt¹", "device"),
        ("aux .x", "'aux', which is a device"),
        ("a.", "'a.', which ends in a dot"),
        ("a /b", "ends in a dot or a space"),
        ("...", "ends in a dot"),
        ("a\0", r"U\+0000"),
        ("a\nb", r"U\+000A"),
        ("\x7f", r"U\+007F"),
        ("\ud800", r"U\+D800"),
        ("a\u2028", r"U\+2028"),
        ("x" * 256, "part of 256 bytes: use at most 255"),
        ("é" * 130, "part of 260 bytes"),
        ("a/" * 600, "1200 bytes long: use at most 1024"),
    ],
)
def test_other_names_are_refused(name, reason):
    with pytest.raises(ValueError, match=f"^prefix .*{reason}"):
        plain_path(name, "prefix", new=True)


def test_room_is_left_for_what_is_appended():
    assert plain_path("x" * 249, "prefix", new=True, spare=6).name == "x" * 249
    with pytest.raises(ValueError, match="part of 250 bytes: use at most 249"):
        plain_path("x" * 250, "prefix", new=True, spare=6)
    assert plain_path("x" * 255 + "/a", "prefix", new=True, spare=6).name == "a"  # only the last part grows


def test_links_are_followed(tmp_path):
    (inside := tmp_path / "inside").mkdir()
    (outside := tmp_path / "outside").mkdir()
    (inside / "real").mkdir()
    (inside / "near").symlink_to(inside / "real")
    (inside / "far").symlink_to(outside)
    (inside / "dangling").symlink_to(outside / "nothing")
    for name in ("", "real/absent", "near/x"):
        check_within(inside, inside / name, "name")
    for name in ("far", "far/x", "dangling", "../outside", "../inside2"):
        with pytest.raises(ValueError, match=r"leads out of .* through a link"):
            check_within(inside, inside / name, "name")
