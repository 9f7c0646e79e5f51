"""The audio-video block of LTX-2 as the reference computes it, on the submodules of ComfyUI's own block.

With mod(x) = rms_norm(x) (1 + scale) + shift, for the picture v and the sound a:

    x += gate * attn1(mod(x));  x += attn2(x, text)                   each on its own
    v, a = v + gate * a2v(mod(v), mod(a)), a + gate * v2a(mod(a), mod(v))   both from the same v and a
    x += gate * ff(mod(x))                                            each on its own

ComfyUI after 0.30 takes the picture of v2a after a2v was added to it, and is 2 to 10 % off by it. What the submodules
are (LoRA, quantised, offloaded, patched attention) is not looked at here. B batch, N tokens, D width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...utils.core import need

_av_model = need(
    "comfy.ldm.lightricks.av_model",
    "BasicAVTransformerBlock.get_ada_values",
    "BasicAVTransformerBlock._apply_text_cross_attention",
)
_common = need("comfy.ldm.common_dit", "rms_norm")
# The fused norm of newer releases; it has no gradient.
_rms_adaln = getattr(getattr(need("comfy.quant_ops"), "ck", None), "rms_adaln", None)

# Rows of the modulation tables: of a modality on its own (shift, scale, gate each), and between the two.
ATTENTION, ATTENTION_GATE, FEED_FORWARD, FEED_FORWARD_GATE = slice(0, 2), slice(2, 3), slice(3, 5), slice(5, 6)
FOR_PICTURE, FOR_SOUND, EXCHANGE, EXCHANGE_GATE = slice(0, 2), slice(2, 4), slice(0, 4), slice(4, 5)


class Side(NamedTuple):
    """One modality in a block: its modules, its tables, and what the network computed for it.

    A time is [B, N or 1, rows * D] or core's CompressedTimestep, which keeps a row per latent frame.
    """

    attn1: Any
    attn2: Any
    ff: Any
    table: Tensor
    prompt_table: Tensor | None
    exchange_table: Tensor
    time: Any
    prompt_time: Any
    exchange_time: Any
    gate_time: Any
    text: Tensor
    rope: Any
    exchange_rope: Any
    mask: Any  # of attn1


def forward(
    block,
    x: tuple[Tensor, Tensor],
    v_context=None,
    a_context=None,
    attention_mask=None,
    v_timestep=None,
    a_timestep=None,
    v_pe=None,
    a_pe=None,
    v_cross_pe=None,
    a_cross_pe=None,
    v_cross_scale_shift_timestep=None,
    a_cross_scale_shift_timestep=None,
    v_cross_gate_timestep=None,
    a_cross_gate_timestep=None,
    transformer_options=None,
    self_attention_mask=None,
    v_prompt_timestep=None,
    a_prompt_timestep=None,
) -> tuple[Tensor, Tensor]:
    """Picture and sound [B, N, D] after `block`; called as core calls BasicAVTransformerBlock.forward.

    Like core's it writes into `x`, unless gradients are recorded.
    """
    options = transformer_options or {}
    video, audio = x
    has_sound = audio.numel() > 0
    runs_video, runs_audio = options.get("run_vx", True), options.get("run_ax", True) and has_sound
    hears = runs_video and has_sound and options.get("a2v_cross_attn", True)
    sees = runs_audio and options.get("v2a_cross_attn", True)

    v = Side(
        block.attn1,
        block.attn2,
        block.ff,
        block.scale_shift_table,
        getattr(block, "prompt_scale_shift_table", None),
        block.scale_shift_table_a2v_ca_video,
        v_timestep,
        v_prompt_timestep,
        v_cross_scale_shift_timestep,
        v_cross_gate_timestep,
        v_context,
        v_pe,
        v_cross_pe,
        self_attention_mask,
    )
    a = Side(
        block.audio_attn1,
        block.audio_attn2,
        block.audio_ff,
        block.audio_scale_shift_table,
        getattr(block, "audio_prompt_scale_shift_table", None),
        block.scale_shift_table_a2v_ca_audio,
        a_timestep,
        a_prompt_timestep,
        a_cross_scale_shift_timestep,
        a_cross_gate_timestep,
        a_context,
        a_pe,
        a_cross_pe,
        None,
    )

    if runs_video:
        video = attend(block, v, video, attention_mask, options)
    if runs_audio:
        audio = attend(block, a, audio, attention_mask, options)

    # All that the two say to each other is taken before either changes.
    if hears:
        asking, heard = exchanged(block, v, video, FOR_PICTURE), exchanged(block, a, audio, FOR_PICTURE)
    if sees:
        looking, seen = exchanged(block, a, audio, FOR_SOUND), exchanged(block, v, video, FOR_SOUND)
    if hears:
        out = block.audio_to_video_attn(
            asking, context=heard, pe=v.exchange_rope, k_pe=a.exchange_rope, transformer_options=options
        )
        del asking, heard
        video = add_gated(video, out, exchange_gate(block, v, video))
    if sees:
        out = block.video_to_audio_attn(
            looking, context=seen, pe=a.exchange_rope, k_pe=v.exchange_rope, transformer_options=options
        )
        del looking, seen
        audio = add_gated(audio, out, exchange_gate(block, a, audio))

    if runs_video:
        video = feed_forward(block, v, video)
    if runs_audio:
        audio = feed_forward(block, a, audio)
    return video, audio


def attend(block, side: Side, x: Tensor, text_mask, options: dict) -> Tensor:
    """Self-attention and attention to the text."""
    shift, scale = block.get_ada_values(side.table, len(x), side.time, ATTENTION)
    out = side.attn1(modulate(x, scale, shift), pe=side.rope, mask=side.mask, transformer_options=options)
    del shift, scale
    (gate,) = block.get_ada_values(side.table, len(x), side.time, ATTENTION_GATE)
    x = add_gated(x, out, gate)
    del out, gate
    said = block._apply_text_cross_attention(
        x, side.text, side.attn2, side.table, side.prompt_table, side.time, side.prompt_time, text_mask, options
    )
    return x + said if torch.is_grad_enabled() else x.add_(said)


def exchanged(block, side: Side, x: Tensor, rows: slice) -> Tensor:
    """`x` as it takes part in the attention that changes the picture or the sound."""
    scale, shift = block.get_ada_values(side.exchange_table[EXCHANGE], len(x), side.exchange_time, rows)
    return modulate(x, scale, shift)


def exchange_gate(block, side: Side, x: Tensor) -> Tensor:
    return block.get_ada_values(side.exchange_table[EXCHANGE_GATE], len(x), side.gate_time)[0]


def feed_forward(block, side: Side, x: Tensor) -> Tensor:
    shift, scale = block.get_ada_values(side.table, len(x), side.time, FEED_FORWARD)
    out = side.ff(modulate(x, scale, shift))
    del shift, scale
    (gate,) = block.get_ada_values(side.table, len(x), side.time, FEED_FORWARD_GATE)
    return add_gated(x, out, gate)


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """rms_norm(x) * (1 + scale) + shift"""
    if _rms_adaln is None or torch.is_grad_enabled():
        return _common.rms_norm(x) * (1 + scale) + shift
    return _rms_adaln(x, scale, shift)


def add_gated(x: Tensor, out: Tensor, gate: Tensor) -> Tensor:
    """x + out * gate; in place, as a second x costs hundreds of megabytes, unless a gradient needs the old one."""
    return torch.addcmul(x, out, gate) if torch.is_grad_enabled() else x.addcmul_(out, gate)
