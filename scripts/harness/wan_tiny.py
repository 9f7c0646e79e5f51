"""Tiny random Wan models in each layout of the Fun family, prompts for them, and a VAE that is easy to check."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import comfy.sd
import torch
import torch.nn.functional as F
from torch import Tensor

from tiny import wan

# layout -> arguments of tiny.wan.transformer
LAYOUTS: dict[str, dict[str, Any]] = {
    "text": {},
    "2.1 inpaint": {"kind": "i2v", "in_dim": 36},
    "2.1 control": {"kind": "i2v", "in_dim": 48},
    "2.1 control with reference": {"kind": "i2v", "in_dim": 48, "in_dim_ref_conv": 16},
    "2.1 camera": {"kind": "camera", "in_dim": 32},
    "2.2 inpaint": {"in_dim": 36},
    "2.2 control": {"in_dim": 52},
    "2.2 control with reference": {"in_dim": 52, "in_dim_ref_conv": 16},
    "2.2 camera": {"kind": "camera_2.2", "in_dim": 36},
    "5B text": {"in_dim": 48, "out_dim": 48},
    "5B inpaint": {"in_dim": 100, "out_dim": 48},
    "5B control with reference": {"in_dim": 148, "out_dim": 48, "in_dim_ref_conv": 48},
    "5B camera": {"kind": "camera_5b", "in_dim": 100, "out_dim": 48},
    "vace": {"kind": "vace", "vace_layers": 1, "vace_in_dim": 96},
}


def load(layout: str = "text", seed: int = 0) -> Any:
    """A MODEL of a layout, through core's own loader, in float32."""
    state, metadata = wan.transformer(seed, **LAYOUTS[layout])
    if layout == "5B camera":  # core does not know it
        from oner.wan import camera_5b

        return camera_5b.load_state_dict(state, metadata, {"dtype": torch.float32})
    return comfy.sd.load_diffusion_model_state_dict(state, model_options={"dtype": torch.float32}, metadata=metadata)


class MeanVAE:
    """A VAE whose latents are mean colours of blocks and frame groups times a fixed tint; remembers what it encoded."""

    def __init__(self, channels: int = 16):
        self.latent_channels, self.latent_dim = channels, 3
        self.factor = 16 if channels == 48 else 8
        self.tint = torch.linspace(-1, 1, channels * 3).view(channels, 3)
        self.encoded: list[Tensor] = []

    def spacial_compression_encode(self) -> int:
        return self.factor

    def encode(self, pixels: Tensor) -> Tensor:
        """[F, H, W, 3] in 0..1 -> [1, L, T, h, w], raw."""
        self.encoded.append(pixels)
        rgb = F.avg_pool2d(pixels.movedim(-1, 1) * 2 - 1, self.factor)  # [F, 3, h, w]
        groups = [rgb[:1].mean(0), *(rgb[i : i + 4].mean(0) for i in range(1, len(rgb), 4))]
        return torch.einsum("lc,cthw->lthw", self.tint, torch.stack(groups, dim=1)).unsqueeze(0)


def prompts(seed: int = 1) -> SimpleNamespace:
    """Two random prompts of 8 tokens, `positive` and `negative`."""
    generator = torch.Generator().manual_seed(seed)
    make = lambda: [[torch.randn(1, 8, wan.TEXT_WIDTH, generator=generator), {}]]  # noqa: E731
    return SimpleNamespace(positive=make(), negative=make())


def noise(shape: tuple[int, ...], seed: int = 2) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pixels(frames: int, height: int, width: int, seed: int = 3) -> Tensor:
    """Random images [F, H, W, 3] in 0..1."""
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(seed))


def count_forwards(model: Any) -> tuple[Any, list[int]]:
    """A clone of the model and the list that gets the batch size of each forward of the diffusion model."""
    import comfy.patcher_extension

    calls: list[int] = []

    def wrapper(executor, x, *args, **kwargs):
        calls.append(len(x[0] if isinstance(x, list) else x))  # video and audio come as a list
        return executor(x, *args, **kwargs)

    model = model.clone()
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "count", wrapper)
    return model, calls
