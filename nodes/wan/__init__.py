"""Nodes of Wan: their maths is in wan/ and samplers/."""
