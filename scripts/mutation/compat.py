"""Faults in what the compatibility lanes run in and count."""

from .fault import Fault

FAULTS = (
    Fault(
        "Releases: an environment with versions that the tree does not ask for",
        "scripts/compat/environment.py",
        "if not wanted.specifier.contains(found, prereleases=True):",
        "if wanted.specifier.contains(found, prereleases=True) is None:",
        ("tests/unit/compat/test_environment.py",),
    ),
    Fault(
        "Releases: two trees with other requirements share an environment",
        "scripts/compat/environment.py",
        "sys.prefix, *installed(), *requirements])",
        "sys.prefix, *installed()])",
        ("tests/unit/compat/test_environment.py::test_equal_requirements_share_an_environment_and_others_do_not",),
    ),
    Fault(
        "Releases: an environment taken for complete before pip has run",
        "scripts/compat/environment.py",
        "        create(folder, python)",
        "        create(folder, python); (folder / COMPLETE).touch()",
        ("tests/unit/compat/test_environment.py::test_a_set_up_that_was_cut_short_is_done_again",),
    ),
    Fault(
        "Releases: skipped tests counted as passed",
        "scripts/compat/outcome.py",
        "passed = len(cases) - len(failed) - len(skipped)",
        "passed = len(cases) - len(failed)",
        ("tests/unit/compat/test_outcome.py",),
    ),
    Fault(
        "Releases: reference results that nothing covers counted as fine",
        "scripts/compat/outcome.py",
        "return Outcome(ok, uncovered + failed or len(failures), later",
        "return Outcome(ok, failed or len(failures), later",
        ("tests/unit/compat/test_outcome.py",),
    ),
    Fault(
        "Releases: ordered as words, 0.9 after 0.30",
        "scripts/compat/record.py",
        '[int(part) for part in release.split(".")]',
        'release.split(".")',
        ("tests/unit/compat/test_record.py",),
    ),
    Fault(
        "Releases: an old tree passes whatever it says",
        "scripts/compat/__main__.py",
        "refused = done.returncode != 0 and ",
        "refused = done.returncode != 0 or ",
        ("tests/unit/compat/test_command.py",),
    ),
)
