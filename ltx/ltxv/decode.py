"""Decoding LTX-Video 0.9.x latents with a chosen noise: a VAE view that leaves the VAE alone.

Checkpoints from 0.9.1 on decode at a small noise level. ComfyUI draws that noise from the global generator at a fixed
scale. The view shares every weight with the VAE and draws from a seed. Order of the 0.9.8 pipeline: noise, tone map.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ...utils.latent_statistics import compress_tones
from ..checks import need_video_latent


def is_timestep_conditioned(vae: Any) -> bool:
    """Whether the VAE's decoder takes a timestep."""
    return bool(getattr(vae.first_stage_model, "timestep_conditioning", False))


def with_decode_settings(vae: Any, timestep: float, noise_scale: float, seed: int, tone_map: float = 0.0) -> Any:
    """A VAE that decodes latent * (1 - noise_scale) + noise_scale * noise at `timestep`, with noise from `seed`.

    The same seed is used for every tile of a tiled decode.
    """
    module = vae.first_stage_model
    reflects = any(getattr(part, "padding_mode", "") == "reflect" for part in module.modules())

    class SeededDecode(type(module)):  # type: ignore[misc]
        def decode(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            need_video_latent(x, "samples")
            height, width = x.shape[-2:]
            if reflects and min(height, width) < 2:  # its convolutions mirror one latent pixel at each edge
                raise ValueError(
                    f"the VAE got {width}x{height} latent pixels to decode, it needs 2x2: "
                    "use larger tiles, another overlap or a larger video"
                )
            generator = torch.Generator().manual_seed(seed)
            noise = torch.randn(x.shape, generator=generator).to(x)
            return super().decode(compress_tones(torch.lerp(x, noise, noise_scale), tone_map), *args, **kwargs)

    view = SeededDecode.__new__(SeededDecode)
    view.__dict__.update(module.__dict__)  # submodules and parameters are shared, plain attributes are the view's own
    view.timestep_conditioning = False  # core adds no noise of its own; the decoder keeps its own switch
    view.decode_timestep = timestep
    viewed = copy.copy(vae)
    viewed.first_stage_model = view
    return viewed
