"""Which block computes LTX-2: ComfyUI's where it is right, else ours (block.py), decided by trying a tiny one.

Ours is set as the `forward` of the blocks for the length of one call of the model, by a wrapper around that call, as
ComfyUI's own torch.compile wrapper sets modules. So it is under whatever else there is, in any order: packs that use
patches_replace get ours as `original_block`; compiled, offloaded and hooked blocks stay what they are. patches_replace
itself keeps one entry a block, the last one set; a sampler has no patcher; and object patches on `forward` are taken
back from the wrong module where another pack patches the whole block, as packs that compile do.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from ...samplers.fitting import need_when_sampled
from ...utils.core import need
from .block import forward
from .checks import need_sampled_prompts

log = logging.getLogger("oner")

_av_model = need("comfy.ldm.lightricks.av_model", "BasicAVTransformerBlock")
_extension = need("comfy.patcher_extension", "WrappersMP.APPLY_MODEL", "add_wrapper_with_key")

KEY = "oner_exact_block"
AS_COMFYUI = "oner_block_of_comfyui"  # transformer option: ComfyUI's block is wanted, right or not

VIDEO, AUDIO = 8, 4  # widths of the block that is tried


def with_exact_block(model) -> Any:
    """A clone of a ModelPatcher of any kind, whose LTX-2 blocks, if it has any, compute as the reference does."""
    model = model.clone()
    if has_block(model.model.diffusion_model):
        if not model.get_wrappers(_extension.WrappersMP.APPLY_MODEL, KEY):
            model.add_wrapper_with_key(_extension.WrappersMP.APPLY_MODEL, KEY, _with_exact_blocks)
        need_when_sampled(model, need_sampled_prompts)
    return model


def with_chosen_block(model, *, exact: bool) -> Any:
    """The same by choice: if not `exact`, with ComfyUI's block wherever it is sampled."""
    model = with_exact_block(model)
    known = model.model_options.get("transformer_options", {})
    model.model_options["transformer_options"] = {**known, AS_COMFYUI: not exact}
    return model


def compute_exactly(model_options: dict) -> None:
    """with_exact_block for one sampling run, where there is no ModelPatcher to clone."""
    _extension.add_wrapper_with_key(
        _extension.WrappersMP.APPLY_MODEL, KEY, _with_exact_blocks, model_options, is_model_options=True
    )


def _with_exact_blocks(
    executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **conds
) -> Tensor:
    options = transformer_options or {}
    network = executor.class_obj.diffusion_model
    has_sound = len(conds.get("latent_shapes") or ()) > 1  # else the two never meet
    if options.get(AS_COMFYUI) or not has_sound or not has_block(network):
        return executor(x, t, c_concat, c_crossattn, control, options, **conds)
    with exact_blocks(network):
        return executor(x, t, c_concat, c_crossattn, control, options, **conds)


def has_block(network) -> bool:
    """Whether it is an audio-video network: LTX-2, 2.3 or 2.5, of which the block is the same."""
    return hasattr(network, "audio_patchify_proj")


@contextmanager
def exact_blocks(network) -> Iterator[None]:
    """Within it an LTX-2 network computes as the reference does; after it the network is as before.

    Raises ValueError if another pack replaced the forward of a block that would have to be ours.
    """
    blocks = [getattr(block, "_orig_mod", block) for block in network.transformer_blocks]  # under torch.compile
    replaced = [(i, block) for i, block in enumerate(blocks) if not _is_ours(block) and not is_right(block.__class__)]
    for i, block in replaced:
        _need_cores_forward(i, block)
    before = [vars(block).get("forward") for _, block in replaced]
    try:
        for _, block in replaced:
            vars(block)["forward"] = MethodType(forward, block)
        yield
    finally:
        for (_, block), own in zip(replaced, before, strict=True):
            if own is None:
                del vars(block)["forward"]
            else:
                vars(block)["forward"] = own


def _is_ours(block) -> bool:
    """As within another exact_blocks: a loader, a guider and a sampler may all ask for it."""
    return getattr(block.forward, "__func__", None) is forward


def _need_cores_forward(index: int, block) -> None:
    # ComfyUI leaves its own forward on a block whose patch it took back.
    if getattr(block.forward, "__func__", None) is not type(block).forward:
        other = inspect.unwrap(block.forward)
        name = f"{getattr(other, '__module__', '')}.{getattr(other, '__qualname__', type(other).__qualname__)}"
        raise ValueError(
            f"block {index} of the model runs {name} of another node, where Oner must put the block of LTX-2's "
            "reference: remove that node, or choose 'as ComfyUI computes it' in LTX Exact Block"
        )


@functools.cache
def is_right(block_class: Any) -> bool:
    """Whether a core block class shows the sound the picture as it was before it heard the sound, or must be kept.

    The sound may then not depend on whether the picture hears it. Takes milliseconds.
    """
    known = inspect.signature(forward).parameters
    unknown = [name for name in inspect.signature(block_class.forward).parameters if name not in (*known, "self")]
    if unknown:
        log.warning(
            "Oner: the LTX-2 block of this ComfyUI takes %s, which Oner does not know. It is used as it is, and "
            "results may be off the reference by some per cent: update Oner",
            ", ".join(unknown),
        )
        return True
    deaf, hearing = (_try(block_class, a2v_cross_attn=hears) for hears in (False, True))
    right = torch.allclose(deaf, hearing, rtol=1e-4, atol=1e-4)
    if not right:
        log.info("Oner: ComfyUI's LTX-2 block is off the reference; Oner computes it as the reference does")
    return right


@torch.no_grad()
def _try(block_class: Any, **options) -> Tensor:
    """The sound [1, 5, AUDIO] after a random block on the CPU."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    sizes = {"v_dim": VIDEO, "a_dim": AUDIO, "v_context_dim": VIDEO, "a_context_dim": AUDIO}
    heads = {"v_heads": 1, "a_heads": 1, "vd_head": VIDEO, "ad_head": AUDIO}
    # torch's own layers: under dynamic VRAM core's have no weights until a file is loaded
    block = block_class(**sizes, **heads, dtype=torch.float32, device="cpu", operations=torch.nn)
    for parameter in block.parameters():
        parameter.copy_(random(*parameter.shape))
    _, sound = block(
        (random(1, 6, VIDEO), random(1, 5, AUDIO)),
        v_context=random(1, 3, VIDEO),
        a_context=random(1, 3, AUDIO),
        v_timestep=random(1, 1, 6 * VIDEO),
        a_timestep=random(1, 1, 6 * AUDIO),
        v_cross_scale_shift_timestep=random(1, 1, 4 * VIDEO),
        a_cross_scale_shift_timestep=random(1, 1, 4 * AUDIO),
        v_cross_gate_timestep=random(1, 1, VIDEO),
        a_cross_gate_timestep=random(1, 1, AUDIO),
        transformer_options={"optimized_attention_override": _attention, **options},
    )
    return sound


def _attention(_chosen, q: Tensor, k: Tensor, v: Tensor, *_args, **_options) -> Tensor:
    """One head in plain torch: the attention that is chosen may not run on a CPU."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)
