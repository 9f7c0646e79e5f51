"""The attention to a text whose parts hold at their own times: a bias for each part's columns, per latent frame.

Each text of a time line is encoded alone, as a whole prompt, and the contexts lie one after the other. So each frame
reads the very context of a prompt of its own, with that prompt's padding or registers, and no text was in the attention
of another's encoder or connector, as it would be if all were one prompt. A frame reads another time's text with a bias.

The conditioning carries what its columns are; the model's text attention takes it from there, whoever samples. Passes
without it (the negative prompt) and tokens without a time (guides, references) are left as they are. B rows, N tokens,
L columns of the context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...utils.core import need
from ..compiled import tell
from .time_line import TimeLine, biases, frame_times, latent_frames, weights

_extension = need("comfy.patcher_extension", "WrappersMP.CALC_COND_BATCH", "WrappersMP.DIFFUSION_MODEL")
_attention = need("comfy.ldm.modules.attention", "attention_pytorch")

KEY = "oner_time_line"  # in the options of a conditioning, and of a call of the model
BIAS = "oner_text_bias"


@dataclass(frozen=True)
class TimedText:
    """What a conditioning carries: the line, which of its texts the context holds and how many tokens each has.

    The clip is the film's frames `first` to `first + frames`.
    """

    line: TimeLine
    texts: tuple[int, ...]
    tokens: tuple[int, ...]
    softness: float
    strength: float
    first: int
    frames: int

    @property
    def latents(self) -> int:
        """Latent frames of the clip."""
        return latent_frames(self.frames, self.line.step)

    def biases(self, times: Tensor) -> Tensor:
        """The bias of each text at times from the clip's first frame on. [S, T]"""
        weight = weights(self.line, times + self.first, self.softness)
        return biases(weight[list(self.texts)], self.strength)


@dataclass(frozen=True)
class Track:
    """The tokens of a picture or sound that have a time: `before` others, then `tokens` for each of the times."""

    times: Tensor
    tokens: int
    before: int = 0


# --- conditioning ----------------------------------------------------------------------------------------------------


def encode(clip: Any, line: TimeLine, softness: float, strength: float, first: int, frames: int) -> list:
    """The CONDITIONING of the texts of a line."""
    encoded = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in line.texts]
    joined = []
    for entries in zip(*encoded, strict=True):  # one, or one for each range of steps that a CLIP's hooks make
        contexts, options = [entry[0] for entry in entries], dict(entries[0][1])
        if "attention_mask" in options:
            options["attention_mask"] = torch.cat([entry[1]["attention_mask"] for entry in entries], dim=-1)
        tokens = tuple(context.shape[1] for context in contexts)
        options[KEY] = TimedText(line, tuple(range(len(tokens))), tokens, softness, strength, first, frames)
        joined.append([torch.cat(contexts, dim=1), options])
    return joined


def at_window(conditioning: list, first: int, frames: int) -> list:
    """The same CONDITIONING for the film's frames `first` to `first + frames`, with the texts heard there alone.

    Entries without a time line stay as they are.
    """
    return [
        [context, options] if KEY not in options else _cut(context, options, first, frames)
        for context, options in conditioning
    ]


def _cut(context: Tensor, options: dict, first: int, frames: int) -> list:
    timed: TimedText = options[KEY]
    inside = torch.arange(2 * frames, dtype=torch.float64) / 2 + first  # finer than any track's times
    heard = weights(timed.line, inside, timed.softness).amax(1) > 0
    kept = [i for i, text in enumerate(timed.texts) if heard[text]]
    parts = context.split(timed.tokens, dim=1)
    timed = replace(
        timed,
        texts=tuple(timed.texts[i] for i in kept),
        tokens=tuple(timed.tokens[i] for i in kept),
        first=first,
        frames=frames,
    )
    changed = {**options, KEY: timed}
    if "attention_mask" in options:
        masks = options["attention_mask"].split([part.shape[1] for part in parts], dim=-1)
        changed["attention_mask"] = torch.cat([masks[i] for i in kept], dim=-1)
    return [torch.cat([parts[i] for i in kept], dim=1), changed]


# --- a call of the model ---------------------------------------------------------------------------------------------


