"""The faults: one line each that a person could write and no reader would see, and the tests that should see it.

`old` occurs exactly once in the file. Reference results (tests/golden) are not counted on: each fault has a test with
an oracle of its own.
"""

from __future__ import annotations

from . import compat, longlive, ltx2, ltxv, samplers, utils, wan

FAULTS = (*ltx2.FAULTS, *ltxv.FAULTS, *wan.FAULTS, *longlive.FAULTS, *samplers.FAULTS, *utils.FAULTS, *compat.FAULTS)
