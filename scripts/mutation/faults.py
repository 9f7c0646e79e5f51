"""The faults: one line each that a person could write and no reader would see, and the tests that should see it.

`old` occurs exactly once in the file. Reference results (tests/golden) are not counted on: each fault has a test with
an oracle of its own.
"""

from __future__ import annotations

from . import compat, hostile, longlive, ltx2, ltxv, samplers, utils, wan

FAMILIES = (ltx2, ltxv, wan, longlive)
FAULTS = tuple(fault for module in (*FAMILIES, samplers, utils, compat, hostile) for fault in module.FAULTS)
