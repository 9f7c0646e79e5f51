"""Images and sounds made ready for LTX-2."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2.checks import need_audio_vae
from ...ltx.ltx2.media import encode_sound
from ...ltx.ltx2.presets import IMAGE_CRF
from ...utils.images import compress_images, fill_and_crop
from ..node import Node


class LTXPrepareImage(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXPrepareImage",
            display_name="LTX Prepare Image",
            category="Oner/conditioning",
            description="Compress an image as LTX-2 was trained to see images: too clean a start gives a still video. "
            "Put it before LTX Image to Video or LTX Keyframe, which scale and crop.",
            search_aliases=["LTXVPreprocess", "CRF", "compression", "h264", "image prep"],
            inputs=[
                io.Image.Input("image", tooltip="images at their own size"),
                io.Int.Input(
                    "crf",
                    default=IMAGE_CRF,
                    min=0,
                    max=51,
                    tooltip="H.264 quality, 0 (unchanged) to 51 (worst); LTX-2 and LTX-2.3: 33, LTX-2.5: 18",
                ),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=16384,
                    step=32,
                    advanced=True,
                    tooltip="pixels to scale and crop to; 0 = keep the size",
                ),
                io.Int.Input(
                    "height",
                    default=0,
                    min=0,
                    max=16384,
                    step=32,
                    advanced=True,
                    tooltip="pixels to scale and crop to; 0 = keep the size",
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="compressed images")],
        )

    @classmethod
    def execute(cls, image, crf, width=0, height=0):
        if (width == 0) != (height == 0):
            raise ValueError(f"width is {width} and height {height}: set both, or both to 0 to keep the size")
        image = compress_images(image, crf)
        return io.NodeOutput(fill_and_crop(image, width, height) if width else image)


class LTXEncodeAudio(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXEncodeAudio",
            display_name="LTX Encode Audio",
            category="Oner/audio",
            description="Encode a sound for a clip of a given length: cut to it, or continued with silence. The sound "
            "is resampled once; core's node does it twice.",
            search_aliases=["LTXVAudioVAEEncode", "audio to video", "encode sound", "audio latent"],
            inputs=[
                io.Audio.Input("audio", tooltip="sound at any rate; more than two channels are mixed down"),
                io.Vae.Input("audio_vae", tooltip="LTX-2 audio VAE"),
                io.Int.Input("length", default=121, min=1, max=100000, step=8, tooltip="frames of the clip, 8k+1"),
                io.Float.Input(
                    "fps", default=24.0, min=1.0, max=1000.0, step=0.01, tooltip="frames a second of the clip"
                ),
                io.Combo.Input(
                    "if_too_short",
                    options=["continue with silence", "refuse"],
                    tooltip="what to do with a sound shorter than the clip; silence is encoded and said in the log",
                ),
            ],
            outputs=[io.Latent.Output(display_name="audio_latent", tooltip="audio latent, 25 frames a second")],
        )

    @classmethod
    def execute(cls, audio, audio_vae, length, fps, if_too_short):
        need_audio_vae(audio_vae, "audio_vae")
        if audio is None:
            raise ValueError("audio is empty: its video has no sound; load a sound, or leave this node out")
        seconds, clip = audio["waveform"].shape[-1] / audio["sample_rate"], length / fps
        # A latent frame is 0.04 s: a difference below half of it rounds away.
        if if_too_short == "refuse" and seconds < clip - 0.02:
            raise ValueError(
                f"the audio is {seconds:.2f} s long, the clip {clip:.2f} s: use a longer sound or at most "
                f"{int(seconds * fps - 1) // 8 * 8 + 1} frames"
            )
        return io.NodeOutput({"samples": encode_sound(audio_vae, audio, length, fps)})
