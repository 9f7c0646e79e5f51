"""Windows kept on disk come back as they were, and the oldest go first."""

import os

import pytest
import torch

from oner.samplers.windows.cache import WindowCache
from oner.samplers.windows.run import Made


def made(seed=1, sound=True):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    return Made(
        torch.randint(0, 256, (9, 16, 24, 3), generator=generator).to(torch.uint8),
        [[draw(1, 16, 3, 2, 3), draw(1, 8, 5, 16)], [draw(1, 16, 3, 4, 6), draw(1, 8, 5, 16)]],
        [[draw(1, 16, 3, 2, 3), draw(1, 8, 5, 16)], [draw(1, 16, 3, 4, 6), draw(1, 8, 5, 16)]],
        draw(2, 100) if sound else None,
        {"first.mean": draw(3)},
        "a line",
    )


@pytest.mark.parametrize("sound", [True, False])
def test_a_window_comes_back_as_it_was(tmp_path, sound):
    cache, window = WindowCache(tmp_path, 10**9), made(sound=sound)
    cache.put("k", window)
    again = cache.get("k")
    assert torch.equal(again.frames, window.frames)
    assert again.line == "a line"
    for what in ("latents", "noise"):
        for stage, parts in enumerate(getattr(window, what)):
            assert all(torch.equal(a, b) for a, b in zip(parts, getattr(again, what)[stage], strict=True))
    assert (again.sound is None) if not sound else torch.equal(again.sound, window.sound)
    assert torch.equal(again.drift["first.mean"], window.drift["first.mean"])
    assert cache.get("another") is None


def test_the_ones_used_longest_ago_go_first(tmp_path):
    cache = WindowCache(tmp_path, 10**9)
    for number in range(4):
        cache.put(f"k{number}", made(number))
        for path in tmp_path.glob(f"k{number}.*"):
            os.utime(path, ns=(number + 1, number + 1))
    assert cache.get("k0") is not None  # used again
    cache.limit = 3.5 * sum(path.stat().st_size for path in tmp_path.glob("k3.*"))
    cache.put("k4", made(4))
    assert sorted({path.stem for path in tmp_path.iterdir()}) == ["k0", "k3", "k4"]


@pytest.mark.parametrize("ending", ["mkv", "safetensors"])
def test_a_damaged_window_is_made_anew(tmp_path, ending):
    cache = WindowCache(tmp_path, 10**9)
    cache.put("k", made())
    path = tmp_path / f"k.{ending}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert cache.get("k") is None
    assert not list(tmp_path.iterdir())


def test_a_window_larger_than_the_limit_is_kept_alone(tmp_path):
    cache = WindowCache(tmp_path, 10)
    cache.put("k", made())
    cache.put("l", made(2))
    assert {path.stem for path in tmp_path.iterdir()} == {"l"}
