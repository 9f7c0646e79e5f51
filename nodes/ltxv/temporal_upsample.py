"""The temporal latent upsampler."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.checks import need_video_latent, need_video_vae
from ...ltx.latents import VIDEO_CHANNELS
from ...utils.latents import GUIDE_FRAMES, LEAD, unconditioned, video_part, with_video_part
from ..node import Node


class LatentTemporalUpsample(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLatentTemporalUpsample",
            display_name="Latent Temporal Upsample",
            category="Oner/latent",
            description="Twice the frames in the same time: run a temporal latent upsampler and double the frame rate. "
            "Takes audio-video latents, whose audio stays.",
            search_aliases=["temporal upscaler", "frame interpolation", "double fps", "LTXVLatentUpsampler"],
            inputs=[
                io.Latent.Input("latent", tooltip="video or audio-video latent"),
                io.LatentUpscaleModel.Input("upscale_model", tooltip="a temporal upsampler (LatentUpscaleModelLoader)"),
                io.Vae.Input("vae", tooltip="VAE of the video model; its statistics are used"),
                io.Float.Input(
                    "fps", default=24.0, min=1.0, max=1000.0, step=0.01, tooltip="frame rate of the latent, frames/s"
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="T latent frames become 2T - 1"),
                io.Float.Output(display_name="fps", tooltip="doubled frame rate, for LTXVConditioning and CreateVideo"),
            ],
        )

    @classmethod
    def execute(cls, latent, upscale_model, vae, fps):
        from comfy_extras.nodes_lt_upsampler import LTXVLatentUpsampler

        if latent.get(GUIDE_FRAMES):
            raise ValueError(
                f"latent has {latent[GUIDE_FRAMES]} appended frames (keyframes, references), which are no part of the "
                "clip: remove them with LTX Crop, or LTXVCropGuides for LTX-Video, before this node"
            )
        video = video_part(latent["samples"])
        need_video_latent(video)
        need_video_vae(vae)
        model = getattr(upscale_model, "model", upscale_model)
        if getattr(model, "in_channels", None) != VIDEO_CHANNELS:
            raise ValueError(
                f"upscale_model is {type(model).__name__} of another model's latents: load a temporal LTX upsampler"
            )
        upsampled = LTXVLatentUpsampler.execute({"samples": video}, upscale_model, vae).result[0]["samples"]
        frames, expected = upsampled.shape[2], 2 * video.shape[2] - 1
        if frames != expected:
            raise ValueError(
                f"upscale_model made {frames} latent frames of {video.shape[2]}, not {expected}: it is no temporal "
                "upsampler; use LTXVLatentUpsampler for a spatial one"
            )
        # Masks, starts and the sound before a piece were made for the old length and rate.
        kept = {key: value for key, value in unconditioned(latent).items() if key != LEAD}
        return io.NodeOutput(with_video_part(kept, upsampled), 2 * fps)
