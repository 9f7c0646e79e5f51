"""Tiny Wan checkpoints: the transformer variants that core detects by their keys, the Wan 2.1 VAE and TAEHV.

Real files carry no config; these do, since otherwise core fixes the head size at 128 and the text width at 4096.
Not here: the Wan 2.2 VAE, whose widths core hard-codes (705 M weights; use TAEHV with 48 channels), Wan-Animate,
whose motion encoder is fixed at 39 M, and MultiTalk, whose 40 blocks are.
"""

from __future__ import annotations

import json

import torch

from .weights import random_state

TEXT_WIDTH = 32

Checkpoint = tuple[dict[str, torch.Tensor], dict[str, str]]

TRANSFORMER = {"dim": 48, "num_heads": 2, "ffn_dim": 96, "num_layers": 3, "text_dim": TEXT_WIDTH, "freq_dim": 32}


def transformer(seed: int | str = 0, kind: str = "t2v", causal: bool = False, **config) -> Checkpoint:
    """A Wan transformer; `kind` is t2v, i2v, vace, camera, camera_2.2 or camera_5b, `config` the class's arguments.

    `causal` only marks the file: the causal model has the same weights, and core picks it by this entry.
    """
    import comfy.ops
    from comfy.ldm.wan.model import CameraWanModel, VaceWanModel, WanModel

    model_class = {"vace": VaceWanModel, "camera": CameraWanModel, "camera_2.2": CameraWanModel}.get(kind, WanModel)
    sizes = {**TRANSFORMER, **config}
    operations = comfy.ops.disable_weight_init
    name = "t2v" if kind == "camera_5b" else kind
    make = lambda: model_class(name, **sizes, dtype=torch.float32, operations=operations)  # noqa: E731
    entries = {**TRANSFORMER, **({"causal_ar": True} if causal else {})}
    state = random_state(make, seed)
    if kind == "camera_5b":  # core has no class for it: its 5B model and the adapter, which unshuffles by 16, not 8
        state |= camera_adapter(seed, sizes["dim"], 16)
    return state, {"config": json.dumps({"transformer": entries})}


def camera_adapter(seed: int | str, width: int, factor: int) -> dict[str, torch.Tensor]:
    """The camera adapter of a Fun model, whose pixels are unshuffled by `factor`."""
    import comfy.ops
    from comfy.ldm.wan.model import WanCamAdapter

    settings = {"operations": comfy.ops.disable_weight_init, "dtype": torch.float32}
    make = lambda: WanCamAdapter(24 * factor**2 // 64, width, (2, 2), (2, 2), operation_settings=settings)  # noqa: E731
    return random_state(make, seed, "control_adapter.")


def vae(seed: int | str = 0) -> Checkpoint:
    """The Wan 2.1 VAE with 4 base channels: 16 latent channels, 8x in space, 4x in time."""
    from comfy.ldm.wan.vae import WanVAE

    def make() -> WanVAE:
        return WanVAE(dim=4, z_dim=16, temperal_downsample=[False, True, True])

    return random_state(make, seed), {}


def taehv(latent_channels: int, seed: int | str = 0) -> Checkpoint:
    """TAEHV at its only size, 11 M weights: 16 channels (Wan 2.1), 48 (Wan 2.2 5B) or 128 (LTX-2)."""
    from comfy.taesd.taehv import TAEHV

    return random_state(lambda: TAEHV(latent_channels=latent_channels), seed), {}
