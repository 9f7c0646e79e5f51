"""Faults in the judge of hostile prompts: what is planted would not be caught."""

from .fault import Fault

JUDGED = ("tests/graphs/test_hostile.py",)

FAULTS = (
    Fault(
        "Hostile: every error counts as one that the pack meant to raise",
        "scripts/hostile/judge.py",
        "    if on_purpose(error):",
        "    if error:",
        JUDGED,
    ),
    Fault(
        "Hostile: frames of the pack not looked for",
        "scripts/hostile/judge.py",
        "any(map(is_pack, frames_of(error))) or not upstream",
        "not upstream",
        JUDGED,
    ),
    Fault(
        "Hostile: any new file in the sandbox allowed, not models alone",
        "scripts/hostile/judge.py",
        'self.executor.base / "models"):',
        "self.root):",
        JUDGED,
    ),
    Fault(
        "Hostile: what the pack made of a value counts as what came past it",
        "scripts/hostile/judge.py",
        "            return link if source is None else past(source)",
        "            return link",
        JUDGED,
    ),
)
