"""Images and clips as given frames of an LTX-Video 0.9.x video."""

from __future__ import annotations

import comfy.utils
import torch
from comfy_api.latest import io

from ...ltx.checks import need_video_latent, need_video_vae
from ...ltx.latents import SPATIAL, TEMPORAL
from ...ltx.ltxv.conditions import append_guide, mix_into_frames
from ...ltx.ltxv.sampler import appended_frames
from ...utils.images import need_room
from ...utils.latents import GUIDE_FRAMES
from ..node import Node


def resolve_frame(frame: int, clip_frames: int, length: int) -> int:
    """The pixel frame where a clip of `clip_frames` starts in a video of `length`; negative counts from the end."""
    start = frame + length if frame < 0 else frame
    if not 0 <= start <= length - clip_frames:
        raise ValueError(
            f"frame is {frame} for {clip_frames} image(s) and the video has {length} frames: use 0 to "
            f"{length - clip_frames}, or a negative number that counts from the end"
        )
    if clip_frames > 1 and start % TEMPORAL != (1 if start else 0):
        raise ValueError(f"frame is {start}; a clip must start at 0 or 8k+1: use {start // TEMPORAL * TEMPORAL + 1}")
    return start


def require_clip_length(frames: int, start: int) -> None:
    """The first latent frame of a video covers one frame, every other one eight."""
    extra = 1 if start == 0 or frames == 1 else 0
    if frames % TEMPORAL != extra:
        below = (frames - extra) // TEMPORAL * TEMPORAL + extra
        rule = "8k+1 frames at the start of the video" if extra else "8k frames after the start of the video"
        raise ValueError(f"image has {frames} frames at frame {start}; a clip has {rule}: use {below} or {below + 8}")


def encode_frames(vae, image: torch.Tensor, latent: torch.Tensor, start: int) -> torch.Tensor:
    """Crop, resize and encode frames [F, H, W, C] for a latent [B, 128, T, H, W]."""
    height, width = (side * SPATIAL for side in latent.shape[3:])
    need_room(image, width, height, "image")
    pixels = comfy.utils.common_upscale(image[..., :3].movedim(-1, 1), width, height, "bilinear", "center")
    pixels = pixels.movedim(1, -1)
    later_clip = start > 0 and len(pixels) > 1
    if later_clip:  # the first latent of an encoding covers one frame: spend it on a copy and drop it
        pixels = torch.cat([pixels[:1], pixels])
    content = vae.encode(pixels)
    return content[:, :, 1:] if later_clip else content


class LTXVImageGuide(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXVImageGuide",
            display_name="LTXV Image Guide",
            category="Oner/conditioning",
            description="Give an LTX-Video 0.9.x video an image or a clip: at frame 0 it becomes the start, later a "
            "keyframe. Chain it for several. Crop keyframes with LTXVCropGuides after sampling.",
            search_aliases=["image to video", "keyframe", "LTXVAddGuide", "first frame", "last frame", "extend"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="prompt"),
                io.Conditioning.Input("negative", tooltip="negative prompt"),
                io.Vae.Input("vae", tooltip="VAE of LTX-Video"),
                io.Latent.Input("latent", tooltip="video latent: empty, upsampled, or from another guide"),
                io.Image.Input(
                    "image", tooltip="one image, or a clip of 8k+1 frames (8k after frame 0); cropped and resized"
                ),
                io.Int.Input(
                    "frame",
                    default=0,
                    min=-9999,
                    max=9999,
                    tooltip="frame of the video where it belongs; negative counts from the end (-1 = last); a clip can "
                    "start at 0 or 8k+1",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="how much of it is kept: 1 = exactly, 0 = nothing",
                ),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="sigmas of the run, needed where a strength below 1 meets a start below sigma 1 (a second "
                    "pass): what the latent holds is then mixed in as the reference does",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="prompt with the keyframe's position"),
                io.Conditioning.Output(display_name="negative", tooltip="negative prompt with the keyframe's position"),
                io.Latent.Output(display_name="latent", tooltip="latent with the given frames and their mask"),
            ],
        )

    @classmethod
    def execute(cls, positive, negative, vae, latent, image, frame, strength, sigmas=None):
        samples = latent["samples"]
        if getattr(samples, "is_nested", False):
            raise ValueError("latent holds video and audio (LTX-2); this node is for LTX-Video 0.9.x latents")
        need_video_latent(samples)
        need_video_vae(vae)
        guides = appended_frames({"positive": [options for _, options in positive]}, samples)
        length = (samples.shape[2] - guides - 1) * TEMPORAL + 1
        start = resolve_frame(frame, len(image), length)
        require_clip_length(len(image), start)
        content = encode_frames(vae, image, samples, start)
        if start == 0:
            first_sigma = 1.0 if sigmas is None or not len(sigmas) else float(sigmas[0])
            return io.NodeOutput(positive, negative, mix_into_frames(latent, content, strength, first_sigma))
        positive, negative, latent = append_guide(positive, negative, latent, content, start, strength)
        return io.NodeOutput(positive, negative, {**latent, GUIDE_FRAMES: guides + content.shape[2]})
