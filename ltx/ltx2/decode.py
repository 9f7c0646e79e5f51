"""Decoding LTX-2.5 latents with a chosen seed: a VAE view that leaves the VAE alone.

The decoder of LTX-2.5's video VAE is a diffusion model: it makes pixels from noise in one step, guided by the latent.
ComfyUI always draws that noise from seed 0; so does the view at seed 0. A tiled decode draws it anew for every tile.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ..checks import need_video_latent


def is_diffusion_decoder(vae: Any) -> bool:
    """Whether the VAE's decoder makes pixels from noise."""
    return hasattr(getattr(vae.first_stage_model, "decoder", None), "forward_diff_step")


def with_decode_seed(vae: Any, seed: int) -> Any:
    """A VAE whose decoder starts from the noise of `seed`, drawn where the latent is; it shares the weights."""
    module = vae.first_stage_model

    class SeededDecode(type(module)):  # type: ignore[misc]
        def decode(self, x: Tensor) -> Tensor:
            need_video_latent(x, "samples")
            generator = torch.Generator(device=x.device).manual_seed(seed)
            return self.decoder(self.per_channel_statistics.un_normalize(x), generator=generator)

    view = SeededDecode.__new__(SeededDecode)
    view.__dict__.update(module.__dict__)  # submodules and parameters are shared, plain attributes are the view's own
    viewed = copy.copy(vae)
    viewed.first_stage_model = view
    return viewed
