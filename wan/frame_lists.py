"""Frame lists in WanGP's grammar: `1:20 25 -1` keeps frames, `1 25 L` places images. Frames count from 1."""

from __future__ import annotations


def _index(word: str, length: int) -> int:
    """A 1-based frame, negative from the end, or L for the last, as a 0-based index that may lie outside."""
    if word.upper() == "L":
        return length - 1
    try:
        number = int(word)
    except ValueError:
        raise ValueError(f"frame {word!r} is no number; write frames from 1, negative from the end, or L") from None
    if number == 0:
        raise ValueError("frame 0 does not exist: frames count from 1")
    return number - 1 if number > 0 else length + number


def parse_kept(text: str, length: int) -> set[int]:
    """The 0-based frames of a keep list of single frames and ranges a:b (both included)."""
    kept: set[int] = set()
    for token in text.replace(",", " ").split():
        first, colon, last = token.partition(":")
        start = _index(first, length)
        end = _index(last, length) if colon else start
        if end < start:
            raise ValueError(f"frame range {token!r} runs backwards at a length of {length}")
        kept.update(range(max(start, 0), min(end, length - 1) + 1))
    return kept


def parse_positions(text: str, length: int) -> list[int | None]:
    """The 0-based frame of each position; None where it lies outside the video."""
    places = [_index(word, length) for word in text.replace(",", " ").split()]
    return [place if 0 <= place < length else None for place in places]
