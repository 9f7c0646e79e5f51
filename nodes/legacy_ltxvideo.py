"""Nodes under ids of ComfyUI-LTXVideo whose graphs a replacement by ComfyUI cannot open: optional sockets, other units.

They turn old inputs into our nodes' and have no maths of their own. migration.py decides whether they are registered.
"""

from __future__ import annotations

from comfy_api.latest import io

from .legacy_ltxvideo_guidance import GUIDANCE
from .legacy_ltxvideo_guides import GUIDES
from .legacy_ltxvideo_latents import LATENTS
from .legacy_ltxvideo_loaders import LOADERS
from .legacy_ltxvideo_samplers import SAMPLERS
from .legacy_ltxvideo_tricks import TRICKS

SHIMS: list[type[io.ComfyNode]] = [*GUIDANCE, *LATENTS, *LOADERS, *GUIDES, *SAMPLERS, *TRICKS]
