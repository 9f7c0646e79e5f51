"""Wan VAE decoding as latents arrive: the causal convolutions' history is carried from call to call.

Core's Wan 2.1 decoder (comfy/ldm/wan/vae.py) takes latents in pairs and drops a frame of history when given one; here
the history is completed after every latent, which makes any pattern of arrival equal to one full decode. Wan 2.2's
decoder keeps its history itself, TAEHV's blocks look one frame back. T latent frames, F = 4 T - 3 pixel frames.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from ..utils.core import need

wan21 = need("comfy.ldm.wan.vae", "WanVAE", "CausalConv3d", "Resample", "count_cache_layers", "Decoder3d")
wan22 = need("comfy.ldm.wan.vae2_2", "WanVAE", "Resample", "count_conv3d", "unpatchify")
tiny = need("comfy.taesd.taehv", "TAEHV", "MemBlock", "TGrow", "TPool")
REPEAT = "Rep"  # the decoders' mark for a temporal upsampler that has seen one frame


def can_stream(vae: torch.nn.Module) -> bool:
    """Whether a VAE module can decode latents as they arrive."""
    return isinstance(vae, wan21.WanVAE | wan22.WanVAE | tiny.TAEHV)


def history_elements(vae: torch.nn.Module) -> int:
    """Elements of history that a full StreamDecoder holds per latent pixel and batch item."""
    total, scale = 0, 1
    early: set[torch.nn.Module] = set()  # convolutions that work before their module's upsampling
    for module in vae.decoder.modules():
        if isinstance(module, wan21.Resample | wan22.Resample) and module.mode == "upsample3d":
            early.add(module.time_conv)
            total += 2 * module.time_conv.in_channels * scale**2
        elif isinstance(module, torch.nn.Upsample):
            factor = module.scale_factor
            scale *= int(factor[0] if isinstance(factor, tuple) else factor)
        elif isinstance(module, wan21.CausalConv3d) and module.kernel_size[0] > 1 and module not in early:
            total += 2 * module.in_channels * scale**2
        elif isinstance(module, tiny.MemBlock):
            total += module.conv[0].in_channels // 2 * scale**2  # of one frame; the other half is the frame before
    return total


class StreamDecoder:
    """Decodes a take piece by piece; `vae` is the bare module (Wan or TAEHV), loaded on the device it is to run on."""

    def __init__(self, vae: torch.nn.Module):
        if not can_stream(vae):
            raise ValueError(f"a {type(vae).__name__} cannot decode a stream: use a Wan VAE or TAEHV")
        self.vae = vae
        self.second, self.light = isinstance(vae, wan22.WanVAE), isinstance(vae, tiny.TAEHV)
        count = len if self.light else wan22.count_conv3d if self.second else wan21.count_cache_layers
        self.features: list = [None] * count(vae.decoder)
        self.frames = 0  # latent frames decoded

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, F, H, W] of the next latents [B, C, T, h, w], both in the VAE's own scale; see `images`."""
        features, frames = list(self.features), self.frames
        try:
            if self.light:
                return self.decode_light(latents)
            return torch.cat([self.decode_one(latents[:, :, i : i + 1]) for i in range(latents.shape[2])], dim=2)
        except BaseException:  # interrupted or out of memory: stand where the call began
            self.features, self.frames = features, frames
            raise

    def decode_one(self, latent: Tensor) -> Tensor:
        x = self.vae.conv2(latent)
        before = list(self.features)
        if self.second:
            first = {"first_chunk": True} if self.frames == 0 else {}
            x = self.vae.decoder(x, feat_cache=self.features, feat_idx=[0], **first)
            pixels = wan22.unpatchify(x, patch_size=2)
        else:
            pixels = torch.cat(self.vae.decoder(x, feat_cache=self.features, feat_idx=[0]), dim=2)
            self.complete(before)
        self.frames += 1
        return pixels

    def decode_light(self, latents: Tensor) -> Tensor:
        """TAEHV: every block gets the frame before, of this piece or of the one before."""
        batch = latents.shape[0]
        x = rearrange(self.vae.process_in(latents), "b c t h w -> (b t) c h w")
        for i, block in enumerate(self.vae.decoder):
            if isinstance(block, tiny.MemBlock):
                frames = rearrange(x, "(b t) c h w -> b t c h w", b=batch)
                before = torch.zeros_like(frames[:, :1]) if self.features[i] is None else self.features[i]
                self.features[i] = frames[:, -1:].clone()
                before = torch.cat([before, frames[:, :-1]], dim=1)
                x = block(x, rearrange(before, "b t c h w -> (b t) c h w"))
            else:
                x = block(x.clone() if isinstance(block, torch.nn.ReLU) else x)  # core's activations work in place
        if self.vae.patch_size > 1:
            x = torch.nn.functional.pixel_shuffle(x, self.vae.patch_size)
        x = rearrange(x, "(b t) c h w -> b c t h w", b=batch)
        if self.frames == 0:
            x = x[:, :, self.vae.frames_to_trim :]
        self.frames += latents.shape[2]
        return x

    def images(self, pixels: Tensor) -> Tensor:
        """Pixels as core's IMAGE values, 0 to 1: Wan VAEs give -1 to 1, TAEHV gives images."""
        return pixels if self.light else (pixels + 1) / 2

    def complete(self, before: list) -> None:
        """Every convolution looks two frames back: where one new frame came in, keep the one before it as well."""
        for i, (old, new) in enumerate(zip(before, self.features, strict=True)):
            if isinstance(old, Tensor) and isinstance(new, Tensor) and new.shape[2] == 1:
                self.features[i] = torch.cat([old[:, :, -1:], new], dim=2)

    def casts_weights(self) -> bool:
        """Whether core brings the VAE's weights as they are needed; its helpers for that serve one thread only."""
        return any(getattr(module, "comfy_cast_weights", False) for module in self.vae.modules())

    def nbytes(self) -> int:
        return sum(x.nbytes for x in self.features if isinstance(x, Tensor))

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """Tensors and plain data from which `load_state` goes on exactly."""
        tensors = {f"decoder.{i}": x.cpu().contiguous() for i, x in enumerate(self.features) if isinstance(x, Tensor)}
        repeats = [i for i, x in enumerate(self.features) if isinstance(x, str)]
        return tensors, {"frames": self.frames, "repeats": repeats}

    def load_state(self, tensors: dict[str, Tensor], plain: dict, device: torch.device) -> None:
        self.frames = plain["frames"]
        self.features = [tensors.get(f"decoder.{i}") for i in range(len(self.features))]
        self.features = [x if x is None else x.to(device) for x in self.features]
        for i in plain["repeats"]:
            self.features[i] = REPEAT