def bias_text(model: Any, modules: dict[str, Sequence[str]], diffusion: Callable) -> None:
    """Let a cloned MODEL read the time line of its prompts.

    `modules` are the paths of the text attentions of each track; `diffusion` is the family's wrapper of a
    forward of the network, which calls `with_biases`.
    """
    for track, paths in modules.items():
        for path in paths:
            name = f"diffusion_model.{path}.forward"
            seeing = hasattr(model.get_model_object(f"diffusion_model.{path}"), "k_img")
            model.add_object_patch(name, TimedAttention(model.get_model_object(name), track, seeing))
    kind = _extension.WrappersMP
    for where, wrapper in ((kind.CALC_COND_BATCH, _mark_prompts), (kind.DIFFUSION_MODEL, diffusion)):
        model.remove_wrappers_with_key(where, KEY)  # of a node before: once is enough
        model.add_wrapper_with_key(where, KEY, wrapper)
    tell(model, "time line", plan_of=_plan)


def _mark_prompts(executor: Callable, model: Any, conds: list, x: Tensor, timestep: Tensor, model_options: dict) -> Any:
    """Hand the time lines of the prompts to the call of the model, which knows a prompt by its uuid alone."""
    timed = {
        cond["uuid"]: (cond[KEY], _columns(cond)) for each in conds if each is not None for cond in each if KEY in cond
    }
    options = {**model_options.get("transformer_options", {}), KEY: timed}
    return executor(model, conds, x, timestep, {**model_options, "transformer_options": options})


