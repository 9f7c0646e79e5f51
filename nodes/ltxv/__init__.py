"""Nodes of LTX-Video 0.9.x: their maths is in ltx/ and ltx/ltxv/."""
