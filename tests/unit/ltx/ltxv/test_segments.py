"""Long and large clips in pieces: where pieces and tiles lie, which keyframes they get, and how they are joined."""

from itertools import pairwise

import pytest
import torch

from oner.ltx.ltxv import segments
from oner.utils.latents import cross_fade


def test_pieces_cover_the_clip_and_share_the_overlap():
    assert segments.time_pieces(25, 10, 3) == [(0, 10), (7, 17), (14, 24), (21, 25)]
    assert segments.time_pieces(10, 10, 3) == [(0, 10)]
    assert segments.time_pieces(4, 10, 3) == [(0, 4)]


def test_a_keyframe_goes_to_the_first_piece_that_reaches_it():
    # pieces of 10 latents reach frame 72, the second one 7 * 8 frames further
    assert segments.keyframe_pieces([0, 72, 73, 128, 129], 193, 3, 10, 3) == [[0, 1], [2, 3], [4]]
    with pytest.raises(ValueError, match="a keyframe is at frame 193; the clip has frames 0 to 192"):
        segments.keyframe_pieces([193], 193, 3, 10, 3)


def test_a_latent_frame_begins_where_the_vae_begins_it():
    assert [segments.guide_frame(index) for index in (-2, 0, 1, 2)] == [-16, 0, 1, 9]


def test_a_cross_fade_never_repeats_or_drops_a_frame():
    first, second = torch.zeros(1, 1, 5, 1, 1), torch.ones(1, 1, 4, 1, 1)
    joined = cross_fade(first, second, 3)
    assert joined.flatten().tolist() == [0, 0, 0.25, 0.5, 0.75, 1]
    assert cross_fade(first, second, 0).shape[2] == 9


@pytest.mark.parametrize(("size", "count", "overlap"), [(17, 1, 4), (17, 2, 1), (20, 3, 2), (34, 6, 5)])
def test_tiles_cover_everything_and_share_the_overlap(size, count, overlap):
    tiles = segments.tile_ranges(size, count, overlap)
    assert len(tiles) == count
    assert (tiles[0][0], tiles[-1][1]) == (0, size)
    assert all(a[1] - b[0] >= overlap for a, b in pairwise(tiles))
    assert len({end - start for start, end in tiles}) == 1


def test_tiles_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="6 tiles with an overlap of 8 do not fit into 4 latents: use fewer tiles"):
        segments.tile_ranges(4, 6, 8)


@pytest.mark.parametrize("overlap", [1, 2, 4])
def test_tiles_of_one_picture_give_it_back(overlap):
    picture = torch.randn(1, 2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    rows, columns = segments.tile_ranges(8, 2, overlap), segments.tile_ranges(12, 3, overlap)
    tiles = [(picture[..., slice(*r), slice(*c)], r, c) for r in rows for c in columns]
    torch.testing.assert_close(segments.blend_tiles(tiles, picture), picture)


def test_an_overlap_of_one_blends():
    like = torch.zeros(1, 1, 1, 1, 5)
    tiles = [(torch.zeros(1, 1, 1, 1, 3), (0, 1), (0, 3)), (torch.ones(1, 1, 1, 1, 3), (0, 1), (2, 5))]
    assert segments.blend_tiles(tiles, like).flatten().tolist() == [0, 0, 0.5, 1, 1]
