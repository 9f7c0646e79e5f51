"""Nodes of LTX-2 and 2.3: their maths is in ltx/ and ltx/ltx2/."""
