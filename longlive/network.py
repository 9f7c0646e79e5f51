"""One causal forward over core's Wan weights: a block of frames that attends to itself and to the cached window.

Same arithmetic as comfy/ldm/wan/ar_model.py forward_block; differs in that the cache is ours, positions are exact at
any distance, text keys and values are computed once a prompt, and every attention goes through transformer_options.
B batch, F frames of the block, N = F h w tokens, D width, n heads, d head channels, L text tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from ..utils.core import need
from .graphs import GraphedForwards
from .kv import KVCache, TextKV

cast_to = need("comfy.model_management", "cast_to").cast_to
pad_to_patch_size = need("comfy.ldm.common_dit", "pad_to_patch_size").pad_to_patch_size
apply_rope1 = need("comfy.ldm.flux.math", "apply_rope1").apply_rope1
attention_module = need("comfy.ldm.modules.attention", "optimized_attention")
wan = need("comfy.ldm.wan.model", "sinusoidal_embedding_1d", "WanModel.unpatchify", "WanAttentionBlock", "repeat_e")


def per_token(e: Tensor, x: Tensor) -> Tensor:
    """Modulation [B, F, D] for every token of x [B, N, D]."""
    return wan.repeat_e(e, x)


class CausalNetwork:
    """A loaded Wan transformer seen as a function of (block, time, text, cache); holds no state of a take."""

    def __init__(
        self,
        model: torch.nn.Module,
        dtype: torch.dtype,
        transformer_options: dict | None = None,
        compile_backend: str | Callable | None = None,
        cuda_graphs: bool = False,
    ):
        """With a `compile_backend` one block is compiled and serves all layers, once per number of frames attended.

        `cuda_graphs` records a forward for each number of frames attended and replays it (graphs.py); it needs weights
        and a cache that stay where they are.
        """
        self.model = model
        self.dtype = dtype
        self.options = transformer_options or {}
        self.block = self.run_block
        self.graphs = GraphedForwards(self.forward) if cuda_graphs else None
        if compile_backend is not None:
            self.block = torch.compile(self.run_block, backend=compile_backend, dynamic=False)

    @property
    def layers(self) -> int:
        return len(self.model.blocks)

    @property
    def heads(self) -> int:
        return self.model.num_heads

    @property
    def head_dim(self) -> int:
        return self.model.dim // self.model.num_heads

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Token rows and columns of a latent frame."""
        _, rows, columns = self.model.patch_size
        return -(-height // rows), -(-width // columns)

    def encode_text(self, context: Tensor) -> TextKV:
        """Keys and values of a prompt [B, L, text width] in every layer."""
        text = self.model.text_embedding(context.to(self.dtype))
        return [
            (block.cross_attn.norm_k(block.cross_attn.k(text)), block.cross_attn.v(text)) for block in self.model.blocks
        ]

    def flow(self, x: Tensor, timestep: float | Tensor, text: TextKV, rope: Tensor, cache: KVCache) -> Tensor:
        """Predicted noise - x0 of a block x [B, C, F, H, W] float32, at one time or at times [B, F], 0 to 1000."""
        if not isinstance(timestep, Tensor):
            timestep = torch.full((x.shape[0], x.shape[2]), timestep, dtype=torch.float32, device=x.device)
        wave = wan.sinusoidal_embedding_1d(self.model.freq_dim, timestep.flatten()).to(self.dtype)  # [B F, freq_dim]
        run = self.graphs or self.forward
        return run(x.to(self.dtype), wave, text, rope, cache.index, cache).float()

    def forward(self, x: Tensor, wave: Tensor, text: TextKV, rope: Tensor, index: Tensor, cache: KVCache) -> Tensor:
        """Everything that a CUDA graph can hold; `index` is where in the cache the block's tokens go."""
        frames, height, width = x.shape[2:]
        x = pad_to_patch_size(x, self.model.patch_size)
        x = self.model.patch_embedding(x.float()).to(x.dtype)  # [B, D, F, h, w]
        grid = x.shape[2:]
        x = rearrange(x, "b d f h w -> b (f h w) d").contiguous()
        e = self.model.time_embedding(wave).unflatten(0, (x.shape[0], frames))  # [B, F, D]
        e0 = rearrange(self.model.time_projection(e), "b f (part d) -> b f part d", part=6)
        used = cache.plan.held * cache.tokens
        for layer, block in enumerate(self.model.blocks):
            self.options["block_index"] = layer
            keys, values = cache.open(layer)
            x = self.block(block, x, e0, *text[layer], rope, keys, values, index, used)
            cache.close(layer)
        x = self.model.unpatchify(self.model.head(x, e), grid)
        return x[:, :, :frames, :height, :width]

    def run_block(
        self,
        block: torch.nn.Module,
        x: Tensor,
        e0: Tensor,
        text_keys: Tensor,
        text_values: Tensor,
        rope: Tensor,
        keys: Tensor,
        values: Tensor,
        index: Tensor,
        used: int,
    ) -> Tensor:
        """One layer; writes the block's keys and values at `index` and attends to the first `used` tokens."""
        modulation = cast_to(block.modulation, dtype=x.dtype, device=x.device).unsqueeze(0) + e0
        shift1, scale1, gate1, shift2, scale2, gate2 = (per_token(part, x) for part in modulation.unbind(2))
        attn = block.self_attn
        y = torch.addcmul(shift1, block.norm1(x), 1 + scale1)
        heads = (self.heads, self.head_dim)
        q = apply_rope1(attn.norm_q(attn.q(y)).unflatten(-1, heads), rope)  # [B, N, n, d]
        k = apply_rope1(attn.norm_k(attn.k(y)).unflatten(-1, heads), rope)
        keys.index_copy_(1, index, k.to(keys.dtype))
        values.index_copy_(1, index, attn.v(y).unflatten(-1, heads).to(values.dtype))
        y = self.attention(q.flatten(2), keys[:, :used].flatten(2), values[:, :used].flatten(2))
        x = torch.addcmul(x, attn.o(y), gate1)
        x = x + self.text_attention(block.cross_attn, block.norm3(x), (text_keys, text_values))
        y = block.ffn(torch.addcmul(shift2, block.norm2(x), 1 + scale2))
        return torch.addcmul(x, y, gate2)

    def text_attention(self, attn, x: Tensor, text: tuple[Tensor, Tensor]) -> Tensor:
        return attn.o(self.attention(attn.norm_q(attn.q(x)), *text))

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention_module.optimized_attention(q, k, v, heads=self.heads, transformer_options=self.options)
