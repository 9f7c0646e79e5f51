"""Models of the real sizes with random weights, made on the device and handed to ComfyUI's own loaders.

Speed and memory do not depend on the values of weights; nothing is downloaded. Norm weights are 1, biases 0, matrices
and modulation tables N(0, 0.02), so that activations keep a common size through all layers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import comfy.ops
import comfy.sd
import torch
from comfy.ldm.lightricks.av_model import LTXAVModel
from comfy.ldm.wan.model import WanModel
from start import device
from torch import Tensor

from tiny.ltx import LTX23_TRANSFORMER

WAN = {"freq_dim": 256, "text_dim": 4096, "cross_attn_norm": True}

LTX23 = {
    **LTX23_TRANSFORMER,
    "num_attention_heads": 32,
    "attention_head_dim": 128,
    "audio_num_attention_heads": 32,
    "audio_attention_head_dim": 64,
    "cross_attention_dim": 4096,
    "audio_cross_attention_dim": 2048,
    "caption_channels": 3840,
    "num_layers": 48,
    "connector_num_attention_heads": 32,
    "connector_attention_head_dim": 128,
    "audio_connector_num_attention_heads": 32,
    "audio_connector_attention_head_dim": 64,
}


@dataclass(frozen=True)
class Preset:
    """A transformer of core's class `make(**config)`; `text` is the shape [B, L, D] of an encoded prompt."""

    make: Callable[..., torch.nn.Module]
    config: dict
    text: tuple[int, int, int]
    entries: dict = field(default_factory=dict)  # what core needs from the file's metadata


def wan(dim: int, ffn: int, layers: int, channels: int = 16, causal: bool = False, text: int = 512) -> Preset:
    config = {**WAN, "dim": dim, "ffn_dim": ffn, "num_heads": dim // 128, "num_layers": layers}
    config |= {"in_dim": channels, "out_dim": channels}
    entries = {"causal_ar": True} if causal else {}
    return Preset(WanModel, config, (1, text, 4096), entries)


FULL = {
    "wan-1.3b": wan(1536, 8960, 30),
    "wan-14b": wan(5120, 13824, 40),
    "wan-5b": wan(3072, 14336, 30, channels=48),
    "longlive": wan(1536, 8960, 30, causal=True),
    "ltx-2.3": Preset(LTXAVModel, LTX23, (1, 1024, 4096 + 2048), LTX23),
}
SMALL = {
    "wan-1.3b": wan(256, 512, 2, text=8),
    "wan-14b": wan(256, 512, 3, text=8),
    "wan-5b": wan(256, 512, 2, channels=48, text=8),
    "longlive": wan(256, 512, 2, causal=True, text=8),
    "ltx-2.3": Preset(LTXAVModel, LTX23_TRANSFORMER, (1, 16, 64 + 32), LTX23_TRANSFORMER),
}


def fill(name: str, like: Tensor, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    *_, parent, leaf = ("", *name.split("."))
    empty = torch.empty(like.shape, dtype=dtype, device=generator.device)
    if leaf == "bias":
        return empty.zero_()
    if "norm" in parent or leaf == "gamma" or leaf.endswith("std-of-means"):
        return empty.fill_(1)
    if leaf.endswith("mean-of-means"):
        return empty.zero_()
    return empty.normal_(0, 0.02, generator=generator)


def random_state(make: Callable[[], torch.nn.Module], dtype: torch.dtype) -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = make().state_dict()
    generator = torch.Generator(device()).manual_seed(0)
    return {name: fill(name, like, dtype, generator) for name, like in shapes.items()}


def load(name: str, *, tiny: bool, dtype: torch.dtype, weight_dtype: torch.dtype | None = None):
    """The MODEL of a preset, resident on the device; with `weight_dtype` float8, as a file of such weights loads."""
    preset = (SMALL if tiny else FULL)[name]
    operations = comfy.ops.disable_weight_init
    state = random_state(lambda: preset.make(**preset.config, dtype=dtype, operations=operations), dtype)
    if weight_dtype is not None:
        state = {key: w.to(weight_dtype) if w.ndim > 1 else w for key, w in state.items()}
    entries = {"text_dim": preset.text[2], **preset.entries} if preset.make is WanModel else preset.entries
    metadata = {"config": json.dumps({"transformer": entries})}
    options = {"dtype": weight_dtype or dtype}
    model = comfy.sd.load_diffusion_model_state_dict(
        state, model_options=options, metadata=metadata, disable_dynamic=True
    )
    if model is None:
        raise RuntimeError(f"ComfyUI did not recognise the random weights of {name}")
    return model


def text(name: str, *, tiny: bool, dtype: torch.dtype, seed: int = 0) -> Tensor:
    """A prompt as the text encoder gives it."""
    shape = (SMALL if tiny else FULL)[name].text
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def vae(kind: str, *, tiny: bool, dtype: torch.dtype):
    """A VAE of random weights as core's VAE: wan-2.1, wan-2.2 or ltx-2."""
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE
    from comfy.ldm.wan.vae import WanVAE
    from comfy.ldm.wan.vae2_2 import WanVAE as WanVAE22

    from tiny.ltx import VAE as TINY_LTX

    steps = {"temperal_downsample": [False, True, True]}
    makers = {
        "wan-2.1": lambda: WanVAE(dim=16 if tiny else 96, z_dim=16, dim_mult=[1, 2, 4, 4], **steps),
        "wan-2.2": lambda: WanVAE22(dim=160, z_dim=48, dim_mult=[1, 2, 4, 4], **steps),
        "ltx-2": lambda: VideoVAE(version=2, config=TINY_LTX if tiny else None),
    }
    metadata = {"config": json.dumps({"vae": TINY_LTX})} if kind == "ltx-2" and tiny else None
    return comfy.sd.VAE(sd=random_state(makers[kind], dtype), dtype=dtype, metadata=metadata)


def lay_out(network: torch.nn.Module, layout: torch.memory_format) -> None:
    """Give the weights of all 3D convolutions a memory layout."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.to(memory_format=layout)
