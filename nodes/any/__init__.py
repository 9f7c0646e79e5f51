"""Nodes that serve any family: their maths is in samplers/ and utils/."""
