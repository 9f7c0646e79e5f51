"""Prompts longer than a model reads: cut as the reference cuts them, and said."""

from __future__ import annotations

import logging

log = logging.getLogger("oner")


def cut_prompt(tokens: list, limit: int, encoder: str, ends: bool) -> list:
    """The first `limit` of a prompt's tokens; if it `ends` in a token of its own, that one stays the last."""
    if len(tokens) <= limit:
        return tokens
    log.warning(
        "Oner: the prompt has %d tokens and %s reads %d, as in the reference: what comes after is left out; shorten it",
        len(tokens),
        encoder,
        limit,
    )
    return [*tokens[: limit - 1], tokens[-1]] if ends else tokens[:limit]
