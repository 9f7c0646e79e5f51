"""Nodes under ids of ComfyUI-LTXVideo: they turn old inputs into our nodes' and have no maths of their own.

migration.py decides which are registered.
"""

from __future__ import annotations

from comfy_api.latest import io

from .guidance import GUIDANCE
from .guides import GUIDES
from .latents import LATENTS
from .loaders import LOADERS
from .media import MEDIA
from .prompts import PROMPTS
from .samplers import SAMPLERS
from .tricks import TRICKS

SHIMS: list[type[io.ComfyNode]] = [*GUIDANCE, *LATENTS, *LOADERS, *PROMPTS, *GUIDES, *MEDIA, *SAMPLERS, *TRICKS]
