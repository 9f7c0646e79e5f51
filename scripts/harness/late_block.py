"""A ComfyUI whose LTX-2 block is wrong, whichever ComfyUI runs: for tests of the pack's own block.

What the sound gets from the picture depends on what the picture got from the sound, as in ComfyUI after 0.30.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from comfy.ldm.lightricks.av_model import BasicAVTransformerBlock

from oner.ltx.ltx2 import block


class LateBlock(BasicAVTransformerBlock):
    @functools.wraps(block.forward)
    def forward(self, *args, **inputs):
        video, audio = block.forward(self, *args, **inputs)
        return video, audio + 0.1 * video.mean(dim=1, keepdim=True)[..., : audio.shape[-1]]


@contextmanager
def late_core() -> Iterator[None]:
    with patch.object(BasicAVTransformerBlock, "forward", LateBlock.forward):
        forget_verdicts()
        yield
    forget_verdicts()


def forget_verdicts() -> None:
    for name, module in list(sys.modules.items()):
        if name.endswith(".ltx.ltx2.block_choice"):  # ComfyUI loads the pack under a name of its own
            module.is_right.cache_clear()
