"""Time masks, film grain and conversions under ids of ComfyUI-LTXVideo; see shims.py."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...ltx.latents import TEMPORAL
from ...ltx.ltx2.checks import clip_length, need_audio
from ...ltx.ltx2.references import token_weights
from ...ltx.ltx2.state import write_state
from ...ltx.ltx2.time_windows import begun_audio, begun_frames, first_pixel, rising
from ...utils.grain import add_grain
from ..ltx.conditioning import read_conditioned
from ..node import Node
from .schemas import AsItIs, number, prompts, prompts_and_latent, schema, whole


class SetAudioVideoMaskByTime(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Latent.Input("av_latent"),
            *prompts(),
            io.Model.Input("model"),
            io.Vae.Input("vae"),
            io.Vae.Input("audio_vae"),
            number("start_time", 0.0, 0.0, 100000.0),
            number("end_time", 10.0, 0.0, 100000.0),
            number("video_fps", 24.0, 1.0, 1000.0),
            io.Boolean.Input("mask_video", default=True),
            io.Boolean.Input("mask_audio", default=True),
            number("mask_init_value_video", 0.0, 0.0, 1.0),
            number("mask_init_value_audio", 0.0, 0.0, 1.0),
            whole("slope_len", 3, 0, 1000),
            io.Mask.Input("spatial_mask", optional=True),
        ]
        outputs = [
            *prompts_and_latent()[:2],
            io.Latent.Output(display_name="av_latent"),
            io.Float.Output(display_name="video_latent_blend_coefficients"),
            io.Float.Output(display_name="video_pixel_blend_coefficients"),
        ]
        return schema("LTXVSetAudioVideoMaskByTime", "LTX Time Window", inputs, outputs)

    @classmethod
    def execute(
        cls,
        av_latent,
        positive,
        negative,
        model,  # noqa: ARG003 - like both VAEs it told sizes that LTX-2 has once and for all
        vae,  # noqa: ARG003
        audio_vae,  # noqa: ARG003
        start_time,
        end_time,
        video_fps,
        mask_video,
        mask_audio,
        mask_init_value_video,
        mask_init_value_audio,
        slope_len,
        spatial_mask=None,
    ):
        """Frames that were given before stay given; both lists weigh what was made against what was there."""
        if end_time <= start_time:
            raise ValueError(f"end_time is {end_time:g} s and start_time {start_time:g} s: set a later end")
        state = read_conditioned(av_latent, [positive, negative])
        need_audio(state, "LTXVSetAudioVideoMaskByTime")
        count, length = state.clip_frames, clip_length(state)
        start, end = begun_frames(count, video_fps, start_time, end_time)

        before = state.video.mask
        window = torch.full_like(before[:, :, :count], mask_init_value_video)
        if mask_video:
            inside = torch.ones_like(window) if spatial_mask is None else latent_mask(spatial_mask, window)
            window[:, :, start:end] = torch.lerp(window, torch.ones_like(window), inside)[:, :, start:end]
        video = torch.cat([window * before[:, :, :count], before[:, :, count:]], dim=2)  # behind the clip lie guides

        audio = torch.full_like(state.audio.mask, mask_init_value_audio)
        if mask_audio:
            audio[:, :, slice(*begun_audio(audio.shape[2], start_time, end_time))] = 1.0

        masked = write_state(av_latent, state.with_video(mask=video).with_audio(mask=audio))
        pixels = (first_pixel(start), length if end == count else first_pixel(end))
        weights = rising(count, start, end, slope_len), rising(length, *pixels, TEMPORAL * slope_len)
        return io.NodeOutput(positive, negative, masked, *weights)


def latent_mask(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A MASK [1 or 8k + 1, h, w] as [1, 1, T, H, W] of a video mask."""
    frames, height, width = like.shape[2:]
    if mask.shape[0] == 1:
        mask = mask.expand(TEMPORAL * (frames - 1) + 1, -1, -1)
    return token_weights(mask[None, None], frames, height, width).view(1, 1, frames, height, width).to(like)


class FilmGrain(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Image.Input("images"),
            number("grain_intensity", 0.1, 0.0, 1.0),
            number("saturation", 0.5, 0.0, 1.0),
            whole("grain_seed", 0, 0, 0xFFFFFFFFFFFFFFFF, optional=True),
        ]
        return schema("LTXVFilmGrain", "Add Noise to Image", inputs, [io.Image.Output()])

    @classmethod
    def execute(cls, images, grain_intensity, saturation, grain_seed=0):
        return io.NodeOutput(add_grain(images, grain_intensity, saturation, grain_seed))


class FloatToInt(Node):
    @classmethod
    def define_schema(cls):
        inputs = [number("a", 0.0, -1e9, 1e9)]
        return schema("LTXFloatToInt", "ComfyUI's Math Expression", inputs, [io.Int.Output()])

    @classmethod
    def execute(cls, a):
        return io.NodeOutput(round(a))


class ImageToCPU(Node):
    @classmethod
    def define_schema(cls):
        return schema("ImageToCPU", "nothing: leave it out", [AsItIs("image")], [io.Image.Output()])

    @classmethod
    def execute(cls, image):
        return io.NodeOutput(image.cpu())


MEDIA: list[type[io.ComfyNode]] = [SetAudioVideoMaskByTime, FilmGrain, FloatToInt, ImageToCPU]
