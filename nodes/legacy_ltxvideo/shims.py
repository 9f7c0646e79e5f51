"""Nodes under ids of ComfyUI-LTXVideo whose graphs a replacement by ComfyUI cannot open: optional sockets, other units.

They turn old inputs into our nodes' and have no maths of their own. migration.py decides whether they are registered.
"""

from __future__ import annotations

from comfy_api.latest import io

from .guidance import GUIDANCE
from .guides import GUIDES
from .latents import LATENTS
from .loaders import LOADERS
from .samplers import SAMPLERS
from .tricks import TRICKS

SHIMS: list[type[io.ComfyNode]] = [*GUIDANCE, *LATENTS, *LOADERS, *GUIDES, *SAMPLERS, *TRICKS]