def _columns(cond: dict) -> tuple[int, ...]:
    """Columns of the context for each text: its tokens, or what connectors fill up to one number for all."""
    tokens, total = cond[KEY].tokens, cond["model_conds"]["c_crossattn"].cond.shape[1]
    need_unchanged(cond[KEY], cond["cross_attn"])
    if total == sum(tokens):
        return tokens
    return (total // len(tokens),) * len(tokens)


def _plan(x: Tensor, conds: dict, options: dict) -> tuple:
    known, frames = options.get(KEY, {}), conds.get("keyframe_idxs")
    return tuple(x.shape), None if frames is None else tuple(frames.shape), tuple(map(known.get, options["uuids"]))


def with_biases(options: dict, rows: int, like: Tensor, tracks_of: Callable[[TimedText], dict[str, Track]]) -> dict:
    """Transformer options with the biases of the prompts of a call of `rows` rows; the same if none has a time line."""
    known, passes = options.get(KEY, {}), options.get("uuids", [])
    if not any(uuid in known for uuid in passes):
        return options
    if options.get("context_window") is not None:
        raise ValueError(
            "Prompt Time Line cannot see which frames a context window of ComfyUI shows: take the context windows out"
        )
    size = rows // len(passes)
    parts: dict[str, list] = {}
    for number, uuid in enumerate(passes):
        if uuid in known:
            timed, columns = known[uuid]
            for name, track in tracks_of(timed).items():
                runs = _runs(timed.biases(track.times), track, columns, like)
                parts.setdefault(name, []).append((slice(number * size, (number + 1) * size), runs))
    return {**options, BIAS: {name: TextBias(rows, each) for name, each in parts.items()}}


Runs = list[tuple[slice, Tensor]]


def _runs(bias: Tensor, track: Track, columns: tuple[int, ...], like: Tensor) -> Runs:
    """Tokens that read the context with one bias [1, 1, 1, L], run by run: no mask of all tokens is ever made."""
    repeats = torch.tensor(columns)
    found: Runs = []
    start = 0
    for here in range(1, bias.shape[1] + 1):
        if here == bias.shape[1] or not torch.equal(bias[:, here], bias[:, start]):
            tokens = slice(track.before + start * track.tokens, track.before + here * track.tokens)
            row = bias[:, start].repeat_interleave(repeats).to(like)
            found.append((tokens, row[None, None, None]))
            start = here
    return found


@dataclass
class TextBias:
    """The rows of a batch that have a time line, and how the tokens of each read the context."""

    rows: int
    parts: list[tuple[slice, Runs]]

    def attend(
        self, plain: Callable, q: Tensor, k: Tensor, v: Tensor, heads: int, *args: Any, **options: Any
    ) -> Tensor:
        """The attention output [B, N, D] of q [B, N, D] and k, v [B, L, D]; what has no bias goes through `plain`."""
        mask = options.pop("mask", None)

        def of(rows: slice) -> Tensor | None:
            return mask if mask is None or len(mask) == 1 else mask[rows]

        out = torch.empty_like(q)
        at = 0
        for rows, runs in [*self.parts, (slice(self.rows, self.rows), [])]:
            if at < rows.start:
                free = slice(at, rows.start)
                out[free] = plain(q[free], k[free], v[free], heads, *args, mask=of(free), **options)
            at, token = rows.stop, 0
            # PyTorch's attention, whatever was chosen for the model: others take no mask, or leave it out silently.
            for tokens, bias in [*runs, (slice(q.shape[1], q.shape[1]), None)] if runs else []:
                if token < tokens.start:
                    free = slice(token, tokens.start)
                    out[rows, free] = plain(q[rows, free], k[rows], v[rows], heads, *args, mask=of(rows), **options)
                if bias is not None:
                    given = bias.to(q) if mask is None else bias.to(q) + of(rows)
                    out[rows, tokens] = _attention.attention_pytorch(
                        q[rows, tokens], k[rows], v[rows], heads, *args, mask=given, **options
                    )
                token = tokens.stop
        return out


class TimedAttention:
    """Forward of a text attention, around whatever forward was there, that adds the biases of its track.

    One that is `seeing` attends to a picture first, if it is given one.
    """

    def __init__(self, forward: Callable, track: str, seeing: bool = False):
        self.forward: Callable = forward.forward if isinstance(forward, TimedAttention) else forward
        self.track = track
        self.seeing = seeing

    def __call__(self, *args: Any, transformer_options: dict | None = None, **given: Any) -> Tensor:
        options = transformer_options or {}
        bias = options.get(BIAS, {}).get(self.track)
        if bias is not None:
            inner = options.get("optimized_attention_override")
            pictures = int(self.seeing and given.get("context_img_len") is not None)
            rest = {name: value for name, value in options.items() if name != BIAS}  # it acts once
            options = {**rest, "optimized_attention_override": _WithBias(bias, inner, pictures)}
        return self.forward(*args, transformer_options=options, **given)


class _WithBias:
    """Attention override of one call of a text attention, in which so many attentions to pictures come first."""

    def __init__(self, bias: TextBias, inner: Callable | None, pictures: int):
        self.bias = bias
        self.inner = inner
        self.pictures = pictures

    def __call__(self, attention: Callable, q: Tensor, k: Tensor, v: Tensor, heads: int, *args: Any, **options: Any):
        def plain(*a: Any, **o: Any) -> Tensor:
            return attention(*a, **o) if self.inner is None else self.inner(attention, *a, **o)

        if self.pictures:
            self.pictures -= 1
            return plain(q, k, v, heads, *args, **options)
        return self.bias.attend(plain, q, k, v, heads, *args, **options)


def picture(timed: TimedText, tokens: int, before: int = 0) -> Track:
    """The track of the clip's picture, `tokens` for each latent frame."""
    return Track(frame_times(timed.latents, timed.line.step), tokens, before)


def need_reader(model: Any, prompts: dict[str, list[dict]]) -> None:
    """Raise ValueError if a prompt has a time line and the MODEL would read all of its texts at all times."""
    for name, prompt in prompts.items():
        if any(KEY in options for options in prompt) and not model.get_wrappers(
            _extension.WrappersMP.CALC_COND_BATCH, KEY
        ):
            raise ValueError(
                f"{name} has a time line, and the model does not read it: connect the model of its Prompt Time Line"
            )


def need_unchanged(timed: TimedText, context: Tensor) -> None:
    """Raise ValueError unless a conditioning has the tokens that it says."""
    if context.shape[1] != sum(timed.tokens):
        raise ValueError(
            f"a prompt with a time line has {context.shape[1]} tokens and had {sum(timed.tokens)}: it was changed "
            "after Prompt Time Line; put all of its text into that node"
        )


def need_length(timed: TimedText, frames: int, what: str = "the latent") -> None:
    """Raise ValueError unless a latent has the latent frames of the time line's clip."""
    if frames != timed.latents:
        made = (frames - 1) * timed.line.step + 1
        raise ValueError(
            f"{what} has {frames} latent frames ({made} frames), and the clip of the time line {timed.latents} "
            f"({timed.frames} frames): set the length of Prompt Time Line to {made}"
        )
