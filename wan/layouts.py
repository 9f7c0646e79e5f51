"""What a loaded Wan model is and which channels it wants after the noise, read from the model itself.

Source: VideoX-Fun pipelines (commit 804a425), checked against ComfyUI's `WAN21.concat_cond`. File names are never
used. L = latent channels (16: Wan 2.1 VAE, 8 pixels a latent; 48: Wan 2.2 VAE, 16 pixels a latent).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..utils.core import need

model_base = need("comfy.model_base", "WAN21.concat_cond", "WAN21_Camera", "WAN21_Vace", "WAN22.process_timestep")

CLIP_TOKENS, CLIP_WIDTH = 257, 1280  # ViT-H penultimate features
CAMERA_CHANNELS = 24

# channel blocks after the noise, for the number of extra input channels as (multiple of L, mask channels)
BLOCKS: dict[tuple[int, int], tuple[str, ...]] = {
    (0, 0): (),  # text to video
    (1, 4): ("mask", "masked"),  # inpaint, image to video, 2.2 camera
    (1, 0): ("start",),  # 2.1 camera
    (2, 0): ("control", "start"),  # 2.1 control
    (2, 4): ("control", "mask", "masked"),  # 2.2 control
}


@dataclass(frozen=True)
class WanLayout:
    """One loaded model: what it is called, and what its conditioning must hold."""

    blocks: tuple[str, ...]
    latent_channels: int
    ref_conv: bool = False
    camera: bool = False
    clip_tokens: int = 0  # image tokens of the cross attention; 0: the model has no image embedding

    @property
    def name(self) -> str:
        kind = {(): "text to video", ("mask", "masked"): "inpaint"}.get(self.blocks, "control")
        kind = "control camera" if self.camera else kind
        family = "2.1" if self.clip_tokens or "start" in self.blocks else "2.2 5B" if self.pins_first_frame else "2.2"
        family = "2.1/2.2" if not self.blocks and family == "2.2" else family
        return f"Wan {family} {kind}" + (" with reference convolution" if self.ref_conv else "")

    @property
    def spatial(self) -> int:
        """Pixels to a latent."""
        return 16 if self.latent_channels == 48 else 8

    @property
    def multiple(self) -> int:
        """Width and height must be multiples of this: two latents make a token."""
        return 2 * self.spatial

    @property
    def pins_first_frame(self) -> bool:
        """The 5B models keep the first latent frame clean and give it timestep 0."""
        return self.latent_channels == 48

    @property
    def mask_index(self) -> int:
        """Channel of the image conditioning before which ComfyUI puts the mask."""
        return self.latent_channels if self.blocks[:1] == ("control",) else 0


def read_layout(model: Any) -> WanLayout:
    """The layout of a loaded MODEL; ValueError for models this conditioning does not fit."""
    base = model.model
    if isinstance(base, model_base.WAN21_Vace):
        raise ValueError("the model is a VACE model: use the Wan VACE Composer node")
    if type(base) not in (model_base.WAN21, model_base.WAN21_Camera, model_base.WAN22):
        raise ValueError(
            f"the model is a {type(base).__name__}; this node prepares Wan Fun, image-to-video and 5B models: use "
            "ComfyUI's own conditioning node for this one"
        )
    diffusion = model.get_model_object("diffusion_model")
    channels = base.latent_format.latent_channels
    extra = diffusion.patch_embedding.weight.shape[1] - channels
    blocks = BLOCKS.get((extra // channels, extra % channels))
    if blocks is None:
        raise ValueError(f"the model has {extra} conditioning channels on {channels} latent channels: unknown layout")
    img_emb = diffusion.img_emb
    clip_tokens = 0
    if img_emb is not None:
        clip_tokens = CLIP_TOKENS if img_emb.emb_pos is None else img_emb.emb_pos.shape[1]
    return WanLayout(
        blocks,
        channels,
        ref_conv=getattr(diffusion, "ref_conv", None) is not None,
        camera=getattr(diffusion, "control_adapter", None) is not None,
        clip_tokens=clip_tokens,
    )
