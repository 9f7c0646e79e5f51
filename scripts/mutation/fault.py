"""What a fault is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`old` becomes `new` in `file`, and one of `tests` (what pytest takes as arguments) should fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, text: str) -> str | None:
        """The file's text with the fault; None if `old` does not occur exactly once."""
        return text.replace(self.old, self.new) if text.count(self.old) == 1 else None
