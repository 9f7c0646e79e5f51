"""Windows of a long LTX-Video 0.9.x video."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...samplers.conditionings import Conditionings
from ...samplers.windows.carrier import Clip, Window
from ...utils.latents import GUIDE_FRAMES, clip_part
from ..windows import VideoCarrier, put_back, window_prompts
from .conditions import append_to_all, mix_into_frames
from .decode import is_timestep_conditioned, with_decode_settings
from .guider import require_ltxv


def make_carrier(model: Any, vae: Any, width: int, height: int, *, fps: float) -> LTXVCarrier:
    """The carrier of a loaded LTX-Video MODEL. Raises ValueError for a model, VAE or size that it cannot take."""
    require_ltxv(model)
    return LTXVCarrier(vae, width, height, fps)


class LTXVCarrier(VideoCarrier):
    """Given frames are mixed in at the start; the end image is a guide behind the clip, cropped after sampling."""

    def __init__(self, vae: Any, width: int, height: int, fps: float):
        super().__init__(vae, width, height, fps)
        if is_timestep_conditioned(vae):  # ComfyUI draws its noise from whatever state torch is in
            module = vae.first_stage_model
            self.vae = with_decode_settings(vae, module.decode_timestep, module.decode_noise_scale, 0)

    def clip(self, window: Window, conditionings: Conditionings) -> Clip:
        prompts = window_prompts(conditionings, self.fps)
        latent: dict = {"samples": self.start(window)}
        mask = self.made_anew(window)
        if mask is not None:
            latent["noise_mask"] = mask
        first, held = self.first_frames(window)
        if first is not None:
            latent = mix_into_frames(latent, first, 1.0)
        if window.end_image is not None:
            content = self.encode(window.end_image, "end_image")
            given, latent = append_to_all(list(prompts.values()), latent, content, window.last, 1.0)
            latent[GUIDE_FRAMES] = 1
            prompts = dict(zip(prompts, given, strict=True))
        return Clip(prompts, latent, [held])

    def parts(self, clip: Clip, sampled: Tensor) -> list[Tensor]:
        video = clip_part({**clip.latent, "samples": sampled})
        return [put_back(video, clip.latent["samples"], clip.held[0])]

    def decode(self, parts: list[Tensor], _window: Window) -> tuple[Tensor, None]:
        return self.frames_of(parts), None
