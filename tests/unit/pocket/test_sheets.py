"""Contact sheets: every clip has its place, and its frames run from the first to the last."""

import pytest
import torch

from pocket.sheets import BORDER, GROUND, contact_sheet

SIDE, GAP, MARGIN = 16, 2, 12
LOOK = {"columns": 3, "rows": 2, "side": SIDE, "gap": GAP, "margin": MARGIN, "font": 8}


def fading(frames: int) -> torch.Tensor:
    """A clip that goes from black to white."""
    return torch.linspace(0, 1, frames)[:, None, None, None].expand(frames, 8, 8, 3)


def levels(sheet, left: int, top: int) -> list:
    """The pixel in the middle of each of the 3 x 2 frames whose first begins there."""
    places = [(left + column * (SIDE + GAP), top + row * (SIDE + GAP)) for row in range(2) for column in range(3)]
    return [sheet.getpixel((x + SIDE // 2, y + SIDE // 2)) for x, y in places]


@pytest.mark.parametrize("frames", [6, 11])
def test_frames_lie_evenly_over_time_row_by_row(frames):
    sheet = contact_sheet([fading(frames)], ["fading"], **LOOK)
    assert sheet.size == (3 * SIDE + 2 * GAP + 2 * BORDER, MARGIN + 2 * SIDE + GAP + BORDER)
    assert levels(sheet, BORDER, MARGIN) == [(level, level, level) for level in (0, 51, 102, 153, 204, 255)]


def test_a_short_clip_leaves_places_empty():
    assert levels(contact_sheet([fading(2)], [""], **LOOK), BORDER, MARGIN) == [(0,) * 3, (255,) * 3, *[GROUND] * 4]


def test_clips_follow_each_other_in_rows_under_their_captions():
    clips = [torch.full((6, 8, 8, 3), level / 255) for level in (50, 100, 150)]
    sheet = contact_sheet(clips, ["one", "two", ""], across=2, **LOOK)
    width, height = sheet.width // 2, sheet.height // 2
    for (column, row), level in zip([(0, 0), (1, 0), (0, 1)], (50, 100, 150), strict=True):
        assert levels(sheet, column * width + BORDER, row * height + MARGIN) == [(level,) * 3] * 6
    tops = [(column * width, row * height) for row in (0, 1) for column in (0, 1)]
    written = [sheet.crop((x, y, x + width, y + MARGIN)).getextrema()[0][1] > 2 * GROUND[0] for x, y in tops]
    assert written == [True, True, False, False]
