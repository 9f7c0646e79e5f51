"""Nodes of LongLive: their maths is in longlive/."""
