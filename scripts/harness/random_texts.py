"""A text encoder whose texts are random numbers, the same for the same text."""

from __future__ import annotations

import zlib
from typing import Any

import torch
from torch import Tensor


class RandomTexts:
    """Stands for a CLIP: each text has as many tokens as words and two more, or `tokens`."""

    def __init__(self, width: int, tokens: int = 0, masked: bool = False, **options: Any):
        self.width, self.length, self.masked, self.options = width, tokens, masked, options

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, text: str) -> list:
        count = self.length or len(text.split()) + 2
        generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
        mask: dict[str, Tensor] = {"attention_mask": torch.ones(1, count, dtype=torch.int)} if self.masked else {}
        if self.masked:
            mask["attention_mask"][:, -1] = 0  # padding
        return [
            [torch.randn(1, count, self.width, generator=generator), {"pooled_output": None, **mask, **self.options}]
        ]
