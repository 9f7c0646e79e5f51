"""Nodes of LTX-2, 2.3 and 2.5: their maths is in ltx/ and ltx/ltx2/."""
